"""Wake-ups that come while nobody waits and are forgotten, or before what they announce is there."""

import enum
from collections.abc import Iterable, Iterator
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.callgraph.function_uses import FunctionUses
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.path_search import Halt, Outcome, PathPoint, PathSearch
from cancellint.analysis.engine.reachability import behind, may_follow
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.hazards.channels.objects import Meant, Objects
from cancellint.analysis.memory.values import read_by
from cancellint.analysis.program.expressions import parts
from cancellint.model.ir import Assign, Attr, Await, AwaitKind, Call, Const, Delete, Expr, Item, Name, Step
from cancellint.model.types import CallSite, FunctionKey

_EVENTS = frozenset({"asyncio.Event", "anyio.Event", "trio.Event"})
_CONDITIONS = frozenset({"asyncio.Condition", "anyio.Condition", "trio.Condition"})


class Losing(enum.Enum):
    """How a wake-up gets lost."""

    CLEARED = enum.auto()
    """the event is cleared after an await that follows the wait: what was set meanwhile is forgotten"""
    EARLY = enum.auto()
    """the event is set, and what it announces is there only after an await"""
    UNCHECKED = enum.auto()
    """a condition is waited for, and what it stands for is not asked again"""


class LostWakeup(Struct, frozen=True):
    """`at` is the step to be mended; `awaited` the await meanwhile, `other` the step at the other end."""

    how: Losing
    at: int
    signal: Expr
    awaited: int
    other: CallSite
    announced: str = ""
    """the attribute that the one who wakes has changed; empty where the wake-up alone is the message"""
    is_taken: bool = False
    """of a condition: what is there is taken after the wait, and may be gone"""


