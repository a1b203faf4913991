"""What a lock is by the tables: how many may hold it, and what becomes of whoever takes it twice."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import operands
from cancellint.analysis.library.knowledge import argument
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import Attr, Await, AwaitKind, Call, Const, Enter, Expr, Star, Temp
from cancellint.model.knowledge import Entry, Role
from cancellint.model.types import Callee, CallSite, FunctionKey, Instance, LibraryCallee


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
    steps = effects.program.function(key).steps
    match steps[step]:
        case Await(kind=AwaitKind.ENTER, value=value) | Enter(value=value):
            return value
        case Await(value=Temp(step=made)) if isinstance(steps[made], Call):
            callees = effects.types.callees(key, made)
            inner = (each.callee for each in effects.awaited(key, step) if each.site.function == key)
            return next(_acquired_by(effects, (*callees, *inner)), None)
        case Call():
            return next(_acquired_by(effects, effects.types.callees(key, step)), None)
        case _:
            return None


def _acquired_by(effects: Effects, callees: Iterable[Callee]) -> Iterator[Expr]:
    """Yield what library calls acquire, also those that a thread is told to make."""
    for callee in callees:
        known = effects.operations.known(callee)
        if known is not None and Role.ACQUIRES in known.entry.roles and callee.receiver is not None:
            yield callee.receiver
        if known is not None and known.entry.calls is not None and known.entry.awaitable:
            called = (each for each in operands(known.entry, known.entry.calls, callee))
            yield from (each.base for each in called if isinstance(each, Attr))
