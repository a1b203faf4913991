"""Shields round what loses its footing when the waiter is cancelled: what a `with` gave it is taken away."""

import enum
from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import Operation
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.flow.held_locks import HeldLocks
from cancellint.analysis.flow.outcomes import Outcomes
from cancellint.analysis.hazards.tasks.concerns import Concerns
from cancellint.analysis.program.expressions import names_in
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import Assign, Await, AwaitKind, Name, Temp
from cancellint.model.knowledge import LockKind
from cancellint.model.summary import Locks, Path
from cancellint.model.types import FunctionKey, Instance, ProjectCallee


class Footing(enum.Enum):
    """What is missing when the shielded coroutine goes on alone."""

    LOCK = enum.auto()
    """the lock that is held round the await is released"""
    RESOURCE = enum.auto()
    """what it works with is closed by the `with` round the await"""
    REFERENCE = enum.auto()
    """nothing refers to its task, and nobody sees its error"""


class OrphanedShield(Struct, frozen=True):
    """A shielded coroutine that nobody else has. `around` is the step that took the lock or resource."""

    awaited: int
    runs: str
    footing: Footing
    around: int = -1
    path: Path | None = None
    name: str = ""


class OrphanedShields:
    """Looks at the shields that are awaited where their coroutine is made."""

    def __init__(self, effects: Effects, facts_of: FactsOf) -> None:
        self._effects = effects
        self._facts_of = facts_of
        self._outcomes = Outcomes(effects)
        self._concerns = Concerns(effects, self._outcomes)

    def of(self, key: FunctionKey) -> Iterator[OrphanedShield]:
        """Yield the shields of a function that leave their coroutine alone when its waiter is cancelled."""
        for number, step in enumerate(self._effects.program.function(key).steps):
            if isinstance(step, Await) and step.kind is AwaitKind.EXPRESSION:
                for operation in self._effects.awaited(key, number):
                    if operation.shielded and operation.holder is None and not operation.gathered:
                        yield from self._of_operation(self._facts_of(key), number, operation)

    def _of_operation(self, facts: Facts, awaited: int, operation: Operation) -> Iterator[OrphanedShield]:
        if not isinstance(operation.callee, ProjectCallee) or operation.site.function != facts.key:
            return
        called = self._effects.program.function(operation.callee.key)
        if not called.is_async or not self._effects.of_operation(facts.key, operation).suspends:
            return
        runs = called.qualname
        locked = self._released(facts, awaited, operation)
        if locked is not None:
            yield OrphanedShield(awaited, runs, Footing.LOCK, locked[1], locked[0])
            return
        used = self._closed(facts, awaited, operation)
        if used is not None:
            yield OrphanedShield(awaited, runs, Footing.RESOURCE, used[1], name=used[0])
            return
        outcome = self._outcomes.of(operation.callee.key)
        if outcome.may_be_forgotten or (outcome.may_fail and self._concerns.anybody((operation.callee.key,))):
            yield OrphanedShield(awaited, runs, Footing.REFERENCE)

    def _released(self, facts: Facts, awaited: int, operation: Operation) -> tuple[Path, int] | None:
        """Return a lock of the event loop that ends with the waiter, and that the coroutine does not take.

        A semaphore limits how much is done at once; that it is a little more does no harm.
        """
        takes = {lock.path for lock in self._effects.of_operation(facts.key, operation).of_kind(Locks)}
        for lock, holding in HeldLocks(facts).at(awaited).items():
            own = holding.kind is LockKind.ASYNC and holding.surely and lock not in takes
            if own and self._ends_with_waiter(facts, holding.taken):
                return lock, holding.taken
        return None

    def _ends_with_waiter(self, facts: Facts, taken: int) -> bool:
        """Tell whether a step enters a lock that only one can have, and that is left with the `with`."""
        step = facts.function.steps[taken]
        if not isinstance(step, Await) or step.kind is not AwaitKind.ENTER:
            return False
        knowledge = self._effects.operations.knowledge
        found = options(self._effects.types.of(facts.key, step.value))
        entries = [knowledge.entry(each.cls) for each in found if isinstance(each, Instance)]
        return bool(entries) and all(
            entry is not None and entry.lock is not None and entry.permits is None for entry in entries
        )

    def _closed(self, facts: Facts, awaited: int, operation: Operation) -> tuple[str, int] | None:
        """Return a variable of a `with` that the coroutine is given, and the step that entered it."""
        callee = operation.callee
        values = (*callee.args, *(value for _, value in callee.keywords))
        given = {name for value in values for name in names_in(value)}
        if isinstance(callee.receiver, Name):
            given.add(callee.receiver.id)
        for region in facts.function.blocks[facts.block_of(awaited)].regions:
            entered = facts.function.regions[region].enter
            bound = {
                step.target.id
                for step in facts.function.steps
                if isinstance(step, Assign) and isinstance(step.target, Name) and step.value == Temp(entered)
            }
            if bound & given and facts.unwinding.race(region) is None:
                return min(bound & given), entered
        return None
