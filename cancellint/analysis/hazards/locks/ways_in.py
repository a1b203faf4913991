"""The way from a step to the place where a lock is waited for, through as many calls as it takes."""

import enum
from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effect import Effect
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import ENTRY, NORMAL
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import Decided, Halt, Outcome, PathPoint, PathSearch
from cancellint.analysis.flow.decided import known_of
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.hazards.locks.lock_objects import LockObject, lock_objects, taken_at
from cancellint.analysis.program.expressions import parts
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Const,
    Exit,
    Expr,
    Item,
    Name,
    Star,
    Temp,
)
from cancellint.model.knowledge import RaceKind
from cancellint.model.summary import Locks, Path
from cancellint.model.types import CallSite, FunctionKey, ProjectCallee

DEEPEST = Limit(12, "calls on the way to a lock")
"""Calls through which a lock is followed."""
MOST_PLACES = Limit(2_000, "places between a lock and an await under it")
"""Places of one search; what is not decided by then is taken to be possible."""


class Reach(enum.IntEnum):
    """Whether a function comes to a step of its own."""

    SURELY = 0
    """on every path that returns"""
    MAYBE = 1
    GUARDED = 2
    """a test decides it, of something that the code before has changed"""
    NEVER = 3


class WayIn(Struct, frozen=True):
    """How a step comes to wait for a lock: the calls, the outermost first, and the place where it waits."""

    hops: tuple[CallSite, ...]
    lock: tuple[LockObject, ...]
    reach: Reach
    timed: bool = False
    """it gives up after some time"""
    of_task: CallSite | None = None
    """the call whose task is waited for, where the lock is what that waits for"""
    overridden: bool = False
    """which of several methods runs is not known"""
    expr: Expr | None = None
    """the lock as written where it is waited for"""
    key: Expr | None = None
    """the key of a lock in a container, in terms of the function that the way begins in"""

    @property
    def leaf(self) -> CallSite:
        """The place where the lock is waited for."""
        return self.hops[-1]


