"""Tasks that are started together, and how the variables of a function lead to them.

A *contender* is a task that a function starts and waits for beside others. Which expression means what to
it changes from step to step (`done, pending = await asyncio.wait(pending)`), so this is a state that an
interpreter carries along a path, not a property of the function.
"""

import enum
from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.callgraph.handles import Handles
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import Known, operands
from cancellint.analysis.library.knowledge import argument
from cancellint.analysis.program.expressions import last_name
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Build,
    Call,
    Const,
    Element,
    Expr,
    Function,
    Item,
    Load,
    Name,
    Next,
    Op,
    Param,
    Star,
    Step,
    Temp,
)
from cancellint.model.knowledge import RaceKind, Role
from cancellint.model.types import FunctionKey, ProjectCallee


class Part(enum.IntEnum):
    """What an expression has to do with a contender."""

    TASK = 0
    """it is the task"""
    GROUP = 1
    """a container that the task is in"""
    MEMBER = 2
    """one of such a container, which may be the task"""
    DONE = 3
    """tasks that have finished, or one of them"""
    OUTCOME = 4
    """the pair of finished and unfinished tasks that `asyncio.wait` gives"""
    WAITER = 5
    """something to await that waits for the task"""


class Waiting(enum.IntEnum):
    """How something waits for tasks, and what it does with them when it is not waited for to the end."""

    FIRST = 0
    """`asyncio.wait` until one is done, or with a time limit"""
    ALL = 1
    """`asyncio.wait` for all of them"""
    EACH = 2
    """`as_completed`"""
    GATHER = 3
    """`gather`, which cancels them if it is cancelled, but not if one of them fails"""
    GATHER_ALL = 4
    """`gather(return_exceptions=True)`"""
    SHIELD = 5
    LIMIT = 6
    """`wait_for`, which cancels what it waits for"""


class Carrier(Struct, frozen=True):
    """What an expression means to a contender, and through what: the loop or the call that made it so."""

    part: Part
    step: int = -1
    waiting: Waiting | None = None

    @property
    def rank(self) -> tuple[int, int, int]:
        """How near it is to the task: of several meanings, the one of the lowest rank counts."""
        return self.part, self.step, -1 if self.waiting is None else self.waiting


Carriers = Mapping[Expr, Carrier]

VIEWS = frozenset({"values", "items", "keys", "copy", "union", "difference"})
PICKS = frozenset({"pop", "popleft", "popitem", "get"})
FILLS = frozenset({"append", "appendleft", "add", "insert", "extend", "update", "setdefault"})
COPIES = frozenset(
    {"list", "set", "tuple", "frozenset", "sorted", "reversed", "enumerate", "zip", "iter", "dict", "filter"}
)
CHOICES = frozenset({"next", "min", "max"})


_WAITS = frozenset({Role.RACES, Role.GATHERS, Role.SHIELDS})
_RUNS_WHAT_IS_STARTED = frozenset({"run_until_complete", "run_forever"})


