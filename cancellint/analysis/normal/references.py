"""Where the functions of a program are referred to, and which of these references are plain calls."""

from collections import Counter
from collections.abc import Iterator, Set

from msgspec import Struct

from cancellint.analysis.normal.rewriting import reads
from cancellint.analysis.program.names import Binding, decorator_names, first_parameter
from cancellint.analysis.program.program import Program
from cancellint.kept import Kept
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Build,
    Call,
    Closure,
    Const,
    Delete,
    Element,
    Expr,
    Function,
    Imported,
    Item,
    Name,
    Op,
    Star,
    Temp,
)
from cancellint.model.types import ClassObject, FunctionKey, ProjectFunction


class PlainCall(Struct, frozen=True):
    """A call that reaches one known function, whose coroutine, if it is one, is awaited on the spot.

    `awaited` is the await, `step` itself where the callee is no coroutine.
    """

    step: int
    awaited: int
    callee: FunctionKey
    receiver: Expr | None


_Reached = tuple[FunctionKey, Expr | None]
"""The function that a call reaches, and the object that it is called on, if that is its first argument."""


class References:
    """All references to the functions of a program, by the name that they use."""

    def __init__(self, program: Program, names: Kept[list[str]]) -> None:
        self._program = program
        self._names = names
        self.calls: dict[FunctionKey, tuple[PlainCall, ...]] = {}
        """the plain calls in each function that has any"""
        self._spoken_of: Counter[str] = Counter()
        self._called: Counter[str] = Counter()
        """how often each name is referred to, and how often by a plain call"""
        self._callers: Counter[FunctionKey] = Counter()
        self._mentioned: dict[FunctionKey, tuple[str, ...]] = {}
        for key in program.functions():
            self._read(key)

    def is_only_called(self, key: FunctionKey) -> bool:
        """Tell whether all references to a function, or to another one of its name, are plain calls."""
        name = self._program.function(key).name
        return self._callers[key] > 0 and self._spoken_of[name] == self._called[name]

    def mentions(self, key: FunctionKey, names: Set[str]) -> bool:
        """Tell whether a function, as it was written, says any of some names."""
        return not names.isdisjoint(self._mentioned[key])

    def _read(self, key: FunctionKey) -> None:
        function = self._program.function(key)
        mentioned = self._names.of(key, lambda: (function,), lambda: _names_in(_expressions(function)))
        self._mentioned[key] = tuple(dict.fromkeys(mentioned))
        self._spoken_of.update(mentioned)
        found = tuple(self._plain_calls(key, function))
        for call in found:
            self._called[self._program.function(call.callee).name] += 1
            self._callers[call.callee] += 1
        if found:
            self.calls[key] = found

    def _plain_calls(self, key: FunctionKey, function: Function) -> Iterator[PlainCall]:
        for block in function.blocks:
            for number in range(block.first, block.last):
                step = function.steps[number]
                if isinstance(step, Call):
                    awaited = number + 1 if number + 2 == block.last else -1
                    call = self._plain_call(key, function, number, awaited)
                    if call is not None:
                        yield call

    def _plain_call(self, key: FunctionKey, function: Function, number: int, last: int) -> PlainCall | None:
        step = function.steps[number]
        assert isinstance(step, Call)
        found = self._callee(key, function, step.func)
        if found is None:
            return None
        callee, receiver = found
        if not self._program.function(callee).is_async:
            return PlainCall(number, number, callee, receiver)
        following = function.steps[last] if last >= 0 else None
        match following:
            case Await(kind=AwaitKind.EXPRESSION, value=Temp(step=made)) if made == number:
                return PlainCall(number, last, callee, receiver)
            case _:
                return None

    def _callee(self, key: FunctionKey, function: Function, func: Expr) -> _Reached | None:
        match func:
            case Attr(base=Name(id=base), name=name):
                return self._method(key, function, base, name) or self._of_class(key, base, name)
            case Name(id=name):
                return self._named(key, name)
            case _:
                return None

    def _named(self, key: FunctionKey, name: str) -> _Reached | None:
        """Return the function of the module, or the one defined in this function, that a name means."""
        scopes = self._program.scopes(key.module)
        match scopes.scope(key.function, name):
            case 0:
                match self._program.resolve(key.module, name):
                    case (ProjectFunction(key=callee),) if callee.module == key.module:
                        return callee, None
                    case _:
                        return None
            case int(scope) if scope == key.function:
                match tuple(dict.fromkeys(scopes.bindings(scope).assigned.get(name, ()))):
                    case (Binding(value=Closure(function=nested), op=""),):
                        return FunctionKey(key.module, nested), None
                    case _:
                        return None
            case _:
                return None

    def _method(self, key: FunctionKey, function: Function, base: str, name: str) -> _Reached | None:
        """Return the method that a call on the receiver of a method reaches, if there is no other one."""
        if function.cls < 0 or first_parameter(function) != base or has_no_receiver(function):
            return None
        cls = self._program.class_of(key)
        callee = None if cls is None else self._only_method(key, cls, name)
        if cls is None or callee is None or self._program.overrides(cls, name):
            return None
        if any(_binds(step, base) for step in function.steps):
            return None
        return callee, None if has_no_receiver(self._program.function(callee)) else Name(base)

    def _of_class(self, key: FunctionKey, base: str, name: str) -> _Reached | None:
        """Return the method that is called on its class: it is given its object, if it has one."""
        if self._program.scopes(key.module).scope(key.function, base) != 0:
            return None
        match self._program.resolve(key.module, base):
            case (ClassObject(cls=cls),):
                callee = self._only_method(key, cls, name)
                return None if callee is None else (callee, None)
            case _:
                return None

    def _only_method(self, key: FunctionKey, cls: str, name: str) -> FunctionKey | None:
        found = self._program.methods(cls, name)
        return found[0] if len(found) == 1 and found[0].module == key.module else None


def has_no_receiver(function: Function) -> bool:
    """Tell whether a function of a class is given no object of the class as its first argument."""
    return not {"staticmethod", "classmethod"}.isdisjoint(decorator_names(function))


def _names_in(waiting: list[Expr]) -> list[str]:
    """Return all that some expressions name, as often as they do: texts may be names to `getattr`."""
    found: list[str] = []
    while waiting:
        match waiting.pop():
            case Name(id=name):
                found.append(name)
            case Attr(base=inner, name=name):
                found.append(name)
                waiting.append(inner)
            case Temp():
                pass
            case Const(kind="str", text=name) | Imported(name=str(name)):
                found.append(name)
            case Star(value=inner) | Element(value=inner):
                waiting.append(inner)
            case Item(base=base, key=key):
                waiting.append(key)
                waiting.append(base)
            case Op(operands=inner_parts) | Build(items=inner_parts):
                waiting.extend(inner_parts)
            case _:
                pass
    return found


def _expressions(function: Function) -> list[Expr]:
    found = list(function.decorators)
    for step in function.steps:
        found.extend(reads(step))
    found.extend(block.test for block in function.blocks if block.test is not None)
    found.extend(param.default for param in function.params if param.default is not None)
    return found


def _binds(step: object, name: str) -> bool:
    match step:
        case Assign(target=Name(id=bound)) | Delete(target=Name(id=bound)):
            return bound == name
        case _:
            return False
