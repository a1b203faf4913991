"""Cancels a coroutine at each of its suspensions in turn and tells what that broke.

A scenario is an async function that sets a small world up, says what will happen in it, and runs
the coroutine under test through the `Injection` it is given:

>>> import asyncio
>>> from functools import partial
>>> class Lines:
...     def __init__(self, reader):
...         self.reader = reader
...     async def read_pair(self):
...         first = await self.reader.readline()
...         return first, await self.reader.readline()
>>> async def scenario(injection, lines=Lines):
...     reader = asyncio.StreamReader()
...     injection.then(partial(reader.feed_data, line) for line in (b"a\\n", b"b\\n", b"c\\n", b"d\\n"))
...     read_pair = lines(reader).read_pair
...     return [await injection.retry(read_pair), await injection.retry(read_pair)]
>>> report = cancel_at_every_suspension(scenario)
>>> report.is_safe
False
>>> print(report)
10 of 21 cancellations break the scenario.
The first: cancelled at suspension 1, after the next event and one loop iteration later: \
StuckError: everything waits and nothing is left to happen

In a test, `report.require_safe()` raises NotCancelSafeError with that text. The first line of a pair
is a local of `read_pair` while the second is awaited; kept in `self`, it survives:

>>> class SafeLines(Lines):
...     first = None
...     async def read_pair(self):
...         if self.first is None:
...             self.first = await self.reader.readline()
...         second = await self.reader.readline()
...         first, self.first = self.first, None
...         return first, second
>>> print(cancel_at_every_suspension(partial(scenario, lines=SafeLines)))
None of 21 cancellations breaks the scenario.

Every run starts from a fresh event loop with a clock of its own that advances only when nothing
else can happen. Nothing sleeps and nothing is random, so a failure repeats. The price: real sockets,
threads and subprocesses are outside that world, and whoever waits for one is stuck.
"""

import asyncio
import contextlib
import selectors
import types
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = [
    "MOMENTS",
    "Cancelled",
    "Case",
    "Injection",
    "Moment",
    "NeverSuspendsError",
    "NotCancelSafeError",
    "Outcomes",
    "StuckError",
    "cancel_at_every_suspension",
]

T = TypeVar("T")


class StuckError(Exception):
    """The scenario waits for something that can no longer happen, or runs for too many loop iterations."""


class NeverSuspendsError(Exception):
    """Nothing that ran through the injection was ever suspended, so there is nothing to cancel."""


class NotCancelSafeError(AssertionError):
    """Some cancellation broke the scenario."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What `Injection.attempt` gives when the cancellation ended the attempt."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When to cancel, relative to the beginning of a suspension."""

    after_event: bool
    """first let the next thing happen that the suspended code may be waiting for"""
    iterations: int
    """then let the event loop run this often"""

    def __str__(self) -> str:
        what = "after the next event" if self.after_event else "at once"
        match self.iterations:
            case 0:
                return what
            case 1:
                return f"{what} and one loop iteration later"
            case more:
                return f"{what} and {more} loop iterations later"


