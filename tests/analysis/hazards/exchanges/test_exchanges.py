"""Exchanges: which requests and replies belong together, and who settles what a cancellation tears.

In the examples `# torn` marks the awaits that are to be reported.
"""

from textwrap import dedent, indent

import pytest

from cancellint.analysis.flow.connections import Group, one_connection
from cancellint.analysis.library.knowledge import load
from cancellint.model.finding import Confidence
from cancellint.model.ir import Function, Param
from cancellint.model.summary import Path
from tests.analysed import Analysed, analysed, marked

SIDES = load().conventions.sides

HEADER = """\
import asyncio, contextlib
class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader = reader
        self.writer = writer
        self.usable = True
        self.lock = asyncio.Lock()
        self.replies = asyncio.Queue(9)
        self.jobs = asyncio.Queue(9)
    async def open(self):
        self.reader, self.writer = await asyncio.open_connection("host", 1)
    async def open_if_needed(self):
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("host", 1)
    async def _send(self, line):
        self.writer.write(line)
        await self.writer.drain()
    async def _receive(self):
        return await self.reader.readline()
    async def _close(self):
        self.writer.close()
    async def feed(self):
        while True:
            await self.replies.put(await self.reader.readline())
"""


def program(methods: str, rest: str = "") -> Analysed:
    return analysed(source(methods, rest))


def source(methods: str, rest: str = "") -> str:
    return HEADER + indent(dedent(methods).strip("\n"), "    ") + "\n" + dedent(rest)


TORN = {
    "in one function": """
        async def ask(self, line):
            self.writer.write(line)
            return await self.reader.readline()  # torn
        """,
    "through helpers": """
        async def ask(self, line):
            await self._send(line)
            return await self._receive()  # torn
        """,
    "under a lock": """
        async def ask(self, line):
            async with self.lock:
                await self._send(line)
                return await self._receive()  # torn
        """,
    "on one path only": """
        async def ask(self, line, waits):
            await self._send(line)
            if waits:
                return await self._receive()  # torn
        """,
    "under a timeout that is told": """
        async def ask(self, line):
            await self._send(line)
            try:
                return await asyncio.wait_for(self._receive(), 5)  # torn
            except TimeoutError:
                return None
        """,
    "made anew on some paths only": """
        async def ask(self, line):
            await self.open_if_needed()
            await self._send(line)
            return await self._receive()  # torn
        """,
    "a flag that is put back in any case": """
        async def ask(self, line):
            self.usable = False
            await self._send(line)
            try:
                return await self._receive()  # torn
            finally:
                self.usable = True
        """,
    "a queue that the reader fills": """
        async def ask(self, line):
            self.writer.write(line)
            return await self.replies.get()  # torn
        """,
    "closed after errors only": """
        async def ask(self, line):
            await self._send(line)
            try:
                return await self._receive()  # torn
            except OSError:
                await self._close()
        """,
    "a reply in several lines": """
        async def ask(self, line):
            await self._send(line)
            lines = []
            while not lines or lines[-1] != b".":
                lines.append(await self._receive())  # torn
            return lines
        """,
    "a private helper with a public caller": """
        async def ask(self, line):
            return await self._ask(line)
        async def _ask(self, line):
            await self._send(line)
            return await self._receive()  # torn
        """,
    "a reply that only says that all is well": """
        async def ask(self, line):
            await self._send(line)
            await self._check()  # torn
        async def _check(self):
            if await self._receive() != b"OK":
                raise ValueError
        """,
    "through a function that is passed on": """
        async def ask(self, line):
            async def attempt():
                await self._send(line)
                return await self._receive()  # torn
            return await twice(attempt)
        """,
}

