"""What a cancelled function leaves as it should not, of whatever kind.

Debts, torn exchanges, futures that others wait for, tasks that go on for nobody, and lost grants.
"""

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct

from cancellint.analysis.abandonment import Way, abandoned
from cancellint.analysis.backlogs import shown
from cancellint.analysis.contenders import Contenders
from cancellint.analysis.effects import Effects
from cancellint.analysis.lost_grants import LostGrant
from cancellint.analysis.obligations import Debt
from cancellint.analysis.owners import Owners
from cancellint.analysis.shared_futures import Shared
from cancellint.analysis.torn_exchanges import Torn
from cancellint.analysis.traces import Traces
from cancellint.analysis.wording import left_undone, taken_on
from cancellint.model.finding import Confidence, SiteNote
from cancellint.model.source import Site
from cancellint.model.summary import RESULT, Path
from cancellint.model.types import CallSite, FunctionKey


class Orphan(Struct, frozen=True):
    """A task that goes on taking from a source when the function that waits for it is cancelled."""

    started: int
    cancelled: int
    source: Path
    confidence: Confidence


def orphans(effects: Effects, owners: Owners, contenders: Contenders, key: FunctionKey) -> Iterator[Orphan]:
    """Yield the tasks that a cancelled function leaves running, and whose next result is lost."""
    for task in abandoned(effects, owners, contenders, key):
        lost = [take for take in task.stake.takes if take.into == RESULT]
        ways = [way for way in task.ways if way.way is Way.CANCELLED]
        if lost and ways:
            firmest = min(lost, key=lambda take: take.confidence.rank)
            yield Orphan(task.started, ways[0].at, firmest.source, firmest.confidence)


Owed: TypeAlias = Debt | Torn | Shared | Orphan | LostGrant
"""What is outstanding when a cancellation leaves a function."""


def left(traces: Traces, key: FunctionKey, owed: Owed) -> str:
    """Return what stays as it should not, as the start of a sentence."""
    match owed:
        case Debt():
            return left_undone(traces, key, owed)
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


def cancelled_at(key: FunctionKey, owed: Owed) -> Site:
    """Return the await whose cancellation leaves it so."""
    match owed:
        case Debt(cancelled=step) | Orphan(cancelled=step):
            return _site(CallSite(key, step))
        case Torn(at=at) | Shared(at=at):
            return _site(at)
        case LostGrant(wait=wait):
            return _site(wait.at)


def began(key: FunctionKey, owed: Owed) -> Iterator[SiteNote]:
    """Yield where it began."""
    match owed:
        case Debt(taken=taken) if taken >= 0:
            yield SiteNote(_site(CallSite(key, taken)), taken_on(owed))
        case Torn(sent=sent):
            yield SiteNote(_site(sent), "the request is sent here")
        case Shared(stored=CallSite() as stored):
            yield SiteNote(_site(stored), "it is put there for whoever waits")
        case LostGrant(grant=grant):
            yield SiteNote(_site(grant.at), "one of those in line is served here, and no other")
        case Orphan(started=started):
            yield SiteNote(_site(CallSite(key, started)), "it is started here")
        case _:
            pass


def _site(at: CallSite) -> Site:
    return Site(at.function.module, at.function.function, at.step)
