"""Attributes that are tested, and written after an await that a second task may pass as well."""

import enum
from collections.abc import Iterator
from typing import TypeGuard

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import ENTRY, NORMAL
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.reachability import after_step, may_follow, reachable, reaches
from cancellint.analysis.flow.cancellation_paths import only_fails
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.flow.held_locks import HeldLocks
from cancellint.analysis.hazards.sharing.replacing import comes_from, replacements
from cancellint.analysis.hazards.sharing.second_callers import SecondCallers
from cancellint.analysis.program.expressions import parts
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Const,
    Delete,
    Expr,
    Leaves,
    Name,
    Op,
    Return,
    Temp,
)
from cancellint.model.knowledge import Role
from cancellint.model.summary import Locks
from cancellint.model.types import CallSite, FunctionKey, ProjectCallee

DEEPEST = Limit(3, "methods between a test and what it decides")
"""Methods that call one another between a test and the write."""


_RESETS = (Const("none", "None"), Const("bool", "False"))


class Harm(enum.Enum):
    """What a second task does that it should not."""

    OPENS = enum.auto()
    """it opens the same once more, and one of the two is never closed"""
    BEGINS = enum.auto()
    """it begins the same once more"""
    SPENDS = enum.auto()
    """it uses up what the first one has used, and gets a stale answer"""


class CheckThenAct(Struct, frozen=True):
    """`attribute` is tested at the end of the block of `tested`, waited for, and written at `written`."""

    tested: int
    attribute: str
    awaited: int
    written: CallSite
    harm: Harm


