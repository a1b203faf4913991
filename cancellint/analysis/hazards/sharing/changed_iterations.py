"""Loops over a shared container that wait in between, while others add to it or remove from it."""

import enum
from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.callgraph.homes import Home, Homes
from cancellint.analysis.callgraph.tasks_of import TasksOf
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.reachability import may_follow
from cancellint.analysis.flow.facts import FactsOf
from cancellint.analysis.flow.held_locks import HeldLocks
from cancellint.analysis.program.expressions import last_name
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import Assign, Attr, Call, Delete, Expr, Item, Name, Next, Op, Temp
from cancellint.model.types import CallSite, FunctionKey, Instance

_VIEWS = frozenset({"items", "keys", "values"})
_PASSES = frozenset({"enumerate", "zip", "map", "filter", "iter"})
"""Functions that give what they are given, item by item."""
_REMOVES = frozenset({"pop", "popitem", "popleft", "remove", "discard", "clear"})
_ADDS = frozenset({"add", "append", "appendleft", "insert", "setdefault", "update", "extend"})
_KNOWN = frozenset(
    {"dict", "set", "list", "collections.deque", "collections.defaultdict", "collections.OrderedDict"}
)
_SEQUENCES = frozenset({"list"})
"""What does not mind if something is added at its end."""
_DEEPEST = Limit(4, "calls between a wait in a loop and what changes the container")
_CALLS_BACK = "add_done_callback"


class Changing(enum.IntEnum):
    """Who changes a container while a loop over it waits, the firmest first."""

    CALLED = 0
    """what the loop itself calls"""
    CALLED_BACK = 1
    """a callback of a task or future that is done"""
    REMOVES = 2
    """another task removes something"""
    ADDS = 3
    """another task adds something"""
    SELDOM = 4
    """another task, but where one of the two ends the whole, or only if two run the loop's own function"""


class ChangedIteration(Struct, frozen=True):
    """A loop whose next turn, at `at`, follows the await `awaited`, during which `changed` may run."""

    at: int
    awaited: int
    container: Expr
    home: Home
    cls: str
    changing: Changing
    changed: CallSite


class _Change(Struct, frozen=True):
    at: CallSite
    removes: bool
    by_callback: bool = False