class Contenders:
    """Finds contenders, and follows what means them through single steps."""

    def __init__(self, effects: Effects, handles: Handles) -> None:
        self._effects = effects
        self._handles = handles
        self._waitings: dict[tuple[FunctionKey, int], tuple[Waiting, tuple[Expr, ...]] | None] = {}

    def started(self, key: FunctionKey) -> Iterator[int]:
        """Yield the steps of a function that start a task and give its handle."""
        for number, started in self._handles.started(key):
            if not started.in_thread:
                yield number

    def bare(self, key: FunctionKey) -> Iterator[int]:
        """Yield the calls that make a coroutine, in a function where several are waited for together."""
        function = self._effects.program.function(key)
        if not any(waiting not in (Waiting.SHIELD, Waiting.LIMIT) for waiting in self._waits(key)):
            return
        awaited = {
            step.value.step
            for step in function.steps
            if isinstance(step, Await) and isinstance(step.value, Temp)
        }
        for number, step in enumerate(function.steps):
            if isinstance(step, Call) and number not in awaited and self._makes_coroutine(key, number):
                yield number

    def given(self, key: FunctionKey) -> Iterator[str]:
        """Yield the parameters by which awaitables come in that are not yet tasks, if any are waited for."""
        function = self._effects.program.function(key)
        params = [param.name for param in function.params if gives_awaitables(param) and _is_container(param)]
        if params and Waiting.FIRST in self._waits(key):
            yield from params

    def has_race(self, key: FunctionKey) -> bool:
        """Tell whether a function waits for the first of several tasks."""
        return Waiting.FIRST in self._waits(key)

    def _waits(self, key: FunctionKey) -> Iterator[Waiting]:
        """Yield how a function waits for tasks: by name first, for few calls are worth resolving."""
        if key not in self._waiters:
            return
        for number, step in enumerate(self._effects.program.function(key).steps):
            if isinstance(step, Call) and last_name(step.func) in self._waiting_names:
                found = self.waiting(key, number)
                if found is not None:
                    yield found[0]

    def _makes_coroutine(self, key: FunctionKey, number: int) -> bool:
        for callee in self._effects.types.callees(key, number):
            if isinstance(callee, ProjectCallee):
                function = self._effects.program.function(callee.key)
                if not function.is_async or function.is_generator:
                    return False
                continue
            known = self._effects.operations.known(callee)
            if known is None or not known.entry.awaitable or Role.CONSUMES not in known.entry.roles:
                return False
        return True

    # ----------------------------------------------------------------- what waits

    def waiting(self, key: FunctionKey, number: int) -> tuple[Waiting, tuple[Expr, ...]] | None:
        """Return how a call waits for tasks, and for which, None for any other step."""
        asked = (key, number)
        if asked not in self._waitings:
            self._waitings[asked] = self._find_waiting(key, number)
        return self._waitings[asked]

    def _find_waiting(self, key: FunctionKey, number: int) -> tuple[Waiting, tuple[Expr, ...]] | None:
        step = self._effects.program.function(key).steps[number]
        if not isinstance(step, Call) or last_name(step.func) not in self._waiting_names:
            return None
        for callee in self._effects.types.callees(key, number):
            known = self._effects.operations.known(callee)
            if known is None or known.entry.raced == "body":
                continue
            kind = _kind_of_waiting(known, step)
            if kind is not None:
                return kind, tuple(operands(known.entry, known.entry.raced, callee))
        return None

    @cached_property
    def _waiting_names(self) -> frozenset[str]:
        """The last parts of the names of what waits for tasks: no other call is worth resolving."""
        knowledge = self._effects.operations.knowledge
        found: set[str] = set()
        for name in knowledge.names():
            entry = knowledge.entry(name)
            if entry is not None and not _WAITS.isdisjoint(entry.roles) and entry.raced != "body":
                found.update(each.rpartition(".")[2] for each in (name, *entry.aliases))
        return frozenset(found)

    @cached_property
    def _waiters(self) -> frozenset[FunctionKey]:
        """The functions that call something of these names."""
        return self._effects.program.calls.functions_with(self._waiting_names)

    @cached_property
    def _mains(self) -> frozenset[FunctionKey]:
        """The coroutine functions that a whole event loop is run for, by their own module."""
        program = self._effects.program
        return frozenset(
            main
            for key in sorted(self._effects.program.calls.functions_with(("run", *_RUNS_WHAT_IS_STARTED)))
            if not program.function(key).is_async
            for main in self._run_by(key)
            if main.module == key.module
        )

    def _run_by(self, key: FunctionKey) -> Iterator[FunctionKey]:
        """Yield what a function runs an event loop for: `asyncio.run(main())`, or all it starts before."""
        steps = self._effects.program.function(key).steps
        names = {last_name(step.func) for step in steps if isinstance(step, Call)}
        starts = not names.isdisjoint(_RUNS_WHAT_IS_STARTED)
        for number, step in enumerate(steps):
            if isinstance(step, Call) and (starts or _is_run(steps, number)):
                for callee in self._effects.types.callees(key, number):
                    if isinstance(callee, ProjectCallee):
                        yield callee.key

    def is_main(self, key: FunctionKey) -> bool:
        """Tell whether an event loop is run for this function, and cancels all that is left when it ends."""
        return key in self._mains

    def is_timed(self, key: FunctionKey, number: int) -> bool:
        """Tell whether a call that waits has a time limit."""
        step = self._effects.program.function(key).steps[number]
        for callee in self._effects.types.callees(key, number) if isinstance(step, Call) else ():
            known = self._effects.operations.known(callee)
            if known is not None:
                limit = argument(known.entry, "arg:timeout", callee.args, callee.keywords)
                return limit is not None and limit != Const("none", "None")
        return False

    # ----------------------------------------------------------------- what a step makes of it

    def after(self, key: FunctionKey, number: int, carriers: Carriers) -> Carriers:
        """Return which expressions mean the contender after a step."""
        function = self._effects.program.function(key)
        match function.steps[number]:
            case Call() as call:
                return self._after_call(key, number, call, carriers)
            case Assign(target=Name() as target, value=value, op=op):
                return _bound(carriers, target, meaning(value, carriers), op)
            case Assign(target=Item(base=Name() as base, key=index), value=value):
                found = meaning(value, carriers) or meaning(index, carriers)
                return _filled(carriers, base, found)
            case Await(value=value, kind=kind):
                return _with(carriers, Temp(number), _awaited(number, kind, meaning(value, carriers)))
            case Load(value=value):
                return _with(carriers, Temp(number), meaning(value, carriers))
            case Next(value=value):
                return _with(carriers, Temp(number), _item(number, meaning(value, carriers)))
            case _:
                return carriers

    def _after_call(self, key: FunctionKey, number: int, call: Call, carriers: Carriers) -> Carriers:
        waiting = self.waiting(key, number)
        if waiting is not None:
            found = next((one for one in (meaning(each, carriers) for each in waiting[1]) if one), None)
            return _with(carriers, Temp(number), _waited(number, waiting[0], found))
        given = [meaning(value, carriers) for value in (*call.args, *(value for _, value in call.keywords))]
        match call.func:
            case Attr(base=Name() as base, name=name) if name in FILLS and any(given):
                return _filled(carriers, base, next(one for one in given if one))
            case Attr(base=base, name=name) if name in VIEWS:
                return _with(carriers, Temp(number), meaning(base, carriers))
            case Attr(base=base, name=name) if name in PICKS:
                return _with(carriers, Temp(number), _picked(meaning(base, carriers)))
            case Name(id=name) if name in COPIES:
                return _with(carriers, Temp(number), _together(given))
            case Name(id=name) if name in CHOICES:
                return _with(carriers, Temp(number), _picked(given[0] if given else None))
            case func if last_name(func) == "cast" and len(given) == 2:
                return _with(carriers, Temp(number), given[1])
            case _ if any(given) and self.is_same_task(key, number):
                return _with(carriers, Temp(number), given[0])
            case _:
                return carriers

    def only_looks(self, key: FunctionKey, number: int) -> bool:
        """Tell whether a call is known to do nothing but look at what it is given."""
        known = [
            self._effects.operations.known(callee) for callee in self._effects.types.callees(key, number)
        ]
        return all(each is not None and each.entry.roles == (Role.LOOKS,) for each in known)

    def is_same_task(self, key: FunctionKey, number: int) -> bool:
        """Tell whether a call gives back the task it is given, as `ensure_future` does."""
        for callee in self._effects.types.callees(key, number):
            known = self._effects.operations.known(callee)
            if known is not None and Role.SPAWNS in known.entry.roles:
                return True
        return False