class ChecksThenActs:
    """Finds them for one method at a time."""

    def __init__(self, effects: Effects, facts_of: FactsOf, seconds: SecondCallers) -> None:
        self._effects = effects
        self._program = effects.program
        self._facts_of = facts_of
        self._seconds = seconds
        self._found: dict[FunctionKey, tuple[CheckThenAct, ...]] = {}

    def of(self, key: FunctionKey) -> tuple[CheckThenAct, ...]:
        """Return what a method does twice when a second task comes while the first one waits."""
        if key not in self._found:
            self._found[key] = tuple(self._find(key))
        return self._found[key]

    def _find(self, key: FunctionKey) -> Iterator[CheckThenAct]:
        function = self._program.function(key)
        if not function.is_async or function.is_generator or self._program.class_of(key) is None:
            return
        if not function.params or not any(block.test is not None for block in function.blocks):
            return
        facts = self._facts_of(key)
        suspending = [step for _, step in facts.awaits()]
        if not suspending:
            return
        held = HeldLocks(facts)
        told: set[str] = set()
        for number, block in enumerate(facts.function.blocks):
            for name in self._tested(facts, block.test) if block.test is not None else ():
                found = self._acted(facts, number, name, suspending, held) if name not in told else None
                if found is not None and self._is_shared(key):
                    told.add(name)
                    yield found

    def tells_of(self, key: FunctionKey, caller: FunctionKey) -> bool:
        """Tell whether it is found at a caller, or at the method itself, that it spends something twice."""
        return any(each.harm is Harm.SPENDS and each.written.function == key for each in self.of(caller))

    def _is_shared(self, key: FunctionKey) -> bool:
        return self._seconds.may_be(key) and not self._seconds.is_locked_outside(key)

    def _tested(self, facts: Facts, test: Expr) -> tuple[str, ...]:
        """Return the attributes of the object that a test asks: are they there, set, or out of date?"""
        own = Name(facts.function.params[0].name)
        found: list[str] = []
        waiting = [test]
        while waiting:
            match waiting.pop():
                case Attr(base=base, name=name) if base == own:
                    found.append(name)
                case Op(op="not" | "and" | "or", operands=operands):
                    waiting.extend(operands)
                case Op(op="is" | "is not" | "==" | "!=", operands=(asked, Const())):
                    waiting.append(asked)
                case Op(op="<" | ">" | "<=" | ">=", operands=(one, other)):
                    for asked, limit in ((one, other), (other, one)):
                        if _is_told_by_a_call(facts, limit):
                            found += [part.name for part in parts(asked) if _is_attribute(part, own)]
                case _:
                    pass
        return tuple(dict.fromkeys(found))

    def _acted(
        self, facts: Facts, number: int, name: str, suspending: list[int], held: HeldLocks
    ) -> CheckThenAct | None:
        block = facts.function.blocks[number]
        for edge in block.edges:
            if edge.leaves not in (Leaves.TRUE, Leaves.FALSE) or edge.to < 0:
                continue
            others = [each.to for each in block.edges if each is not edge and each.to >= 0]
            if any(only_fails(facts, other) for other in others):
                continue  # it is no question whether to do it, but whether one may
            if any(self._is_done_anyway(facts, number, other, edge.to, name) for other in others):
                continue  # nor is it one where it is done either way
            inside = facts.flow.dominance.dominated(edge.to)
            for awaited in sorted(suspending):
                if facts.flow.block_of(awaited) not in inside or held.is_locked(awaited):
                    continue
                if is_marked(facts, edge.to, awaited):
                    break
                written = self._written(facts, name, awaited, inside)
                harm = self._harm(facts, awaited, written) if written is not None else None
                if written is not None and harm is not None:
                    return CheckThenAct(max(block.first, block.last - 1), name, awaited, written, harm)
        return None

    def _is_done_anyway(self, facts: Facts, test: int, other: int, here: int, name: str) -> bool:
        """Tell whether an attribute is given a new value where a test has come out the other way, too."""
        if reaches(facts.flow, other, here, NORMAL, avoiding=(test,)):
            return True
        target = Attr(Name(facts.function.params[0].name), name)
        return any(
            isinstance(step := facts.function.steps[number], Assign)
            and step.target == target
            and not isinstance(step.value, Const)
            for number in facts.flow.steps_of(facts.flow.dominance.dominated(other))
        )

    # ----------------------------------------------------------------- the write

    def _written(self, facts: Facts, name: str, awaited: int, inside: frozenset[int]) -> CallSite | None:
        """Return where an attribute is written once an await is over, be it in what is awaited."""
        own = Name(facts.function.params[0].name)
        rest, blocks = after_step(facts.flow, awaited, NORMAL)
        after = sorted({*rest, *facts.flow.steps_of(blocks & inside)})
        for at in after:
            step = facts.function.steps[at]
            if isinstance(step, Assign) and step.target == Attr(own, name):
                return CallSite(facts.key, at) if step.value not in _RESETS else None
        if facts.effect(awaited).of_kind(Locks):
            return None  # the callee takes a lock, and may well look again
        for at in (awaited, *after):
            for callee in self._effects.callees(facts.key, at):
                found = self._written_in(facts.key, callee, name, DEEPEST, waited=at != awaited)
                if found is not None:
                    return found
        return None

    def _written_in(
        self, caller: FunctionKey, key: FunctionKey, name: str, depth: int, *, waited: bool
    ) -> CallSite | None:
        """Return where a method of the same object writes an attribute after a wait, and looks not again."""
        cls, function = self._program.class_of(caller), self._program.function(key)
        owner = self._program.class_of(key)
        if cls is None or owner is None or not function.params or not function.is_async:
            return None
        if not DEEPEST.leaves(depth):
            return None
        if not self._is_family(cls, owner):
            return None
        facts = self._facts_of(key)
        own = Name(function.params[0].name)
        if any(
            block.test is not None and name in self._tested(facts, block.test) for block in function.blocks
        ):
            return None
        waits = [step for _, step in facts.awaits()]
        for at, step in enumerate(function.steps):
            if isinstance(step, Assign) and step.target == Attr(own, name):
                late = waited or any(may_follow(facts.flow, each, at, NORMAL) for each in waits)
                return CallSite(key, at) if late else None
        for each in waits:
            for callee in self._effects.callees(key, each):
                found = (
                    self._written_in(key, callee, name, depth - 1, waited=waited) if callee != key else None
                )
                if found is not None:
                    return found
        return None

    # ----------------------------------------------------------------- the harm

    def _harm(self, facts: Facts, awaited: int, written: CallSite) -> Harm | None:
        if self._spends(written):
            return Harm.SPENDS
        if self._opens_and_keeps(facts, awaited, DEEPEST):
            return Harm.OPENS
        return Harm.BEGINS if self._begins(facts, awaited) else None

    def _opens_and_keeps(self, facts: Facts, awaited: int, depth: int) -> bool:
        """Tell whether what an await opens is put into an attribute of the object, here or in its method."""
        if self._is_kept(facts, awaited):
            return self._opens(facts.key, awaited, depth)
        if not DEEPEST.leaves(depth):
            return False
        cls = self._program.class_of(facts.key)
        return any(
            self._opens_and_keeps(below, number, depth - 1)
            for callee in self._effects.callees(facts.key, awaited)
            if self._is_family(cls, self._program.class_of(callee)) and callee != facts.key
            for below in (self._facts_of(callee),)
            for _, number in below.awaits()
        )

    def _is_kept(self, facts: Facts, awaited: int) -> bool:
        """Tell whether an attribute of the object is given what an await has given, or a part of it."""
        own = Name(facts.function.params[0].name) if facts.function.params else None
        return own is not None and any(
            isinstance(step, Assign)
            and _is_attribute(step.target, own)
            and comes_from(facts, step.value, awaited, told=False)
            for step in facts.function.steps
        )

    def _is_family(self, cls: str | None, other: str | None) -> bool:
        """Tell whether an object may have the methods of two classes."""
        if cls is None or other is None:
            return False
        return cls == other or self._program.inherits(cls, other) or self._program.inherits(other, cls)

    def _begins(self, facts: Facts, awaited: int) -> bool:
        """Tell whether what is awaited is named for the beginning of its object, and does not look again."""
        callees = tuple(self._effects.callees(facts.key, awaited))
        return bool(callees) and all(self._begins_anew(callee) for callee in callees)

    def _begins_anew(self, key: FunctionKey) -> bool:
        function, conventions = self._program.function(key), self._effects.conventions
        if not conventions.begins_or_ends(function.name) or not function.is_async or function.decorators:
            return False
        if function.name.strip("_").split("_")[0] in conventions.cleans_up or not function.params:
            return False
        facts = self._facts_of(key)
        waits = [step for _, step in facts.awaits()]
        return bool(waits) and not any(is_marked(facts, facts.flow.block_of(each), each) for each in waits)

    def _spends(self, written: CallSite) -> bool:
        """Tell whether the method that writes replaces what its request was made of."""
        return any(not each.adds for each in replacements(self._facts_of(written.function)))

    def _opens(self, key: FunctionKey, awaited: int, depth: int) -> bool:
        """Tell whether an await opens something that somebody has to close."""
        for operation in self._effects.awaited(key, awaited):
            if isinstance(operation.callee, ProjectCallee):
                if DEEPEST.leaves(depth) and self._hands_out(operation.callee.key, depth - 1):
                    return True
                continue
            known = self._effects.operations.known(operation.callee)
            if known is not None and Role.ACQUIRES in known.entry.roles and known.entry.of == "result":
                return True
        return False

    def _hands_out(self, key: FunctionKey, depth: int) -> bool:
        """Tell whether a function returns what it opens, or keeps it in its object."""
        facts = self._facts_of(key)
        returned = [step.value for step in facts.function.steps if isinstance(step, Return)]
        return any(
            self._opens(key, number, depth)
            for number, step in enumerate(facts.function.steps)
            if isinstance(step, Await) and step.kind is AwaitKind.EXPRESSION
            if self._is_kept(facts, number)
            or any(comes_from(facts, value, number, told=False) for value in returned)
        )


