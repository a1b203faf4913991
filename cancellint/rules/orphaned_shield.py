"""CAN405."""

from collections.abc import Iterator

from cancellint.analysis.hazards.tasks.orphaned_shields import Footing, OrphanedShield
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.summary import Path
from cancellint.rules.rule import Subject, rule

_CURES = {
    Footing.LOCK: "take the lock inside of what is shielded",
    Footing.RESOURCE: "open it inside of what is shielded",
    Footing.REFERENCE: "make a task of it first, keep that, and shield the task",
}


@rule("CAN405", Severity.WARNING)
def orphaned_shield(subject: Subject) -> Iterator[RawFinding]:
    """A shielded coroutine goes on without the lock, the resource or the reference that its waiter has."""
    for found in subject.project.orphaned_shields.of(subject.function):
        raw = RawFinding(
            at=subject.site(found.awaited),
            message=f"if this await is cancelled, `{found.runs}` goes on {_without(subject, found)}",
            confidence=Confidence.LIKELY if found.footing is Footing.RESOURCE else Confidence.POSSIBLE,
            notes=tuple(_notes(subject, found)),
            help=_CURES[found.footing],
        )
        yield subject.cancelled(raw, found.path or Path("param:0"), found.awaited)


def _without(subject: Subject, found: OrphanedShield) -> str:
    match found.footing:
        case Footing.LOCK:
            assert found.path is not None
            lock = subject.project.traces.shown(subject.function, found.path)
            return f"without `{lock}`, which is released then: others walk in"
        case Footing.RESOURCE:
            return f"with `{found.name}`, which is closed then"
        case Footing.REFERENCE:
            return "with nobody to keep its task or see its error"


def _notes(subject: Subject, found: OrphanedShield) -> Iterator[SiteNote]:
    match found.footing:
        case Footing.LOCK:
            yield SiteNote(subject.site(found.around), "the lock is taken here, and ends with the waiter")
        case Footing.RESOURCE:
            yield SiteNote(subject.site(found.around), "it is opened here, and closed with the waiter")
        case Footing.REFERENCE:
            return
