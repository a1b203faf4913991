"""Locks of an event loop that stay locked for as long as a peer or a disk takes."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.flow.facts import FactsOf
from cancellint.analysis.hazards.locks.leaf_waits import LeafWait, LeafWaits
from cancellint.analysis.hazards.locks.lock_homes import LockHomes
from cancellint.model.knowledge import Role, SourceKind
from cancellint.model.summary import Path
from cancellint.model.types import FunctionKey


class LockedIo(Struct, frozen=True):
    """An await of a peer or a disk, the lock that is held meanwhile, and where that was taken."""

    step: int
    taken: int
    lock: Path
    wait: LeafWait
    name: str


def locked_io(
    effects: Effects, facts_of: FactsOf, locks: LockHomes, waits: LeafWaits, key: FunctionKey
) -> Iterator[LockedIo]:
    """Yield the first such await for each taking of a lock that keeps everybody out."""
    facts = facts_of(key)
    told: set[int] = set()
    for _, step in sorted(facts.awaits(), key=lambda pair: pair[1]):
        for taken in locks.at(key, step):
            if taken.step in told or any(each.permits != 1 for each in taken.objects):
                continue
            wait = next((each for each in waits.of_step(key, step) if _is_io(effects, each)), None)
            if wait is not None and wait.known is not None:
                told.add(taken.step)
                yield LockedIo(step, taken.step, taken.path, wait, wait.known.name)


def _is_io(effects: Effects, wait: LeafWait) -> bool:
    if wait.known is None:
        return False
    roles = wait.known.entry.roles
    if Role.SENDS in roles:
        return True
    source = effects.operations.knowledge.source(wait.known.name)
    return Role.CONSUMES in roles and source in (SourceKind.STREAM, SourceKind.MESSAGES)
