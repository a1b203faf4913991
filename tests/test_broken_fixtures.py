"""The broken fixtures are broken and the reference is not: shown by running them.

Every `read_frame` reads the same five commands from a real StreamReader, cut into pieces of eleven
sizes. In each case it is cancelled once, at one of its suspensions, and called again. Lost are the
bytes that were fed and are neither in a frame that was returned nor still to be read.
"""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from cancellint.testing import Case, Injection, cancel_at_every_suspension
from fixtures.broken import (
    await_after_pop,
    dropped_task,
    read_frame_header_body,
    read_frame_local_buffer,
    read_frame_split_parse,
    thread_lock_across_await,
    unbounded_queue,
)
from fixtures.mini_redis.connection import Connection as ReferenceConnection
from fixtures.mini_redis.frame import Array, Bulk, encode

CHECKOUT = Path(__file__).parent.parent
COMMANDS = [
    [b"SET", b"alpha", b"1"],
    [b"GET", b"alpha"],
    [b"SET", b"beta", b"some\r\nvalue"],
    [b"PING"],
    [b"DEL", b"beta"],
]
CHUNKS = (1, 2, 3, 5, 7, 11, 16, 23, 40, 64, 133)


def on_the_wire(command: Sequence[bytes]) -> bytes:
    return encode(Array(tuple(Bulk(word) for word in command)))


WIRE = b"".join(on_the_wire(command) for command in COMMANDS)


class Reading(Protocol):
    async def read_frame(self) -> list[bytes] | None: ...


class Unconnected(asyncio.Transport):
    """A transport for a writer that nobody writes to."""

    def is_closing(self) -> bool:
        return True


