"""Which calls an awaited expression stands for, seen through tasks, shields, gathers and variables."""

from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct, structs
from packaging.version import Version

from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.library.exceptions import Exceptions
from cancellint.analysis.library.knowledge import NEWEST, Knowledge, argument, call_shape, meets
from cancellint.analysis.program.program import Program
from cancellint.analysis.types.types import Types
from cancellint.model.finding import Confidence
from cancellint.model.ir import Assign, Build, Call, Expr, Load, Name, Star, Temp
from cancellint.model.knowledge import Entry, LockKind, Role
from cancellint.model.types import (
    Callee,
    CallSite,
    Either,
    FunctionKey,
    Instance,
    LibraryCallee,
    Pending,
    TupleOf,
    Type,
    UnresolvedCallee,
)

DEEPEST = Limit(8, "wrappers within wrappers of an awaitable")
"""Wrappers within wrappers that are followed; `shield(ensure_future(wait_for(f())))` has three."""
_DEEPEST_HELD = Limit(3, "wrappers within wrappers of what a variable holds")
"""The same for what a variable holds; it may hold, over some turns of a loop, a wrapper of itself."""

_WRAPPERS = frozenset({Role.SPAWNS, Role.SHIELDS, Role.GATHERS, Role.RACES})


class Known(Struct, frozen=True):
    """A library call's entry, and whether a name alone had to do."""

    name: str
    entry: Entry
    confidence: Confidence


class Operation(Struct, frozen=True):
    """One call whose outcome is waited for.

    `task`: it runs as a task of its own. `shielded`: cancelling the waiter does not cancel it.
    `gathered`: its outcome is handed over together with those of others.
    `holder`: the variable or attribute through which the waiter reaches it, None if written in place.
    """

    site: CallSite
    callee: Callee
    task: bool = False
    shielded: bool = False
    gathered: bool = False
    holder: Expr | None = None


class Operations:
    """Resolves awaitables. Rests on types and knowledge only, so its answers never change during a run."""

    def __init__(
        self, program: Program, types: Types, knowledge: Knowledge, python: Version | None = None
    ) -> None:
        self._python = python
        self._program = program
        self._types = types
        self.knowledge = knowledge
        self.exceptions = Exceptions(program, knowledge, python)
        self._awaited: dict[tuple[FunctionKey, Expr], tuple[Operation, ...]] = {}

    def known(self, callee: Callee) -> Known | None:
        """Return the entry of a library call, or of one that a naming convention takes for it."""
        match callee:
            case LibraryCallee(name=name):
                return self._known(name, callee, Confidence.CERTAIN)
            case UnresolvedCallee(method=str(method), receiver=receiver) if receiver is not None:
                named = self.knowledge.conventions.method(method, receiver)
                return self._known(named, callee, Confidence.LIKELY) if named else None
            case _:
                return None

    def _known(
        self, name: str, callee: LibraryCallee | UnresolvedCallee, confidence: Confidence
    ) -> Known | None:
        if self.knowledge.entry(name) is None:
            return None
        shape = call_shape(callee.args, callee.keywords, self._python)
        entry = self.knowledge.facts(name, shape)
        return Known(self.knowledge.canonical(name), entry, confidence) if entry else None

    def refuses_coroutines(self, entry: Entry) -> bool:
        """Tell whether a library call takes no coroutine among the awaitables that it is given."""
        return entry.tasks_only is not None and meets(self._python or NEWEST, entry.tasks_only)

    def lock_kind(self, cls: str) -> LockKind | None:
        """Return who waits for the objects of a library class, None if they are no locks."""
        entry = self.knowledge.entry(cls)
        return None if entry is None else entry.lock

    def sends_too(self, cls: str) -> bool:
        """Tell whether what a library class receives may answer what it sends; a file's lines never do."""
        return cls in self._sending and self.knowledge.entry(f"{cls}.readlines") is None

    @cached_property
    def _sending(self) -> frozenset[str]:
        return frozenset(
            name.rpartition(".")[0]
            for name in self.knowledge.names()
            if (entry := self.knowledge.entry(name)) is not None
            and Role.SENDS in entry.roles
            and Role.BLOCKS not in entry.roles
        )

    def behind(self, key: FunctionKey, expr: Expr) -> tuple[Operation, ...]:
        """Return the operations that awaiting `expr` in function `key` waits for, in source order."""
        asked = (key, expr)
        if asked not in self._awaited:
            found = dict.fromkeys(self._resolve(key, expr, None, DEEPEST))
            self._awaited[asked] = tuple(found)
        return self._awaited[asked]

    def _resolve(self, key: FunctionKey, expr: Expr, holder: Expr | None, depth: int) -> Iterator[Operation]:
        """Yield operations; every level of recursion unwraps one wrapper, `DEEPEST` at most."""
        if depth == 0:
            DEEPEST.reached()
            return
        match expr:
            case Temp(step=step) if isinstance(self._program.function(key).steps[step], Call):
                yield from self._made_by(key, step, holder, depth)
            case Temp(step=step) if isinstance(read := self._program.function(key).steps[step], Load):
                yield from self._resolve(key, read.value, holder, depth)
            case Build(items=items):
                for item in items:
                    yield from self._resolve(key, item, holder, depth - 1)
            case Star(value=value):
                yield from self._resolve(key, value, holder, depth)
            case _:
                yield from self._held_by(key, expr, depth)

    def _made_by(self, key: FunctionKey, step: int, holder: Expr | None, depth: int) -> Iterator[Operation]:
        for callee in self._types.callees(key, step):
            known = self.known(callee)
            if known is None or not _WRAPPERS.intersection(known.entry.roles) or known.entry.raced == "body":
                yield Operation(CallSite(key, step), callee, holder=holder)
                continue
            for operand in wrapped(known.entry, callee):
                for inner in self._resolve(key, operand, holder, depth - 1):
                    yield _wrap(inner, known.entry)

    def _held_by(self, key: FunctionKey, expr: Expr, depth: int) -> Iterator[Operation]:
        within = min(depth - 1, _DEEPEST_HELD)
        found = tuple(pendings(self._types.of(key, expr)))
        if not found and isinstance(expr, Name):
            yield from self._assigned_to(key, expr, within)
        for pending in found:
            steps = self._program.function(pending.site.function).steps
            if not isinstance(steps[pending.site.step], Call):
                continue
            for callee in self._types.callees(pending.site.function, pending.site.step):
                known = self.known(callee)
                if known is not None and _WRAPPERS.intersection(known.entry.roles):
                    for operand in wrapped(known.entry, callee):
                        for inner in self._resolve(pending.site.function, operand, None, within):
                            yield structs.replace(_wrap(inner, known.entry), task=True, holder=expr)
                    continue
                yield Operation(pending.site, callee, task=pending.task, holder=expr)

    def _assigned_to(self, key: FunctionKey, name: Name, depth: int) -> Iterator[Operation]:
        """Yield the calls whose outcome a variable is given, where their types are not known."""
        function = self._program.function(key)
        if name.id not in function.locals:
            return
        for step in function.steps:
            match step:
                case Assign(target=Name(id=target), value=Temp() as value) if target == name.id:
                    for operation in self._resolve(key, value, name, depth):
                        yield structs.replace(operation, holder=name)
                case _:
                    pass


