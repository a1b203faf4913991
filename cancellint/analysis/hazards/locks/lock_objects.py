"""What a lock is by the tables: how many may hold it, and what becomes of whoever takes it twice."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.library.knowledge import argument
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import Await, AwaitKind, Call, Const, Expr, Star, Temp
from cancellint.model.knowledge import Entry, Role
from cancellint.model.types import CallSite, FunctionKey, Instance, LibraryCallee


class LockObject(Struct, frozen=True):
    """A lock as its class and its constructor tell."""

    name: str
    permits: int | None
    """how many may hold it at once, None where that is not known"""
    reenters: str
    """as in `Entry.reenters`"""


def lock_objects(effects: Effects, key: FunctionKey, expr: Expr) -> Iterator[LockObject]:
    """Yield what an expression may mean that is a lock of a library, or of a project class made of one."""
    for option in options(effects.types.of(key, expr)):
        if isinstance(option, Instance):
            for name in _library_classes(effects, option.cls):
                entry = effects.operations.knowledge.entry(name)
                if entry is not None and entry.lock is not None:
                    made = option.made_at
                    yield LockObject(name, _permits(effects, entry, name, made), entry.reenters)
                    break


def _library_classes(effects: Effects, cls: str) -> tuple[str, ...]:
    """Return a library class itself, or the library classes that a project class is made of."""
    return (cls,) if effects.program.cls(cls) is None else effects.types.library_bases(cls)


def _permits(effects: Effects, entry: Entry, name: str, made: CallSite | None) -> int | None:
    if entry.permits is None:
        return 1
    step = effects.program.function(made.function).steps[made.step] if made is not None else None
    if made is None or not isinstance(step, Call):
        return None
    if not any(
        isinstance(callee, LibraryCallee) and effects.operations.knowledge.canonical(callee.name) == name
        for callee in effects.types.callees(made.function, made.step)
    ):
        return None
    given = argument(entry, entry.permits, step.args, step.keywords)
    match given:
        case Const(kind="int", text=text):
            return int(text)
        case None if not any(name is None for name, _ in step.keywords) and Star not in map(type, step.args):
            return entry.default_permits
        case _:
            return None


def taken_at(effects: Effects, key: FunctionKey, step: int) -> Expr | None:
    """Return the lock that a step itself takes by a library's method, as written there."""
    match effects.program.function(key).steps[step]:
        case Await(kind=AwaitKind.ENTER, value=value):
            return value
        case Await(value=Temp(step=made)) if isinstance(effects.program.function(key).steps[made], Call):
            for callee in effects.types.callees(key, made):
                known = effects.operations.known(callee)
                if known is not None and Role.ACQUIRES in known.entry.roles:
                    return callee.receiver
            for operation in effects.awaited(key, step):
                known = effects.operations.known(operation.callee)
                if known is not None and Role.ACQUIRES in known.entry.roles:
                    return operation.callee.receiver if operation.site.function == key else None
            return None
        case _:
            return None