SETTLED = {
    "closed in a finally": """
        async def ask(self, line):
            await self._send(line)
            try:
                return await self._receive()
            finally:
                self.writer.close()
        """,
    "closed where anything is caught": """
        async def ask(self, line):
            await self._send(line)
            try:
                return await self._receive()
            except BaseException:
                await self._close()
                raise
        """,
    "forgotten where the cancellation is caught": """
        async def ask(self, line):
            await self._send(line)
            try:
                return await self._receive()
            except asyncio.CancelledError:
                self.writer = None
                raise
        """,
    "marked where the cancellation is caught": """
        async def ask(self, line):
            await self._send(line)
            try:
                return await self._receive()
            except asyncio.CancelledError:
                self.usable = False
                raise
        """,
    "marked until it has answered": """
        async def ask(self, line):
            self.usable = False
            await self._send(line)
            answer = await self._receive()
            self.usable = True
            return answer
        """,
    "read after all": """
        async def ask(self, line):
            await self._send(line)
            try:
                return await self._receive()
            except asyncio.CancelledError:
                await self._receive()
                raise
        """,
    "closed by the callee": """
        async def ask(self, line):
            await self._send(line)
            return await self._read()
        async def _read(self):
            try:
                return await self._receive()
            except BaseException:
                self.writer.close()
                raise
        """,
    "closed by the only caller": """
        async def ask(self, line):
            try:
                return await self._ask(line)
            except BaseException:
                self.writer.close()
                raise
        async def _ask(self, line):
            await self._send(line)
            return await self._receive()
        """,
    "the waiter is cancelled, not the exchange": """
        async def ask(self, line):
            return await asyncio.shield(self._ask(line))
        async def _ask(self, line):
            await self._send(line)
            return await self._receive()
        """,
    "made anew on every path": """
        async def ask(self, line):
            await self.open()
            await self._send(line)
            return await self._receive()
        """,
    "made anew by every caller": """
        async def begin(self, line):
            await self.open()
            return await self.greet(line)
        async def greet(self, line):
            await self._send(line)
            return await self._receive()
        """,
    "named for the beginning": """
        async def login(self, line):
            await self._send(line)
            return await self._receive()
        """,
    "reads first, as a server does": """
        async def answer(self):
            line = await self._receive()
            await self._send(line)
            return await self._receive()
        """,
    "sends again before it reads": """
        async def ask(self, line):
            await self._whole(line)
            await self._whole(line)
        async def _whole(self, line):
            await self._send(line)
            try:
                await self._receive()
            except BaseException:
                self.writer.close()
                raise
        """,
    "in a loop whose turns begin with reading": """
        async def echo(self):
            while line := await self._receive():
                await self._send(line)
        """,
    "of an object whose other methods serve": """
        async def serve(self):
            while line := await self._receive():
                await self._send(line)
        async def challenge(self, line):
            await self._send(line)
            return await self._receive()
        """,
    "handed round by its kind": """
        async def ask(self, line):
            await self._send(line)
            await self._wait_until_open()
        async def _wait_until_open(self):
            while not self.usable:
                await self._next()
        async def _next(self):
            line = await self._receive()
            self.handlers[line[:3]](line)
        """,
    "each item of a stream": """
        async def follow(self, line):
            self.writer.write(line)
            async for line in self.reader:
                print(line)
        """,
    "told apart by a number": """
        async def ask(self, line, number):
            await self._send(line)
            while True:
                reply = await self._receive()
                if int(reply[:4]) == number:
                    return reply
        """,
    "told apart by a number in a helper": """
        async def ask(self, line, number):
            await self._send(line)
            return await self._matching(number)
        async def _matching(self, number):
            while True:
                reply = await self._receive()
                if int(reply[:4]) == number:
                    return reply
        """,
    "a queue that nobody fills from outside": """
        async def ask(self, line):
            self.writer.write(line)
            return await self.jobs.get()
        """,
    "in a task of the object's own": """
        def begin(self):
            self.task = asyncio.create_task(self._ping())
        async def _ping(self):
            while True:
                await self._send(b"ping")
                await self._receive()
        """,
}

REST = """
async def twice(f):
    try:
        return await f()
    except OSError:
        return await f()
"""


@pytest.mark.parametrize("name", TORN)
def test_a_cancellation_tears_an_exchange(name: str) -> None:
    found = program(TORN[name], REST).lines("CAN108")

    assert found == list(marked(source(TORN[name]), "torn"))


@pytest.mark.parametrize("name", SETTLED)
def test_nobody_reads_the_old_reply(name: str) -> None:
    assert program(SETTLED[name], REST).lines("CAN108", possible=True) == []


# --------------------------------------------------------------------------- connections that go back

ASKS = """
async def ask(self, line):
    await self._send(line)
    return await self._receive()
"""

GOES_BACK = {
    "to a list, in a finally": """
        free: list[Connection] = []
        async def f(line):
            connection = free.pop()
            try:
                return await connection.ask(line)  # torn
            finally:
                free.append(connection)
        """,
    "to a pool of unknown class, in a finally": """
        async def f(pool, line):
            connection: Connection = await pool.acquire()
            try:
                return await connection.ask(line)  # torn
            finally:
                await pool.release(connection)
        """,
    "by a decorator of the project's own": """
        def leased(func):
            async def wrapper(self, *args):
                connection = await self.pool.acquire()
                try:
                    return await func(self, connection, *args)  # torn
                finally:
                    self.pool.release(connection)
            return wrapper
        class Client:
            @leased
            async def get(self, connection: Connection, line):
                return await connection.ask(line)
        """,
    "by a method that releases the attribute it is in": """
        class Pipeline:
            def __init__(self, pool):
                self.pool = pool
                self.connection: Connection | None = None
            async def execute(self, line):
                connection = self.connection
                if connection is None:
                    connection: Connection = await self.pool.acquire()
                    self.connection = connection
                attempt = self._attempt
                try:
                    return await twice(lambda: attempt(connection, line))  # torn
                finally:
                    await self.reset()
            async def _attempt(self, connection: Connection, line):
                return await connection.ask(line)
            async def reset(self):
                if self.connection:
                    await self.pool.release(self.connection)
                    self.connection = None
        async def twice(f):
            return await f()
        """,
    "when a `with` is left": """
        class Lease:
            def __init__(self, pool):
                self.pool = pool
            async def __aenter__(self) -> Connection:
                return self.pool.pop()
            async def __aexit__(self, *args):
                self.pool.append(self)
        async def f(pool, line):
            async with Lease(pool) as connection:
                return await connection.ask(line)  # torn
        """,
    "to the object that keeps it": """
        class Client:
            async def connection(self):
                if self.kept is None:
                    self.kept = Connection(*await asyncio.open_connection("host", 1))
                return self.kept
            async def get(self, line):
                connection = await self.connection()
                return await connection.ask(line)  # torn
        """,
}

