"""Joining types, and keeping them small."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from cancellint.analysis.engine.limits import Limit
from cancellint.model.knowledge import Entry
from cancellint.model.types import (
    CallSite,
    ClassObject,
    Either,
    Instance,
    NoneValue,
    Pending,
    TupleOf,
    Type,
    Unknown,
)

UNKNOWN: Type = Unknown()
NONE: Type = NoneValue()
NOTHING: Type = Either(())
"""The type of what never comes to be: the neutral element of `join`."""

MAX_OPTIONS = Limit(8, "types that one expression may have")
MAX_DEPTH = Limit(6, "types within types")
MAX_PARTS = Limit(120, "parts of one type")


class LibraryFacts(Protocol):
    """What the inference asks of the knowledge about libraries."""

    def entry(self, name: str) -> Entry | None: ...

    def canonical(self, name: str) -> str: ...

    def is_class(self, name: str) -> bool: ...


def options(found: Type) -> tuple[Type, ...]:
    """The alternatives of a type, itself if there is just one."""
    return found.options if isinstance(found, Either) else (found,)


def same(left: Type, right: Type) -> bool:
    """Whether two types have the same alternatives, in whatever order."""
    if left == right:
        return True
    ours, theirs = options(left), options(right)
    return len(ours) == len(theirs) and all(option in theirs for option in ours)


def known(found: Type) -> Type:
    """A type for the outside: nothing found, at any depth, means nothing known."""
    match found:
        case Either(()):
            return UNKNOWN
        case Either(parts):
            return Either(tuple(known(part) for part in parts))
        case Instance(cls, (_, *_) as args, made_at):
            return Instance(cls, tuple(known(arg) for arg in args), made_at)
        case TupleOf(items):
            return TupleOf(tuple(known(item) for item in items))
        case Pending(result, site, task, spawned_at):
            return Pending(known(result), site, task, spawned_at)
        case _:
            return found


def join(types: Iterable[Type]) -> Type:
    """One of these types, in order of appearance; too many alternatives give Unknown.

    Instances of one class made at one place are merged by joining their arguments.
    """
    kept: list[Type] = []
    for found in types:
        for option in found.options if isinstance(found, Either) else (found,):
            if kept:
                _insert(kept, option)
            else:
                kept.append(option)
    if len(kept) > MAX_OPTIONS:
        kept = list(_without_origins(kept))
    if MAX_OPTIONS.is_exceeded_by(len(kept)):
        return UNKNOWN
    return kept[0] if len(kept) == 1 else Either(tuple(kept))


def _insert(kept: list[Type], option: Type) -> None:
    """Put an option into the builder `kept`, unless it is there."""
    for index, other in enumerate(kept):
        if other == option:
            return
        if isinstance(option, Instance) and isinstance(other, Instance) and _same_object(other, option):
            kept[index] = instance(other.cls, _join_arguments(other.args, option.args), other.made_at)
            return
    kept.append(option)


def _same_object(left: Instance, right: Instance) -> bool:
    return left.cls == right.cls and left.made_at == right.made_at


def _join_arguments(left: tuple[Type, ...], right: tuple[Type, ...]) -> tuple[Type, ...]:
    if len(left) != len(right):
        return left if len(left) > len(right) else right
    return tuple(join(pair) for pair in zip(left, right, strict=True))


def _without_origins(found: list[Type]) -> list[Type]:
    kept: list[Type] = []
    for option in found:
        plain = Instance(option.cls, option.args) if isinstance(option, Instance) else option
        _insert(kept, plain)
    return kept


def instance(cls: str, args: Sequence[Type] = (), made_at: CallSite | None = None) -> Type:
    """An instance whose arguments stay within the bounds of depth and size."""
    return Instance(cls, tuple(_bounded(arg) for arg in args), made_at)


def tuple_of(items: Sequence[Type]) -> Type:
    """A tuple of known shape; a long one is homogeneous."""
    if len(items) > MAX_OPTIONS * 2:
        return instance("tuple", (join(items),))
    return TupleOf(tuple(_bounded(item) for item in items))


def pending(result: Type, site: CallSite, *, task: bool = False, spawned_at: CallSite | None = None) -> Type:
    """A coroutine or task made at `site`."""
    return Pending(_bounded(result), site, task, spawned_at)


def _bounded(found: Type) -> Type:
    depth = 0
    parts = 0
    level: list[Type] = [found]
    while level:
        depth += 1
        parts += len(level)
        if MAX_DEPTH.is_exceeded_by(depth) or MAX_PARTS.is_exceeded_by(parts):
            return UNKNOWN
        level = [part for outer in level for part in _parts(outer)]
    return found


def _parts(found: Type) -> tuple[Type, ...]:
    match found:
        case Instance(_, parts) | ClassObject(_, parts):
            return parts
        case Either(parts) | TupleOf(parts):
            return parts
        case Pending(result):
            return (result,)
        case _:
            return ()


def without_none(found: Type) -> Type:
    return join(option for option in options(found) if not isinstance(option, NoneValue))


def is_vague(found: Type) -> bool:
    """Whether one of the alternatives is unknown, or there is none."""
    return found == NOTHING or any(isinstance(option, Unknown) for option in options(found))


def instance_of(option: Type) -> Type:
    match option:
        case ClassObject(cls, args):
            return Instance(cls, args)
        case Instance():
            return option
        case TupleOf(items):
            return join(instance_of(each) for item in items for each in options(item))
        case _:
            return UNKNOWN


def class_of(option: Type) -> Type:
    return ClassObject(option.cls, option.args, exact=False) if isinstance(option, Instance) else UNKNOWN
