"""CAN507."""

from collections.abc import Iterator

from cancellint.analysis.hazards.arrival.idle_scopes import idle_scopes
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.rules.rule import Subject, rule

_CURE = (
    "await something that waits inside of it; what blocks the thread needs a timeout of its own, or a thread"
)


@rule("CAN507", Severity.WARNING)
def idle_cancel_scope(subject: Subject) -> Iterator[RawFinding]:
    """Nothing in a timeout ever suspends, so it never fires."""
    for scope in idle_scopes(subject.project.effects, subject.project.facts_of, subject.function):
        yield RawFinding(
            at=subject.site(scope.at),
            message=f"nothing in this `{scope.name}` ever suspends, so it never fires",
            confidence=Confidence.CERTAIN,
            notes=tuple(SiteNote(subject.site(step), "this await never waits") for step in scope.awaits),
            help=_CURE,
        )