class ChangedIterations:
    """Finds them for one coroutine at a time."""

    def __init__(self, effects: Effects, facts_of: FactsOf, tasks: TasksOf) -> None:
        self._effects = effects
        self._program = effects.program
        self._facts_of = facts_of
        self._tasks = tasks
        self._homes = Homes(effects)

    def of(self, key: FunctionKey) -> Iterator[ChangedIteration]:
        """Yield the loops of a coroutine over containers that others change meanwhile."""
        function = self._program.function(key)
        if not function.is_async:
            return
        for number, step in enumerate(function.steps):
            container = self._iterated(key, step.value) if isinstance(step, Next) else None
            home = self._homes.of(key, container) if container is not None else None
            changes = self._changes.get(home, ()) if home is not None else ()
            if container is None or not changes or home is None or home[0] == f"{key.module}#{key.function}":
                continue
            awaited = self._waits_in_turn(key, number)
            cls = self._class_of(key, container)
            if awaited is None or cls not in _KNOWN:
                continue
            found = [
                (changing, change.at)
                for change in changes
                if (changing := self._changing(key, awaited, change)) is not None
                and (change.removes or cls not in _SEQUENCES)
            ]
            if found:
                changing, at = min(found)
                yield ChangedIteration(number, awaited, container, home, cls, changing, at)

    # ----------------------------------------------------------------- the loop

    def _iterated(self, key: FunctionKey, value: Expr) -> Expr | None:
        """Return the attribute or variable that a loop goes over as it is, and not over a copy of it."""
        steps = self._program.function(key).steps
        while isinstance(value, Temp):
            match steps[value.step]:
                case Call(func=Attr(base=base, name=name), args=()) if name in _VIEWS:
                    return base if isinstance(base, Attr | Name) else None
                case Call(func=Name(id=name), args=args) if name in _PASSES and args:
                    value = args[-1] if name in ("map", "filter") else args[0]
                case _:
                    return None
        return value if isinstance(value, Attr | Name) else None

    def _waits_in_turn(self, key: FunctionKey, number: int) -> int | None:
        """Return an await, under no lock, after which the loop goes on."""
        facts = self._facts_of(key)
        waits = [
            step
            for _, step in facts.awaits()
            if may_follow(facts.flow, number, step, NORMAL) and may_follow(facts.flow, step, number, NORMAL)
        ]
        inner = facts.flow.loop_of(facts.flow.block_of(number))
        waits = [step for step in waits if inner is not None and facts.flow.block_of(step) in inner.blocks]
        held = HeldLocks(facts)
        return next((step for step in waits if not held.is_locked(step)), None)

    def _class_of(self, key: FunctionKey, container: Expr) -> str | None:
        found = [
            option.cls
            for option in options(self._effects.types.of(key, container))
            if isinstance(option, Instance)
        ]
        return found[0] if found else None

    # ----------------------------------------------------------------- who changes it

    @cached_property
    def _changes(self) -> Mapping[Home, tuple[_Change, ...]]:
        """The steps that add to a container that is kept, or remove from it, by who keeps it."""
        found: dict[Home, list[_Change]] = {}
        for key in self._program.functions():
            function = self._program.function(key)
            if function.name in ("__init__", "__post_init__", "<module>") or function.kind == "class":
                continue
            for number, step in enumerate(function.steps):
                for container, removes, by_callback in _changed(step):
                    home = self._homes.of(key, container)
                    if home is not None:
                        change = _Change(CallSite(key, number), removes, by_callback)
                        found.setdefault(home, []).append(change)
        return {home: tuple(changes) for home, changes in found.items()}

    def _changing(self, key: FunctionKey, awaited: int, change: _Change) -> Changing | None:
        """Return how a change may come while a loop waits, None if it may not."""
        changer = change.at.function
        if change.by_callback:
            return Changing.CALLED_BACK
        if changer == key:
            return None
        if self._runs(key, awaited, changer):
            return Changing.CALLED
        if not self._tasks.may_interrupt(changer, key):
            return None
        if self._is_ending(changer) or self._is_ending(key) or self._tasks.comes_only_by(changer, key):
            return Changing.SELDOM
        return Changing.REMOVES if change.removes else Changing.ADDS

    def _is_ending(self, key: FunctionKey) -> bool:
        words = self._program.function(key).name.strip("_").split("_")
        return words[0] in self._effects.conventions.cleans_up

    def _runs(self, key: FunctionKey, number: int, wanted: FunctionKey) -> bool:
        """Tell whether a step runs a function, perhaps through others."""
        waiting = [(callee, 1) for callee in self._effects.callees(key, number)]
        seen: set[FunctionKey] = set()
        while waiting:
            current, depth = waiting.pop()
            if current == wanted:
                return True
            if current in seen or _DEEPEST.is_exceeded_by(depth):
                continue
            seen.add(current)
            for inner in range(len(self._program.function(current).steps)):
                waiting.extend((callee, depth + 1) for callee in self._effects.callees(current, inner))
        return False


def _changed(step: object) -> Iterator[tuple[Expr, bool, bool]]:
    """Yield the containers that a step changes, whether it removes, and whether as a callback."""
    match step:
        case Delete(target=Item(base=base, key=index)) if not isinstance(index, Op):
            yield base, True, False
        case Assign(target=Item(base=base, key=index)) if not isinstance(index, Op):
            yield base, False, False
        case Call(func=Attr(base=base, name=name)) if name in _REMOVES or name in _ADDS:
            yield base, name in _REMOVES, False
        case Call(func=func, args=(Attr(base=base, name=name), *_)) if last_name(func) == _CALLS_BACK:
            if name in _REMOVES:
                yield base, True, True
        case _:
            pass