def _is_run(steps: tuple[Step, ...], number: int) -> bool:
    """Tell whether what a call makes is the first argument of a `run`."""
    return any(
        isinstance(step, Call) and last_name(step.func) == "run" and step.args[:1] == (Temp(number),)
        for step in steps
    )


def is_own_container(function: Function, name: str) -> bool:
    """Tell whether a variable is local to the function and no parameter."""
    return name in function.locals and not any(param.name == name for param in function.params)


def meaning(expr: Expr, carriers: Carriers) -> Carrier | None:
    """Return what an expression means to a contender, None where it has nothing to do with it."""
    if expr in carriers:
        return carriers[expr]
    match expr:
        case Star(value=value):
            return meaning(value, carriers)
        case Element(value=value, index=index):
            return _element(meaning(value, carriers), index)
        case Item(base=base, key=Const(kind="int", text=text)):
            return _element(meaning(base, carriers), int(text))
        case Item(base=base, key=Op(op="slice")):
            return meaning(base, carriers)
        case Item(base=base):
            return _picked(meaning(base, carriers))
        case Build(items=items):
            return _together([meaning(item, carriers) for item in items])
        case Op(op="-", operands=(first, *_)):
            return meaning(first, carriers)
        case Op(op="+" | "|" | "&", operands=parts):
            return _together([meaning(part, carriers) for part in parts])
        case Op(op="ifexp" | "or" | "and", operands=parts):
            found = [one for one in (meaning(part, carriers) for part in parts) if one is not None]
            return min(found, key=lambda one: one.rank, default=None)
        case _:
            return None


def is_outstanding(found: Carrier | None) -> bool:
    """Tell whether something means a task that may not have finished."""
    return found is not None and found.part not in (Part.DONE, Part.OUTCOME)