def _is_attribute(part: Expr, own: Name) -> TypeGuard[Attr]:
    return isinstance(part, Attr) and part.base == own


def _is_told_by_a_call(facts: Facts, value: Expr) -> bool:
    """Tell whether a value is made of what a call gives: the time that it is."""
    return any(
        isinstance(part, Temp) and isinstance(facts.function.steps[part.step], Call) for part in parts(value)
    )


def is_marked(facts: Facts, start: int, awaited: int) -> bool:
    """Tell whether an attribute that was tested is written before an await: it keeps others away."""
    own = Name(facts.function.params[0].name)
    goal = facts.flow.block_of(awaited)
    before = reachable(facts.flow, (ENTRY,), NORMAL, avoiding=(goal,))
    steps = (*facts.flow.steps_of(before), *range(facts.flow.steps(goal).start, awaited))
    marks = [
        step
        for at in steps
        if isinstance(step := facts.function.steps[at], Assign | Delete)
        and _is_attribute(step.target, own)
        and may_follow(facts.flow, at, awaited, NORMAL)
    ]
    return any(
        any(part == mark.target for part in parts(block.test)) and not _lets_in(facts, number, start, mark)
        for number, block in enumerate(facts.function.blocks)
        if block.test is not None and facts.flow.dominance.dominates(number, start)
        for mark in marks
    )


def _lets_in(facts: Facts, number: int, start: int, mark: Assign | Delete) -> bool:
    """Tell whether a test comes out for whoever finds the mark just as it did for whoever has set it."""
    block = facts.function.blocks[number]
    if not isinstance(mark, Assign) or not isinstance(mark.value, Const) or mark.op or block.test is None:
        return False
    outcome = _outcome(block.test, mark.target, mark.value)
    taken = {
        edge.leaves for edge in block.edges if edge.to >= 0 and facts.flow.dominance.dominates(edge.to, start)
    }
    return outcome is not None and taken == {Leaves.TRUE if outcome else Leaves.FALSE}


def _outcome(test: Expr, attribute: Expr, value: Const) -> bool | None:
    """Return how a test comes out if an attribute has a value, None where that is not known."""
    match test:
        case Op(op="not", operands=(inner,)):
            found = _outcome(inner, attribute, value)
            return None if found is None else not found
        case Op(op="==" | "is", operands=(asked, Const() as wanted)) if asked == attribute:
            return wanted == value
        case Op(op="!=" | "is not", operands=(asked, Const() as wanted)) if asked == attribute:
            return wanted != value
        case _:
            return None
