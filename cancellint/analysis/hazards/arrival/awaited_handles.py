"""Awaits of tasks and futures that the program itself cancels: the cancellation may be theirs."""

from collections.abc import Iterator
from functools import cached_property

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.reachability import may_follow
from cancellint.analysis.program.expressions import last_name, parts
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Element,
    Expr,
    Item,
    Load,
    Name,
    Next,
    Star,
    Step,
    Temp,
)
from cancellint.model.knowledge import Role
from cancellint.model.types import CallSite, FunctionKey

_DEEPEST = Limit(4, "values within values that are awaited together")
_WRAPS = frozenset({Role.SPAWNS, Role.SHIELDS, Role.GATHERS, Role.RACES})


class AwaitedHandles:
    """Answers by the names of variables and attributes that hold handles."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._program = effects.program

    def may_be_cancelled(self, key: FunctionKey, await_: int) -> bool:
        """Tell whether what is awaited is something the program holds and cancels."""
        handles = tuple(self._handles(key, await_))
        if handles and self._cancels_before(key, await_):
            return True
        return any(last_name(value) in self._cancelled_attributes for value in handles)

    def is_shielded(self, key: FunctionKey, await_: int) -> bool:
        """Tell whether an await waits for something that its cancellation does not reach."""
        step = self._program.function(key).steps[await_]
        made = step.value if isinstance(step, Await) else None
        if not isinstance(made, Temp) or not isinstance(self._program.function(key).steps[made.step], Call):
            return False
        return bool(self._roles(key, made.step) & {Role.SHIELDS})

    def _cancels_before(self, key: FunctionKey, await_: int) -> bool:
        """Tell whether a function cancels something and then waits for tasks that it holds."""
        flow = self._program.flow(key)
        return any(
            isinstance(step, Call) and last_name(step.func) == "cancel" and may_follow(flow, number, await_)
            for number, step in enumerate(self._program.function(key).steps)
        )

    def waits_after_cancel(self, at: CallSite) -> CallSite | None:
        """Return the await of the same function that waits for what a step cancels, if there is one."""
        function = self._program.function(at.function)
        step = function.steps[at.step] if at.step >= 0 else None
        if not isinstance(step, Call) or not isinstance(step.func, Attr):
            return None
        cancelled = set(self._names_of(at.function, step.func.base))
        flow = self._program.flow(at.function)
        for number, other in enumerate(function.steps):
            if isinstance(other, Await) and other.kind is AwaitKind.EXPRESSION:
                awaited = {last_name(value) for value in self._handles(at.function, number)}
                if awaited & cancelled and may_follow(flow, at.step, number):
                    return CallSite(at.function, number)
        return None

    def _handles(self, key: FunctionKey, await_: int) -> Iterator[Expr]:
        """Yield the variables and attributes that an await waits for, through shields, gathers and lists."""
        step = self._program.function(key).steps[await_]
        if not isinstance(step, Await) or step.kind is not AwaitKind.EXPRESSION:
            return
        waiting: list[tuple[Expr, int]] = [(step.value, _DEEPEST)]
        while waiting:
            value, depth = waiting.pop()
            match value:
                case Name() | Attr() | Item():
                    yield value
                    yield from self._bound_to(key, value)
                case Star(value=inner):
                    waiting.append((inner, depth))
                case Temp(step=made) if _DEEPEST.leaves(depth):
                    waiting.extend((each, depth - 1) for each in self._given(key, made))
                case _:
                    waiting.extend((each, depth - 1) for each in parts(value) if each != value and depth)

    def _given(self, key: FunctionKey, made: int) -> Iterator[Expr]:
        """Yield what a call of a library that wraps awaitables is given."""
        match self._program.function(key).steps[made]:
            case Load(value=value):
                yield value
            case Call(args=args) if self._wraps(key, made):
                yield from args
            case _:
                pass

    def _wraps(self, key: FunctionKey, made: int) -> bool:
        """Tell whether a call waits for what it is given, or starts it."""
        return bool(self._roles(key, made) & _WRAPS)

    def _roles(self, key: FunctionKey, call: int) -> frozenset[Role]:
        """Return what a call of a library does."""
        known = (self._effects.operations.known(each) for each in self._effects.types.callees(key, call))
        return frozenset(role for each in known if each is not None for role in each.entry.roles)

    def _names_of(self, key: FunctionKey, receiver: Expr) -> Iterator[str]:
        for value in (receiver, *self._bound_to(key, receiver)):
            name = last_name(value)
            if name is not None:
                yield name

    def _bound_to(self, key: FunctionKey, value: Expr) -> Iterator[Expr]:
        """Yield what a variable is copied from, or an element of, through a copy of the container."""
        steps = self._program.function(key).steps
        for step in steps if isinstance(value, Name) else ():
            if isinstance(step, Assign) and step.target == value:
                inner = _content(steps, step.value)
                made = steps[inner.step] if isinstance(inner, Temp) else None
                if isinstance(made, Call):
                    owner = (made.func.base,) if isinstance(made.func, Attr) else ()
                    yield from (each for each in (*made.args, *owner) if isinstance(each, Name | Attr))
                elif isinstance(inner, Name | Attr | Item):
                    yield inner

    @cached_property
    def _cancelled_attributes(self) -> frozenset[str]:
        """The names of attributes on which `cancel` is called anywhere, or on whose elements."""
        found: set[str] = set()
        for at in self._program.calls.called.get("cancel", ()):
            step = self._program.function(at.function).steps[at.step]
            if isinstance(step, Call) and isinstance(step.func, Attr):
                for value in (step.func.base, *self._bound_to(at.function, step.func.base)):
                    name = last_name(value)
                    if name is not None and not isinstance(value, Name):
                        found.add(name)
        return frozenset(found)


def _content(steps: tuple[Step, ...], value: Expr) -> Expr:
    """Return what a value is a part of, or an item of."""
    while isinstance(value, Element | Star):
        value = value.value
    made = steps[value.step] if isinstance(value, Temp) else None
    return made.value if isinstance(made, Next) else value