class LostWakeups:
    """Finds them for one function at a time."""

    def __init__(self, effects: Effects, uses: FunctionUses, facts_of: FactsOf) -> None:
        self._effects = effects
        self._program = effects.program
        self._facts_of = facts_of
        self._objects = Objects(effects, uses)

    def of(self, key: FunctionKey) -> Iterator[LostWakeup]:
        """Yield the wake-ups that a coroutine loses, or gives too early."""
        if not self._program.function(key).is_async:
            return
        if key in self._clearing:
            yield from self._cleared(key)
        if key in self._setting:
            yield from self._early(key)
        if key in self._waiting:
            yield from self._unchecked(key)

    @cached_property
    def _clearing(self) -> frozenset[FunctionKey]:
        return self._program.calls.functions_with(("clear",)) & self._waiting

    @cached_property
    def _setting(self) -> frozenset[FunctionKey]:
        return self._program.calls.functions_with(("set",))

    @cached_property
    def _waiting(self) -> frozenset[FunctionKey]:
        return self._program.calls.functions_with(("wait",))

    # ----------------------------------------------------------------- cleared too late

    def _cleared(self, key: FunctionKey) -> Iterator[LostWakeup]:
        """Yield the waits of a loop whose event is cleared only when something else has been waited for."""
        facts = self._facts_of(key)
        for cleared, event in self._calls(key, "clear", _EVENTS):
            meant = self._objects.meant(key, event)
            waits = [at for at, each in self._waits(key, _EVENTS) if self._is_among(meant, key, each)]
            setters = self._setters(meant, key)
            if not waits or not setters:
                continue
            announced = frozenset(name for each in setters for name in self._changed(each.function))
            for wait in waits:
                meanwhile = self._between(facts, wait, cleared, announced)
                if meanwhile is None or not self._waits_again_blindly(facts, cleared, wait, announced):
                    continue
                seen = sorted(announced & self._read_after(facts, wait))
                yield LostWakeup(
                    Losing.CLEARED, cleared, event, meanwhile, setters[0], seen[0] if seen else ""
                )
                break

    def _between(self, facts: Facts, wait: int, cleared: int, announced: frozenset[str]) -> int | None:
        """Return the last await between a wait and the clearing, after which nothing looks what has come."""
        for _, awaited in facts.awaits():
            if awaited == wait or not self._leads(facts, wait, awaited, (cleared,), frozenset()):
                continue
            if self._leads(facts, awaited, cleared, (wait,), announced):
                return awaited
        return None

    def _waits_again_blindly(self, facts: Facts, cleared: int, wait: int, announced: frozenset[str]) -> bool:
        return self._leads(facts, cleared, wait, (), announced)

    def _leads(
        self, facts: Facts, start: int, goal: int, past: tuple[int, ...], announced: frozenset[str]
    ) -> bool:
        """Tell whether some path leads from behind a step to another one, and reads nothing announced."""

        def passed(here: PathPoint[tuple[()]], step: int) -> tuple[()] | Halt:
            if step == goal:
                return Halt.FOUND
            return Halt.STOP if step in past or self._looks(facts, step, announced) else ()

        def onward(here: PathPoint[tuple[()]], edge: object) -> tuple[()] | None:
            test = facts.flow.blocks[here.block].test
            read = _attributes(() if test is None else (test,))
            return () if announced.isdisjoint(read) else None

        found = PathSearch(facts.flow, passed, onward, taken=NORMAL).run([behind(facts.flow, start)])
        return found.outcome is Outcome.FOUND

    def _looks(self, facts: Facts, number: int, announced: frozenset[str]) -> bool:
        """Tell whether a step reads something announced, itself or in what it calls."""
        return bool(announced) and not announced.isdisjoint(self._read_at(facts, number))

    def _read_at(self, facts: Facts, number: int) -> frozenset[str]:
        """Return the names of the attributes that a step reads, itself or in what it calls."""
        found = set(_attributes(_used(facts.function.steps[number])))
        for callee in self._effects.callees(facts.key, number):
            function = self._program.function(callee)
            found.update(name for step in function.steps for name in _attributes(_used(step)))
            found.update(_attributes(block.test for block in function.blocks if block.test is not None))
        return frozenset(found)

    def _read_after(self, facts: Facts, wait: int) -> frozenset[str]:
        """Return the names of the attributes that a coroutine may read once a wait is over."""
        return frozenset(
            name
            for number in range(len(facts.function.steps))
            if may_follow(facts.flow, wait, number, NORMAL)
            for name in self._read_at(facts, number)
        )

    # ----------------------------------------------------------------- set too early

    def _early(self, key: FunctionKey) -> Iterator[LostWakeup]:
        """Yield the events that are set before what their waiters read has been written."""
        facts = self._facts_of(key)
        for at, event in self._calls(key, "set", _EVENTS):
            meant = self._objects.meant(key, event)
            for number, name in self._announced_late(facts, at, _holder(event)):
                meanwhile = self._wait_between(facts, at, number)
                reader = self._reader(meant, name, key) if meanwhile is not None else None
                if meanwhile is not None and reader is not None:
                    yield LostWakeup(Losing.EARLY, at, event, meanwhile, reader, name)
                    break

    def _announced_late(self, facts: Facts, at: int, own: Expr) -> Iterator[tuple[int, str]]:
        """Yield the attributes of an object that are written, by nobody else, only after an event is set."""
        written = [
            (number, step.target.name)
            for number, step in enumerate(facts.function.steps)
            if isinstance(step, Assign)
            and not step.op
            and isinstance(step.target, Attr)
            and step.target.base == own
            and not isinstance(step.value, Const)
        ]
        before = {name for number, name in written if may_follow(facts.flow, number, at, NORMAL)}
        for number, name in written:
            if name not in before and not self._is_written_elsewhere(facts.key, name):
                yield number, name

    def _wait_between(self, facts: Facts, first: int, later: int) -> int | None:
        """Return an await that may suspend between two steps."""
        for _, awaited in facts.awaits():
            if may_follow(facts.flow, first, awaited, NORMAL) and may_follow(
                facts.flow, awaited, later, NORMAL
            ):
                return awaited
        return None

    def _is_written_elsewhere(self, key: FunctionKey, name: str) -> bool:
        """Tell whether other methods give an attribute a value, so that it may have one before."""
        cls = self._program.class_of(key)
        return any(
            isinstance(step, Assign)
            and isinstance(step.target, Attr)
            and step.target.name == name
            and not isinstance(step.value, Const)
            for other in self._program.functions()
            if other != key and self._program.class_of(other) == cls
            for step in self._program.function(other).steps
        )

    def _reader(self, meant: Meant, name: str, key: FunctionKey) -> CallSite | None:
        """Return a read of an attribute by somebody who has waited for the event."""
        for wait, event, waited_for in self._all_waits:
            reader = wait.function
            if reader == key or meant.isdisjoint(waited_for):
                continue
            flow, wanted = self._program.flow(reader), Attr(_holder(event), name)
            for number, step in enumerate(self._program.function(reader).steps):
                reads = any(wanted in parts(expr) for expr in _used(step))
                if reads and flow.dominance.dominates(flow.block_of(wait.step), flow.block_of(number)):
                    return CallSite(reader, number)
        return None

    # ----------------------------------------------------------------- not asked again

    def _unchecked(self, key: FunctionKey) -> Iterator[LostWakeup]:
        """Yield the waits for a condition after which nothing asks again what it stands for."""
        facts = self._facts_of(key)
        for wait, condition in self._waits(key, _CONDITIONS):
            block = facts.flow.block_of(wait)
            if may_follow(facts.flow, wait, wait, NORMAL):
                continue  # whoever was woken comes round, asks, and waits again
            tested = {
                part.name
                for number, each in enumerate(facts.function.blocks)
                if each.test is not None and facts.flow.dominance.dominates(number, block)
                for part in parts(each.test)
                if isinstance(part, Attr)
            }
            taken = [
                number
                for number, step in enumerate(facts.function.steps)
                if may_follow(facts.flow, wait, number, NORMAL) and _takes(step, tested)
            ]
            other = CallSite(key, taken[0] if taken else wait)
            yield LostWakeup(Losing.UNCHECKED, wait, condition, wait, other, is_taken=bool(taken))

    # ----------------------------------------------------------------- signals

    def _calls(self, key: FunctionKey, method: str, classes: frozenset[str]) -> Iterator[tuple[int, Expr]]:
        for number, step in enumerate(self._program.function(key).steps):
            match step:
                case Call(func=Attr(base=base, name=name)) if name == method:
                    if self._objects.is_of(key, base, lambda cls: self._is_one(cls, classes)):
                        yield number, base
                case _:
                    pass

    def _is_among(self, meant: Meant, key: FunctionKey, signal: Expr) -> bool:
        return not meant.isdisjoint(self._objects.meant(key, signal))

    def _is_one(self, cls: str, classes: frozenset[str]) -> bool:
        return self._effects.operations.knowledge.canonical(cls) in classes

    def _waits(self, key: FunctionKey, classes: frozenset[str]) -> Iterator[tuple[int, Expr]]:
        """Yield the awaits that wait for a signal, be it with a time limit, and the signal."""
        calls = dict(self._calls(key, "wait", classes))
        for number, step in enumerate(self._program.function(key).steps if calls else ()):
            if isinstance(step, Await) and step.kind is AwaitKind.EXPRESSION:
                for operation in self._effects.awaited(key, number):
                    if operation.site.function == key and operation.site.step in calls:
                        yield number, calls[operation.site.step]

    def _setters(self, meant: Meant, key: FunctionKey) -> list[CallSite]:
        """Return where others set an event."""
        return [at for at, set_ in self._all_sets if at.function != key and not meant.isdisjoint(set_)]

    @cached_property
    def _all_sets(self) -> tuple[tuple[CallSite, Meant], ...]:
        return tuple(
            (CallSite(key, number), self._objects.meant(key, event))
            for key in sorted(self._setting)
            for number, event in self._calls(key, "set", _EVENTS)
        )

    @cached_property
    def _all_waits(self) -> tuple[tuple[CallSite, Expr, Meant], ...]:
        return tuple(
            (CallSite(key, number), event, self._objects.meant(key, event))
            for key in sorted(self._waiting)
            for number, event in self._waits(key, _EVENTS)
        )

    def _changed(self, key: FunctionKey) -> Iterator[str]:
        """Yield the names of the attributes that a function changes."""
        for step in self._program.function(key).steps:
            match step:
                case Assign(target=target) | Delete(target=target):
                    if isinstance(target, Item):
                        target = target.base
                    if isinstance(target, Attr):
                        yield target.name
                case Call(func=Attr(base=Attr(name=name), name=method)) if method not in ("set", "is_set"):
                    yield name
                case _:
                    pass


def _holder(event: Expr) -> Expr:
    return event.base if isinstance(event, Attr) else Name("")


def _used(step: Step) -> tuple[Expr, ...]:
    """Return the expressions that a step uses, what it gives to a call included."""
    given = (*step.args, *(value for _, value in step.keywords)) if isinstance(step, Call) else ()
    return (*read_by(step), *given)


def _attributes(exprs: Iterable[Expr]) -> Iterator[str]:
    """Yield the names of the attributes that are read in some expressions."""
    return (part.name for expr in exprs for part in parts(expr) if isinstance(part, Attr))


def _takes(step: object, tested: set[str]) -> bool:
    """Tell whether a step removes something from what was tested."""
    match step:
        case Call(func=Attr(base=Attr(name=name), name="pop" | "popleft" | "popitem" | "remove")):
            return name in tested
        case Delete(target=Item(base=Attr(name=name))):
            return name in tested
        case Assign(target=Attr(name=name), op="-"):
            return name in tested
        case _:
            return False
