"""Which generators a timeout cuts short and are asked again."""

import pytest

from cancellint.analysis.hazards.dataloss.stepped_generators import cuts
from tests.analysed import Analysed

HEAD = """
import asyncio
from contextlib import aclosing
from collections.abc import AsyncGenerator, AsyncIterator

class Feed:
    def __init__(self):
        self.queue = asyncio.Queue()

    async def items(self):
        while True:
            yield await self.queue.get()

    async def ready(self):
        for number in range(3):
            yield number

class Objects:
    def __init__(self, feed):
        self.feed = feed

    def __aiter__(self):
        return self

    async def __anext__(self):
        return await self.feed.queue.get()

class Makes:
    def __init__(self, feed):
        self.feed = feed

    async def __aiter__(self):
        while True:
            yield await self.feed.queue.get()

"""
LOOP = """
async def follow(feed: Feed, declared: AsyncGenerator[str, None], unknown: AsyncIterator[str]):
    items = {made}
    while True:
        try:
            print(await asyncio.wait_for({step}, {limit}))
        except {caught}:
            {then}
"""


def found(
    made: str,
    step: str = "anext(items)",
    caught: str = "TimeoutError",
    then: str = "continue",
    limit: str = "5",
) -> int:
    """How many steps of `items` are cut short in a loop that makes and asks it so."""
    source = LOOP.format(made=made, step=step, caught=caught, then=then, limit=limit)
    program = Analysed({"main": HEAD + source})
    project = program.project
    return len(list(cuts(project.effects, project.facts_of, program.key("main.follow"))))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("feed.items()", 1),
        ("feed.items().__aiter__()", 1),
        ("aiter(feed.items())", 1),
        ("Makes(feed).__aiter__()", 1),
        ("declared", 1),
        ("unknown", 0),
        ("Objects(feed)", 0),
        ("feed.ready()", 0),
        ("(item for item in [])", 0),
    ],
)
def test_only_generators_that_wait_end(made: str, expected: int) -> None:
    assert found(made) == expected


@pytest.mark.parametrize(
    "step", ["anext(items)", "items.__anext__()", "items.asend(None)", "anext(items, None)"]
)
def test_every_way_to_ask_counts(step: str) -> None:
    assert found("feed.items()", step) == 1


@pytest.mark.parametrize(
    ("caught", "then", "expected"),
    [
        ("TimeoutError", "pass", 1),
        ("(OSError, asyncio.TimeoutError)", "pass", 1),
        ("Exception", "pass", 1),
        ("ValueError", "pass", 0),
        ("TimeoutError", "break", 0),
        ("TimeoutError", "return", 0),
        ("TimeoutError", "items = feed.items()", 0),
        ("TimeoutError", "await items.aclose()\n            return", 0),
    ],
)
def test_what_follows_the_timeout_decides(caught: str, then: str, expected: int) -> None:
    assert found("feed.items()", caught=caught, then=then) == expected


def test_a_timeout_that_never_comes_cuts_nothing_short() -> None:
    assert found("feed.items()", limit="None") == 0
