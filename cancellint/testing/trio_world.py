"""One run of a scenario on trio, or anyio over trio, whose clock advances when nothing else can happen."""

import math
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import outcome
import trio
import trio.testing

from cancellint.testing.injection import Injection
from cancellint.testing.outcomes import Cancelled, Moment, StuckError
from cancellint.testing.runs import Run

T = TypeVar("T")

A_MOMENT = 0.001
"""seconds in which something may arrive at a socket before the clock advances"""


def run(
    scenario: Callable[[Injection], Coroutine[object, object, T]],
    suspension: int | None,
    moment: Moment,
    *,
    limit: int,
    sockets: bool,
) -> Run[T]:
    """Run a scenario once. Tasks of trio end with their nursery, so none can be left when it has returned."""
    clock = trio.testing.MockClock()
    world = _World(clock, limit, A_MOMENT if sockets else 0.0)
    injection = TrioInjection(world, suspension, moment)
    with _always_in_the_same_order():
        return trio.run(world.main, scenario, injection, clock=clock, instruments=[world])


@contextmanager
def _always_in_the_same_order() -> Iterator[None]:
    """Trio shuffles what is ready, so that nobody relies on an order; here it does so in the same way always.

    Trio has no public switch for that; what its own test tools and hypothesis use is used here.
    """
    scheduler = trio._core._run
    was_allowed, state = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r.getstate()
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]  # declared final, for others
    scheduler._r.seed(0)
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = was_allowed  # type: ignore[misc]
        scheduler._r.setstate(state)


class TrioInjection(Injection):
    """Cancels a scope round an attempt."""

    def __init__(self, world: "_World", suspension: int | None, moment: Moment) -> None:
        super().__init__(suspension, moment)
        self._world = world
        self._scope: trio.CancelScope | None = None

    async def attempt(self, awaitable: Callable[[], Awaitable[T]]) -> T | Cancelled:
        with trio.CancelScope() as scope:
            self._scope = scope
            if self._chosen == 0 and not self._delivered:
                self._cancel()
            try:
                return await self.watched(awaitable)
            finally:
                self._scope = None
        return Cancelled()

    def arm(self, bare: bool) -> None:
        if self._moment.after_event:
            self._world.after_next_event = self._count_down
        else:
            self._count_down()

    def resumed(self, sent: object, was_chosen: bool) -> None:
        """If nothing has happened yet, it only gave way, or somebody else woke it: that was the event."""
        if isinstance(sent, outcome.Error):
            self.is_thrown()
        if was_chosen and self._world.after_next_event is not None:
            self._world.after_next_event = None
            self._count_down()

    def _count_down(self) -> None:
        self._world.start(self._tick)

    async def _tick(self) -> None:
        for _ in range(self._moment.iterations):
            await trio.lowlevel.cancel_shielded_checkpoint()
        self._cancel()

    def _cancel(self) -> None:
        if self._scope is not None:
            self.is_cancelling()
            self._delivered = True
            self._scope.cancel()


class _World(trio.abc.Instrument):
    """Lets the next thing happen whenever everything waits, and gives up when there is none."""

    def __init__(self, clock: trio.testing.MockClock, limit: int, patience: float) -> None:
        self._clock = clock
        self._remaining = limit
        self._patience = patience
        self._everything = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._stuck: str | None = None
        self.after_next_event: Callable[[], None] | None = None

    async def main(
        self, scenario: Callable[[Injection], Coroutine[object, object, T]], injection: TrioInjection
    ) -> Run[T]:
        finished: Run[T] | None = None
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._feed, injection)
            try:
                with self._everything:
                    result = await scenario(injection)
                    finished = Run(injection, (result,), injection.disappointments())
            except Exception as error:  # whatever the cancellation has broken is the answer
                finished = Run(injection, error)
            nursery.cancel_scope.cancel()
        if self._stuck is not None or finished is None:
            return Run(injection, StuckError(self._stuck or "the scenario was cancelled"))
        return finished

    def start(self, tick: Callable[[], Awaitable[None]]) -> None:
        """Run something beside the scenario."""
        if self._nursery is not None:
            self._nursery.start_soon(tick)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._remaining -= 1
        if self._remaining == 0:
            self._give_up("the limit of event loop iterations is reached")

    async def _feed(self, injection: Injection) -> None:
        while True:
            await trio.testing.wait_all_tasks_blocked(self._patience)
            follow_up, self.after_next_event = self.after_next_event, None
            seconds = trio.lowlevel.current_statistics().seconds_to_next_deadline
            if injection.events:
                injection.events.popleft()()
            elif seconds < math.inf:
                self._clock.jump(max(seconds, 0))
            else:
                self._give_up("everything waits and nothing is left to happen")
                return
            if follow_up is not None:
                follow_up()

    def _give_up(self, why: str) -> None:
        self._stuck = self._stuck or why
        with suppress(RuntimeError):
            self._everything.cancel()
