"""The cancellation injector finds what is lost, finds nothing where nothing is, and always ends."""

import asyncio
import doctest
import time
from collections.abc import Callable, Coroutine
from functools import partial

import pytest

import cancellint.testing
from cancellint.testing import (
    MOMENTS,
    Cancelled,
    Injection,
    Moment,
    NeverSuspendsError,
    NotCancelSafeError,
    StuckError,
    cancel_at_every_suspension,
)

AT_ONCE = Moment(after_event=False, iterations=0)


class Source:
    """A queue and readers of it, right and wrong."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[int] = asyncio.Queue()
        self.first: int | None = None

    async def one(self) -> int:
        return await self.queue.get()

    async def pair_in_locals(self) -> tuple[int, int]:
        first = await self.queue.get()
        return first, await self.queue.get()

    async def pair_in_self(self) -> tuple[int, int]:
        if self.first is None:
            self.first = await self.queue.get()
        second = await self.queue.get()
        first, self.first = self.first, None
        return first, second

    async def one_then_gives_way(self) -> int:
        item = await self.queue.get()
        await asyncio.sleep(0)
        return item

    async def one_through_a_task(self) -> int:
        return await asyncio.create_task(self.queue.get())

    async def one_then_rests(self) -> int:
        item = await self.queue.get()
        await asyncio.sleep(3600)
        return item


def reading(
    read: Callable[[Source], Coroutine[object, object, object]], times: int, items: int
) -> Callable[[Injection], Coroutine[object, object, list[object]]]:
    """A scenario in which `items` numbers arrive and a reader is called `times`."""

    async def scenario(injection: Injection) -> list[object]:
        source = Source()
        injection.then(partial(source.queue.put_nowait, number) for number in range(items))
        return [await injection.retry(lambda: read(source)) for _ in range(times)]

    return scenario


@pytest.mark.parametrize("read", [Source.one, Source.pair_in_self])
def test_a_safe_reader_passes(read: Callable[[Source], Coroutine[object, object, object]]) -> None:
    report = cancel_at_every_suspension(reading(read, times=2, items=4))

    assert report.is_safe
    assert len(report.cases) == 1 + report.suspensions * len(MOMENTS)
    report.require_safe()


@pytest.mark.parametrize(
    "read",
    [Source.pair_in_locals, Source.one_then_gives_way, Source.one_through_a_task, Source.one_then_rests],
)
def test_an_unsafe_reader_is_caught(read: Callable[[Source], Coroutine[object, object, object]]) -> None:
    report = cancel_at_every_suspension(reading(read, times=2, items=4))

    assert not report.is_safe
    with pytest.raises(
        NotCancelSafeError,
        match=r"cancelled at tests/testing/test_testing\.py:\d+ in Source\.\w+: await .*suspension 1",
    ):
        report.require_safe()


def test_the_first_failure_is_where_the_value_is_first_held() -> None:
    report = cancel_at_every_suspension(reading(Source.pair_in_locals, 2, 4), moments=[AT_ONCE])

    assert [case.suspension for case in report.failures] == [2, 4]


def test_a_task_in_between_loses_only_what_has_completed() -> None:
    report = cancel_at_every_suspension(reading(Source.one_through_a_task, 1, 1))

    assert all(case.moment.after_event for case in report.failures)
    assert report.failures


def test_an_await_that_only_gives_way_is_a_suspension_too() -> None:
    async def scenario(injection: Injection) -> str:
        async def give_way() -> str:
            for _ in range(3):
                await asyncio.sleep(0)
            return "done"

        return await injection.retry(give_way)

    assert cancel_at_every_suspension(scenario).suspensions == 3


def test_the_same_scenario_gives_the_same_report() -> None:
    scenario = reading(Source.pair_in_locals, 2, 4)

    assert cancel_at_every_suspension(scenario) == cancel_at_every_suspension(scenario)


def test_hours_pass_without_waiting() -> None:
    async def scenario(injection: Injection) -> float:
        started = asyncio.get_running_loop().time()
        await injection.retry(partial(asyncio.sleep, 3600))
        return asyncio.get_running_loop().time() - started

    began = time.monotonic()
    report = cancel_at_every_suspension(scenario, check=lambda passed: passed in (3600.0, 7200.0))

    assert report.is_safe
    assert time.monotonic() - began < 60


def test_the_check_decides_what_is_broken() -> None:
    scenario = reading(Source.pair_in_locals, 1, 4)

    def in_order(pairs: list[object]) -> None:
        assert pairs[0] in ((0, 1), (1, 2)), "out of order"

    assert not cancel_at_every_suspension(scenario).is_safe
    assert cancel_at_every_suspension(scenario, check=in_order).is_safe


def test_what_the_scenario_raises_is_the_problem_of_the_case() -> None:
    async def scenario(injection: Injection) -> None:
        outcome = await injection.attempt(partial(asyncio.sleep, 1))
        if isinstance(outcome, Cancelled):
            raise ValueError("interrupted")

    first, *_ = cancel_at_every_suspension(scenario).failures

    assert first.problem == "ValueError: interrupted"


def test_cancellation_that_is_swallowed_gives_the_result() -> None:
    outcomes: list[object] = []

    async def stubborn() -> str:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            return "swallowed"
        return "finished"

    async def scenario(injection: Injection) -> None:
        outcomes.append(await injection.attempt(stubborn))

    cancel_at_every_suspension(scenario, moments=[AT_ONCE])

    assert outcomes == ["finished", Cancelled(), "swallowed"]


def test_a_scenario_that_never_suspends_is_an_error() -> None:
    async def nothing() -> int:
        return 1

    async def scenario(injection: Injection) -> int:
        return await injection.retry(nothing)

    with pytest.raises(NeverSuspendsError, match=r"injection\.retry"):
        cancel_at_every_suspension(scenario)


def test_waiting_for_what_never_happens_is_an_error() -> None:
    with pytest.raises(StuckError, match="nothing is left to happen"):
        cancel_at_every_suspension(reading(Source.one, times=2, items=1))


def test_going_on_for_ever_is_an_error() -> None:
    async def scenario(injection: Injection) -> None:
        async def spin() -> None:
            while True:
                await asyncio.sleep(0)

        await injection.retry(spin)

    with pytest.raises(StuckError, match="limit"):
        cancel_at_every_suspension(scenario, limit=500)


def test_ticking_for_ever_is_an_error() -> None:
    async def scenario(injection: Injection) -> None:
        async def tick() -> None:
            while True:
                await asyncio.sleep(60)

        await injection.retry(tick)

    with pytest.raises(StuckError, match="limit"):
        cancel_at_every_suspension(scenario, limit=500)


def test_a_deadlock_that_a_cancellation_causes_is_a_failure() -> None:
    async def scenario(injection: Injection) -> str:
        lock = asyncio.Lock()

        async def careless() -> str:
            await lock.acquire()
            await asyncio.sleep(1)
            lock.release()
            return "done"

        return await injection.retry(careless)

    report = cancel_at_every_suspension(scenario)

    assert "StuckError" in str(report)


def test_tasks_that_refuse_to_end_do_not_hang_the_run() -> None:
    async def scenario(injection: Injection) -> None:
        async def immortal() -> None:
            while True:
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    continue

        background = asyncio.create_task(immortal())
        await injection.retry(partial(asyncio.sleep, 2))
        assert not background.done()

    assert cancel_at_every_suspension(scenario).is_safe


def test_a_scenario_that_is_wrong_without_any_cancellation_is_an_error() -> None:
    with pytest.raises(AssertionError, match="without any cancellation"):
        cancel_at_every_suspension(reading(Source.one, 1, 1), check=lambda _: False)


def test_an_exception_without_any_cancellation_is_raised() -> None:
    async def scenario(injection: Injection) -> None:
        await injection.retry(partial(asyncio.sleep, 1))
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        cancel_at_every_suspension(scenario)


def test_a_cancellation_by_somebody_else_is_not_taken_for_the_injected_one() -> None:
    async def scenario(injection: Injection) -> None:
        async def gives_up() -> None:
            await asyncio.sleep(1)
            raise asyncio.CancelledError

        await injection.retry(gives_up)

    with pytest.raises(asyncio.CancelledError):
        cancel_at_every_suspension(scenario)


def test_the_cancelled_code_can_clean_up_with_awaits() -> None:
    async def scenario(injection: Injection) -> list[str]:
        log: list[str] = []

        async def careful() -> None:
            try:
                await asyncio.sleep(1)
            finally:
                await asyncio.sleep(1)
                log.append("clean")

        await injection.attempt(careful)
        return log

    report = cancel_at_every_suspension(scenario, check=lambda log: log == ["clean"], moments=[AT_ONCE])

    assert [case.suspension for case in report.failures] == [0, 2]


@pytest.mark.parametrize("by_timer", [False, True])
def test_after_the_event_means_before_its_result_is_used(by_timer: bool) -> None:
    async def scenario(injection: Injection) -> list[str]:
        log: list[str] = []
        happened = asyncio.Event()

        def happen() -> None:
            happened.set()
            log.append("happened")

        async def wait_for_it() -> None:
            await happened.wait()
            log.append("seen")

        if by_timer:
            asyncio.get_running_loop().call_later(5, happen)
        else:
            injection.then([happen])
        await injection.attempt(wait_for_it)
        return log

    report = cancel_at_every_suspension(scenario)

    assert [(case.suspension, str(case.moment), case.problem) for case in report.failures] == [
        (0, "at once", "returned [] instead of ['happened', 'seen']"),
        (1, "at once", "returned [] instead of ['happened', 'seen']"),
        (1, "after the next event", "returned ['happened'] instead of ['happened', 'seen']"),
    ]


def test_the_example_in_the_documentation_is_true() -> None:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    results = doctest.testmod(cancellint.testing, optionflags=options)

    assert results.attempted > 5
    assert results.failed == 0
