"""What a cancelled function leaves as it should not: a debt, a torn exchange, a future that others await."""

from collections.abc import Iterator
from typing import TypeAlias

from cancellint.analysis.backlogs import shown
from cancellint.analysis.obligations import Debt
from cancellint.analysis.shared_futures import Shared
from cancellint.analysis.torn_exchanges import Torn
from cancellint.analysis.traces import Traces
from cancellint.analysis.wording import left_undone, taken_on
from cancellint.model.finding import SiteNote
from cancellint.model.source import Site
from cancellint.model.types import CallSite, FunctionKey

Owed: TypeAlias = Debt | Torn | Shared
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


def cancelled_at(key: FunctionKey, owed: Owed) -> Site:
    """Return the await whose cancellation leaves it so."""
    match owed:
        case Debt(cancelled=step):
            return _site(CallSite(key, step))
        case Torn(at=at) | Shared(at=at):
            return _site(at)


def began(key: FunctionKey, owed: Owed) -> Iterator[SiteNote]:
    """Yield where it began."""
    match owed:
        case Debt(taken=taken) if taken >= 0:
            yield SiteNote(_site(CallSite(key, taken)), taken_on(owed))
        case Torn(sent=sent):
            yield SiteNote(_site(sent), "the request is sent here")
        case Shared(stored=CallSite() as stored):
            yield SiteNote(_site(stored), "it is put there for whoever waits")
        case _:
            pass


def _site(at: CallSite) -> Site:
    return Site(at.function.module, at.function.function, at.step)
