"""Locks that a function takes: for as long as it runs, for its caller, or back from it."""

from collections.abc import Iterator

from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.flow.held_locks import HeldLocks
from cancellint.model.summary import Acquires, Locks, OfLock, Releases


def told(facts: Facts) -> Iterator[OfLock]:
    """Yield the locks held when it returns, those released that it has not acquired, and all it waits for."""
    if not any(effect.of_kind(Locks) or effect.of_kind(Releases) for effect in facts.effects.values()):
        return
    held = HeldLocks(facts)
    waited = {fact for effect in facts.effects.values() for fact in effect.of_kind(Locks)}
    found: tuple[OfLock, ...] = (*held.at_exit(), *held.released(), *waited)
    for kind in (Acquires, Releases, Locks):
        yield from sorted({fact for fact in found if type(fact) is kind and fact.path.is_visible_to_callers})
