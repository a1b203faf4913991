"""CAN202."""

from collections.abc import Iterator
from itertools import pairwise

from cancellint.analysis.hazards.locks.reentries import Reentry
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule


@rule("CAN202", Severity.ERROR)
def reentered_async_lock(subject: Subject) -> Iterator[RawFinding]:
    """A lock of the event loop is waited for while it is held, so it is never released."""
    if not subject.project.result(subject.function).takes_lock:
        return
    for found in subject.project.reentries.of(subject.function):
        lock = subject.project.traces.shown(subject.function, found.lock)
        yield RawFinding(
            at=subject.site(found.step),
            message=_message(found, lock),
            confidence=_confidence(found),
            notes=tuple(_notes(subject, found)),
            help="let whoever holds it call a variant of the function that does not take it",
            cause=subject.likeness(found.way.leaf.function, found.way.leaf.step)
            + subject.likeness(subject.function, found.taken),
        )


def _confidence(found: Reentry) -> Confidence:
    """Return how firmly it stands. Who waits with a time limit may wait for another to release the lock."""
    return Confidence.POSSIBLE if found.way.timed else found.confidence


def _message(found: Reentry, lock: str) -> str:
    if found.way.timed:
        return f"this can only time out: `{lock}`, which it waits for, is held here"
    if found.what.permits != 1 and found.what.reenters == "waits":
        return f"this waits for ever once all permits of `{lock}` are with others that wait here"
    if found.way.of_task is not None:
        return f"this waits for ever: the task needs `{lock}`, which is held here"
    if found.what.reenters == "raises":
        return f"this raises RuntimeError: `{lock}` is held here already, and taken again"
    return f"this waits for ever: `{lock}` is held here already"


def _notes(subject: Subject, found: Reentry) -> Iterator[SiteNote]:
    yield SiteNote(subject.site(found.taken), "it is taken here")
    program = subject.project.program
    hops = found.way.hops
    for at, callee in pairwise(hops):
        name = program.function(callee.function).qualname
        yield SiteNote(site_of(at), f"`{name}` is called here")
    yield SiteNote(site_of(found.way.leaf), "which waits for it here")
