"""CAN802."""

from collections.abc import Iterator

from cancellint.analysis.hazards.blocking.endless_loops import endless_loops
from cancellint.model.finding import Confidence, RawFinding, Severity
from cancellint.rules.rule import Subject, rule

_CURE = "await an `asyncio.Event` that whoever changes it sets, or at least `asyncio.sleep` in the loop"


@rule("CAN802", Severity.WARNING)
def loop_without_checkpoint(subject: Subject) -> Iterator[RawFinding]:
    """A loop of a coroutine waits for a change and never suspends, so nobody can make it."""
    for loop in endless_loops(subject.project.effects, subject.project.facts_of, subject.function):
        yield RawFinding(
            at=subject.site(loop.at),
            message=f"this loop waits for `{loop.asked}` to change and never suspends: "
            "no task of the event loop can change it, nor do anything else",
            confidence=Confidence.LIKELY,
            help=_CURE,
        )