class Reference:
    """The frames of mini_redis as lists of words."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        protocol = asyncio.StreamReaderProtocol(reader)
        writer = asyncio.StreamWriter(Unconnected(), protocol, reader, asyncio.get_running_loop())
        self.connection = ReferenceConnection(reader, writer)

    async def read_frame(self) -> list[bytes] | None:
        match await self.connection.read_frame():
            case Array(items):
                return [word.data or b"" for word in items if isinstance(word, Bulk)]
            case _:
                return None


Connect = Callable[[asyncio.StreamReader], Reading]
READERS: dict[str, Connect] = {
    "mini_redis": Reference,
    "read_frame_local_buffer": read_frame_local_buffer.Connection,
    "read_frame_split_parse": read_frame_split_parse.Connection,
    "read_frame_header_body": read_frame_header_body.Connection,
    "await_after_pop": await_after_pop.Connection,
}
BROKEN = tuple(name for name in READERS if name != "mini_redis")

OUT_OF_STEP = (ValueError, ConnectionResetError, asyncio.IncompleteReadError)
Record = Callable[[str, object], None]
Call = Callable[[Reading], Awaitable[list[bytes] | None]]


async def read_all(injection: Injection, connect: Connect, chunk: int, call: Call) -> list[list[bytes]]:
    """The frames a reader makes of the wire, one piece of which arrives whenever it waits."""
    reader = asyncio.StreamReader()
    pieces = [WIRE[start : start + chunk] for start in range(0, len(WIRE), chunk)]
    injection.then(partial(reader.feed_data, piece) for piece in pieces)
    injection.then([reader.feed_eof])
    connection = connect(reader)
    frames: list[list[bytes]] = []
    try:
        while (frame := await injection.retry(lambda: call(connection))) is not None:
            frames.append(frame)
    except OUT_OF_STEP:
        return frames
    return frames


def directly(connection: Reading) -> Awaitable[list[bytes] | None]:
    return connection.read_frame()


def through_wait_for(connection: Reading) -> Awaitable[list[bytes] | None]:
    return asyncio.wait_for(connection.read_frame(), 1000)


def through_a_task(connection: Reading) -> Awaitable[list[bytes] | None]:
    return asyncio.ensure_future(connection.read_frame())


def through_shield(connection: Reading) -> Awaitable[list[bytes] | None]:
    return asyncio.shield(asyncio.ensure_future(connection.read_frame()))


def lost_bytes(frames: Sequence[list[bytes]]) -> int:
    """How many bytes of the wire are in no frame that was returned whole and in order."""
    awaited = iter(COMMANDS)
    returned = [frame for frame in frames if frame in awaited]
    return len(WIRE) - sum(len(on_the_wire(frame)) for frame in returned)


@dataclass(frozen=True)
class Figures:
    """What one reader lost over all cases."""

    cases: int
    cases_with_loss: int
    bytes_lost: int


def measure(connect: Connect, call: Call = directly) -> Figures:
    losses: list[int] = []

    def intact(frames: list[list[bytes]]) -> bool:
        losses.append(lost_bytes(frames))
        return frames == COMMANDS

    cases: list[Case] = []
    for chunk in CHUNKS:
        scenario = partial(read_all, connect=connect, chunk=chunk, call=call)
        cases += cancel_at_every_suspension(scenario, check=intact).cases
    return Figures(len(cases), sum(case.problem is not None for case in cases), sum(losses))


def test_the_wire_holds_five_commands() -> None:
    assert (len(WIRE), len(COMMANDS)) == (133, 5)


def test_the_reference_loses_nothing_wherever_it_is_cancelled(record_property: Record) -> None:
    figures = measure(Reference)
    record_property("mini_redis", str(figures))

    assert figures == Figures(cases=1690 + len(CHUNKS), cases_with_loss=0, bytes_lost=0)


def test_the_reference_loses_nothing_under_wait_for() -> None:
    figures = measure(Reference, through_wait_for)

    assert (figures.cases_with_loss, figures.bytes_lost) == (0, 0)


@pytest.mark.parametrize("name", BROKEN)
def test_every_broken_reader_loses_bytes(name: str, record_property: Record) -> None:
    figures = measure(READERS[name])
    record_property(name, str(figures))
    print(name, figures)

    assert figures.cases_with_loss > 0
    assert figures.bytes_lost > 0


@pytest.mark.parametrize(
    ("name", "cases"),
    [("read_frame_local_buffer", 1448), ("read_frame_split_parse", 1314), ("read_frame_header_body", 1314)],
)
def test_readers_that_keep_parts_in_locals_lose_them_in_most_cases(name: str, cases: int) -> None:
    assert measure(READERS[name]).cases_with_loss == cases


@pytest.mark.parametrize("call", [through_a_task, through_shield])
def test_even_the_reference_loses_frames_when_a_task_stands_between(call: Call) -> None:
    assert measure(Reference, call).bytes_lost > 0


class KeepingOutbox(dropped_task.Outbox):
    """The cure: the tasks are kept until they are done, and their errors with them."""

    def __init__(self, send: dropped_task.Send) -> None:
        super().__init__(send)
        self.tasks: set[asyncio.Task[None]] = set()

    def post(self, message: str) -> None:
        self.tasks.add(asyncio.create_task(self.deliver(message)))


def test_nobody_sees_the_error_of_a_dropped_task_before_it_is_gone() -> None:
    refused: list[str] = []

    async def refuse(message: str) -> None:
        refused.append(message)
        raise ConnectionError(message)

    outbox = dropped_task.Outbox(refuse)
    complaints = asyncio.run(dropped_task.post(outbox))

    assert (refused, outbox.sent) == (["hello"], [])
    assert complaints == ["Task exception was never retrieved"]


def test_the_error_of_a_kept_task_can_be_seen() -> None:
    outbox = KeepingOutbox(dropped_task.refuse)

    assert asyncio.run(dropped_task.post(outbox)) == []
    assert [str(task.exception()) for task in outbox.tasks] == ["hello"]


def test_a_dropped_task_is_collected_in_flight() -> None:
    ends: list[str] = []

    async def wait(message: str) -> None:
        try:
            await dropped_task.wait_for_receipt(message)
        except BaseException as end:
            ends.append(type(end).__name__)
            raise

    outbox = dropped_task.Outbox(wait)
    complaints = asyncio.run(dropped_task.post(outbox))

    assert complaints == ["Task was destroyed but it is pending!"]
    assert (ends, outbox.sent) == (["GeneratorExit"], [])


def test_a_kept_task_is_not_collected() -> None:
    async def is_still_waiting() -> bool:
        outbox = KeepingOutbox(dropped_task.wait_for_receipt)
        complaints = await dropped_task.post(outbox)
        return not complaints and not any(task.done() for task in outbox.tasks)

    assert asyncio.run(is_still_waiting())


@pytest.mark.parametrize(
    ("name", "last_line"),
    [
        ("read_frame_local_buffer", "out of step: expected a command"),
        ("read_frame_split_parse", "out of step: expected a command"),
        ("read_frame_header_body", "out of step: expected an array"),
        ("await_after_pop", "cancelled: True left to read: None"),
        ("dropped_task", "waiting: ['Task was destroyed but it is pending!']"),
        ("thread_lock_across_await", "finished: False"),
        ("unbounded_queue", "survived: False"),
    ],
)
def test_each_file_runs_by_itself_and_shows_its_fault(name: str, last_line: str) -> None:
    command = [sys.executable, str(CHECKOUT / "fixtures" / "broken" / f"{name}.py")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert (run.stdout.splitlines()[-1], run.stderr) == (last_line, "")


def test_an_unshared_token_cache_does_finish() -> None:
    async def get_once() -> str:
        return await thread_lock_across_await.TokenCache(thread_lock_across_await.fetch_token).get()

    assert asyncio.run(get_once()) == "token"


def survives_a_flood(subscriber: str) -> bool:
    """Whether a process of its own, whose memory is limited, survives the flood with this subscriber."""
    code = (
        "from asyncio import Queue\n"
        "from fixtures.broken.unbounded_queue import Subscriber, main\n"
        f"{subscriber}\n"
        "print(main(Chosen))\n"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=True)
    return run.stdout == "True\n"


def test_a_flood_fills_the_memory_of_an_unbounded_subscriber() -> None:
    assert not survives_a_flood("Chosen = Subscriber")


def test_a_bounded_subscriber_survives_the_same_flood() -> None:
    bounded = (
        "class Chosen(Subscriber):\n"
        "    def __init__(self, reader):\n"
        "        super().__init__(reader)\n"
        "        self.messages = Queue(32)\n"
    )

    assert survives_a_flood(bounded)


def test_an_unbounded_subscriber_keeps_every_message_but_the_one_in_work() -> None:
    def small(reader: asyncio.StreamReader) -> unbounded_queue.Subscriber:
        return unbounded_queue.Subscriber(reader, size=16)

    assert asyncio.run(unbounded_queue.flood(small, 1000)) == 999


def test_each_broken_fixture_says_once_what_is_to_be_found_and_is_run() -> None:
    files = [path for path in (CHECKOUT / "fixtures" / "broken").glob("*.py") if path.stem != "__init__"]
    run = "".join(path.read_text() for path in Path(__file__).parent.glob("test_broken_*.py"))

    assert [path.read_text().count("# want CAN") for path in files] == [1] * len(files)
    assert [path.stem for path in files if f'"{path.stem}"' not in run] == []
