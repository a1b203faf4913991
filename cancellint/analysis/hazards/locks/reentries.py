"""Locks of an event loop that are waited for while they are held: nobody will ever release them."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effect import NO_EFFECT, Effect
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.path_search import Halt, Outcome, PathPoint, PathSearch
from cancellint.analysis.engine.reachability import may_follow
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.flow.held_locks import Held, HeldLocks, Holding
from cancellint.analysis.hazards.locks.lock_homes import LockHomes
from cancellint.analysis.hazards.locks.lock_objects import LockObject, taken_at
from cancellint.analysis.hazards.locks.ways_in import MOST_PLACES, Reach, WayIn, WaysIn
from cancellint.model.finding import Confidence, weakest
from cancellint.model.ir import Assign, Await, AwaitKind, Call, Enter, Exit, Item, Name, Next
from cancellint.model.knowledge import LockKind, RaceKind, Role
from cancellint.model.summary import Locks, Path, Releases
from cancellint.model.types import FunctionKey


class Reentry(Struct, frozen=True):
    """A step that waits for a lock which its own function holds."""

    step: int
    taken: int
    lock: Path
    way: WayIn
    what: LockObject
    confidence: Confidence


class Reentries:
    """Looks at what is held where a function waits."""

    def __init__(self, effects: Effects, homes: LockHomes, facts_of: FactsOf) -> None:
        self._effects = effects
        self._facts_of = facts_of
        self._ways = WaysIn(effects, facts_of)
        self._homes = homes

    def of(self, key: FunctionKey) -> Iterator[Reentry]:
        """Yield the steps at which a function waits for a lock that it holds, one per taking."""
        facts = self._facts_of(key)
        held = HeldLocks(facts)
        told: set[int] = set()
        for step in sorted(facts.effects):
            if _leaves(facts, step):
                continue
            for lock in facts.effect(step).of_kind(Locks):
                here = held.at(step)
                holding = here.get(lock.path)
                if lock.kind is not LockKind.ASYNC or (
                    holding is not None and holding.taken in (step, *told)
                ):
                    continue
                if holding is None:
                    found = self._by_other_name(facts, step, lock, here) if here else None
                else:
                    found = self._reentry(facts, step, lock, holding)
                if found is not None and found.taken not in told:
                    told.add(found.taken)
                    yield found
        for found in self._of_started(facts, held):
            if found.taken not in told:
                told.add(found.taken)
                yield found

    def _of_started(self, facts: Facts, held: HeldLocks) -> Iterator[Reentry]:
        """Yield the tasks that need a lock while the group they are started in is waited for under it."""
        for step, node in enumerate(facts.function.steps):
            if not isinstance(node, Call) or not held.at(step):
                continue
            around = [
                held.at(facts.function.regions[region].enter)
                for region in facts.function.blocks[facts.block_of(step)].regions
                if (race := facts.unwinding.race(region)) is not None and race[0] is RaceKind.SCOPE
            ]
            effect = self._effects.of_started(facts.key, step) if any(around) else NO_EFFECT
            for lock in effect.of_kind(Locks):
                holding = next((each[lock.path] for each in around if lock.path in each), None)
                if holding is not None and lock.kind is LockKind.ASYNC:
                    found = self._reentry(facts, step, lock, holding, effect)
                    if found is not None:
                        yield found

    def _reentry(
        self, facts: Facts, step: int, lock: Locks, holding: Holding, started: Effect | None = None
    ) -> Reentry | None:
        way = self._ways.of(facts.key, step, lock, (holding.taken,), started)
        if way is None or not way.lock or any(each.reenters == "enters" for each in way.lock):
            return None
        if not self._is_same(facts, step, lock.path, holding.taken, way):
            return None
        if not self._is_held_on_a_path(facts, lock.path, holding, step):
            return None
        if self._is_cancelled(facts, way) or not _gives_back(facts, holding.taken, lock.path, step):
            return None
        if _is_own(lock.path) and not any(_blocks_alone(each) for each in way.lock):
            return None  # no second holder comes this way
        if not any(_blocks_alone(each) for each in way.lock) and self._by_hand(facts, holding.taken, way):
            return None  # permits that are counted, not a lock
        most = max(way.lock, key=lambda each: -1 if each.permits is None else -each.permits)
        return Reentry(step, holding.taken, lock.path, way, most, _confidence(way, holding, most))

    def _by_hand(self, facts: Facts, taken: int, way: WayIn) -> bool:
        """Tell whether both takings are calls, and no `with`."""
        leaf = self._facts_of(way.leaf.function).function.steps[way.leaf.step]
        both = (facts.function.steps[taken], leaf)
        return all(isinstance(each, Await) and each.kind is AwaitKind.EXPRESSION for each in both)

    def _by_other_name(self, facts: Facts, step: int, lock: Locks, held: Held) -> Reentry | None:
        """Return a wait for a lock that is held by another name: it was handed to a part of `self`."""
        if lock.path.root != "param:0" or len(lock.path.fields) < 2:
            return None
        for path, holding in held.items():
            first = taken_at(self._effects, facts.key, holding.taken)
            if holding.kind is not LockKind.ASYNC or path.root != "param:0" or first is None:
                continue
            way = self._ways.of(facts.key, step, lock, (holding.taken,))
            if way is None or way.expr is None or not way.lock or holding.taken == step:
                continue
            leaf = way.leaf.function
            own, other = self._homes.homes.of(facts.key, first), self._homes.homes.of(leaf, way.expr)
            if own is None or own == other or self._homes.of(leaf, way.expr) != own:
                continue  # the same attribute of another object has a lock of its own
            if holding.surely and _blocks_alone(way.lock[0]) and not self._is_cancelled(facts, way):
                confidence = weakest(Confidence.LIKELY, _confidence(way, holding, way.lock[0]))
                return Reentry(step, holding.taken, path, way, way.lock[0], confidence)
        return None

    def _is_same(self, facts: Facts, step: int, lock: Path, taken: int, way: WayIn) -> bool:
        """Tell whether a path means the same object at both places."""
        if "[]" in lock.fields and not self._is_same_key(facts, taken, way):
            return False
        if len(set(lock.fields)) < len(lock.fields) or self._is_assigned(facts, lock):
            return False
        kind, _, made = lock.root.partition(":")
        return kind != "temp" or not self._made_again(facts, int(made), taken, step)

    def _is_same_key(self, facts: Facts, taken: int, way: WayIn) -> bool:
        """Tell whether a container is asked with one key, that of a variable which is bound only once."""
        first = taken_at(self._effects, facts.key, taken)
        if not isinstance(first, Item) or first.key != way.key or not isinstance(way.key, Name):
            return False
        name = way.key.id
        if any(isinstance(each, Assign) and each.target == way.key for each in facts.function.steps):
            bound = facts.frame.value_of(name)
            return bound is not None and isinstance(bound, Name)
        return name in facts.frame.params

    def _is_assigned(self, facts: Facts, lock: Path) -> bool:
        """Tell whether the function gives the variable or attribute another lock."""
        return any(
            isinstance(each, Assign) and facts.frame.path(each.target) == lock and bool(lock.fields)
            for each in facts.function.steps
        )

    def _made_again(self, facts: Facts, made: int, taken: int, step: int) -> bool:
        """Tell whether what makes an object may run between two steps, so that it is another one."""
        between = (each for each in (made,) if may_follow(facts.flow, taken, each))
        return any(may_follow(facts.flow, each, step) and each not in (taken, step) for each in between)

    def _is_held_on_a_path(self, facts: Facts, lock: Path, holding: Holding, step: int) -> bool:
        """Tell whether some possible path leads from the taking to a step with the lock in hand."""
        if holding.surely:
            return True

        def passed(_here: PathPoint[tuple[()]], at: int) -> tuple[()] | Halt:
            if at == step:
                return Halt.FOUND
            return Halt.STOP if lock in facts.effect(at).paths(Releases) or at == holding.taken else ()

        known = facts.known_before(holding.taken)
        start = PathPoint(facts.block_of(holding.taken), (), holding.taken + 1, known)
        search = PathSearch(facts.flow, passed, tests=facts.tests, cap=MOST_PLACES)
        return search.run([start]).outcome is Outcome.FOUND

    def _is_cancelled(self, facts: Facts, way: WayIn) -> bool:
        """Tell whether what is waited for is a task that the function has cancelled: it gives up the lock."""
        if way.of_task is None:
            return False
        return any(
            isinstance(each, Call) and self._cancels(facts.key, number)
            for number, each in enumerate(facts.function.steps)
        )

    def _cancels(self, key: FunctionKey, call: int) -> bool:
        return any(
            known is not None and Role.CANCELS in known.entry.roles
            for known in map(self._effects.operations.known, self._effects.types.callees(key, call))
        )


def _gives_back(facts: Facts, taken: int, lock: Path, step: int) -> bool:
    """Tell whether what a function takes is given back: what only others release is a signal, no lock.

    A generator that holds it at its `yield` does so in the body of the loop over it.
    """
    match facts.function.steps[taken]:
        case Enter() | Await(kind=AwaitKind.ENTER):
            return True
        case Next() | Await(kind=AwaitKind.NEXT):
            loop = facts.flow.loop_of(facts.block_of(taken))
            return loop is not None and facts.block_of(step) in loop.blocks
        case _:
            return any(lock in effect.paths(Releases) for effect in facts.effects.values())


def _is_own(lock: Path) -> bool:
    """Tell whether a lock is one of the function's own, new each time."""
    return not lock.is_visible_to_callers


def _blocks_alone(lock: LockObject) -> bool:
    """Tell whether one holder is enough to keep everybody out."""
    return lock.permits == 1 or lock.reenters == "raises"


def _leaves(facts: Facts, step: int) -> bool:
    match facts.function.steps[step]:
        case Exit() | Await(kind=AwaitKind.EXIT):
            return True
        case _:
            return False


def _confidence(way: WayIn, holding: Holding, lock: LockObject) -> Confidence:
    if way.reach is Reach.GUARDED:
        return Confidence.POSSIBLE
    is_sure = way.reach is Reach.SURELY and not (way.overridden or way.timed or way.of_task)
    return Confidence.CERTAIN if is_sure and _blocks_alone(lock) and holding.surely else Confidence.LIKELY
