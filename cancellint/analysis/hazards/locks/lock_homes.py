"""Whose lock is held where, over the whole program: by the function itself, or by all who call it."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.callgraph.exposure import Exposure
from cancellint.analysis.callgraph.function_uses import FunctionUses, Use
from cancellint.analysis.callgraph.homes import Home, Homes
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.flow.facts import FactsOf
from cancellint.analysis.flow.held_locks import HeldLocks
from cancellint.analysis.hazards.locks.lock_objects import LockObject, lock_objects, taken_at
from cancellint.analysis.hazards.locks.ways_in import WaysIn
from cancellint.analysis.library.knowledge import argument
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import Assign, Attr, Await, Call, Expr, Name
from cancellint.model.knowledge import LockKind
from cancellint.model.summary import Locks, Path
from cancellint.model.types import CallSite, FunctionKey, Instance, ProjectCallee

_DEEPEST = Limit(6, "calls through which a lock is followed that callers hold")


class Taken(Struct, frozen=True):
    """A lock as a function has taken it: who keeps it, what it is, and by which step it was taken."""

    home: Home
    step: int
    path: Path
    objects: tuple[LockObject, ...]
    surely: bool = True


class LockHomes:
    """Answers for the functions that take a lock of one kind, `takers`."""

    def __init__(
        self,
        effects: Effects,
        uses: FunctionUses,
        facts_of: FactsOf,
        exposure: Exposure,
        takers: frozenset[FunctionKey],
        kind: LockKind = LockKind.ASYNC,
    ) -> None:
        self.takers = takers
        self._kind = kind
        self.ways = WaysIn(effects, facts_of)
        self.homes = Homes(effects)
        self._effects = effects
        self._uses = uses
        self._facts_of = facts_of
        self._exposure = exposure
        self._held: dict[FunctionKey, HeldLocks] = {}
        self._taken: dict[tuple[FunctionKey, int, Path], Taken | None] = {}
        self._first: dict[Home, Home] = {}
        self._depth = 0
        self._around: dict[FunctionKey, frozenset[Home]] = {}

    def held(self, key: FunctionKey) -> HeldLocks:
        """Return the locks that a function holds, step by step."""
        if key not in self._held:
            self._held[key] = HeldLocks(self._facts_of(key))
        return self._held[key]

    def at(self, key: FunctionKey, step: int) -> Iterator[Taken]:
        """Yield the locks that a function holds when a step begins."""
        for path, holding in self.held(key).at(step).items() if key in self.takers else ():
            if holding.kind is self._kind:
                taken = self._find(key, holding.taken, path)
                if taken is not None:
                    yield Taken(taken.home, taken.step, path, taken.objects, holding.surely)

    def homes_at(self, key: FunctionKey, step: int) -> frozenset[Home]:
        """Return whose locks are surely held at a step, those that all callers hold included."""
        return self.around(key).union(each.home for each in self.at(key, step) if each.surely)

    def around(self, key: FunctionKey) -> frozenset[Home]:
        """Return whose locks everybody holds who calls a function that only the program calls."""
        if key not in self._around:
            if _DEEPEST.is_exceeded_by(self._depth):
                return frozenset()
            self._around[key] = frozenset()  # of a ring of calls nothing is known
            self._depth += 1
            self._around[key] = self._held_by_callers(key)
            self._depth -= 1
        return self._around[key]

    def of(self, key: FunctionKey, expr: Expr) -> Home | None:
        """Return who keeps a lock; of a condition, who keeps the lock that it was made with."""
        for option in options(self._effects.types.of(key, expr)):
            if isinstance(option, Instance) and option.made_at is not None:
                made = option.made_at
                step = self._effects.program.function(made.function).steps[made.step]
                entry = self._effects.operations.knowledge.entry(option.cls)
                if entry is not None and entry.guards is not None and isinstance(step, Call):
                    lock = argument(entry, entry.guards, step.args, step.keywords)
                    home = self.homes.of(made.function, lock) if lock is not None else None
                    if home is not None:
                        return self._first_home(home)
        home = self.homes.of(key, expr)
        return self._first_home(home) if home is not None else None

    def _first_home(self, home: Home) -> Home:
        """Return who keeps a lock that an object was given when it was made; of any other who keeps it."""
        if home not in self._first:
            self._first[home] = home  # of what is handed round in a ring nothing is known
            given = {self.of(key, value) for key, value in self._given_at_construction(home)}
            first = given.pop() if len(given) == 1 else None
            self._first[home] = home if first is None else first
        return self._first[home]

    def _given_at_construction(self, home: Home) -> Iterator[tuple[FunctionKey, Expr]]:
        """Yield what calls of a class give for an attribute that its constructor takes from a parameter."""
        program = self._effects.program
        if program.cls(home[0]) is None:
            return
        for init in program.methods(home[0], "__init__"):
            function = program.function(init)
            places = {each.name: number for number, each in enumerate(function.params)}
            for step in function.steps:
                match step:
                    case Assign(target=Attr(base=Name(id=own), name=name), value=Name(id=param)) if (
                        name,
                        places.get(own),
                    ) == (home[1], 0) and places.get(param, 0) > 0:
                        yield from self._given(init, home[0], places[param])
                    case _:
                        pass

    def _given(self, init: FunctionKey, cls: str, index: int) -> Iterator[tuple[FunctionKey, Expr]]:
        """Yield what the calls of a class give for a parameter of its constructor."""
        for site in self._effects.program.calls.called.get(cls.rpartition(".")[2], ()):
            for callee in self._effects.types.callees(site.function, site.step):
                if isinstance(callee, ProjectCallee) and callee.key == init:
                    value = self._effects.given(callee).get(index)
                    if value is not None:
                        yield site.function, value

    def _find(self, key: FunctionKey, step: int, path: Path) -> Taken | None:
        asked = key, step, path
        if asked not in self._taken:
            self._taken[asked] = self._taken_by(key, step, path)
        return self._taken[asked]

    def _taken_by(self, key: FunctionKey, step: int, path: Path) -> Taken | None:
        way = self.ways.of(key, step, Locks(path, self._kind))
        if way is None or self.is_wrapped(way.leaf):
            return None
        expr = way.expr or taken_at(self._effects, way.leaf.function, way.leaf.step)
        home = self.of(way.leaf.function, expr) if expr is not None else None
        if home is None or expr is None:
            return None
        objects = way.lock or tuple(lock_objects(self._effects, way.leaf.function, expr))
        return Taken(home, step, path, objects)

    def is_wrapped(self, leaf: CallSite) -> bool:
        """Tell whether a lock is taken by a class that is a lock itself: its objects are many locks."""
        name = self._effects.program.function(leaf.function).name
        return name in ("__aenter__", "__enter__", "acquire")

    def _held_by_callers(self, key: FunctionKey) -> frozenset[Home]:
        references = self._uses.of(key)
        if not references or self._exposure.is_nameable(key):
            return frozenset()
        common: frozenset[Home] | None = None
        for each in references:
            if each.use is not Use.CALLED:
                return frozenset()
            at = each.site.step
            if self._effects.program.function(key).is_async:
                at = self._uses.waiting_for(each.site)
                if at < 0 or self._is_task(each.site.function, at):
                    return frozenset()
            here = self.homes_at(each.site.function, at)
            common = here if common is None else common & here
            if not common:
                return frozenset()
        return common or frozenset()

    def _is_task(self, key: FunctionKey, await_: int) -> bool:
        step = self._effects.program.function(key).steps[await_]
        return isinstance(step, Await) and any(
            each.task and each.holder is not None for each in self._effects.awaited(key, await_)
        )

    @cached_property
    def takings(self) -> Mapping[Home, tuple[CallSite, ...]]:
        """Where each lock is taken, be it by what a step calls."""
        found: dict[Home, list[CallSite]] = {}
        for key in sorted(self.takers):
            for step, lock in self.held(key).takings():
                taken = self._find(key, step, lock.path) if lock.kind is self._kind else None
                if taken is not None:
                    found.setdefault(taken.home, []).append(CallSite(key, step))
        return {home: tuple(sites) for home, sites in found.items()}

    @cached_property
    def taken(self) -> Mapping[FunctionKey, tuple[tuple[int, Taken], ...]]:
        """What each taker holds when it waits for another lock, by the steps where it does."""
        return {key: tuple(self._waiting(key)) for key in sorted(self.takers)}

    def _waiting(self, key: FunctionKey) -> Iterator[tuple[int, Taken]]:
        facts = self._facts_of(key)
        for step in sorted(facts.effects):
            if any(lock.kind is self._kind for lock in facts.effect(step).of_kind(Locks)):
                for taken in self.at(key, step):
                    yield step, taken
