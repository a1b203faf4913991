"""CAN205."""

from collections.abc import Iterator
from itertools import pairwise

from cancellint.analysis.hazards.locks.locked_io import LockedIo, locked_io
from cancellint.model.finding import RawFinding, Severity, SiteNote
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule


@rule("CAN205", Severity.WARNING, pedantic=True)
def io_under_async_lock(subject: Subject) -> Iterator[RawFinding]:
    """A lock is held for as long as a peer or a disk takes."""
    project = subject.project
    if not project.result(subject.function).takes_lock:
        return
    waits, locks = project.leaf_waits, project.lock_homes
    for found in locked_io(project.effects, project.facts_of, locks, waits, subject.function):
        known = found.wait.known
        assert known is not None
        lock = project.traces.shown(subject.function, found.lock)
        yield RawFinding(
            at=subject.site(found.step),
            message=f"all who need `{lock}` wait for as long as `{found.name}` takes",
            confidence=known.confidence,
            notes=tuple(_notes(subject, found)),
            help="do it before the lock is taken or after it is released, or give it a timeout",
        )


def _notes(subject: Subject, found: LockedIo) -> Iterator[SiteNote]:
    yield SiteNote(subject.site(found.taken), "the lock is taken here")
    for at, callee in pairwise(found.wait.hops):
        name = subject.project.program.function(callee.function).qualname
        yield SiteNote(site_of(at), f"`{name}` is called here")
    if len(found.wait.hops) > 1:
        yield SiteNote(site_of(found.wait.leaf), "which waits here")
