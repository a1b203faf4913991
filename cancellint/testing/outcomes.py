"""What is tried, and what became of it."""

from collections import Counter
from dataclasses import dataclass

from cancellint.testing.places import Place


class StuckError(Exception):
    """The scenario waits for something that can no longer happen, or runs for too many loop iterations."""


class NeverSuspendsError(Exception):
    """Nothing that ran through the injection was ever suspended, so there is nothing to cancel."""


class NotCancelSafeError(AssertionError):
    """Some cancellation broke the scenario."""


class AlreadyRunningError(RuntimeError):
    """The injector was called inside of a running event loop."""


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
    place: Place | None = None
    """the await that was suspended; None before the first step"""

    def __str__(self) -> str:
        where = f" at {self.place}" if self.place is not None else ""
        when = f"suspension {self.suspension}, {self.moment}"
        return f"cancelled{where} ({when}): {self.problem or 'nothing broke'}"


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
        places = Counter(case.place for case in self.failures if case.place is not None)
        told = [f"  {number} at {place}" for place, number in places.items()]
        return "\n".join([counted, *told, f"The first: {self.failures[0]}"])
