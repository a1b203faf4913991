"""Locks of threads that are held across an await, and who on the same event loop would block on them."""

from cancellint.analysis.callgraph.tasks_of import TasksOf
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.flow.held_locks import HeldAcross
from cancellint.analysis.hazards.locks.lock_homes import LockHomes
from cancellint.analysis.hazards.locks.lock_objects import lock_objects, taken_at
from cancellint.model.finding import Confidence
from cancellint.model.ir import Assign
from cancellint.model.knowledge import LockKind
from cancellint.model.summary import Locks
from cancellint.model.types import CallSite, FunctionKey


class ThreadLocks:
    """Judges what is held by who else takes it."""

    def __init__(self, effects: Effects, locks: LockHomes, tasks: TasksOf, facts_of: FactsOf) -> None:
        self._effects = effects
        self._locks = locks
        self._tasks = tasks
        self._facts_of = facts_of

    def confidence(self, key: FunctionKey, held: HeldAcross) -> Confidence | None:
        """Return how firmly it stands that somebody blocks the loop on a lock; None if nobody ever does."""
        facts = self._facts_of(key)
        home = next((each.home for each in self._locks.at(key, held.awaited) if each.path == held.lock), None)
        if home is None:
            return Confidence.CERTAIN
        takings = self._locks.takings.get(home, ())
        blocking = tuple(site for site in takings if self._blocks(site))
        if not blocking:
            return None
        if self._is_fresh(facts, held) or self._lets_its_thread_in(key, held):
            return Confidence.POSSIBLE
        if any(self._meets(key, site) for site in blocking):
            return Confidence.CERTAIN
        return Confidence.POSSIBLE

    def _lets_its_thread_in(self, key: FunctionKey, held: HeldAcross) -> bool:
        """Tell whether whoever holds a lock may take it again: the thread of the loop does not block."""
        taken = taken_at(self._effects, key, held.taken)
        found = tuple(lock_objects(self._effects, key, taken)) if taken is not None else ()
        return bool(found) and all(each.reenters == "enters" for each in found)

    def _meets(self, key: FunctionKey, site: CallSite) -> bool:
        """Tell whether a taking may come to its turn while a function is suspended."""
        if site.function == key:
            return self._tasks.may_meet_itself(key)
        if not self._effects.program.function(site.function).is_async and not self._tasks.may_meet_itself(
            key
        ):
            return False  # the loop's thread runs nothing else; whoever calls it does so in another one
        return self._tasks.may_overlap(key, site.function)

    def _blocks(self, site: CallSite) -> bool:
        """Tell whether a step takes a lock of threads and waits until it gets it."""
        effect = self._facts_of(site.function).effect(site.step)
        return any(lock.kind is LockKind.THREAD for lock in effect.of_kind(Locks))

    def _is_fresh(self, facts: Facts, held: HeldAcross) -> bool:
        """Tell whether the function itself has just made the lock: others get to know it only now."""
        flow = facts.flow
        return bool(held.lock.fields) and any(
            isinstance(step, Assign)
            and facts.frame.path(step.target) == held.lock
            and flow.dominance.dominates(flow.block_of(number), flow.block_of(held.taken))
            for number, step in enumerate(facts.function.steps)
        )
