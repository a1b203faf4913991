"""CAN506."""

from collections.abc import Iterator

from cancellint.analysis.hazards.arrival.yields_in_cleanup import LateYield, late_yields
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.rules.rule import Subject, rule

_CURE = "clean up without a `yield`; what is still to be said belongs after the `try`, or into its `else`"


@rule("CAN506", Severity.ERROR)
def yield_in_cleanup(subject: Subject) -> Iterator[RawFinding]:
    """An asynchronous generator yields when it is closed: closing it fails, and cleanup is skipped."""
    for late in late_yields(subject.project.effects, subject.project.facts_of, subject.function):
        yield RawFinding(
            at=subject.site(late.again),
            message=f"this `yield` is reached when the generator {_harm(late)}",
            confidence=Confidence.CERTAIN if late.sure else Confidence.POSSIBLE,
            notes=tuple(_notes(subject, late)),
            help=_CURE,
        )


def _harm(late: LateYield) -> str:
    if late.failed:
        return "is a context manager whose body fails: leaving it raises RuntimeError in place of that error"
    return "is closed: closing it raises RuntimeError, and the rest of its cleanup is skipped"


def _notes(subject: Subject, late: LateYield) -> Iterator[SiteNote]:
    yield SiteNote(subject.site(late.closed), "the error is raised here" if late.failed else "closed here")
    if late.caught >= 0:
        yield SiteNote(subject.site(late.caught), "this handler ends it, and the generator goes on")