def wrapped(entry: Entry, callee: Callee) -> Iterator[Expr]:
    """Yield the awaitables that a wrapping call is given."""
    if Role.SPAWNS in entry.roles:
        wanted = entry.spawned
    elif Role.GATHERS in entry.roles or Role.SHIELDS in entry.roles or Role.RACES in entry.roles:
        wanted = entry.raced
    else:
        return
    yield from operands(entry, wanted, callee)


def operands(entry: Entry, wanted: str, callee: Callee) -> Iterator[Expr]:
    """Yield the expressions that an operand such as `arg:0` or `args` names in a call."""
    if wanted == "args":
        yield from callee.args
    elif wanted == "self":
        if callee.receiver is not None:
            yield callee.receiver
    elif wanted == "item":
        yield from callee.args[:1]
    elif wanted.startswith("arg:"):
        given = argument(entry, wanted, callee.args, callee.keywords)
        if given is not None:
            yield given


def pendings(kind: Type) -> Iterator[Pending]:
    """Yield the coroutines and tasks in a type, those in containers and tuples included."""
    waiting: list[Type] = [kind]
    while waiting:
        match waiting.pop():
            case Pending() as pending:
                yield pending
            case Either(options=parts) | TupleOf(items=parts) | Instance(args=parts):
                waiting.extend(reversed(parts))
            case _:
                pass


def _wrap(inner: Operation, entry: Entry) -> Operation:
    """Return the operation as it looks from outside a task, shield or gather."""
    if Role.RACES in entry.roles and Role.GATHERS not in entry.roles:
        return delivered(inner, entry)
    return structs.replace(
        inner,
        task=True,
        shielded=inner.shielded or Role.SHIELDS in entry.roles,
        gathered=inner.gathered or Role.GATHERS in entry.roles,
    )


def delivered(inner: Operation, entry: Entry) -> Operation:
    """Return the operation as a race awaits it: what hands over a finished task's result drops none.

    A gathering is not finished as long as one of its tasks is not, and a shielded task goes on.
    """
    handed_over = entry.delivers and not inner.shielded and not inner.gathered
    return structs.replace(inner, task=False) if handed_over else inner
