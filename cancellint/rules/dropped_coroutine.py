"""CAN406."""

from collections.abc import Iterator

from cancellint.analysis.hazards.coroutines.dropped_coroutines import DroppedCoroutine
from cancellint.model.finding import RawFinding, Severity, SiteNote
from cancellint.model.types import site_at
from cancellint.rules.rule import Subject, rule


@rule("CAN406", Severity.ERROR)
def dropped_coroutine(subject: Subject) -> Iterator[RawFinding]:
    """A coroutine is made and never awaited, so what it was to do does not happen."""
    for found in subject.project.dropped_coroutines.of(subject.function):
        yield RawFinding(
            at=subject.site(found.made),
            message=_message(found),
            confidence=found.confidence,
            notes=tuple(_notes(subject, found)),
            help="await it, or start it as a task that somebody keeps",
            cause=_cause(subject, found),
        )


def _notes(subject: Subject, found: DroppedCoroutine) -> Iterator[SiteNote]:
    if found.left_by is not None:
        how = "does nothing with it" if found.always else "may return without it having been awaited"
        name = subject.project.program.function(found.left_by).qualname
        yield SiteNote(site_at(found.left_by, -1), f"`{name}` {how}")
    if found.lost >= 0 and found.lost != found.made:
        yield SiteNote(subject.site(found.lost), "it is forgotten here")


def _cause(subject: Subject, found: DroppedCoroutine) -> str | None:
    """Return what one change mends: a function that is given coroutines and does not always await them."""
    if found.left_by is None or found.always:
        return None
    return f"left by {subject.likeness(found.left_by, -1)}"


def _message(found: DroppedCoroutine) -> str:
    if found.called_by:
        return f"`{found.runs}` never runs: `{found.called_by}` calls it and drops the coroutine"
    if found.always:
        return f"`{found.runs}` never runs: nobody awaits this coroutine"
    if not found.variable:
        return f"`{found.runs}` does not run on some path: nobody awaits this coroutine there"
    return f"`{found.runs}` does not run on some path: `{found.variable}` is never awaited there"
