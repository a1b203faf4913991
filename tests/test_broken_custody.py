"""What a cancelled await leaves behind in the broken fixtures: shown by running them, and their corrections.

Each fixture is cancelled once in every case, at one of its suspensions, and then asked again by somebody
else. The correction of each is a change of a few lines, and passes the same proof.
"""

import asyncio
import importlib.util
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Protocol

import pytest

from cancellint.config import Config
from cancellint.pipeline import run
from cancellint.testing import Injection, Report, cancel_at_every_suspension
from fixtures.mini_redis.connection import Connection as ServerConnection
from fixtures.mini_redis.db import Database
from fixtures.mini_redis.handler import Handler

CHECKOUT = Path(__file__).parent.parent
BROKEN = CHECKOUT / "fixtures" / "broken"

CORRECTIONS = {
    "lock_stays_locked": (
        """
        await self.lock.acquire()
        answer = await self.exchange(words)
        self.lock.release()
        return answer
""",
        """
        async with self.lock:
            return await self.exchange(words)
""",
    ),
    "pool_runs_dry": (
        """
        name = await connection.fetch(number)
        self.pool.release(connection)
        return name or "nobody"
""",
        """
        try:
            name = await connection.fetch(number)
        finally:
            self.pool.release(connection)
        return name or "nobody"
""",
    ),
    "reply_reaches_wrong_caller": (
        """
        try:
            return await connection.request(*words)
        finally:
            self.idle.append(connection)
""",
        """
        try:
            reply = await connection.request(*words)
        except ReplyError:
            self.idle.append(connection)
            raise
        except BaseException:
            connection.close()
            raise
        self.idle.append(connection)
        return reply
""",
    ),
    "flag_stays_set": (
        """
        self.latest = await self.fetch()
        self.refreshing = False
        return True
""",
        """
        try:
            self.latest = await self.fetch()
        finally:
            self.refreshing = False
        return True
""",
    ),
    "narrow_cleanup": (
        """
            await session.open()
        except Exception:
""",
        """
            await session.open()
        except BaseException:
""",
    ),
}


def source(name: str) -> str:
    """The source of a fixture, without what says where its fault is to be found."""
    return re.sub(r"  # want .*", "", (BROKEN / f"{name}.py").read_text("utf-8"))


def corrected(name: str) -> str:
    """The source of a fixture after its correction."""
    before, after = CORRECTIONS[name]
    text = source(name)
    assert text.count(before) == 1
    return text.replace(before, after)


def loaded(name: str, text: str, folder: Path) -> ModuleType:
    """A fixture as a module of its own."""
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --------------------------------------------------------------------------- cancelled, then asked again

PATIENCE = 3600.0
"""seconds, of a clock that only advances when nothing else can happen"""


async def in_three_steps() -> None:
    for _ in range(3):
        await asyncio.sleep(1)


async def lock_stays_locked(injection: Injection, fixture: ModuleType) -> float:
    async def exchange(words: str) -> str:
        await in_three_steps()
        return "21.5"

    thermostat = fixture.Thermostat(exchange)
    await injection.attempt(thermostat.temperature)
    temperature: float = await asyncio.wait_for(thermostat.temperature(), PATIENCE)
    return temperature


async def pool_runs_dry(injection: Injection, fixture: ModuleType) -> str:
    users = fixture.Users(fixture.Pool(size=1, delay=1))
    await injection.attempt(lambda: users.name(1))
    name: str = await asyncio.wait_for(users.name(2), PATIENCE)
    return name


async def reply_reaches_wrong_caller(injection: Injection, fixture: ModuleType) -> list[str | None]:
    network = Network(injection)
    client = fixture.Client(network.connect)
    try:
        await injection.attempt(lambda: client.get("alice"))
        return [await asyncio.wait_for(client.get(name), PATIENCE) for name in ("bob", "carol")]
    finally:
        network.end()