def gives_awaitables(param: Param) -> bool:
    """Tell whether a parameter is declared to bring awaitables that are no tasks yet, one or several."""
    waiting: list[Expr] = [param.annotation] if param.annotation is not None else []
    while waiting:
        match waiting.pop():
            case Name(id=name) | Attr(name=name) if name in ("Awaitable", "Coroutine"):
                return True
            case Item(base=base, key=key) if last_name(base) != "Callable":
                waiting.extend((base, key))
            case Build(items=parts) | Op(operands=parts):
                waiting.extend(parts)
            case _:
                pass
    return False


def _is_container(param: Param) -> bool:
    declared = param.annotation
    return param.kind == "varargs" or (
        isinstance(declared, Item) and last_name(declared.base) not in ("Awaitable", "Coroutine", "Optional")
    )


def _kind_of_waiting(known: Known, call: Call) -> Waiting | None:
    entry = known.entry
    if Role.SHIELDS in entry.roles:
        return Waiting.SHIELD
    if Role.GATHERS in entry.roles:
        if entry.raced != "args":
            return Waiting.ALL
        told = ("return_exceptions", Const("bool", "True")) in call.keywords
        return Waiting.GATHER_ALL if told else Waiting.GATHER
    if Role.RACES not in entry.roles:
        return None
    match entry.race:
        case RaceKind.LEAVES_RUNNING:
            return Waiting.FIRST if entry.awaitable else Waiting.EACH
        case RaceKind.CANCELS_RAISES:
            return Waiting.LIMIT
        case RaceKind.CANCELS_FALLS_THROUGH | RaceKind.SCOPE | None:
            return None


def _waited(number: int, waiting: Waiting, found: Carrier | None) -> Carrier | None:
    """What a call that waits for such a thing gives to await; a time limit round a wait cancels no task."""
    if found is None or found.part is Part.DONE:
        return None
    if found.part is Part.MEMBER:
        return found
    kept = (Waiting.FIRST, Waiting.ALL, Waiting.SHIELD)
    if waiting is Waiting.LIMIT and found.part is Part.WAITER and found.waiting in kept:
        return found
    return Carrier(Part.WAITER, number, waiting)


def _element(found: Carrier | None, index: int) -> Carrier | None:
    if found is None:
        return None
    if found.part is Part.OUTCOME:
        return Carrier(Part.DONE if index == 0 else Part.GROUP, found.step)
    return _picked(found)


def _picked(found: Carrier | None) -> Carrier | None:
    """What one element of a container means."""
    if found is not None and found.part is Part.GROUP:
        return Carrier(Part.MEMBER)
    return found if found is not None and found.part in (Part.MEMBER, Part.DONE) else None


def _together(found: list[Carrier | None]) -> Carrier | None:
    """What a container of such elements means."""
    parts = {one.part for one in found if one is not None}
    if parts & {Part.TASK, Part.GROUP, Part.MEMBER}:
        return Carrier(Part.GROUP)
    return Carrier(Part.DONE) if Part.DONE in parts else None


def _item(number: int, found: Carrier | None) -> Carrier | None:
    """What a loop over a container binds."""
    if found is None or found.part is Part.TASK:
        return None
    if found.part is Part.GROUP or (found.part is Part.WAITER and found.waiting is Waiting.EACH):
        return Carrier(Part.MEMBER, number)
    return found if found.part is Part.DONE else None


def _awaited(number: int, kind: AwaitKind, found: Carrier | None) -> Carrier | None:
    if kind is AwaitKind.NEXT:
        return _item(number, found)
    if found is not None and found.part is Part.WAITER and found.waiting in (Waiting.FIRST, Waiting.ALL):
        return Carrier(Part.OUTCOME, found.step)
    return None


def _with(carriers: Carriers, expr: Expr, found: Carrier | None) -> Carriers:
    if found is not None:
        return {**carriers, expr: found}
    if expr in carriers:
        return {place: carrier for place, carrier in carriers.items() if place != expr}
    return carriers


def _bound(carriers: Carriers, target: Name, found: Carrier | None, op: str) -> Carriers:
    """Bind a variable, or add to what it has."""
    if not op:
        return _with(carriers, target, found)
    return _filled(carriers, target, found) if op != "-" else carriers


def _filled(carriers: Carriers, container: Name, found: Carrier | None) -> Carriers:
    together = _together([found, carriers.get(container)])
    return _with(carriers, container, together) if together is not None else carriers
