"""One run of a scenario on an event loop of asyncio in which only scheduled things happen."""

import asyncio
import contextlib
import selectors
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import TypeVar

from cancellint.testing.injection import Injection
from cancellint.testing.oracles import Oracle
from cancellint.testing.outcomes import Cancelled, Moment, StuckError
from cancellint.testing.places import Instruction, place_of, where_it_runs, where_it_waits
from cancellint.testing.runs import Run

T = TypeVar("T")

SETTLING = 20
"""loop iterations that a world gets to come to rest after the scenario"""
A_MOMENT = 0.001
"""seconds in which something may arrive at a socket before the clock advances"""


def run(
    make: "type[TaskInjection | ScopeInjection]",
    scenario: Callable[[Injection], Coroutine[object, object, T]],
    suspension: int | None,
    moment: Moment,
    *,
    limit: int,
    sockets: bool,
    oracles: Collection[Oracle],
) -> Run[T]:
    """Run a scenario once."""
    loop = ClosedWorldLoop(limit, sockets, is_observed=bool(oracles))
    injection = make(loop, suspension, moment)
    loop.events = injection.events
    try:
        task = loop.create_task(scenario(injection))
        try:
            loop.run_until_complete(asyncio.wait({task}))
            error: BaseException | None = task.exception()
        except StuckError as stuck:
            error = stuck
        except asyncio.CancelledError as cancelled:
            error = cancelled
        if error is not None:
            return Run(injection, error)
        left = loop.left(oracles)
        return Run(injection, (task.result(),), (*injection.disappointments(), *left))
    finally:
        loop.end()


class TaskInjection(Injection):
    """Cancels the task of an attempt, as asyncio does."""

    def __init__(self, loop: "ClosedWorldLoop", suspension: int | None, moment: Moment) -> None:
        super().__init__(suspension, moment)
        self._loop = loop
        self._attempt: asyncio.Task[object] | None = None

    async def attempt(self, awaitable: Callable[[], Awaitable[T]]) -> T | Cancelled:
        task = self._loop.create_task(self.watched(awaitable))
        self._attempt = task
        if self._chosen == 0 and not self._delivered:
            self._cancel()
        await asyncio.wait({task})
        return Cancelled() if task.cancelled() and self._delivered else task.result()

    def arm(self, bare: bool) -> None:
        if self._attempt is not None:
            self._loop.count_down(self._moment, bare, self._cancel)

    def _cancel(self) -> None:
        self.is_cancelling()
        self._delivered = self._attempt is not None and self._attempt.cancel()


class ScopeInjection(Injection):
    """Cancels a scope round an attempt, as anyio does."""

    def __init__(self, loop: "ClosedWorldLoop", suspension: int | None, moment: Moment) -> None:
        super().__init__(suspension, moment)
        self._loop = loop
        self._end: Callable[[], object] | None = None

    async def attempt(self, awaitable: Callable[[], Awaitable[T]]) -> T | Cancelled:
        from anyio import CancelScope

        with CancelScope() as scope:
            self._end = scope.cancel
            if self._chosen == 0 and not self._delivered:
                self._cancel()
            try:
                return await self.watched(awaitable)
            finally:
                self._end = None
        return Cancelled()

    def arm(self, bare: bool) -> None:
        self._loop.count_down(self._moment, bare, self._cancel)

    def _cancel(self) -> None:
        if self._end is not None:
            self.is_cancelling()
            self._delivered = True
            self._end()


@dataclass(frozen=True, slots=True)
class _Countdown:
    """Cancels after some more iterations of the event loop."""

    loop: asyncio.AbstractEventLoop
    iterations: int
    cancel: Callable[[], object]

    def start(self) -> None:
        self._tick(self.iterations)

    def _tick(self, remaining: int) -> None:
        if remaining == 0:
            self.cancel()
        else:
            self.loop.call_soon(self._tick, remaining - 1)