MOMENTS = (
    Moment(after_event=False, iterations=0),
    Moment(after_event=True, iterations=0),
    Moment(after_event=True, iterations=1),
    Moment(after_event=True, iterations=2),
    Moment(after_event=True, iterations=3),
)
"""Before what is awaited completes, and from the moment of its completion until the result is used."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run of the scenario with one cancellation."""

    suspension: int
    """counted from 1 over all attempts; 0 is before the first step of the first one"""
    moment: Moment
    delivered: bool
    """false if the attempt had finished before the cancellation was due"""
    problem: str | None

    def __str__(self) -> str:
        return f"cancelled at suspension {self.suspension}, {self.moment}: {self.problem or 'nothing broke'}"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of every case."""

    suspensions: int
    """in the undisturbed run"""
    cases: tuple[Case, ...]

    @property
    def failures(self) -> tuple[Case, ...]:
        return tuple(case for case in self.cases if case.problem is not None)

    @property
    def is_safe(self) -> bool:
        return not self.failures

    def require_safe(self) -> None:
        """Raises NotCancelSafeError, with the figures and the first failure, unless all is well."""
        if self.failures:
            raise NotCancelSafeError(str(self))

    def __str__(self) -> str:
        if not self.failures:
            return f"None of {len(self.cases)} cancellations breaks the scenario."
        counted = f"{len(self.failures)} of {len(self.cases)} cancellations break the scenario."
        return f"{counted}\nThe first: {self.failures[0]}"


class Injection:
    """Runs coroutines for a scenario, and cancels one of them at the chosen suspension."""

    def __init__(self, loop: "_ClosedWorldLoop", suspension: int | None, moment: Moment) -> None:
        self._loop = loop
        self._chosen = suspension
        self._moment = moment
        self._attempt: asyncio.Task[object] | None = None
        self._delivered = False
        self._suspensions = 0

    @property
    def suspensions(self) -> int:
        """How many suspensions there have been so far."""
        return self._suspensions

    @property
    def delivered(self) -> bool:
        """Whether the cancellation has been requested of an attempt that was still running."""
        return self._delivered

    def then(self, events: Iterable[Callable[[], object]]) -> None:
        """Appends to what happens: one call each time everything waits, before the clock advances."""
        self._loop.events.extend(events)

    async def attempt(self, awaitable: Callable[[], Awaitable[T]]) -> T | Cancelled:
        """Runs one awaitable as a task; its result, or Cancelled if the injected cancellation ended it.

        Any other exception of the awaitable is raised here.
        """
        task = self._loop.create_task(self._watched(awaitable))
        self._attempt = task
        if self._chosen == 0 and not self._delivered:
            self._cancel(task)
        await asyncio.wait({task})
        return Cancelled() if task.cancelled() and self._delivered else task.result()

    async def retry(self, awaitable: Callable[[], Awaitable[T]]) -> T:
        """Attempts again after the cancellation, as a loop with a timeout would; the first result."""
        while True:
            outcome = await self.attempt(awaitable)
            if not isinstance(outcome, Cancelled):
                return outcome

    async def _watched(self, awaitable: Callable[[], Awaitable[T]]) -> T:
        return await _reporting(_awaiting(awaitable), self._suspended)

    def _suspended(self, bare: bool) -> None:
        """Arms the cancellation if this is the chosen suspension; `bare` ones resume without an event."""
        self._suspensions += 1
        if self._suspensions != self._chosen or self._attempt is None:
            return
        countdown = _Countdown(self._loop, self._moment.iterations, self._attempt, self._cancel)
        if self._moment.after_event and not bare:
            self._loop.after_next_event = countdown.start
        else:
            self._loop.call_soon(countdown.start)

    def _cancel(self, task: "asyncio.Task[object]") -> None:
        self._delivered = task.cancel()


def cancel_at_every_suspension(
    scenario: Callable[[Injection], Coroutine[object, object, T]],
    *,
    check: Callable[[T], object] | None = None,
    moments: Iterable[Moment] = MOMENTS,
    limit: int = 10_000,
) -> Outcomes:
    """Runs the scenario undisturbed, then once for each suspension and moment with a cancellation there.

    A run fails if the scenario raises, is stuck, or if `check`, given what it returned, raises
    AssertionError or returns False. Without `check` it must return what it returned undisturbed.

    `limit` is the number of event loop iterations one run may take. Code that loops without ever
    awaiting cannot be stopped by it.

    The undisturbed run must pass: its exception (StuckError, what the scenario raised, the
    AssertionError of `check`) is raised here. NeverSuspendsError if it was never suspended.
    """
    undisturbed = _run(scenario, None, MOMENTS[0], limit)
    expected = undisturbed.value()
    if undisturbed.suspensions == 0:
        raise NeverSuspendsError(
            "nothing was suspended inside `injection.attempt` or `injection.retry`; "
            "run the coroutine under test through one of them, and let it wait for something"
        )
    verify = _equals(expected) if check is None else check
    problem = _complaint(verify, expected)
    if problem is not None:
        raise AssertionError(f"the check fails without any cancellation: {problem}")
    plan = [(0, MOMENTS[0])]
    plan += [(number + 1, moment) for moment in moments for number in range(undisturbed.suspensions)]
    plan.sort(key=_by_number)
    cases = tuple(_case(scenario, verify, number, moment, limit) for number, moment in plan)
    return Outcomes(undisturbed.suspensions, cases)


@dataclass(frozen=True, slots=True)
class _Run(Generic[T]):
    """One finished run: what the scenario returned or raised."""

    result: tuple[T] | BaseException
    suspensions: int
    delivered: bool

    def value(self) -> T:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result[0]


def _case(
    scenario: Callable[[Injection], Coroutine[object, object, T]],
    verify: Callable[[T], object],
    suspension: int,
    moment: Moment,
    limit: int,
) -> Case:
    run = _run(scenario, suspension, moment, limit)
    match run.result:
        case BaseException() as error:
            problem: str | None = f"{type(error).__name__}: {error}"
        case (value,):
            problem = _complaint(verify, value)
    return Case(suspension, moment, run.delivered, problem)


def _run(
    scenario: Callable[[Injection], Coroutine[object, object, T]],
    suspension: int | None,
    moment: Moment,
    limit: int,
) -> _Run[T]:
    loop = _ClosedWorldLoop(limit)
    injection = Injection(loop, suspension, moment)
    try:
        task = loop.create_task(scenario(injection))
        try:
            loop.run_until_complete(asyncio.wait({task}))
            error: BaseException | None = task.exception()
        except StuckError as stuck:
            error = stuck
        except asyncio.CancelledError as cancelled:
            error = cancelled
        result = (task.result(),) if error is None else error
        return _Run(result, injection.suspensions, injection.delivered)
    finally:
        loop.end()


def _equals(expected: T) -> Callable[[T], object]:
    def verify(value: T) -> None:
        assert value == expected, f"returned {value!r} instead of {expected!r}"

    return verify


def _complaint(verify: Callable[[T], object], value: T) -> str | None:
    try:
        verdict = verify(value)
    except AssertionError as error:
        return str(error) or "the check failed"
    return f"the check refused {value!r}" if verdict is False else None


def _by_number(planned: tuple[int, Moment]) -> int:
    return planned[0]


async def _awaiting(awaitable: Callable[[], Awaitable[T]]) -> T:
    """The awaitable as a coroutine, made when its first step runs."""
    return await awaitable()


@types.coroutine
def _reporting(
    coroutine: Coroutine[object, object, T], suspended: Callable[[bool], None]
) -> Generator[object, object, T]:
    """Runs a coroutine inside another one, and reports each of its suspensions.

    The argument tells whether it only gave way (`asyncio.sleep(0)`) and waits for nothing.
    """
    try:
        waits_for = coroutine.send(None)
        while True:
            suspended(waits_for is None)
            try:
                sent = yield waits_for
            except BaseException as error:  # handed on: whatever the loop throws in
                waits_for = coroutine.throw(error)
            else:
                waits_for = coroutine.send(sent)
    except StopIteration as finished:
        result: T = finished.value
        return result


@dataclass(frozen=True, slots=True)
class _Countdown:
    """Cancels a task after some more iterations of the event loop."""

    loop: asyncio.AbstractEventLoop
    iterations: int
    task: "asyncio.Task[object]"
    cancel: "Callable[[asyncio.Task[object]], None]"

    def start(self) -> None:
        self._tick(self.iterations)

    def _tick(self, remaining: int) -> None:
        if remaining == 0:
            self.cancel(self.task)
        else:
            self.loop.call_soon(self._tick, remaining - 1)


class _ClosedWorldLoop(asyncio.SelectorEventLoop):
    """An event loop in which only scheduled things happen.

    When nothing is ready it lets the next event happen; when there is none, it advances its clock
    to the next timer; when there is none either, it gives up.
    """

    def __init__(self, limit: int) -> None:
        self._now = 0.0
        self._remaining = limit
        self.events: deque[Callable[[], object]] = deque()
        self.after_next_event: Callable[[], None] | None = None
        super().__init__(_Polling(self._idle))
        self.set_exception_handler(_ignore)

    def time(self) -> float:
        return self._now

    def end(self) -> None:
        """Cancels what still runs, and closes; what refuses to end is abandoned."""
        self.events.clear()
        left = asyncio.all_tasks(self)
        for task in left:
            task.cancel()
        if left:
            self._run_briefly(asyncio.wait(left))
        self._run_briefly(self.shutdown_asyncgens())
        self.close()

    def _run_briefly(self, coroutine: Coroutine[object, object, object]) -> None:
        self._remaining = 1000
        with contextlib.suppress(StuckError):
            self.run_until_complete(coroutine)

    def _idle(self, timeout: float | None) -> None:
        """Called once per iteration with the time until the next timer, 0 if something is ready."""
        self._remaining -= 1
        if self._remaining < 0:
            raise StuckError("the limit of event loop iterations is reached")
        if timeout is not None and timeout <= 0:
            return
        follow_up, self.after_next_event = self.after_next_event, None
        if self.events:
            self.call_soon(self.events.popleft())
            if follow_up is not None:
                self.call_soon(follow_up)
        elif timeout is not None:
            self._now += timeout
            if follow_up is not None:
                # The loop appends the timer to what is ready only after this; so go round once more.
                self.call_soon(self.call_soon, follow_up)
        else:
            raise StuckError("everything waits and nothing is left to happen")


class _Polling(selectors.SelectSelector):
    """A selector that never blocks and tells when the loop would have."""

    def __init__(self, idle: Callable[[float | None], None]) -> None:
        super().__init__()
        self._idle = idle

    def select(  # type: ignore[explicit-any]  # a key holds whatever was registered with it
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        self._idle(timeout)
        return []


def _ignore(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Abandoned tasks are what many scenarios are about; the report tells of them."""
