"""Runs one scenario under cancellations of every kind: by asyncio itself, by anyio's scopes, by trio's.

A scenario is written for `cancellint.testing`, whose injector cancels asyncio's own way in a closed world.
The sweep here gives it the same `Injection`, and runs it where that one cannot: in trio, on either back end
of anyio, and with real sockets. Time passes only where nothing else can happen.
"""

import asyncio
import enum
import selectors
import types
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import anyio
import trio
import trio.testing
from anyio.lowlevel import cancel_shielded_checkpoint

from cancellint.testing import MOMENTS, Cancelled, Case, Moment, Outcomes, cancel_at_every_suspension

T = TypeVar("T")


class Injection(Protocol):
    """What a scenario needs of an injection; `cancellint.testing` says what each of these does."""

    def then(self, events: Iterable[Callable[[], object]]) -> None: ...

    async def attempt(self, awaitable: Callable[[], Awaitable[object]]) -> object: ...

    async def retry(self, awaitable: Callable[[], Awaitable[object]]) -> object: ...


Scenario = Callable[[Injection], Coroutine[object, object, object]]


class World(enum.Enum):
    """Where a scenario runs, and who cancels."""

    ASYNCIO = "asyncio"
    """a closed world without sockets, cancelled by `Task.cancel`"""
    ASYNCIO_SOCKETS = "asyncio with sockets"
    """cancelled by `Task.cancel`"""
    ANYIO_ON_ASYNCIO = "anyio on asyncio"
    """cancelled by a scope of anyio"""
    ANYIO_ON_TRIO = "anyio on trio"
    TRIO = "trio"

    @property
    def is_asyncio(self) -> bool:
        return self in (World.ASYNCIO, World.ASYNCIO_SOCKETS, World.ANYIO_ON_ASYNCIO)


IN_THE_SAME_TURN = Moment(after_event=True, iterations=-1)
"""Cancelled, and before the cancellation is delivered the next event happens."""

SOON = tuple(Moment(after_event=False, iterations=number) for number in (1, 2, 3))
"""A little later: what nobody lets happen, a connection being made, happens meanwhile."""


def sweep(world: World, scenario: Scenario) -> Outcomes:
    """Cancels the scenario at every suspension; it must return what it returns undisturbed."""
    if world is World.ASYNCIO:
        return cancel_at_every_suspension(scenario)
    undisturbed = _run(world, scenario, None, MOMENTS[0])
    if isinstance(undisturbed.result, Exception):
        raise undisturbed.result
    assert undisturbed.suspensions, "nothing was suspended"
    moments = (*MOMENTS, IN_THE_SAME_TURN, *SOON)
    numbers = range(1, undisturbed.suspensions + 1)
    plan = [(0, MOMENTS[0]), *((number, moment) for number in numbers for moment in moments)]
    cases = (_case(world, scenario, undisturbed.result, number, moment) for number, moment in plan)
    return Outcomes(undisturbed.suspensions, tuple(cases))


@dataclass(frozen=True)
class _Outcome:
    """What one run returned or raised."""

    result: object
    suspensions: int
    delivered: bool


def _case(world: World, scenario: Scenario, expected: object, number: int, moment: Moment) -> Case:
    outcome = _run(world, scenario, number, moment)
    problem = None
    if isinstance(outcome.result, Exception):
        problem = f"{type(outcome.result).__name__}: {outcome.result}"
    elif outcome.result != expected:
        problem = f"returned {outcome.result!r} instead of {expected!r}"
    return Case(number, moment, outcome.delivered, problem)


def within(world: World, scenario: Callable[[], Coroutine[object, object, T]]) -> T:
    """Runs an async function undisturbed, where time passes only if nothing else can happen."""
    if world.is_asyncio:
        return anyio.run(scenario, backend_options={"loop_factory": HurryingLoop})
    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True
    trio._core._run._r.seed(0)
    return trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))


def _run(world: World, scenario: Scenario, chosen: int | None, moment: Moment) -> _Outcome:
    return within(world, partial(_world, world, scenario, chosen, moment))


async def _world(world: World, scenario: Scenario, chosen: int | None, moment: Moment) -> _Outcome:
    async with anyio.create_task_group() as tasks:
        make = _NativeInjection if world is World.ASYNCIO_SOCKETS else _ScopeInjection
        injection = make(
            tasks, chosen, moment, trio.CancelScope if world is World.TRIO else anyio.CancelScope
        )
        tasks.start_soon(injection.feed)
        try:
            with anyio.fail_after(1000):
                result = await scenario(injection)
        except Exception as error:  # whatever the cancellation has broken is the answer
            result = error
        tasks.cancel_scope.cancel()
    return _Outcome(result, injection.suspensions, injection.delivered)


