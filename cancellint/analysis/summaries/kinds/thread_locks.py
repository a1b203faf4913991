"""Thread locks that a function hands to its caller held, or releases for it."""

from collections.abc import Iterator

from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.flow.locks import Locks
from cancellint.model.summary import Acquires, Releases


def told(facts: Facts) -> Iterator[Acquires | Releases]:
    """Yield the locks that are held when it returns, and those released that it has not acquired."""
    locks = Locks(facts)
    held = set(locks.held_at_exit()) if locks.any else set()
    yield from (Acquires(path) for path in sorted(held) if path.is_visible_to_callers)
    yield from (Releases(path) for path in sorted(set(locks.released())) if path.is_visible_to_callers)
