"""CAN108."""

from collections.abc import Iterator
from itertools import pairwise

from cancellint.analysis.hazards.exchanges.torn_exchanges import Torn
from cancellint.model.finding import RawFinding, Severity, SiteNote
from cancellint.model.source import Site
from cancellint.model.summary import Verb
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule

_CURE = (
    "close the connection on the way out of a cancellation, in `except BaseException` that raises again or in"
    " `finally`, unless the reply has been read"
)


@rule("CAN108", Severity.ERROR, elsewhere=True)
def torn_exchange(subject: Subject) -> Iterator[RawFinding]:
    """A request is sent and its reply never read, and the connection is used again."""
    decided = subject.project.torn_exchanges.decided_in(subject.function)
    if not decided or _has_handler_that_closes(subject):
        return
    for torn in decided:
        name = subject.project.traces.shown(subject.function, torn.connection)
        found = RawFinding(
            at=site_of(torn.at),
            message=f"the reply stays unread on `{name}` if this await is cancelled, and {_harm(torn)}",
            confidence=torn.confidence,
            notes=tuple(_notes(subject, torn, name)),
            help=_CURE,
        )
        yield subject.cancelled(found, torn.connection, torn.at.step)


def _has_handler_that_closes(subject: Subject) -> bool:
    """Tell whether CAN105 says already which handler would close the connection, were it wide enough."""
    return any(
        debt.handler >= 0 and debt.act.verb is Verb.CLOSES for debt in subject.project.debts(subject.function)
    )


def _harm(torn: Torn) -> str:
    if torn.back < 0:
        return "the next request reads it as its own"
    return "whoever gets it next reads it as an answer of its own"


def _notes(subject: Subject, torn: Torn, name: str) -> Iterator[SiteNote]:
    if torn.back < 0:
        yield SiteNote(site_of(torn.sent), "the request is sent here, as the next one will be")
    else:
        yield SiteNote(site_of(torn.sent), "the request is sent here")
    for here, below in pairwise(torn.trail):
        reader = subject.project.program.function(below.function).qualname
        yield SiteNote(site_of(here), f"its reply is awaited here, by `{reader}`")
    if torn.trail[-1] != torn.at:
        yield SiteNote(site_of(torn.trail[-1]), "cancelled here, the reply is still to come")
    if torn.back >= 0:
        back = Site(torn.at.function.module, torn.at.function.function, torn.back)
        yield SiteNote(back, f"`{name}` goes back here, with the reply on its way")
