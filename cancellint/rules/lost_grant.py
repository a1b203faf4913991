"""CAN111."""

from collections.abc import Iterator

from cancellint.analysis.backlogs import shown
from cancellint.analysis.lost_grants import LostGrant
from cancellint.model.finding import RawFinding, Severity, SiteNote
from cancellint.model.source import Site
from cancellint.model.types import CallSite
from cancellint.rules.rule import Subject, rule


@rule("CAN111", Severity.WARNING)
def lost_grant(subject: Subject) -> Iterator[RawFinding]:
    """A waiter that is cancelled just after it was given its turn does not pass the turn on."""
    for lost in subject.project.lost_grants.in_function(subject.function):
        giver = subject.project.program.function(lost.grant.at.function).qualname
        yield RawFinding(
            at=subject.site(lost.wait.at.step),
            message=_message(giver, lost),
            confidence=lost.confidence,
            notes=tuple(_notes(lost)),
            help=f"when cancelled, see whether `{shown(lost.wait.value)}` is done and not cancelled, "
            "and then serve the next one",
        )


def _message(giver: str, lost: LostGrant) -> str:
    if lost.hands_item:
        return f"what `{giver}` has just handed to this wait is lost if it is cancelled: nobody else gets it"
    return f"the turn `{giver}` has just given to this wait is lost if it is cancelled: nobody else is woken"


def _notes(lost: LostGrant) -> Iterator[SiteNote]:
    for kept in lost.made.kept_by[:1]:
        yield SiteNote(_site(kept), "it stands in line from here on")
    yield SiteNote(_site(lost.grant.at), "one of those in line is served here, and no other")


def _site(at: CallSite) -> Site:
    return Site(at.function.module, at.function.function, at.step)
