"""Replies that are waited for without a limit by a function that owns the whole conversation."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.callgraph.cancellers import Cancellers
from cancellint.analysis.callgraph.function_uses import FunctionUses, Use
from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.reachability import may_follow
from cancellint.analysis.flow.exchanges import Exchange, Exchanges, ends
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.model.finding import Canceller, Confidence, weakest
from cancellint.model.types import FunctionKey


class UnlimitedReply(Struct, frozen=True):
    """A reply that is waited for at `at`, where it was asked for, and where the connection is closed then."""

    at: int
    sent: int
    closed: int
    confidence: Confidence


class UnlimitedReplies:
    """Finds them for one function at a time."""

    def __init__(self, facts_of: FactsOf, uses: FunctionUses, cancellers: Cancellers) -> None:
        self._facts_of = facts_of
        self._uses = uses
        self._exchanges = Exchanges(facts_of)
        self._cancellers = cancellers

    def of(self, key: FunctionKey) -> Iterator[UnlimitedReply]:
        """Yield the replies for which a function that closes the connection afterwards waits for ever."""
        if any(reference.use is Use.GIVEN for reference in self._uses.of(key)):
            return  # it may be a server's, which waits for its clients on purpose
        facts = self._facts_of(key)
        for exchange in self._exchanges.of(key):
            at, group = exchange.reply.step, exchange.group
            if exchange.reply.queued or self._exchanges.serves(key, group):
                continue
            closed = _closed_after(facts, exchange)
            firmly = self._unlimited(key, at) if closed is not None else None
            if closed is not None and firmly is not None:
                yield UnlimitedReply(at, exchange.sent, closed, weakest(firmly, exchange.confidence))

    def _unlimited(self, key: FunctionKey, at: int) -> Confidence | None:
        """Return how firmly nobody gives up waiting, None where the function or a caller does."""
        canceller = self._cancellers.of(key, steps=(at,)).canceller
        if canceller in (Canceller.RACE, Canceller.FRAMEWORK) or self._cancellers.times_out(key):
            return None
        return Confidence.LIKELY if canceller is Canceller.NONE_KNOWN else Confidence.POSSIBLE


def _closed_after(facts: Facts, exchange: Exchange) -> int | None:
    """Return where the connection is closed once the reply is there, None where it is used on."""
    at = exchange.reply.step
    if may_follow(facts.flow, at, exchange.sent, NORMAL):
        return None
    later = (step for step in facts.effects if step != at and may_follow(facts.flow, at, step, NORMAL))
    return next((step for step in sorted(later) if ends(facts, step, exchange.group)), None)
