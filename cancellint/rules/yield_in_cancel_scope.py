"""CAN503."""

from collections.abc import Iterator

from cancellint.analysis.hazards.arrival.scoped_yields import ScopedYield
from cancellint.model.finding import RawFinding, Severity, SiteNote
from cancellint.rules.rule import Subject, rule

_CURE = (
    "leave the scope before the `yield`, make a context manager of the generator, "
    "or hand the items over through a channel"
)


@rule("CAN503", Severity.ERROR)
def yield_in_cancel_scope(subject: Subject) -> Iterator[RawFinding]:
    """A generator yields inside of a timeout, scope or task group, which then cancels its consumer."""
    for found in subject.project.scoped_yields.of(subject.function):
        yield RawFinding(
            at=subject.site(found.at),
            message=f"this `yield` is inside of `{found.name}`, {_harm(found)}",
            confidence=found.confidence,
            notes=(SiteNote(subject.site(found.entered), "entered here"),),
            help=_CURE,
        )


def _harm(found: ScopedYield) -> str:
    if found.group:
        return "so when one of its tasks fails, whatever the consumer does is cancelled in its place"
    return "so when that runs out, whatever the consumer does is cancelled in its place"
