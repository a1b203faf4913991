"""Loops of coroutines that sleep and look again at what somebody could tell them."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.callgraph.homes import Homes
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import Known
from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.loops import Loop
from cancellint.analysis.library.knowledge import argument
from cancellint.analysis.program.expressions import last_name, parts
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Catch,
    Const,
    Delete,
    Edge,
    Expr,
    Function,
    Leaves,
    Load,
    Name,
    Next,
    Op,
    Temp,
)
from cancellint.model.knowledge import Role
from cancellint.model.types import CallSite, FunctionKey, LibraryCallee

_CHANGES = frozenset({Role.STORES, Role.CONSUMES})


class Asked(Struct, frozen=True):
    """What a loop asks until the answer is `wanted`; None where it is compared with something.

    A library has `waiting` to wait for that; else somebody of the program changes it at `changed`.
    """

    what: Expr
    wanted: bool | None
    waiting: str | None = None
    changed: CallSite | None = None


class BusyWait(Struct, frozen=True):
    """A loop that sleeps at `at`, for `duration` where that is written there, and asks again."""

    at: int
    duration: str | None
    asked: Asked
    alone: bool
    """nothing else ends it, such as a deadline or a number of turns"""
    may_last: bool
    """the answer is a matter of the object itself, or of what is made for waiting, and not of a local play"""


class BusyWaits:
    """Finds them for one coroutine at a time."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._program = effects.program
        self._homes = Homes(effects)

    def of(self, key: FunctionKey) -> Iterator[BusyWait]:
        """Yield the loops of a coroutine that do nothing but sleep and ask."""
        function = self._program.function(key)
        if not function.is_async or not any(isinstance(step, Await) for step in function.steps):
            return
        for loop in self._program.flow(key).loops:
            sleep = self._sleep(key, function, loop)
            if sleep is None:
                continue
            questions = list(self._questions(key, function, loop))
            asked = next(filter(None, (self._told(key, each) for each in questions)), None)
            if asked is not None:
                may_last = asked.waiting is not None or self._is_own(key, function, asked.what)
                yield BusyWait(sleep[0], sleep[1], asked, len(questions) == 1, may_last)

    def _is_own(self, key: FunctionKey, function: Function, what: Expr) -> bool:
        if not function.params or self._program.class_of(key) is None:
            return False
        return Name(function.params[0].name) in parts(what)

    # ----------------------------------------------------------------- nothing but sleep

    def _sleep(self, key: FunctionKey, function: Function, loop: Loop) -> tuple[int, str | None] | None:
        """Return where a loop sleeps and for how long, None where it does anything else."""
        steps = list(self._program.flow(key).steps_of(loop.blocks))
        if not all(_is_harmless(function, at) for at in steps):
            return None
        slept = [at for at in steps if isinstance(function.steps[at], Await)]
        found = [each for at in slept if (each := self._duration(key, function, at)) is not None]
        calls = {call for call, _ in found}
        others = [at for at in steps if isinstance(function.steps[at], Call) and at not in calls]
        if not found or len(found) < len(slept) or not all(self._only_looks(key, at) for at in others):
            return None
        return slept[0], found[0][1]

    def _duration(self, key: FunctionKey, function: Function, await_: int) -> tuple[int, str | None] | None:
        """Return the call that an await sleeps by, and its duration as far as it is written there."""
        step = function.steps[await_]
        call = step.value.step if isinstance(step, Await) and isinstance(step.value, Temp) else -1
        for known in self._known(key, call) if call >= 0 else ():
            made = function.steps[call]
            if known.entry.duration is not None and isinstance(made, Call):
                given = argument(known.entry, known.entry.duration, made.args, made.keywords)
                return call, given.text if isinstance(given, Const) else None
        return None

    def _only_looks(self, key: FunctionKey, call: int) -> bool:
        """Tell whether a call asks something, of which something is made: it is no message to anybody."""
        step = self._program.function(key).steps[call]
        known = list(self._known(key, call))
        looks = bool(known) and all(Role.LOOKS in each.entry.roles for each in known)
        return looks and isinstance(step, Call) and step.used

    def _known(self, key: FunctionKey, call: int) -> Iterator[Known]:
        for callee in self._effects.types.callees(key, call):
            known = self._effects.operations.known(callee) if isinstance(callee, LibraryCallee) else None
            if known is None:
                return
            yield known

    # ----------------------------------------------------------------- what is asked

    def _questions(self, key: FunctionKey, function: Function, loop: Loop) -> Iterator[Asked]:
        """Yield what ends a loop: for each way out, the parts of the test that leads there."""
        flow = self._program.flow(key)
        for number in sorted(loop.blocks):
            block = flow.blocks[number]
            for edge in block.edges:
                if edge.to in loop.blocks or edge.leaves not in NORMAL:
                    continue
                if block.test is None:
                    yield Asked(Const("none", "None"), None)
                else:
                    yield from _parts_of(function, block.test, edge)

    def _told(self, key: FunctionKey, asked: Asked) -> Asked | None:
        """Return a question with who could tell the answer, None where nobody is known."""
        match asked.what:
            case Temp(step=step):
                return self._told_by_library(key, step, asked)
            case Name() | Attr():
                changed = self._changed(key, asked)
                return None if changed is None else Asked(asked.what, asked.wanted, None, changed)
            case _:
                return None

    def _told_by_library(self, key: FunctionKey, step: int, asked: Asked) -> Asked | None:
        call = self._program.function(key).steps[step]
        if not isinstance(call, Call):
            return None
        for known in self._known(key, step):
            entry = known.entry
            waiting = {True: entry.until_true, False: entry.until_false}.get(asked.wanted is True)
            if waiting is not None and asked.wanted is not None and isinstance(call.func, Attr):
                return Asked(call.func.base, asked.wanted, waiting)
        inner = call.args[0] if len(call.args) == 1 and isinstance(call.func, Name) else None
        return self._told(key, Asked(inner, asked.wanted)) if isinstance(inner, Name | Attr) else None

    def _changed(self, key: FunctionKey, asked: Asked) -> CallSite | None:
        """Return where another function changes what is asked, so that the loop may end."""
        home = self._homes.of(key, asked.what)
        name = last_name(asked.what)
        if home is None or name is None:
            return None
        for site, target in self._changes.get(name, ()):
            if site.function == key or self._homes.of(site.function, target) != home:
                continue
            if self._may_end(site, asked):
                return site
        return None

    def _may_end(self, site: CallSite, asked: Asked) -> bool:
        """Tell whether a change may bring about the answer that is waited for."""
        step = self._program.function(site.function).steps[site.step]
        match step:
            case Assign(value=Const(text=text), target=Name() | Attr(), op=""):
                return asked.wanted is None or (text not in _FALSE) == asked.wanted
            case Call():
                known = list(self._known(site.function, site.step))
                return any(not _CHANGES.isdisjoint(each.entry.roles) for each in known)
            case _:
                return True

    @cached_property
    def _changes(self) -> Mapping[str, list[tuple[CallSite, Expr]]]:
        """Where functions, those that make an object aside, change a variable or attribute, by its name."""
        found: dict[str, list[tuple[CallSite, Expr]]] = {}
        for key in self._program.functions():
            function = self._program.function(key)
            if function.kind not in ("function", "lambda") or function.name in _MAKES:
                continue
            for number, step in enumerate(function.steps):
                match step:
                    case Assign(target=target) | Delete(target=target):
                        pass
                    case Call(func=Attr(base=Name() | Attr() as target)):
                        pass
                    case _:
                        continue
                name = last_name(target)
                if name is not None:
                    found.setdefault(name, []).append((CallSite(key, number), target))
        return found