class WaysIn:
    """Follows what a step waits for down to the lock."""

    def __init__(self, effects: Effects, facts_of: FactsOf) -> None:
        self._effects = effects
        self._facts_of = facts_of

    def of(
        self,
        key: FunctionKey,
        step: int,
        lock: Locks,
        before: tuple[int, ...] = (),
        started: Effect | None = None,
    ) -> WayIn | None:
        """Return how a step comes to wait for a lock, None where it never does.

        `before` are steps of the function that have run by then: what they change, later tests may ask.
        `started` is what the task does that the step starts, if that is what waits.
        """
        hops = [CallSite(key, step)]
        changed = set(self._changed_by(key, before))
        reach, timed, overridden = Reach.SURELY, False, False
        of_task = CallSite(key, step) if started is not None else None
        decided = self._facts_of(key).known_before(step)
        calls_made: list[ProjectCallee | None] = []
        of_one_object = [key]
        for _ in DEEPEST.rounds():
            facts = self._facts_of(key)
            effect = facts.effect(step) if started is None or len(hops) > 1 else started
            timed = timed or effect.race is not None or self._is_timed(facts, step)
            of_task = of_task or self._awaited_task(key, step)
            origin = effect.via.get(lock)
            if origin is None:
                expr = taken_at(self._effects, key, step)
                objects = tuple(lock_objects(self._effects, key, expr)) if expr is not None else ()
                outer = self._in_first_terms(expr.key, calls_made) if isinstance(expr, Item) else None
                return WayIn(tuple(hops), objects, reach, timed, of_task, overridden, expr, outer)
            callee, fact = origin
            if not isinstance(fact, Locks):
                return None
            calls = tuple(self._calls(key, step))
            overridden = overridden or len({call.key for call in calls}) > 1
            call = next((each for each in calls if each.key == callee), None)
            calls_made.append(call)
            of_one_object = [*(of_one_object if _is_of_itself(facts, call) else ()), callee]
            if not self._may_be_of_one_object(of_one_object):
                return None
            decided = self._passed(facts, callee, call, decided)
            step, here = self._reach(callee, fact, decided, frozenset(changed))
            if here is Reach.NEVER or CallSite(callee, step) in hops:
                return None
            reach = max(reach, here)
            changed.update(self._changed(callee))
            hops.append(CallSite(callee, step))
            key, lock = callee, fact
        return None

    def _may_be_of_one_object(self, methods: list[FunctionKey]) -> bool:
        """Tell whether some class of the project has all of these methods, one of a sibling none of them."""
        program = self._effects.program
        classes = {cls for cls in map(program.class_of, methods) if cls is not None}
        return len(classes) < 2 or any(
            all(each == heir or program.inherits(heir, each) for each in classes)
            for cls in classes
            for heir in (cls, *program.descendants(cls))
        )

    def _in_first_terms(self, value: Expr, calls: list[ProjectCallee | None]) -> Expr | None:
        """Return a callee's parameter as the outermost caller has given it, None for anything else."""
        for call in reversed(calls):
            if call is None or not isinstance(value, Name):
                return None
            params = self._effects.program.function(call.key).params
            index = next((number for number, each in enumerate(params) if each.name == value.id), None)
            given = self._effects.given(call).get(index) if index is not None else None
            if given is None:
                return None
            value = given
        return value

    def _changed_by(self, key: FunctionKey, steps: tuple[int, ...]) -> Iterator[str]:
        """Yield what a function changes, and what those change that some of its steps call."""
        if steps:
            yield from self._changed(key)
        for step in steps:
            for callee, _ in self._facts_of(key).effect(step).via.values():
                yield from self._changed(callee)

    def _calls(self, key: FunctionKey, step: int) -> Iterator[ProjectCallee]:
        """Yield what a step runs of the project's own."""
        effects = self._effects
        match effects.program.function(key).steps[step]:
            case Call():
                callees = effects.implemented(effects.types.callees(key, step))
                yield from (each for each in callees if isinstance(each, ProjectCallee))
            case Await(kind=AwaitKind.EXPRESSION | AwaitKind.YIELD_FROM):
                operations = effects.awaited(key, step)
                callees = effects.implemented(tuple(each.callee for each in operations))
                yield from (each for each in callees if isinstance(each, ProjectCallee))
            case Await(kind=kind, value=value) if kind is not AwaitKind.EXIT:
                callees = tuple(effects.implicit_callees(key, value, kind))
                yield from (each for each in callees if isinstance(each, ProjectCallee))
            case _:
                return

    def _awaited_task(self, key: FunctionKey, step: int) -> CallSite | None:
        """Return the call whose task, started before, an await waits for."""
        for operation in self._effects.awaited(key, step):
            made_for_it = operation.gathered and operation.site.function == key
            if operation.task and operation.holder is not None and not made_for_it:
                return operation.site
        return None

    def _is_timed(self, facts: Facts, step: int) -> bool:
        regions = facts.function.blocks[facts.block_of(step)].regions
        races = (facts.unwinding.race(region) for region in regions)
        return any(race is not None and race[0] is not RaceKind.SCOPE for race in races)

    def _passed(
        self, facts: Facts, callee: FunctionKey, call: ProjectCallee | None, decided: Decided
    ) -> Decided:
        """Return what a callee's parameters, and attributes of an object they share, are known to be."""
        if call is None:
            return ()
        function = self._effects.program.function(callee)
        given = self._effects.given(call)
        is_open = any(isinstance(each, Star) for each in call.args) or any(
            name is None for name, _ in call.keywords
        )
        found: list[tuple[str, object]] = []
        for index, param in enumerate(function.params):
            if index in given:
                value = known_of(facts.frame, given[index], decided)
            else:
                value = param.default if isinstance(param.default, Const) and not is_open else None
            if value is not None:
                found.append((param.name, value))
        if call.receiver is not None and facts.frame.path(call.receiver) == Path("param:0"):
            found.extend((str(place), fact) for place, fact in decided if str(place).startswith("param:0."))
        return tuple(sorted(found, key=lambda pair: pair[0]))

    def _reach(
        self, key: FunctionKey, lock: Locks, decided: Decided, changed: frozenset[str]
    ) -> tuple[int, Reach]:
        """Return the step of a function at which it waits for a lock, and whether it comes there."""
        facts = self._facts_of(key)
        steps = [
            step
            for step, effect in facts.effects.items()
            if lock in effect.of_kind(Locks) and not _is_exit(facts, step)
        ]
        sure = [step for step in steps if facts.before_return.dominates(facts.block_of(step), ENTRY)]
        if sure:
            return sure[0], Reach.SURELY
        found = self._first_reached(facts, frozenset(steps), decided)
        if found is None:
            return (steps or [0])[0], Reach.NEVER
        if self._comes_there(facts, frozenset(steps), decided):
            return found, Reach.SURELY
        asked = frozenset(self._asked_before(facts, found, lock))
        if _LOCKED in asked:
            return found, Reach.NEVER
        return found, Reach.GUARDED if asked & changed else Reach.MAYBE

    def _first_reached(self, facts: Facts, steps: frozenset[int], decided: Decided) -> int | None:
        def passed(_here: PathPoint[tuple[()]], step: int) -> tuple[()] | Halt:
            return Halt.FOUND if step in steps else ()

        search = PathSearch(facts.flow, passed, tests=facts.tests, cap=MOST_PLACES)
        found = search.run([PathPoint(ENTRY, (), decided=decided)])
        return min(steps, default=None) if found.outcome is Outcome.UNKNOWN else found.step

    def _comes_there(self, facts: Facts, steps: frozenset[int], decided: Decided) -> bool:
        """Tell whether no path that returns, of those that are possible, is without one of some steps."""

        def passed(_here: PathPoint[tuple[()]], step: int) -> tuple[()] | Halt:
            return Halt.STOP if step in steps else ()

        search = PathSearch(facts.flow, passed, taken=NORMAL, tests=facts.tests, cap=MOST_PLACES)
        found = search.run([PathPoint(ENTRY, (), decided=decided)])
        return found.outcome is Outcome.DONE and not found.ends

    def _asked_before(self, facts: Facts, step: int, lock: Locks) -> Iterator[str]:
        """Yield the names that tests ask of before a step; `_LOCKED` if that is the lock itself."""
        goal = facts.block_of(step)
        for number, block in enumerate(facts.flow.blocks):
            if block.test is not None and number != goal and facts.flow.dominance.dominates(number, goal):
                yield from self._names_asked(facts, block.test, lock)

    def _names_asked(self, facts: Facts, test: Expr, lock: Locks) -> Iterator[str]:
        for part in parts(test):
            match part:
                case Attr(name=name):
                    yield name
                case Name(id=name) if facts.frame.outlives(name):
                    yield name
                case Temp(step=step):
                    asked = facts.function.steps[step]
                    if isinstance(asked, Call) and isinstance(asked.func, Attr):
                        if facts.frame.path(asked.func.base) == lock.path:
                            yield _LOCKED
                        yield from self._names_asked(facts, asked.func.base, lock)
                case _:
                    pass

    def _changed(self, key: FunctionKey) -> Iterator[str]:
        """Yield the names of attributes and globals that a function assigns, or calls a method of."""
        function = self._effects.program.function(key)
        for step in function.steps:
            match step:
                case Assign(target=Attr(name=name)):
                    yield name
                case Assign(target=Item(base=Attr(name=name))) | Call(func=Attr(base=Attr(name=name))):
                    yield name
                case Assign(target=Name(id=name)) | Call(func=Attr(base=Name(id=name))):
                    yield name
                case _:
                    pass


_LOCKED = "locked()"


def _is_exit(facts: Facts, step: int) -> bool:
    """Tell whether a step leaves a `with`: what its context manager does, it has done on entering."""
    match facts.function.steps[step]:
        case Exit() | Await(kind=AwaitKind.EXIT):
            return True
        case _:
            return False


def _is_of_itself(facts: Facts, call: ProjectCallee | None) -> bool:
    """Tell whether a method calls one of the same object."""
    receiver = call.receiver if call is not None else None
    return receiver is not None and facts.frame.path(receiver) == Path("param:0")
