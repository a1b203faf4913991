"""Two locks that are taken in both orders, by tasks that may run at once: each gets one of them."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.callgraph.homes import Home
from cancellint.analysis.callgraph.tasks_of import TasksOf
from cancellint.analysis.flow.facts import FactsOf
from cancellint.analysis.hazards.locks.lock_homes import LockHomes, Taken
from cancellint.analysis.hazards.locks.ways_in import Reach, WayIn
from cancellint.model.finding import Confidence
from cancellint.model.knowledge import LockKind
from cancellint.model.summary import Locks
from cancellint.model.types import FunctionKey


class Nested(Struct, frozen=True):
    """A function holds one lock and comes to wait for another one."""

    key: FunctionKey
    outer: Taken
    step: int
    inner: Locks
    home: Home
    """who keeps the inner lock"""
    way: WayIn
    around: frozenset[Home]
    """whose locks are held when the outer one is taken"""


class Inversion(Struct, frozen=True):
    """Two locks are taken in one order here, and in the other one there."""

    here: Nested
    there: Nested
    confidence: Confidence


class LockOrders:
    """Compares the orders over the whole program."""

    def __init__(self, locks: LockHomes, tasks: TasksOf, facts_of: FactsOf) -> None:
        self._locks = locks
        self._tasks = tasks
        self._facts_of = facts_of

    def of(self, key: FunctionKey) -> Iterator[Inversion]:
        """Yield the inversions that are told of a function: each pair of locks is told once."""
        yield from self._all.get(key, ())

    @cached_property
    def _all(self) -> Mapping[FunctionKey, tuple[Inversion, ...]]:
        found: dict[FunctionKey, list[Inversion]] = {}
        pairs = self._pairs
        for (outer, inner), nested in pairs.items():
            if outer < inner and (inner, outer) in pairs:
                inversion = next(self._inversions(nested, pairs[inner, outer]), None)
                if inversion is not None:
                    found.setdefault(inversion.here.key, []).append(inversion)
        return {key: tuple(each) for key, each in found.items()}

    def _inversions(self, nested: list[Nested], others: list[Nested]) -> Iterator[Inversion]:
        for here in nested:
            for there in others:
                if here.around & there.around or not self._tasks.may_overlap(here.key, there.key):
                    continue
                yield Inversion(here, there, _confidence(here, there))

    @cached_property
    def _pairs(self) -> Mapping[tuple[Home, Home], list[Nested]]:
        found: dict[tuple[Home, Home], list[Nested]] = {}
        for key, waits in self._locks.taken.items():
            for step, outer in waits:
                for nested in self._nested(key, step, outer):
                    found.setdefault((outer.home, nested.home), []).append(nested)
        return found

    def _nested(self, key: FunctionKey, step: int, outer: Taken) -> Iterator[Nested]:
        if step == outer.step or not _excludes(outer):
            return
        for inner in self._facts_of(key).effect(step).of_kind(Locks):
            if inner.kind is not LockKind.ASYNC or inner.path == outer.path:
                continue
            way = self._locks.ways.of(key, step, inner, (outer.step,))
            if way is None or way.expr is None or self._locks.is_wrapped(way.leaf):
                continue
            if any(each.permits != 1 for each in way.lock):
                continue
            home = self._locks.of(way.leaf.function, way.expr)
            if home is not None and home != outer.home and not way.timed:
                around = self._locks.homes_at(key, outer.step)
                yield Nested(key, outer, step, inner, home, way, around)


def _excludes(taken: Taken) -> bool:
    return bool(taken.objects) and all(each.permits == 1 for each in taken.objects)


def _confidence(here: Nested, there: Nested) -> Confidence:
    """Return how firmly it stands that the two meet: two objects of a class have locks of their own."""
    weak = any(
        each.way.reach is Reach.GUARDED or each.home[1].endswith("[]") or each.outer.home[1].endswith("[]")
        for each in (here, there)
    )
    return Confidence.POSSIBLE if weak else Confidence.LIKELY
