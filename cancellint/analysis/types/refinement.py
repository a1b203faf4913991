"""Declared types, made more exact by what is really assigned."""

from cancellint.analysis.program.containers import AWAITABLES
from cancellint.analysis.program.program import Program
from cancellint.analysis.program.type_algebra import (
    NOTHING,
    UNKNOWN,
    instance,
    is_vague,
    join,
    options,
)
from cancellint.model.types import (
    ClassObject,
    Instance,
    Pending,
    TupleOf,
    Type,
)


def refined(program: Program, declared: Type, value: Type, *, keep_unknown: bool = False) -> Type:
    """A declared type, made more exact by what is really assigned."""
    if is_vague(declared):
        if value == NOTHING:
            return declared
        return join((declared, value)) if keep_unknown or declared != UNKNOWN else value
    found: list[Type] = []
    for option in options(declared):
        better = [_refinement(program, each, option) for each in options(value)]
        exact = [each for each in better if each is not None]
        if not exact or (is_vague(value) and not any(_same_class(each, option) for each in exact)):
            found.append(option)
        found.extend(exact)
    return join(found)


def _refinement(program: Program, value: Type, declared: Type) -> Type | None:
    """The declared type as this value shows it, or None if the value says nothing more."""
    match value, declared:
        case Instance(cls, args, made_at), Instance(declared_cls, declared_args) if cls == declared_cls:
            if len(args) == len(declared_args):
                pairs = zip(declared_args, args, strict=True)
                args = tuple(refined(program, outer, inner) for outer, inner in pairs)
            return instance(cls, args if len(args) >= len(declared_args) else declared_args, made_at)
        case Instance(cls), Instance(declared_cls) if program.inherits(cls, declared_cls):
            return value
        case Pending(), Instance(cls) if cls in AWAITABLES or cls.startswith("collections.abc.Async"):
            return value
        case ClassObject(cls), ClassObject(declared_cls) if cls != declared_cls:
            return value if program.inherits(cls, declared_cls) else None
        case Instance("contextlib.AbstractAsyncContextManager" | "contextlib.AbstractContextManager"), _:
            return None
        case _:
            return None


def _same_class(left: Type, right: Type) -> bool:
    return isinstance(left, Instance) and isinstance(right, Instance) and left.cls == right.cls


def is_awaitable(option: Type) -> bool:
    """Whether the very coroutine or task behind a declared type is worth knowing."""
    match option:
        case Instance(cls) if cls in AWAITABLES:
            return True
        case Instance(_, args) | TupleOf(args):
            return any(is_awaitable(each) for arg in args for each in options(arg))
        case _:
            return False
