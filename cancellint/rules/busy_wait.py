"""CAN804."""

from collections.abc import Iterator

from cancellint.analysis.hazards.blocking.busy_waits import BusyWait
from cancellint.analysis.hazards.queues.backlogs import shown
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule

_ZERO = frozenset({"0", "0.0"})


@rule("CAN804", Severity.WARNING)
def busy_wait(subject: Subject) -> Iterator[RawFinding]:
    """A loop sleeps and looks again at what somebody in the same program could tell it."""
    for found in subject.project.busy_waits.of(subject.function):
        spins = found.duration in _ZERO
        firm = spins and found.alone and found.may_last
        changed = found.asked.changed
        yield RawFinding(
            at=subject.site(found.at),
            message=_message(found, spins=spins),
            confidence=Confidence.LIKELY if firm else Confidence.POSSIBLE,
            notes=(SiteNote(site_of(changed), "it is changed here"),) if changed is not None else (),
            help=_cure(subject, found),
        )


def _message(found: BusyWait, *, spins: bool) -> str:
    asked = shown(found.asked.what)
    if spins:
        return f"the event loop turns at full speed until `{asked}` has changed"
    late = f"up to {found.duration} s late" if found.duration is not None else "only after the next sleep"
    return f"that `{asked}` has changed is noticed {late}, and the loop wakes up in vain until then"


def _cure(subject: Subject, found: BusyWait) -> str:
    asked, waiting, changed = shown(found.asked.what), found.asked.waiting, found.asked.changed
    if waiting is not None:
        return f"`await {asked}`" if waiting == "await" else f"`await {asked}.{waiting}()`"
    assert changed is not None
    name = subject.project.program.function(changed.function).qualname
    return f"await an event that `{name}` sets"
