"""CAN111."""

from collections.abc import Iterator

from cancellint.analysis.hazards.futures.lost_grants import LostGrant
from cancellint.analysis.hazards.queues.backlogs import shown
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote, weakest
from cancellint.model.source import Site
from cancellint.model.summary import RESULT
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule


@rule("CAN111", Severity.WARNING)
def lost_grant(subject: Subject) -> Iterator[RawFinding]:
    """A waiter that is cancelled when its turn comes does not pass on, or refuse, what it is given."""
    yield from _kept(subject)
    yield from _not_refused(subject)


def _kept(subject: Subject) -> Iterator[RawFinding]:
    """Yield the waits that keep what they have just been given."""
    for lost in subject.project.lost_grants.in_function(subject.function):
        giver = subject.project.program.function(lost.grant.at.function).qualname
        found = RawFinding(
            at=subject.site(lost.wait.at.step),
            message=_message(giver, lost),
            confidence=weakest(lost.confidence, Confidence.LIKELY),
            notes=tuple(_notes(lost)),
            help=f"when cancelled, see whether `{shown(lost.wait.value)}` is {_served(lost)}, "
            "and then serve the next one",
        )
        yield subject.cancelled(found, RESULT, lost.wait.at.step)


def _not_refused(subject: Subject) -> Iterator[RawFinding]:
    """Yield the waits that do not say that they are over."""
    program = subject.project.program
    for waiter in subject.project.unmarked_waiters.in_function(subject.function):
        mark = f"{program.function(subject.function).params[0].name}.{waiter.mark}"
        giver = program.function(waiter.giver).qualname
        found = RawFinding(
            at=subject.site(waiter.awaited),
            message=f"if this wait is cancelled, `{mark}` stays unset, and `{giver}` hands `{waiter.what}` "
            "to a waiter that is gone",
            confidence=Confidence.LIKELY,
            notes=(
                SiteNote(subject.site(waiter.marked), f"when it fails, `{mark}` is set here"),
                SiteNote(
                    Site(waiter.giver.module, waiter.giver.function, waiter.given),
                    f"this is handed over unless `{mark}` is set",
                ),
            ),
            help=f"set `{mark}` whenever the wait does not succeed: `except BaseException`, and raise again",
        )
        yield subject.cancelled(found, RESULT, waiter.awaited)


def _served(lost: LostGrant) -> str:
    return "set" if lost.by_event else "done and not cancelled"


def _message(giver: str, lost: LostGrant) -> str:
    if lost.hands_item:
        return f"what `{giver}` has just handed to this wait is lost if it is cancelled: nobody else gets it"
    return f"the turn `{giver}` has just given to this wait is lost if it is cancelled: nobody else is woken"


def _notes(lost: LostGrant) -> Iterator[SiteNote]:
    for kept in lost.made.kept_by[:1]:
        yield SiteNote(site_of(kept), "it stands in line from here on")
    yield SiteNote(site_of(lost.grant.at), "one of those in line is served here, and no other")
