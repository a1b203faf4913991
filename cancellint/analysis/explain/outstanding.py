"""What is outstanding when a cancellation leaves a function, in words."""

from collections.abc import Iterator

from cancellint.analysis.explain.traces import Traces
from cancellint.analysis.explain.wording import left_undone, taken_on
from cancellint.analysis.hazards.exchanges.torn_exchanges import Torn
from cancellint.analysis.hazards.futures.lost_grants import LostGrant
from cancellint.analysis.hazards.futures.shared_futures import Shared
from cancellint.analysis.hazards.obligations.obligations import Debt
from cancellint.analysis.hazards.promises.outstanding import Orphan, Outstanding
from cancellint.analysis.hazards.queues.backlogs import shown
from cancellint.model.finding import SiteNote
from cancellint.model.types import CallSite, FunctionKey, site_of


def left(traces: Traces, key: FunctionKey, outstanding: Outstanding) -> str:
    """Return what stays as it should not, as the start of a sentence."""
    match outstanding:
        case Debt():
            return left_undone(traces, key, outstanding)
        case Torn(connection=connection):
            return f"the reply stays unread on `{traces.shown(key, connection)}`"
        case Shared(future=future, is_task=is_task):
            return f"others lose the {'task' if is_task else 'future'} `{shown(future)}`"
        case Orphan(source=source):
            return f"a task goes on taking from `{traces.shown(key, source)}`"
        case LostGrant(hands_item=True):
            return "what has just been handed to it is lost"
        case LostGrant():
            return "the turn it has just been given is lost"


def began(key: FunctionKey, outstanding: Outstanding) -> Iterator[SiteNote]:
    """Yield where it began."""
    match outstanding:
        case Debt(taken=taken) if taken >= 0:
            yield SiteNote(site_of(CallSite(key, taken)), taken_on(outstanding))
        case Torn(sent=sent):
            yield SiteNote(site_of(sent), "the request is sent here")
        case Shared(stored=CallSite() as stored):
            yield SiteNote(site_of(stored), "it is put there for whoever waits")
        case LostGrant(grant=grant):
            yield SiteNote(site_of(grant.at), "one of those in line is served here, and no other")
        case Orphan(started=started):
            yield SiteNote(site_of(CallSite(key, started)), "it is started here")
        case _:
            pass
