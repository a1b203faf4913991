"""Which handlers may catch a cancellation, judged by the names after `except` alone.

Names may still mean something else; linking looks at `Catch.types` again. So what could be a tuple
constant holding CancelledError may catch, as may all that the file assigns or imports from elsewhere;
what is named as an error without that does not.
"""

from collections.abc import Container
from enum import IntEnum

import libcst as cst


class Catches(IntEnum):
    NEVER = 0
    MAYBE = 1
    SURELY = 2


_CANCELLATIONS = frozenset({"CancelledError", "Cancelled", "BaseException"})
_ORDINARY = frozenset(
    {
        "KeyboardInterrupt",
        "SystemExit",
        "GeneratorExit",
        "StopIteration",
        "StopAsyncIteration",
        "ExceptionGroup",
        "BaseExceptionGroup",
    }
)
_ORDINARY_ENDINGS = ("Error", "Exception", "Timeout", "Warning")
_ORDINARY_MEMBERS = ("error", "timeout")
"""Lower-case classes of the standard library: `socket.error`, `socket.timeout`."""
_KNOWN_MODULES = frozenset({"asyncio", "builtins", "trio"})
"""Whose names mean what they say. What others hand on as an error may be a cancellation all the same."""
_EVERYTHING = frozenset({"Exception", "BaseException"})


def catches_cancellation(type_: cst.BaseExpression | None, own: Container[str] = ()) -> Catches:
    """Whether `except type_` catches a cancellation; `own` are names the file gives a meaning of its own."""
    return max((_member(member, own) for member in members(type_)), default=_empty(type_))


def is_a_class_apart(name: str) -> bool:
    """Whether a class that the file itself defines under a name is taken for no other one."""
    return name not in _CANCELLATIONS


def says_what_it_is(imported: str, module: str, level: int, name: str) -> bool:
    """Whether a name that is imported, `imported` of a module, may be judged by itself."""
    return imported == name and not level and module.partition(".")[0] in _KNOWN_MODULES


def catches_every_error(type_: cst.BaseExpression | None) -> bool:
    """Whether `except type_` catches every ordinary exception."""
    if type_ is None:
        return True
    return any(last_name(member) in _EVERYTHING for member in members(type_))


def members(type_: cst.BaseExpression | None) -> tuple[cst.BaseExpression, ...]:
    """The expressions after `except`, a tuple's one by one."""
    if type_ is None:
        return ()
    if not isinstance(type_, cst.Tuple):
        return (type_,)
    found: list[cst.BaseExpression] = []
    waiting: list[cst.BaseExpression] = [type_]
    while waiting:
        expression = waiting.pop()
        if isinstance(expression, cst.Tuple):
            waiting.extend(element.value for element in reversed(expression.elements))
        else:
            found.append(expression)
    return tuple(found)


def last_name(expression: cst.BaseExpression) -> str | None:
    """`c` of `a.b.c` or of `c`; None of anything else."""
    match expression:
        case cst.Name(value=name) | cst.Attribute(attr=cst.Name(value=name)):
            return name
    return None


def is_cancellation(expression: cst.BaseExpression) -> bool:
    """Whether `raise expression` names a cancellation, called or not."""
    if isinstance(expression, cst.Call):
        expression = expression.func
    return last_name(expression) in {"CancelledError", "Cancelled"}


def _empty(type_: cst.BaseExpression | None) -> Catches:
    """A bare `except` catches everything, `except ()` nothing."""
    return Catches.SURELY if type_ is None else Catches.NEVER


def _member(expression: cst.BaseExpression, own: Container[str]) -> Catches:
    if last_name(expression) in own:
        return Catches.MAYBE
    match expression:
        case cst.Call(func=func):
            return Catches.SURELY if last_name(func) == "get_cancelled_exc_class" else Catches.MAYBE
        case cst.Attribute(value=cst.Name(value="futures") | cst.Attribute(attr=cst.Name(value="futures"))):
            return Catches.NEVER
        case cst.Attribute(attr=cst.Name(value=name)) if name in _ORDINARY_MEMBERS:
            return Catches.NEVER
    name_ = last_name(expression)
    if name_ is None:
        return Catches.MAYBE
    if name_ in _CANCELLATIONS:
        return Catches.SURELY
    if "Cancel" in name_:
        return Catches.MAYBE
    if name_ in _ORDINARY or name_.endswith(_ORDINARY_ENDINGS):
        return Catches.NEVER
    return Catches.MAYBE
