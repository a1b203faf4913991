"""CAN502."""

from collections.abc import Iterator

from cancellint.analysis.hazards.arrival.unshielded_cleanups import UnshieldedCleanup
from cancellint.analysis.hazards.queues.backlogs import shown
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.summary import Path
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule


@rule("CAN502", Severity.WARNING)
def unshielded_cleanup(subject: Subject) -> Iterator[RawFinding]:
    """A cleanup waits without a shield: a cancelled scope ends it there, and the rest is not done."""
    for found in subject.project.unshielded_cleanups.of(subject.function):
        raw = RawFinding(
            at=subject.site(found.cleanup),
            message=f"a cancelled scope ends this cleanup here: {_harm(found)}",
            confidence=Confidence.POSSIBLE if found.is_in_memory else Confidence.LIKELY,
            notes=(
                SiteNote(subject.site(found.awaited), "if this is cancelled, the cleanup runs"),
                SiteNote(site_of(found.skipped), "this is left out"),
            ),
            help="do it in `with CancelScope(shield=True):`, and give it a deadline",
        )
        yield subject.cancelled(raw, Path("param:0"), found.awaited)


def _harm(found: UnshieldedCleanup) -> str:
    if found.what is None:
        return "the rest is not done"
    what = shown(found.what)
    return f"`{what}` is not called" if found.is_call else f"`{what}` stays as it is"