async def flag_stays_set(injection: Injection, fixture: ModuleType) -> tuple[bool, dict[str, float]]:
    async def fetch() -> dict[str, float]:
        await in_three_steps()
        return {"EUR": 1.0}

    rates = fixture.Rates(fetch)
    await injection.attempt(rates.refresh)
    return await rates.refresh(), rates.latest


class Session(Protocol):
    token: str


async def narrow_cleanup(injection: Injection, fixture: ModuleType) -> str:
    async def log_in() -> str:
        await in_three_steps()
        return "token"

    gateway = fixture.Gateway(log_in, limit=1)

    async def use() -> None:
        gateway.close(await gateway.session())

    await injection.attempt(use)
    session: Session = await gateway.session()
    return session.token


Scenario = Callable[[Injection, ModuleType], Coroutine[object, object, object]]
SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        lock_stays_locked,
        pool_runs_dry,
        reply_reaches_wrong_caller,
        flag_stays_set,
        narrow_cleanup,
    )
}


def cancelled_everywhere(name: str, fixture: ModuleType) -> Report:
    return cancel_at_every_suspension(lambda injection: SCENARIOS[name](injection, fixture))


@pytest.mark.parametrize(
    ("name", "cases", "failures"),
    [
        ("lock_stays_locked", 16, 12),
        ("pool_runs_dry", 6, 2),
        ("reply_reaches_wrong_caller", 21, 17),
        ("flag_stays_set", 16, 12),
        ("narrow_cleanup", 16, 12),
    ],
)
def test_so_many_cancellations_break_the_fixture(
    name: str, cases: int, failures: int, tmp_path: Path
) -> None:
    report = cancelled_everywhere(name, loaded(name, source(name), tmp_path))

    assert (len(report.cases), len(report.failures)) == (cases, failures)


@pytest.mark.parametrize("name", CORRECTIONS)
def test_no_cancellation_breaks_the_corrected_one(name: str, tmp_path: Path) -> None:
    report = cancelled_everywhere(name, loaded(name, corrected(name), tmp_path))

    assert any(case.delivered for case in report.cases)
    report.require_safe()


@pytest.mark.parametrize("name", CORRECTIONS)
def test_nothing_is_found_in_the_corrected_one(name: str, tmp_path: Path) -> None:
    (tmp_path / "cancellint.toml").touch()
    (tmp_path / f"{name}.py").write_text(corrected(name), encoding="utf-8")

    report = run(Config(root=tmp_path), [tmp_path])

    assert (report.files, report.findings, report.failures) == (1, (), ())


@pytest.mark.parametrize("name", [name for name in CORRECTIONS if name != "reply_reaches_wrong_caller"])
def test_no_cancellation_breaks_what_the_fix_makes_of_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.py"
    path.write_text(source(name), encoding="utf-8")
    fix = [sys.executable, "-m", "cancellint", "check", "--fix", "--unsafe-fixes", "--jobs", "1", str(path)]
    run = subprocess.run(fix, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=True)
    fixed = path.read_text("utf-8")

    assert fixed != source(name), run.stdout
    cancelled_everywhere(name, loaded(name, fixed, tmp_path)).require_safe()


def test_each_cancelled_query_costs_the_pool_a_connection(tmp_path: Path) -> None:
    fixture = loaded("pool_runs_dry", source("pool_runs_dry"), tmp_path)

    async def left_in_a_pool_of_three(cancelled: int) -> int:
        users = fixture.Users(fixture.Pool(size=3))
        for _ in range(cancelled):
            query = asyncio.create_task(users.name(1))
            await asyncio.sleep(0)
            query.cancel()
            await asyncio.wait({query})
        lent = 0
        while not users.pool.permits.locked():
            await users.pool.acquire()
            lent += 1
        return lent

    assert [asyncio.run(left_in_a_pool_of_three(cancelled)) for cancelled in range(4)] == [3, 2, 1, 0]


# --------------------------------------------------------------------------- the server behind the client

PIECE = 7
"""bytes that arrive at a time"""


