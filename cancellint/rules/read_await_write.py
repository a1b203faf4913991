"""CAN701."""

from collections.abc import Iterator

from cancellint.analysis.hazards.sharing.replacing import Replacement
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.rules.rule import Subject, rule

_CURE = "await first and read afterwards, or hold an `asyncio.Lock` over both"


@rule("CAN701", Severity.WARNING)
def read_await_write(subject: Subject) -> Iterator[RawFinding]:
    """Shared state is read, waited on, and replaced by what was made of its old value."""
    for found in subject.project.stale_writes(subject.function):
        yield RawFinding(
            at=subject.site(found.written),
            message=f"`self.{found.attribute}` is read before this wait and written after it, {_harm(found)}",
            confidence=_confidence(found),
            notes=(SiteNote(subject.site(found.awaited), "another task may run here"),),
            help=_CURE,
        )


def _confidence(found: Replacement) -> Confidence:
    if found.adds:
        return Confidence.CERTAIN
    return Confidence.POSSIBLE if found.hands_over or found.alone else Confidence.LIKELY


def _harm(found: Replacement) -> str:
    if found.adds:
        return "so what another task adds meanwhile is lost"
    return "so a second task uses the old value once more, and one of the two results is lost"
