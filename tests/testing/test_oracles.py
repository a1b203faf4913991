"""The oracles tell what a cancellation has left behind, and nothing where nothing is left."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable

import anyio
import pytest
import trio

from cancellint.testing import (
    EVERYTHING,
    Backend,
    Injection,
    Oracle,
    Outcomes,
    cancel_at_every_suspension,
    has,
    is_free,
    is_full,
)

Use = Callable[[], Awaitable[object]]


def problems(report: Outcomes) -> set[str]:
    return {case.problem for case in report.failures if case.problem is not None}


# --------------------------------------------------------------------------- expectations of a scenario


async def carelessly(lock: asyncio.Lock) -> None:
    await lock.acquire()
    await asyncio.sleep(1)
    lock.release()


async def carefully(lock: asyncio.Lock) -> None:
    async with lock:
        await asyncio.sleep(1)


def test_a_lock_that_stays_locked_is_told() -> None:
    async def scenario(injection: Injection, use: Callable[[asyncio.Lock], Awaitable[None]]) -> None:
        lock = asyncio.Lock()
        injection.expect(is_free(lock))
        await injection.attempt(lambda: use(lock))

    careless = cancel_at_every_suspension(lambda injection: scenario(injection, carelessly))
    careful = cancel_at_every_suspension(lambda injection: scenario(injection, carefully))

    assert problems(careless) == {"the lock is still held"}
    careful.require_safe()


def test_locks_of_every_kind_can_be_asked() -> None:
    async def scenario(injection: Injection) -> None:
        injection.expect(
            is_free(asyncio.Lock()), is_free(threading.Lock()), is_free(anyio.Lock()), is_free(trio.Lock())
        )
        await injection.attempt(lambda: asyncio.sleep(1))

    cancel_at_every_suspension(scenario).require_safe()


@pytest.mark.parametrize("backend", Backend)
def test_a_permit_that_does_not_come_back_is_told(backend: Backend) -> None:
    async def scenario(injection: Injection, careful: bool) -> None:
        permits = asyncio.Semaphore(3) if backend is Backend.ASYNCIO else anyio.Semaphore(3)
        injection.expect(is_full(permits, 3, "the pool"))

        async def use() -> None:
            await permits.acquire()
            if careful:
                try:
                    await anyio.sleep(1)
                finally:
                    permits.release()
            else:
                await anyio.sleep(1)
                permits.release()

        await injection.attempt(use)

    careless = cancel_at_every_suspension(lambda injection: scenario(injection, False), backend=backend)
    careful = cancel_at_every_suspension(lambda injection: scenario(injection, True), backend=backend)

    assert problems(careless) == {"free permits of the pool: 2 instead of 3"}
    careful.require_safe()


def test_a_permit_too_many_is_told_as_well() -> None:
    async def scenario(injection: Injection) -> None:
        permits = asyncio.Semaphore(2)
        injection.expect(is_full(permits, 2))

        async def use() -> None:
            try:
                async with permits:
                    await asyncio.sleep(1)
            except asyncio.CancelledError:
                permits.release()
                raise

        await injection.attempt(use)

    assert problems(cancel_at_every_suspension(scenario)) == {"free permits of the semaphore: 3 instead of 2"}


def test_a_pool_is_asked_how_much_is_in_it() -> None:
    async def scenario(injection: Injection) -> None:
        idle = ["a", "b"]
        injection.expect(has(2, lambda: len(idle), "idle connections"))

        async def use() -> None:
            connection = idle.pop()
            await asyncio.sleep(1)
            idle.append(connection)

        await injection.attempt(use)

    assert problems(cancel_at_every_suspension(scenario)) == {"idle connections: 1 instead of 2"}


def test_an_expectation_that_does_not_hold_undisturbed_is_an_error() -> None:
    async def scenario(injection: Injection) -> None:
        injection.expect(has(1, lambda: 0, "places"))
        await injection.attempt(lambda: asyncio.sleep(1))

    with pytest.raises(AssertionError, match="without any cancellation: places: 0 instead of 1"):
        cancel_at_every_suspension(scenario)


# --------------------------------------------------------------------------- oracles of a world


def left_by(use: Use, *oracles: Oracle) -> Outcomes:
    async def scenario(injection: Injection) -> None:
        await injection.attempt(use)

    return cancel_at_every_suspension(scenario, oracles=oracles)


async def nothing_wrong() -> None:
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(1))
        await asyncio.Lock().acquire()
        await asyncio.wait_for(asyncio.sleep(1), 3)


def test_where_nothing_is_left_nothing_is_told() -> None:
    left_by(nothing_wrong, *EVERYTHING).require_safe()


async def abandons_a_task() -> None:
    working = asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(1)
    working.cancel()
    await asyncio.wait({working})


def test_a_task_that_is_left_running_is_told() -> None:
    (problem,) = problems(left_by(abandons_a_task, Oracle.NO_TASK_LEFT))

    assert re.fullmatch(r"a task is left running at \S+tasks\.py:\d+ in sleep: await future", problem)
    assert left_by(abandons_a_task).is_safe


async def works_in_the_background() -> None:
    async def work() -> None:
        await asyncio.sleep(3600)

    working = asyncio.create_task(work())
    await asyncio.sleep(1)
    working.cancel()
    await asyncio.wait({working})


def test_it_is_told_where_a_task_that_is_left_waits() -> None:
    (problem,) = problems(left_by(works_in_the_background, Oracle.NO_TASK_LEFT))

    assert problem.startswith("a task is left running at tests/testing/test_oracles.py:")
    assert problem.endswith("work: await asyncio.sleep(3600)")


class Client:
    """Asks, and keeps a future for the answer."""

    def __init__(self) -> None:
        self.pending: dict[int, asyncio.Future[str]] = {}

    async def ask(self) -> None:
        reply = asyncio.get_running_loop().create_future()
        self.pending[1] = reply
        await asyncio.sleep(1)
        self.pending.pop(1).set_result("yes")
        await reply


def test_a_future_that_nobody_will_complete_is_told() -> None:
    (problem,) = problems(left_by(Client().ask, Oracle.NO_FUTURE_WAITING))

    assert problem.startswith("a future is left waiting, made at tests/testing/test_oracles.py:")
    assert problem.endswith("in Client.ask: asyncio.get_running_loop().create_future()")


async def waits_in_a_library() -> None:
    waiting = asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.wait({waiting})


def test_a_future_that_only_a_library_has_made_is_told_without_a_place() -> None:
    assert problems(left_by(waits_in_a_library, Oracle.NO_FUTURE_WAITING)) == {"a future is left waiting"}


async def fails_in_the_background() -> None:
    async def fail() -> None:
        raise KeyError("mine")

    failing = asyncio.create_task(fail())
    await asyncio.sleep(1)
    with pytest.raises(KeyError):
        await failing


def test_an_error_that_nobody_has_seen_is_told() -> None:
    report = left_by(fails_in_the_background, Oracle.NO_LOST_ERROR)

    assert problems(report) == {"nobody has seen an error: KeyError('mine')"}


def test_several_problems_of_one_case_are_all_told() -> None:
    async def scenario(injection: Injection) -> bool:
        lock = asyncio.Lock()
        injection.expect(is_free(lock))
        done: list[int] = []

        async def use() -> None:
            await carelessly(lock)
            done.append(1)

        await injection.attempt(use)
        return bool(done)

    assert "returned False instead of True; the lock is still held" in problems(
        cancel_at_every_suspension(scenario)
    )
