"""Waiters that mark themselves as gone when they time out, and not when they are cancelled.

The one who has something to give looks at the mark, finds none, and gives it to somebody who is no longer
there.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from cancellint.analysis.engine.graph import CANCELLED, ERROR, NORMAL, ControlFlow, EdgeClass
from cancellint.analysis.engine.reachability import after_block, may_follow
from cancellint.analysis.flow.tainting import Taint
from cancellint.analysis.hazards.futures.futures import Futures
from cancellint.analysis.program.expressions import parts
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Catch,
    Const,
    Expr,
    Function,
    Item,
    Load,
    Name,
    Step,
)
from cancellint.model.knowledge import RaceKind, Role
from cancellint.model.types import FunctionKey


class UnmarkedWaiter(Struct, frozen=True):
    """A wait that a cancellation ends without a mark."""

    awaited: int
    """the step that waits"""
    mark: str
    """the attribute that is set when the wait fails"""
    marked: int
    """the step that sets it"""
    giver: FunctionKey
    given: int
    """the giver's step that hands something over"""
    what: str
    """the attribute by which it is handed over"""


class UnmarkedWaiters:
    """Reads the beliefs of a class: what its error path tells, its cancellation path must tell too."""

    def __init__(self, futures: Futures) -> None:
        self._futures = futures
        self._program = futures.program
        self._effects = futures.effects

    def in_function(self, key: FunctionKey) -> Iterator[UnmarkedWaiter]:
        """Yield the waits of a method that leave it unmarked when they are cancelled."""
        function = self._program.function(key)
        if function.cls < 0 or not function.is_async or not function.params:
            return
        if not any(isinstance(step, Catch) for step in function.steps):
            return
        receiver = Name(function.params[0].name)
        for number, step in enumerate(function.steps):
            if isinstance(step, Await) and step.kind is AwaitKind.EXPRESSION and self._waits(key, step.value):
                yield from self._unmarked(key, number, receiver)

    def _unmarked(self, key: FunctionKey, number: int, receiver: Name) -> Iterator[UnmarkedWaiter]:
        function, flow = self._program.function(key), self._futures.unwinding(key).flow
        marks = dict(_marks(function, _only_after(flow, number, ERROR), receiver))
        marked = {name for name, _ in _marks(function, _only_after(flow, number, CANCELLED), receiver)}
        for name, at in marks.items():
            if name in marked:
                continue
            for giver, given, what in self._givers(key, name):
                if _reads(function, Attr(receiver, what)):
                    yield UnmarkedWaiter(number, name, at, giver, given, what)
                    break

    def _waits(self, key: FunctionKey, value: Expr) -> bool:
        """Tell whether what is awaited is told by others: a condition or an event, with a time limit."""
        for operation in self._effects.operations.behind(key, value):
            known = self._effects.operations.known(operation.callee)
            if known is not None and Role.WAITS in known.entry.roles and operation.site.function == key:
                return known.entry.race is not RaceKind.LEAVES_RUNNING and known.entry.awaitable
        return False

    def _givers(self, key: FunctionKey, mark: str) -> Iterator[tuple[FunctionKey, int, str]]:
        """Yield the methods that hand something over unless an object is marked."""
        cls = self._program.class_of(key)
        for giver in self._methods_of(cls) if cls is not None else ():
            function = self._program.function(giver)
            if giver != key and function.params and _looks_at(function, mark):
                for number, what in self._gifts(giver):
                    if what != mark:
                        yield giver, number, what

    def _methods_of(self, cls: str) -> Iterator[FunctionKey]:
        """Yield the methods of a class and of the project's classes above and below it."""
        related = (*self._program.order(cls), *self._program.descendants(cls))
        infos = (info for each in related if (info := self._program.cls(each)) is not None)
        for info in infos:
            for index, function in enumerate(self._program.module(info.module).functions):
                if function.cls == info.index:
                    yield FunctionKey(info.module, index)

    def _gifts(self, giver: FunctionKey) -> Iterator[tuple[int, str]]:
        """Yield where a method stores what it was given in its object, and then tells those who wait."""
        function = self._program.function(giver)
        receiver, *given = (param.name for param in function.params)
        handed = Taint(function, [Name(name) for name in given])
        for number, step in enumerate(function.steps):
            for attribute, value in self._stored(giver, number, step, receiver):
                if handed.reaches(value) and self._tells(giver, number):
                    yield number, attribute

    def _stored(self, key: FunctionKey, number: int, step: Step, receiver: str) -> Iterator[tuple[str, Expr]]:
        """Yield what a step puts into an attribute of the receiver, or into a container that is one."""
        match step:
            case Assign(target=Attr(base=Name(id=base), name=name), value=value, op="") if base == receiver:
                yield name, value
            case Assign(target=Item(base=Attr(base=Name(id=base), name=name)), value=value, op=""):
                if base == receiver:
                    yield name, value
            case Call(func=Attr(base=Attr(base=Name(id=base), name=name)), args=args) if base == receiver:
                if self._has_role(key, number, Role.STORES):
                    yield from ((name, value) for value in args)
            case _:
                pass

    def _tells(self, giver: FunctionKey, number: int) -> bool:
        """Tell whether the giver goes on to wake the one who waits."""
        flow = self._program.flow(giver)
        return any(
            isinstance(step, Call)
            and self._has_role(giver, later, Role.NOTIFIES, Role.COMPLETES)
            and may_follow(flow, number, later)
            for later, step in enumerate(self._program.function(giver).steps)
        )

    def _has_role(self, key: FunctionKey, number: int, *roles: Role) -> bool:
        known = (self._effects.operations.known(each) for each in self._effects.types.callees(key, number))
        return any(each is not None and not set(roles).isdisjoint(each.entry.roles) for each in known)


def _looks_at(function: Function, mark: str) -> bool:
    """Tell whether a method tests an attribute of its object."""
    tested = Attr(Name(function.params[0].name), mark)
    return any(tested in parts(block.test) for block in function.blocks if block.test is not None)


def _reads(function: Function, attribute: Attr) -> bool:
    """Tell whether a method looks at an attribute of its object: it is for this that it waits."""
    tests = (block.test for block in function.blocks if block.test is not None)
    read = (step.value for step in function.steps if isinstance(step, Load))
    return any(attribute in parts(expr) for expr in (*tests, *read))


def _only_after(flow: ControlFlow, number: int, leaving: EdgeClass) -> frozenset[int]:
    """Return the steps of handlers and `finally` that run only when an await ends in such a way."""
    block = flow.block_of(number)
    resumed = after_block(flow, block, NORMAL)
    return frozenset(flow.steps_of(after_block(flow, block, leaving) - resumed))


def _marks(function: Function, steps: Iterable[int], receiver: Name) -> Iterator[tuple[str, int]]:
    """Yield the attributes of the receiver that are set in some steps, to more than nothing."""
    for number in sorted(steps):
        match function.steps[number]:
            case Assign(target=Attr(base=base, name=name), value=value, op="") if base == receiver:
                if value not in (Const("none", "None"), Const("bool", "False")):
                    yield name, number
            case _:
                pass
