"""Locks that nobody else can have: made where they are taken, or in a variable that never leaves."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.memory.values import read_by
from cancellint.analysis.normal.propagation import names_read
from cancellint.analysis.program.expressions import parts
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Enter,
    Exit,
    Expr,
    Function,
    Item,
    Name,
    Temp,
)
from cancellint.model.knowledge import LockKind
from cancellint.model.types import FunctionKey, LibraryCallee


class InlineLock(Struct, frozen=True):
    """A `with` whose lock is new every time."""

    entered: int
    made: int
    name: str
    """the class of the lock"""
    kind: LockKind
    variable: str = ""


def inline_locks(effects: Effects, key: FunctionKey) -> Iterator[InlineLock]:
    """Yield the places where a function enters a lock that it alone knows."""
    function = effects.program.function(key)
    for number, step in enumerate(function.steps):
        match step:
            case Await(kind=AwaitKind.ENTER, value=value) | Enter(value=value):
                found = _made(effects, key, function, value)
                if found is not None:
                    made, name, variable = found
                    kind = effects.operations.lock_kind(name)
                    if kind is not None:
                        yield InlineLock(number, made, name, kind, variable)
            case _:
                pass


def _made(effects: Effects, key: FunctionKey, function: Function, value: Expr) -> tuple[int, str, str] | None:
    """Return the step that makes a lock for this place alone, its class, and the variable that holds it."""
    match value:
        case Temp(step=made):
            variable = ""
        case Name(id=variable) if variable in function.locals and function.kind == "function":
            bound = effects.frame(key).value_of(variable)
            if not isinstance(bound, Temp) or _escapes(effects, key, function, variable, bound.step):
                return None
            made = bound.step
        case _:
            return None
    if not isinstance(function.steps[made], Call):
        return None
    for callee in effects.types.callees(key, made):
        if not isinstance(callee, LibraryCallee):
            return None
        name = effects.operations.knowledge.canonical(callee.name)
        return (made, name, variable) if effects.operations.lock_kind(name) is not None else None
    return None


def _escapes(effects: Effects, key: FunctionKey, function: Function, variable: str, made: int) -> bool:
    """Tell whether a variable is used for anything but entering, leaving and asking the lock."""
    functions = effects.program.module(key.module).functions
    if any(each.parent == key.function and variable in names_read(each) for each in functions):
        return True
    own = Name(variable)
    for step in function.steps:
        match step:
            case Await(kind=AwaitKind.ENTER | AwaitKind.EXIT) | Enter() | Exit():
                continue
            case Call(func=func, args=args, keywords=keywords):
                values = (*args, *(value for _, value in keywords))
                values = values if isinstance(func, Attr) and func.base == own else (*values, func)
            case Assign(target=Attr() | Item() as target, value=value):
                values = (target, value)
            case _:
                values = read_by(step)
        if any(part == own for value in values for part in parts(value)):
            return True
    return False
