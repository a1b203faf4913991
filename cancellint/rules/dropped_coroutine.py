"""CAN406."""

from collections.abc import Iterator

from cancellint.analysis.hazards.coroutines.dropped_coroutines import DroppedCoroutine
from cancellint.model.finding import RawFinding, Severity, SiteNote
from cancellint.rules.rule import Subject, rule


@rule("CAN406", Severity.ERROR)
def dropped_coroutine(subject: Subject) -> Iterator[RawFinding]:
    """A coroutine is made and never awaited, so what it was to do does not happen."""
    for found in subject.project.dropped_coroutines.of(subject.function):
        yield RawFinding(
            at=subject.site(found.made),
            message=_message(found),
            confidence=found.confidence,
            notes=(SiteNote(subject.site(found.lost), "it is forgotten here"),) if found.lost >= 0 else (),
            help="await it, or start it as a task that somebody keeps",
        )


def _message(found: DroppedCoroutine) -> str:
    if found.called_by:
        return f"`{found.runs}` never runs: `{found.called_by}` calls it and drops the coroutine"
    if found.always:
        return f"`{found.runs}` never runs: nobody awaits this coroutine"
    if not found.variable:
        return f"`{found.runs}` does not run on some path: nobody awaits this coroutine there"
    return f"`{found.runs}` does not run on some path: `{found.variable}` is never awaited there"