class ClosedWorldLoop(asyncio.SelectorEventLoop):
    """An event loop in which only scheduled things happen.

    When nothing is ready it lets the next event happen; when there is none, it advances its clock
    to the next timer; when there is none either, it gives up. With sockets it first looks whether
    anything arrives there.
    """

    def __init__(self, limit: int, sockets: bool, is_observed: bool) -> None:
        self._now = 0.0
        self._is_observed = is_observed
        self._remaining = limit
        self._tasks: list[asyncio.Task[object]] = []
        self._futures: list[tuple[asyncio.Future[object], Instruction | None]] = []
        self.events: deque[Callable[[], object]] = deque()
        self.after_next_event: Callable[[], None] | None = None
        super().__init__(_Polling(self._idle, self._arrived, sockets))
        self.set_exception_handler(_ignore)
        if is_observed:
            self.set_task_factory(self._make_task)  # type: ignore[arg-type]  # declared as one of a Protocol

    def time(self) -> float:
        return self._now

    def create_future(self) -> "asyncio.Future[object]":
        future: asyncio.Future[object] = super().create_future()
        if self._is_observed:
            self._futures.append((future, where_it_runs()))
        return future

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[object, object, T], **options: object
    ) -> "asyncio.Task[T]":
        task = asyncio.Task(coroutine, loop=loop, **options)  # type: ignore[arg-type]  # of this Python's Task
        self._tasks.append(task)
        return task

    def count_down(self, moment: Moment, bare: bool, cancel: Callable[[], object]) -> None:
        """Cancel at a moment of the suspension that begins now."""
        countdown = _Countdown(self, moment.iterations, cancel)
        if moment.after_event and not bare:
            self.after_next_event = countdown.start
        else:
            self.call_soon(countdown.start)

    def left(self, oracles: Collection[Oracle]) -> tuple[str, ...]:
        """What is left over that should not be, after a moment in which the world comes to rest."""
        if not oracles:
            return ()
        self._run_briefly(_turns(SETTLING))
        told: list[str] = []
        if Oracle.NO_TASK_LEFT in oracles:
            running = [where_it_waits(task.get_coro()) for task in self._tasks if not task.done()]
            told += [f"a task is left running{f' at {place}' if place else ''}" for place in running]
        if Oracle.NO_FUTURE_WAITING in oracles:
            pending = [made for future, made in self._futures if not future.done()]
            told += [f"a future is left waiting{_made_at(made)}" for made in pending]
        if Oracle.NO_LOST_ERROR in oracles:
            told += [f"nobody has seen an error: {error!r}" for error in map(_unseen, self._tasks) if error]
        return tuple(told)

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

    def _arrived(self) -> None:
        """Called when something has arrived at a socket, before that is made known."""
        follow_up, self.after_next_event = self.after_next_event, None
        if follow_up is not None:
            self.call_soon(self.call_soon, follow_up)

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
    """A selector that never blocks for long and tells when the loop would have."""

    def __init__(
        self, idle: Callable[[float | None], None], arrived: Callable[[], None], sockets: bool
    ) -> None:
        super().__init__()
        self._idle = idle
        self._arrived = arrived
        self._sockets = sockets

    def select(  # type: ignore[explicit-any]  # a key holds whatever was registered with it
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if self._sockets:
            busy = timeout is not None and timeout <= 0
            ready = super().select(0 if busy else A_MOMENT)
            if ready:
                self._arrived()
                return ready
        self._idle(timeout)
        return []


def _made_at(made: Instruction | None) -> str:
    return "" if made is None else f", made at {place_of(made)}"


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def _unseen(task: "asyncio.Task[object]") -> BaseException | None:
    """The error of a task that is over, if nobody has asked for it."""
    is_unseen: bool = task.done() and not task.cancelled() and task._log_traceback
    return task.exception() if is_unseen else None


def _ignore(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Abandoned tasks are what many scenarios are about; the report tells of them."""
