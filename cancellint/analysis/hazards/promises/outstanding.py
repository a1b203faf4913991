"""What is outstanding when a cancellation leaves a function, of whatever kind.

Debts, torn exchanges, futures that others wait for, tasks that go on for nobody, and lost grants.
"""

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.flow.facts import FactsOf
from cancellint.analysis.hazards.exchanges.torn_exchanges import Torn
from cancellint.analysis.hazards.futures.lost_grants import LostGrant
from cancellint.analysis.hazards.futures.shared_futures import Shared
from cancellint.analysis.hazards.obligations.obligations import Debt
from cancellint.analysis.hazards.tasks.abandonment import Departure, abandoned
from cancellint.analysis.hazards.tasks.contenders import Contenders
from cancellint.model.finding import Confidence
from cancellint.model.source import Site
from cancellint.model.summary import RESULT, Path
from cancellint.model.types import CallSite, FunctionKey, site_of


class Orphan(Struct, frozen=True):
    """A task that goes on taking from a source when the function that waits for it is cancelled."""

    started: int
    cancelled: int
    source: Path
    confidence: Confidence


def orphans(
    effects: Effects, facts_of: FactsOf, contenders: Contenders, key: FunctionKey
) -> Iterator[Orphan]:
    """Yield the tasks that a cancelled function leaves running, and whose next result is lost."""
    for task in abandoned(effects, facts_of, contenders, key):
        lost = [take for take in task.stake.takes if take.into == RESULT]
        ways = [way for way in task.ways if way.way is Departure.CANCELLED]
        if lost and ways:
            firmest = min(lost, key=lambda take: take.confidence.rank)
            confidence = firmest.confidence if task.complete else Confidence.POSSIBLE
            yield Orphan(task.started, ways[0].at, firmest.source, confidence)


Outstanding: TypeAlias = Debt | Torn | Shared | Orphan | LostGrant
"""What is outstanding when a cancellation leaves a function."""


def cancelled_at(key: FunctionKey, outstanding: Outstanding) -> Site:
    """Return the await whose cancellation leaves it so."""
    match outstanding:
        case Debt(cancelled=step) | Orphan(cancelled=step):
            return site_of(CallSite(key, step))
        case Torn(at=at) | Shared(at=at):
            return site_of(at)
        case LostGrant(wait=wait):
            return site_of(wait.at)