_MAKES = frozenset({"__init__", "__new__", "__post_init__", "__attrs_post_init__"})
_FALSE = frozenset({"None", "False", "0", "0.0", ""})
_COMPARES = frozenset({"is", "is not", "==", "!=", "<", ">", "<=", ">=", "in", "not in"})


def _is_harmless(function: Function, at: int) -> bool:
    """Tell whether a step has no effect that others see, as far as that is not a matter of what it calls."""
    match function.steps[at]:
        case Await(kind=AwaitKind.EXPRESSION) | Call() | Load() | Next() | Catch():
            return True
        case Assign(target=Name(id=name)):
            return name in function.locals
        case _:
            return False


def _parts_of(function: Function, test: Expr, edge: Edge) -> Iterator[Asked]:
    """Yield the questions of a test, each with the answer by which a loop ends along an edge."""
    waiting: list[tuple[Expr, bool | None]] = [(test, edge.leaves is Leaves.TRUE)]
    while waiting:
        part, wanted = waiting.pop()
        match part:
            case Op(op="not", operands=(inner,)):
                waiting.append((inner, None if wanted is None else not wanted))
            case Op(op="and" | "or", operands=operands):
                waiting.extend((each, wanted) for each in operands)
            case Op(op=op, operands=operands) if op in _COMPARES:
                asked = [each for operand in operands for each in parts(operand) if _is_asked(each)]
                yield from (Asked(_read(function, each), None) for each in asked[:1])
            case _:
                yield Asked(_read(function, part), wanted)


def _is_asked(part: Expr) -> bool:
    return isinstance(part, Name | Attr | Temp)


def _read(function: Function, part: Expr) -> Expr:
    """Return what was read, where that is a step of its own."""
    step = function.steps[part.step] if isinstance(part, Temp) else None
    return step.value if isinstance(step, Load) else part