class Pipe(asyncio.Transport):
    """One direction of a connection: what is written arrives in pieces, whenever everybody waits."""

    def __init__(self, injection: Injection, far_end: asyncio.StreamReader) -> None:
        super().__init__()
        self.injection = injection
        self.far_end = far_end
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.closed:
            return
        pieces = (bytes(data[start : start + PIECE]) for start in range(0, len(data), PIECE))
        self.injection.then(partial(self.far_end.feed_data, piece) for piece in pieces)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.injection.then([self.far_end.feed_eof])

    abort = close


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def database() -> Database:
    known = Database()
    for name in (b"alice", b"bob", b"carol"):
        known.set(name, b"the value of " + name, None)
    return known


async def serve(connection: ServerConnection) -> None:
    """Answers one client of mini_redis until it leaves."""
    try:
        await Handler(connection, database(), asyncio.Event()).run()
    except ConnectionError:
        return
    finally:
        connection.abort()


class Network:
    """Connections to mini_redis that exist in memory only."""

    def __init__(self, injection: Injection) -> None:
        self.injection = injection
        self.pipes: list[Pipe] = []
        self.handlers: set[asyncio.Task[None]] = set()

    async def connect(self) -> Streams:
        """The client's end of a new connection."""
        here, there = asyncio.StreamReader(), asyncio.StreamReader()
        self.handlers.add(asyncio.create_task(serve(ServerConnection(there, self.writer(there, here)))))
        return here, self.writer(here, there)

    def writer(self, near: asyncio.StreamReader, far: asyncio.StreamReader) -> asyncio.StreamWriter:
        pipe = Pipe(self.injection, far)
        self.pipes.append(pipe)
        protocol = asyncio.StreamReaderProtocol(near)
        return asyncio.StreamWriter(pipe, protocol, near, asyncio.get_running_loop())

    def end(self) -> None:
        for pipe in self.pipes:
            pipe.closed = True


@asynccontextmanager
async def served() -> AsyncIterator[Callable[[], Coroutine[object, object, Streams]]]:
    """Mini_redis on a port of this machine, and how to connect to it."""
    handlers: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.create_task(serve(ServerConnection(reader, writer))))

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with listener:
        yield partial(asyncio.open_connection, *listener.sockets[0].getsockname())
        await asyncio.gather(*handlers)


async def asked_after_a_cancellation(fixture: ModuleType, turns: int) -> str | None:
    """What Bob reads whose question follows one that Alice has given up after so many turns of the loop."""
    async with served() as connect:
        client = fixture.Client(connect)
        await client.set("dave", "the value of dave")
        alice = asyncio.create_task(client.get("alice"))
        for _ in range(turns):
            await asyncio.sleep(0)
        alice.cancel()
        await asyncio.wait({alice})
        reply: str | None = await client.get("bob")
        client.close()
    return reply


def test_over_a_real_connection_bob_reads_what_alice_asked_for(tmp_path: Path) -> None:
    fixture = loaded("wrong_caller", source("reply_reaches_wrong_caller"), tmp_path)

    assert asyncio.run(asked_after_a_cancellation(fixture, turns=1)) == "the value of alice"


def test_over_a_real_connection_the_corrected_client_never_mixes_up_replies(tmp_path: Path) -> None:
    fixture = loaded("right_caller", corrected("reply_reaches_wrong_caller"), tmp_path)

    replies = {asyncio.run(asked_after_a_cancellation(fixture, turns)) for turns in range(12)}

    assert replies == {"the value of bob"}


# --------------------------------------------------------------------------- each as a program


@pytest.mark.parametrize(
    ("name", "last_line"),
    [
        ("lock_stays_locked", "with patience: no answer"),
        ("pool_runs_dry", "with patience: no answer"),
        ("reply_reaches_wrong_caller", "bob reads: the value of alice"),
        ("flag_stays_set", "refreshed: False rates: {}"),
        ("narrow_cleanup", "with patience: all sessions are taken"),
    ],
)
def test_each_program_runs_by_itself_and_shows_what_is_left_behind(name: str, last_line: str) -> None:
    command = [sys.executable, str(BROKEN / f"{name}.py")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert (run.stdout.splitlines()[-1], run.stderr) == (last_line, "")
