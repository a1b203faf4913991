"""What a cancellation does to a call in a thread. The clock is real; the thread waits for the test."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import pytest
import trio

from cancellint.analysis.library.knowledge import CallShape, load
from cancellint.model.knowledge import Cancel, Mode

KNOWLEDGE = load()
PATIENCE = 20


@dataclass
class Work:
    """A piece of work that begins, waits to be told, and ends."""

    begun: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> str:
        self.begun.set()
        self.may_end.wait(PATIENCE)
        self.ended.set()
        return "done"


async def in_executor(work: Work) -> str:
    return await asyncio.get_running_loop().run_in_executor(None, work)


Call = Callable[[Work], Awaitable[str]]


async def cancelled_in_asyncio(call: Call) -> tuple[str | None, Work]:
    """What a call gives that is cancelled while its thread works, and the work."""
    work = Work()
    task = asyncio.ensure_future(call(work))
    while not work.begun.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait({task}, timeout=0.05)
    work.may_end.set()
    await asyncio.wait({task})
    return None if task.cancelled() else task.result(), work


async def cancelled_in_a_scope(call: Call) -> tuple[str | None, Work]:
    """The same, cancelled by a scope of anyio, or of trio, which is one on trio."""
    work = Work()
    given: list[str] = []

    async def run() -> None:
        given.append(await call(work))

    async def let_it_end() -> None:
        await anyio.sleep(0.05)
        work.may_end.set()

    async with anyio.create_task_group() as others, anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        while not work.begun.is_set():
            await anyio.sleep(0.001)
        others.start_soon(let_it_end)
        tasks.cancel_scope.cancel()
    return (given[0] if given else None), work


def with_asyncio(call: Call) -> tuple[str | None, Work]:
    return asyncio.run(cancelled_in_asyncio(call))


def with_anyio(call: Call) -> tuple[str | None, Work]:
    return anyio.run(cancelled_in_a_scope, call)


def with_trio(call: Call) -> tuple[str | None, Work]:
    return trio.run(cancelled_in_a_scope, call)


class SlowFile:
    """A file whose every operation takes as long as the work."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def __getattr__(self, name: str) -> Callable[..., str]:
        return lambda *args: self._work()


def of_a_file(method: str, *args: object) -> Call:
    return lambda work: getattr(anyio.AsyncFile(SlowFile(work)), method)(*args)  # type: ignore[no-any-return]


CALLS: list[tuple[str, dict[str, str], Callable[[Call], tuple[str | None, Work]], Call]] = [
    ("asyncio.to_thread", {}, with_asyncio, asyncio.to_thread),
    ("asyncio.AbstractEventLoop.run_in_executor", {}, with_asyncio, in_executor),
    ("anyio.to_thread.run_sync", {}, with_anyio, anyio.to_thread.run_sync),
    ("anyio.to_thread.run_sync", {}, with_trio, anyio.to_thread.run_sync),
    (
        "anyio.to_thread.run_sync",
        {"abandon_on_cancel": "True"},
        with_anyio,
        lambda work: anyio.to_thread.run_sync(work, abandon_on_cancel=True),
    ),
    *(
        (f"anyio.AsyncFile.{method}", {}, run, of_a_file(method, *args))
        for method, *args in (
            ("read", 3),
            ("readline",),
            ("readlines",),
            ("write", b"x"),
            ("writelines", [b"x"]),
        )
        for run in (with_anyio, with_trio)
    ),
    ("trio.to_thread.run_sync", {}, with_trio, trio.to_thread.run_sync),
    (
        "trio.to_thread.run_sync",
        {"abandon_on_cancel": "True"},
        with_trio,
        lambda work: trio.to_thread.run_sync(work, abandon_on_cancel=True),
    ),
]


@pytest.mark.parametrize(("name", "given", "run", "call"), CALLS)
def test_a_thread_goes_on_and_its_result_is_lost_or_waited_for(
    name: str, given: dict[str, str], run: Callable[[Call], tuple[str | None, Work]], call: Call
) -> None:
    entry = KNOWLEDGE.facts(name, CallShape(keywords=tuple(given.items())))
    assert entry is not None

    result, work = run(call)

    assert work.ended.wait(PATIENCE)
    expected = (Cancel.LOSES, Mode.THREAD_CONTINUES) if result is None else (Cancel.SAFE, None)
    assert (entry.cancel, entry.mode) == expected


@pytest.mark.parametrize(
    ("name", "call"), sorted({name: call for name, given, run, call in CALLS if run is with_anyio}.items())
)
def test_asyncio_s_own_cancellation_does_not_wait_for_the_thread(name: str, call: Call) -> None:
    entry = KNOWLEDGE.entry(name)
    assert entry is not None

    result, work = with_asyncio(call)

    assert work.ended.wait(PATIENCE)
    assert entry.own_scopes_only == (result is None)