class _ScopeInjection:
    """Cancels the scope round an attempt, at the chosen suspension."""

    def __init__(
        self,
        tasks: anyio.abc.TaskGroup,
        chosen: int | None,
        moment: Moment,
        make_scope: Callable[[], anyio.CancelScope | trio.CancelScope],
    ) -> None:
        self._tasks = tasks
        self._chosen = chosen
        self._moment = moment
        self._make_scope = make_scope
        self._events: deque[Callable[[], object]] = deque()
        self._more = anyio.Event()
        self._is_due_after_event = False
        self._end_attempt: Callable[[], object] = _nothing
        self.suspensions = 0
        self.delivered = False

    def then(self, events: Iterable[Callable[[], object]]) -> None:
        self._events.extend(events)
        self._more.set()

    async def feed(self) -> None:
        """Lets the next event happen whenever everything waits."""
        while True:
            await anyio.wait_all_tasks_blocked()
            if not self._events:
                self._more = anyio.Event()
                await self._more.wait()
                continue
            is_due, self._is_due_after_event = self._is_due_after_event, False
            if is_due and self._moment is IN_THE_SAME_TURN:
                self._cancel()
            self._events.popleft()()
            if is_due and self._moment is not IN_THE_SAME_TURN:
                await self._cancel_after(self._moment.iterations)

    async def attempt(self, awaitable: Callable[[], Awaitable[object]]) -> object:
        with self._make_scope() as scope:
            self._end_attempt = scope.cancel
            self._cancel_before_the_first_step()
            return await self._watched(awaitable)
        return Cancelled()

    async def retry(self, awaitable: Callable[[], Awaitable[object]]) -> object:
        while isinstance(outcome := await self.attempt(awaitable), Cancelled):
            pass
        return outcome

    async def _watched(self, awaitable: Callable[[], Awaitable[object]]) -> object:
        return await _reporting(awaitable(), self._suspended)

    def _cancel_before_the_first_step(self) -> None:
        if self._chosen == 0 and not self.delivered:
            self._cancel()

    def _suspended(self) -> None:
        self.suspensions += 1
        if self.suspensions != self._chosen:
            return
        if self._moment.after_event:
            self._is_due_after_event = True
        else:
            self._tasks.start_soon(self._cancel_after, self._moment.iterations)

    async def _cancel_after(self, iterations: int) -> None:
        for _ in range(iterations):
            await cancel_shielded_checkpoint()
        self._cancel()

    def _cancel(self) -> None:
        self.delivered = True
        self._end_attempt()


class _NativeInjection(_ScopeInjection):
    """Cancels the task of an attempt, as asyncio does."""

    async def attempt(self, awaitable: Callable[[], Awaitable[object]]) -> object:
        task = asyncio.ensure_future(self._watched(awaitable))
        self._end_attempt = task.cancel
        self._cancel_before_the_first_step()
        await asyncio.wait({task})
        return Cancelled() if task.cancelled() and self.delivered else task.result()


def _nothing() -> None:
    """Nothing runs yet that could be cancelled."""


@types.coroutine
def _reporting(
    awaitable: Awaitable[object], suspended: Callable[[], None]
) -> Generator[object, object, object]:
    """Awaits something, and reports each suspension."""
    steps = awaitable.__await__()
    try:
        waits_for = steps.send(None)
        while True:
            suspended()
            try:
                sent = yield waits_for
            except BaseException as error:  # handed on: whatever the loop throws in
                waits_for = steps.throw(error)
            else:
                waits_for = steps.send(sent)
    except StopIteration as finished:
        return finished.value


def _ignore(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """What a cancellation leaves behind is what the trials are about."""


class HurryingLoop(asyncio.SelectorEventLoop):
    """An event loop with real sockets whose clock jumps to the next timer as soon as nothing is ready."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Hurrying(self._pass))
        self.set_exception_handler(_ignore)

    def time(self) -> float:
        return self._now

    def _pass(self, seconds: float) -> None:
        self._now += seconds


class _Hurrying(selectors.SelectSelector):
    """A selector that looks without waiting, and lets a clock advance by what it should have waited."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is not None and timeout > 0:
            self._advance(timeout)
        return ready if timeout is not None else super().select(1.0)
