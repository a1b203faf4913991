"""What a scenario is given: it runs coroutines, and cancels one of them at the chosen suspension."""

import types
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from typing import TypeVar

from cancellint.testing.outcomes import Cancelled, Moment
from cancellint.testing.places import Place, where_it_waits

T = TypeVar("T")
Expectation = Callable[[], str | None]
"""Tells what is wrong after the scenario; None if all is well."""


class Injection(ABC):
    """Runs coroutines for a scenario, and cancels one of them at the chosen suspension."""

    def __init__(self, suspension: int | None, moment: Moment) -> None:
        self._chosen = suspension
        self._moment = moment
        self._delivered = False
        self._has_arrived = False
        self._suspensions = 0
        self._place: Place | None = None
        self._coroutine: Coroutine[object, object, object] | None = None
        self.events: deque[Callable[[], object]] = deque()
        """what is to happen, in this order"""
        self.expectations: list[Expectation] = []
        """what must hold in the end"""

    @property
    def suspensions(self) -> int:
        """How many suspensions there have been so far."""
        return self._suspensions

    @property
    def delivered(self) -> bool:
        """Whether the cancellation has been requested of an attempt that was still running."""
        return self._delivered

    @property
    def place(self) -> Place | None:
        """The await that was suspended when the cancellation came."""
        return self._place

    def then(self, events: Iterable[Callable[[], object]]) -> None:
        """Appends to what happens: one call each time everything waits, before the clock advances."""
        self.events.extend(events)

    def expect(self, *expectations: Expectation) -> None:
        """Demands something for the time after the scenario: `is_free(lock)`, `is_full(semaphore, 3)`, …"""
        self.expectations.extend(expectations)

    def disappointments(self) -> tuple[str, ...]:
        """What does not hold that was expected."""
        return tuple(told for expectation in self.expectations if (told := expectation()) is not None)

    @abstractmethod
    async def attempt(self, awaitable: Callable[[], Awaitable[T]]) -> T | Cancelled:
        """Runs one awaitable; its result, or Cancelled if the injected cancellation ended it.

        With asyncio it runs as a task of its own, which is cancelled; with anyio and trio in a cancel scope.
        Any other exception of the awaitable is raised here.
        """

    async def retry(self, awaitable: Callable[[], Awaitable[T]]) -> T:
        """Attempts again after the cancellation, as a loop with a timeout would; the first result."""
        while True:
            outcome = await self.attempt(awaitable)
            if not isinstance(outcome, Cancelled):
                return outcome

    @abstractmethod
    def arm(self, bare: bool) -> None:
        """Prepare the cancellation of the suspension that begins; a `bare` one resumes without an event."""

    def resumed(self, sent: object, was_chosen: bool) -> None:  # noqa: B027  # not every world has to know
        """A suspension is over, and what was waited for is sent."""

    async def watched(self, awaitable: Callable[[], Awaitable[T]]) -> T:
        """Awaits something, and counts each suspension on the way."""
        coroutine = _awaiting(awaitable)
        self._coroutine = coroutine
        try:
            return await _reporting(coroutine, self)
        finally:
            self._coroutine = None

    def suspended(self, bare: bool) -> bool:
        """Counts a suspension; true if it is the chosen one, which is then armed."""
        self._suspensions += 1
        if self._suspensions != self._chosen:
            return False
        self.arm(bare)
        return True

    def is_cancelling(self) -> None:
        """Remembers where the code waits that is about to be cancelled."""
        self._place = where_it_waits(self._coroutine)

    def is_thrown(self) -> None:
        """Remembers where the cancellation arrives: with scopes that may be at a later await."""
        if self._delivered and not self._has_arrived:
            self._has_arrived = True
            self.is_cancelling()


async def _awaiting(awaitable: Callable[[], Awaitable[T]]) -> T:
    """The awaitable as a coroutine, made when its first step runs."""
    return await awaitable()


@types.coroutine
def _reporting(coroutine: Coroutine[object, object, T], injection: Injection) -> Generator[object, object, T]:
    """Runs a coroutine inside another one, and reports each of its suspensions.

    One that only gives way (`asyncio.sleep(0)`) yields None, and waits for nothing.
    """
    try:
        waits_for = coroutine.send(None)
        while True:
            is_chosen = injection.suspended(waits_for is None)
            try:
                sent = yield waits_for
            except BaseException as error:  # handed on: whatever the loop throws in
                injection.is_thrown()
                waits_for = coroutine.throw(error)
            else:
                injection.resumed(sent, is_chosen)
                waits_for = coroutine.send(sent)
    except StopIteration as finished:
        result: T = finished.value
        return result
