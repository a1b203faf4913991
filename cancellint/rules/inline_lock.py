"""CAN206."""

from collections.abc import Iterator

from cancellint.analysis.hazards.locks.inline_locks import InlineLock, inline_locks
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.rules.rule import Subject, rule


@rule("CAN206", Severity.ERROR)
def inline_lock(subject: Subject) -> Iterator[RawFinding]:
    """A lock is made anew wherever it is taken, so it keeps nobody out."""
    for found in inline_locks(subject.project.effects, subject.function):
        yield RawFinding(
            at=subject.site(found.entered),
            message=_message(found),
            confidence=Confidence.CERTAIN,
            notes=(SiteNote(subject.site(found.made), "it is made here, anew each time"),)
            if found.variable
            else (),
            help="make it once, as an attribute or a global that all who share the state use",
        )


def _message(found: InlineLock) -> str:
    if found.variable:
        return f"`{found.variable}` keeps nobody out: this call alone has that `{found.name}`"
    return f"this keeps nobody out: the `{found.name}` is a new one each time"