DROPPED = {
    "a `with` that looks at the exception": """
        class Lease:
            def __init__(self, pool):
                self.pool = pool
            async def __aenter__(self) -> Connection:
                self.connection: Connection = self.pool.pop()
                return self.connection
            async def __aexit__(self, kind, *args):
                if kind is not None:
                    self.connection.writer.close()
                self.pool.append(self.connection)
        async def f(pool, line):
            async with Lease(pool) as connection:
                return await connection.ask(line)
        """,
    "made here": """
        async def f(line):
            connection = Connection(*await asyncio.open_connection("host", 1))
            return await connection.ask(line)
        """,
    "closed before it goes back": """
        free: list[Connection] = []
        async def f(line):
            connection = free.pop()
            try:
                answer = await connection.ask(line)
            except BaseException:
                connection.writer.close()
                raise
            free.append(connection)
            return answer
        """,
    "goes back only after it has answered": """
        free: list[Connection] = []
        async def f(line):
            connection = free.pop()
            answer = await connection.ask(line)
            free.append(connection)
            return answer
        """,
}


@pytest.mark.parametrize("name", GOES_BACK)
def test_the_finding_stands_where_the_connection_goes_back(name: str) -> None:
    found = program(ASKS, GOES_BACK[name]).lines("CAN108")

    assert found == list(marked(GOES_BACK[name], "torn"))


@pytest.mark.parametrize("name", DROPPED)
def test_a_connection_that_is_not_used_again_harms_nobody(name: str) -> None:
    assert program(ASKS, DROPPED[name]).lines("CAN108") == []


@pytest.mark.parametrize(
    ("name", "firmly"),
    [("in one function", Confidence.LIKELY), ("under a lock", Confidence.LIKELY)],
)
def test_a_lock_shows_that_others_use_the_connection(name: str, firmly: Confidence) -> None:
    (found,) = (one for one in program(TORN[name]).findings() if one.code == "CAN108")

    assert found.confidence == firmly


def test_the_story_leads_from_the_request_to_whoever_is_next() -> None:
    (found,) = (
        one for one in program(ASKS, GOES_BACK["to a list, in a finally"]).findings() if one.code == "CAN108"
    )

    assert found.told.message.startswith("the reply stays unread on `connection` if this await is cancelled")
    assert [note.message for note in found.notes] == [
        "the request is sent here",
        "cancelled here, the reply is still to come",
        "`connection` goes back here, with the reply on its way",
        "cancelled by whoever calls `f` and stops waiting for it",
    ]


# --------------------------------------------------------------------------- which ends belong together


def method(*params: str) -> Function:
    return Function(
        name="f",
        qualname="C.f",
        kind="function",
        parent=0,
        cls=0,
        is_async=True,
        is_generator=False,
        params=tuple(Param(name, "positional", None, None) for name in params),
        returns=None,
        decorators=(),
        locals=(),
        global_names=(),
        nonlocal_names=(),
        annotations=(),
        contract=None,
        steps=(),
        blocks=(),
        regions=(),
    )


def path(text: str) -> Path:
    root, *fields = text.split(".")
    return Path(root, tuple(fields))


@pytest.mark.parametrize(
    ("request_on", "reply_from", "firmly"),
    [
        ("param:0.writer", "param:0.reader", Confidence.CERTAIN),
        ("param:0._writer", "param:0._reader", Confidence.CERTAIN),
        ("param:0.cmd_writer", "param:0.cmd_reader", Confidence.CERTAIN),
        ("param:0.proc.stdin", "param:0.proc.stdout", Confidence.CERTAIN),
        ("param:0.ws", "param:0.ws", Confidence.CERTAIN),
        ("param:1", "param:2", Confidence.CERTAIN),
        ("temp:3.#1", "temp:3.#0", Confidence.CERTAIN),
        ("local:conn._writer", "local:conn._parser._stream", Confidence.LIKELY),
        ("param:0.conn.writer", "param:0.conn.buffer.lines", Confidence.LIKELY),
        ("param:0._writer", "param:0._parser._stream", Confidence.LIKELY),
        ("param:0.server_writer", "param:0.client_reader", None),
        ("param:0.writer", "param:0.config.source", None),
        ("param:0.writer", "local:other.reader", None),
        ("param:1", "param:3", None),
    ],
)
def test_two_ends_are_one_connection(request_on: str, reply_from: str, firmly: Confidence | None) -> None:
    function = method("self", "writer", "reader", "client_reader")

    assert one_connection(SIDES, function, path(request_on), path(reply_from)) == firmly


@pytest.mark.parametrize(
    "closed", ["param:0.writer", "param:0.reader", "param:0", "param:0.writer.transport"]
)
def test_closing_one_end_closes_both(closed: str) -> None:
    assert Group(path("param:0.writer"), path("param:0.reader")).is_ended_by(path(closed))
