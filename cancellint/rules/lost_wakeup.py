"""CAN306."""

from collections.abc import Iterator

from cancellint.analysis.hazards.channels.lost_wakeups import Losing, LostWakeup
from cancellint.analysis.hazards.queues.backlogs import shown
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule


@rule("CAN306", Severity.WARNING)
def lost_wakeup(subject: Subject) -> Iterator[RawFinding]:
    """Somebody is woken while nobody waits, or before what it is woken for is there."""
    for found in subject.project.lost_wakeups.of(subject.function):
        match found.how:
            case Losing.CLEARED:
                yield _cleared(subject, found)
            case Losing.EARLY:
                yield _early(subject, found)
            case Losing.UNCHECKED:
                yield _unchecked(subject, found)


def _cleared(subject: Subject, found: LostWakeup) -> RawFinding:
    event = shown(found.signal)
    what = f"`{found.announced}` waits for the next one" if found.announced else "nobody acts on it"
    return RawFinding(
        at=subject.site(found.at),
        message=f"a `{event}.set()` that comes before this is forgotten: {what}",
        confidence=Confidence.LIKELY if found.announced else Confidence.POSSIBLE,
        notes=(
            SiteNote(subject.site(found.awaited), "while this waits, the event may be set again"),
            SiteNote(site_of(found.other), "it is set here"),
        ),
        help="clear the event right after the wait, before anything is looked at",
    )


def _early(subject: Subject, found: LostWakeup) -> RawFinding:
    return RawFinding(
        at=subject.site(found.at),
        message=f"who waits for `{shown(found.signal)}` may read `{found.announced}` before it is there",
        confidence=Confidence.LIKELY,
        notes=(
            SiteNote(subject.site(found.awaited), "while this waits, they run"),
            SiteNote(site_of(found.other), f"`{found.announced}` is read here"),
        ),
        help="set the event when all that it announces is there",
    )


def _unchecked(subject: Subject, found: LostWakeup) -> RawFinding:
    condition = shown(found.signal)
    if found.is_taken:
        message = (
            f"another task may have taken what `{condition}` announces: it is not asked again after the wait"
        )
    else:
        message = f"a `notify` of `{condition}` before this wait, or for something else, is not noticed"
    return RawFinding(
        at=subject.site(found.at),
        message=message,
        confidence=Confidence.LIKELY if found.is_taken else Confidence.POSSIBLE,
        notes=(SiteNote(site_of(found.other), "it is taken here"),) if found.is_taken else (),
        help=f"`await {condition}.wait_for(...)`, or wait in `while not ...:`",
    )
