"""Locks of the event loop over several files: which lock is meant, by which way it is reached, how firmly."""

import pytest

from tests.analysed import Analysed, Reported

BASE = """
import asyncio

class Base:
    def __init__(self):
        self.lock = asyncio.Lock()
        self.other = asyncio.Lock()

    async def take(self):
        async with self.lock:
            await asyncio.sleep(1)

    async def step(self):
        await asyncio.sleep(1)
"""


def found(code: str, *, possible: bool = False, **files: str) -> list[Reported]:
    """What one rule reports of a base class and what is built on it."""
    program = Analysed({"base": BASE, **files})
    return [each for each in program.findings(possible=possible) if each.code == code]


def confidences(code: str, *, possible: bool = False, **files: str) -> list[str]:
    return [str(each.confidence) for each in found(code, possible=possible, **files)]


def client(body: str, head: str = "") -> str:
    lines = "".join(f"        {line}\n" for line in body.strip("\n").split("\n"))
    start = f"import asyncio\nfrom base import Base\n\nclass Client(Base):\n{head}\n"
    return f"{start}    async def run(self):\n{lines}"


def test_the_whole_way_is_told() -> None:
    between = """
    async def first(self):
        await asyncio.sleep(1)
        await self.second()
        await asyncio.sleep(1)
        await asyncio.sleep(1)

    async def second(self):
        await asyncio.sleep(1)
        await self.take()
        await asyncio.sleep(1)
        await asyncio.sleep(1)
"""
    (told,) = found("CAN202", main=client("async with self.lock:\n    await self.first()", between))

    assert [str(note).partition(" ")[2] for note in told.notes] == [
        "it is taken here",
        "`Client.first` is called here",
        "`Client.second` is called here",
        "`Base.take` is called here",
        "which waits for it here",
    ]


def test_what_ends_with_a_time_limit_is_possible_only() -> None:
    body = "async with self.lock:\n    await asyncio.wait_for(self.take(), 1)"

    assert confidences("CAN202", possible=True, main=client(body)) == ["possible"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("async with self.lock:\n    await self.take()", ["certain"]),
        ("async with self.lock:\n    await asyncio.gather(self.take())", ["certain"]),
        ("async with self.lock:\n    await asyncio.wait_for(self.take(), 1)", []),
        ("async with self.lock:\n    if self.flag:\n        await self.take()", ["certain"]),
        ("if self.flag:\n    await self.lock.acquire()\nawait self.take()\nself.lock.release()", ["likely"]),
        (
            "flag = bool(self.flag)\nif flag:\n    await self.lock.acquire()\n"
            "if not flag:\n    await self.take()\nelse:\n    self.lock.release()",
            [],
        ),
        ("async with self.lock:\n    asyncio.create_task(self.take())", []),
        ("async with self.other:\n    await self.take()", []),
        ("async with self.lock:\n    await Base().take()", []),
        (
            "async with self.lock:\n    self.lock.release()\n    await self.take()\n"
            "    await self.lock.acquire()",
            [],
        ),
    ],
)
def test_a_lock_is_waited_for_while_it_is_held(body: str, expected: list[str]) -> None:
    assert confidences("CAN202", main=client(body)) == expected


def test_which_override_runs_is_not_certain() -> None:
    holder = """
from base import Base

class Holder(Base):
    async def run(self):
        async with self.lock:
            await self.step()
"""
    taker = """
import asyncio
from holder import Holder

class Taker(Holder):
    async def step(self):
        await asyncio.sleep(1)
        await self.take()
        await asyncio.sleep(1)

class Sleeper(Holder):
    async def step(self):
        await asyncio.sleep(2)
"""

    assert confidences("CAN202", holder=holder, taker=taker) == ["likely"]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("asyncio.Semaphore(1)", ["certain"]),
        ("asyncio.Semaphore()", ["certain"]),
        ("asyncio.BoundedSemaphore(1)", ["certain"]),
        ("asyncio.Semaphore(4)", ["likely"]),
        ("asyncio.Semaphore(value=size)", ["likely"]),
        ("asyncio.Condition()", ["certain"]),
        ("asyncio.Event()", []),
    ],
)
def test_how_many_may_hold_it_decides(made: str, expected: list[str]) -> None:
    source = f"""
import asyncio

class Client:
    def __init__(self, size):
        self.permits = {made}

    async def outer(self):
        await self.permits.acquire()
        await self.inner()
        self.permits.release()

    async def inner(self):
        async with self.permits:
            await asyncio.sleep(1)
            await asyncio.sleep(1)
            await asyncio.sleep(1)
"""

    assert confidences("CAN202", main=source) == expected


ORDERS = """
import asyncio
from base import Base

class Client(Base):
    async def one(self):
        async with self.lock, self.other:
            await asyncio.sleep(1)

    async def two(self):
        async with self.other:
            {}
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("await self.take()", ["likely"]),
        ("await asyncio.wait_for(self.take(), 1)", []),
        ("await self.step()", []),
        ("asyncio.create_task(self.take())", []),
        ("await Client().take()", ["likely"]),
    ],
)
def test_two_locks_are_taken_in_both_orders(body: str, expected: list[str]) -> None:
    assert confidences("CAN203", main=ORDERS.format(body)) == expected


WAITS = """
import asyncio
from base import Base

class Client(Base):
    def __init__(self):
        super().__init__()
        self._done = asyncio.Event()
        self._items = asyncio.Queue(3)

    async def wait(self):
        async with self.lock:
            await self._done.wait()

    {}
"""


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("async def end(self):\n        async with self.lock:\n            self._done.set()", ["likely"]),
        ("async def end(self):\n        self._done.set()", []),
        ("async def end(self):\n        async with self.other:\n            self._done.set()", []),
        ("", []),
        (
            "async def end(self):\n        async with self.lock:\n            self._done.set()\n\n"
            "    def end_at_once(self):\n        self._done.set()",
            [],
        ),
    ],
)
def test_a_wait_needs_somebody_who_does_not_need_the_lock(method: str, expected: list[str]) -> None:
    assert confidences("CAN204", main=WAITS.format(method)) == expected
