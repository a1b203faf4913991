"""Who keeps the task that a call starts: the handle followed from the call to where it ends up.

A handle is kept once it is in something that outlives the function, awaited, looked at, or given to a call
that may keep it; a doubt counts as kept. What only asks to be told (a done-callback) keeps nothing.
"""

import enum
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cached_property

from msgspec import Struct, structs

from cancellint.analysis.conventions import last_name, starter_by_name
from cancellint.analysis.names import decorator_names
from cancellint.analysis.operations import Known, Operations, operands
from cancellint.analysis.program import Program
from cancellint.analysis.type_algebra import options
from cancellint.analysis.types import Types
from cancellint.model.finding import Confidence
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Attr,
    Await,
    AwaitKind,
    Build,
    Call,
    Catch,
    Closure,
    Const,
    Delete,
    Element,
    Enter,
    Evaluate,
    Exit,
    Expr,
    Function,
    Imported,
    Item,
    Name,
    Next,
    Op,
    Raise,
    Return,
    Star,
    StarImport,
    Step,
    Temp,
    Yield,
)
from cancellint.model.knowledge import Entry, Mode, RaceKind, Role
from cancellint.model.types import (
    Callee,
    CallSite,
    FunctionKey,
    Instance,
    LibraryCallee,
    NoneValue,
    Pending,
    ProjectCallee,
    ProjectFunction,
    Type,
    Unknown,
    UnresolvedCallee,
)

DEEPEST_HELPER = 4
"""Helpers that return what another helper returns: how many levels are followed."""

_FUTURES = frozenset({"asyncio.Task", "asyncio.Future", "concurrent.futures.Future"})
_NEW_CONTAINERS = frozenset(
    {"builtins.list", "builtins.set", "builtins.dict", "list", "set", "dict", "collections.deque"}
)
_KEEPS_NOTHING = frozenset({"add_done_callback", "remove_done_callback", "set_name", "get_name"})
"""Methods of a handle after which it is no better kept than before."""
_FILLS = frozenset({"append", "appendleft", "add", "insert", "extend", "update", "setdefault"})
_EMPTIES = frozenset({"discard", "remove", "clear"})
_STRENGTH = tuple(Confidence)
_OUTCOMES = frozenset({"result", "exception"})
_TESTS = frozenset(
    {"not", "==", "!=", "<", ">", "<=", ">=", "in", "not in", "is", "is not", "match", "fstring"}
)
"""Operators whose result has nothing of their operands."""


class Ending(enum.IntEnum):
    """How a handle is lost."""

    UNBOUND = 0
    """the call is a statement, or nothing is done with its result"""
    UNUSED = 1
    """it is bound to a variable that is not used"""
    DISCARDED = 2
    """it is bound to `_`, which says that it is meant"""
    UNSEEN = 3
    """it is put into a container of the function that nobody looks at"""
    WEAK = 4
    """only a weak reference is kept"""


class Started(Struct, frozen=True):
    """A task, or a call in another thread, that a step starts.

    `runs` is what it runs, as written, or empty. `helpers` are the steps of project functions at which it
    really starts, outermost first. `told` says that a done-callback looks at its error, `watched` that
    there is one at all.
    """

    runs: str
    in_thread: bool
    confidence: Confidence
    helpers: tuple[CallSite, ...] = ()
    watched: bool = False
    told: bool = False


class Dropped(Struct, frozen=True):
    """A handle that nobody keeps."""

    step: int
    started: Started
    ending: Ending
    holder: str = ""
    """the variable that held it last"""


class _Fate(enum.IntEnum):
    """What becomes of a handle, worst first."""

    LOST = 0
    RETURNED = 1
    KEPT = 2


class _Held(Struct, frozen=True):
    """A handle in a variable, or in a container that a variable means, from a step on."""

    name: str
    after: int
    in_container: bool


class _Followed(Struct, frozen=True):
    """Where a handle ended up."""

    fate: _Fate
    ending: Ending = Ending.UNBOUND
    holder: str = ""
    watched: bool = False
    told: bool = False


class Handles:
    """Finds the handles that are dropped. Rests on types and knowledge only."""

    def __init__(self, program: Program, types: Types, operations: Operations) -> None:
        self._program = program
        self._types = types
        self._operations = operations
        self._knowledge = operations.knowledge
        self._given: dict[FunctionKey, Started | None] = {}
        self._depth = 0

    def dropped(self, key: FunctionKey) -> Iterator[Dropped]:
        """Yield the handles that function `key` drops, in the order of its steps."""
        for number, started in self._starts(key, self._names):
            found = self._follow(key, Temp(number), number)
            if found.fate is not _Fate.LOST:
                continue
            started = structs.replace(
                started, watched=started.watched or found.watched, told=started.told or found.told
            )
            if not (started.in_thread and started.told):
                yield Dropped(number, started, found.ending, found.holder)

    # ----------------------------------------------------------------- what starts a task

    @cached_property
    def _starters(self) -> frozenset[str]:
        """The last parts of the names that give a handle, as the tables know them."""
        found: set[str] = set()
        for name in self._knowledge.names():
            entry = self._knowledge.entry(name)
            if entry is not None and self._gives_handle(name, entry):
                found.update(each.rpartition(".")[2] for each in (name, *entry.aliases))
        return frozenset(found)

    @cached_property
    def _names(self) -> frozenset[str]:
        """The last parts of the names by which the program starts tasks, its own helpers' included."""
        callers: dict[FunctionKey, frozenset[str]] = {}
        renamed: dict[str, set[str]] = {}
        for key in self._program.functions():
            function = self._program.function(key)
            for name, old in _renamed(function, self._starters):
                renamed.setdefault(old, set()).add(name)
            if _returns(function):
                callers[key] = _called(function)
        names: set[str] = set()
        fresh = _with_renamed(self._starters, renamed)
        while fresh:
            names |= fresh
            self._given = {key: given for key, given in self._given.items() if given is not None}
            helpers = frozenset(
                self._program.function(key).name
                for key, called in callers.items()
                if not fresh.isdisjoint(called) and self._gives(key, names) is not None
            )
            fresh = _with_renamed(helpers, renamed) - names
        return frozenset(names)

    def _starts(self, key: FunctionKey, names: Container[str]) -> Iterator[tuple[int, Started]]:
        """Yield the steps of a function whose outcome is a new handle."""
        function = self._program.function(key)
        for number, step in enumerate(function.steps):
            if not isinstance(step, Call) or last_name(step.func) not in names:
                continue
            started = self._started(key, number, names)
            if started is None:
                continue
            if not self._is_coroutine_call(key, number):
                yield number, started
                continue
            for later in range(number + 1, len(function.steps)):
                match function.steps[later]:
                    case Await(value=Temp(step=awaited), kind=AwaitKind.EXPRESSION) if awaited == number:
                        yield later, started
                    case _:
                        pass

    def _is_coroutine_call(self, key: FunctionKey, number: int) -> bool:
        return any(
            isinstance(callee, ProjectCallee) and self._program.function(callee.key).is_async
            for callee in self._types.callees(key, number)
        )

    def _started(self, key: FunctionKey, number: int, names: Container[str]) -> Started | None:
        """Return what a call starts and hands over, None where it is not certain to do so."""
        found: Started | None = None
        for callee in self._types.callees(key, number):
            one = self._started_by(key, callee, names)
            if one is None:
                return None
            weaker = found is None or _STRENGTH.index(one.confidence) > _STRENGTH.index(found.confidence)
            found = one if weaker else found
        return found

    def _started_by(self, key: FunctionKey, callee: Callee, names: Container[str]) -> Started | None:
        if isinstance(callee, ProjectCallee):
            given = None if callee.constructs else self._gives(callee.key, names)
            return structs.replace(given, runs=self._first_written(key, callee)) if given else None
        known = self._operations.known(callee) or self._known_by_name(callee)
        if known is None or not self._gives_handle(known.name, known.entry):
            return None
        wanted = known.entry.calls or known.entry.spawned
        operand = next(operands(known.entry, wanted, callee), None)
        if operand is not None and known.entry.calls is None and self._is_held_elsewhere(key, operand):
            return None
        runs = "" if operand is None else self._written(key, operand)
        in_thread = known.entry.calls is not None or self._runs_in_thread(key, operand)
        return Started(runs, in_thread, known.confidence)

    def _known_by_name(self, callee: Callee) -> Known | None:
        """Return the entry of a method that is named like a starter, on an object named like its owner."""
        if not isinstance(callee, UnresolvedCallee) or callee.method is None or callee.receiver is None:
            return None
        name = starter_by_name(callee.method, callee.receiver)
        entry = self._knowledge.entry(name) if name is not None else None
        return Known(name, entry, Confidence.LIKELY) if name is not None and entry is not None else None

    def _gives_handle(self, name: str, entry: Entry) -> bool:
        """Whether the caller alone has the handle: `asyncio.run` gives none, a task group keeps its own."""
        if Role.SPAWNS not in entry.roles or Role.BLOCKS in entry.roles or entry.awaitable:
            return False
        owner = self._knowledge.entry(name.rpartition(".")[0])
        if owner is not None and owner.race is RaceKind.SCOPE:
            return False
        returns = entry.returns or ""
        return entry.kind == "class" or returns.startswith("task:") or returns in _FUTURES

    def _is_held_elsewhere(self, key: FunctionKey, operand: Expr) -> bool:
        """Whether what is to be started is a task or future already, which somebody else has."""
        found = [each for each in options(self._types.of(key, operand)) if not isinstance(each, NoneValue)]
        if isinstance(operand, Attr | Item) and all(isinstance(each, Unknown) for each in found):
            return True  # an attribute holds a future rather than a coroutine, which can be awaited once
        if not found or not all(_is_future(each) for each in found):
            return False
        if isinstance(operand, Temp):
            return self._started(key, operand.step, self._starters) is None
        return True

    def _runs_in_thread(self, key: FunctionKey, operand: Expr | None) -> bool:
        """Whether what is awaited goes on without anyone waiting, so that nothing can collect it."""
        if not isinstance(operand, Temp) or not isinstance(self.function(key).steps[operand.step], Call):
            return False
        known = [self._operations.known(callee) for callee in self.callees(key, operand.step)]
        return all(each is not None and each.entry.mode is Mode.THREAD_CONTINUES for each in known)

    def _gives(self, key: FunctionKey, names: Container[str]) -> Started | None:
        """Return what a project function starts and returns without keeping it."""
        if key in self._given or self._depth > DEEPEST_HELPER:
            return self._given.get(key)
        self._given[key] = None
        function = self._program.function(key)
        if function.is_generator or any("cache" in name for name in decorator_names(function)):
            return None
        self._depth += 1
        for number, started in self._starts(key, names):
            found = self._follow(key, Temp(number), number)
            if found.fate is _Fate.RETURNED:
                self._given[key] = structs.replace(
                    started,
                    helpers=(CallSite(key, number), *started.helpers),
                    watched=started.watched or found.watched,
                    told=started.told or found.told,
                )
                break
        self._depth -= 1
        return self._given[key]

    # ----------------------------------------------------------------- where a handle goes

    def _follow(self, key: FunctionKey, made: Expr, number: int) -> _Followed:
        """Follow a handle through the function that has it: an outcome, or a parameter."""
        trail = _Trail(self, key)
        return trail.follow(made, number)

    def keeps_parameter(self, key: FunctionKey, name: str) -> _Followed:
        """What a project function does with a handle it is given."""
        function = self._program.function(key)
        if self._depth > DEEPEST_HELPER or function.is_async or function.is_generator:
            return _Followed(_Fate.KEPT)
        self._depth += 1
        found = self._follow(key, Name(name), -1)
        self._depth -= 1
        return found

    def callees(self, key: FunctionKey, number: int) -> tuple[Callee, ...]:
        return self._types.callees(key, number)

    def function(self, key: FunctionKey) -> Function:
        return self._program.function(key)

    def only_looks(self, callee: Callee) -> bool:
        known = self._operations.known(callee)
        return known is not None and known.entry.roles == (Role.LOOKS,)

    def is_weak(self, key: FunctionKey, expr: Expr) -> bool:
        """Whether a container holds its elements weakly."""
        found = options(self._types.of(key, expr))
        return all(isinstance(each, Instance) and each.cls.startswith("weakref.Weak") for each in found)

    def sees_error(self, key: FunctionKey, callback: Expr) -> bool:
        """Whether a done-callback looks at the outcome; one of the project that nowhere does so does not."""
        for option in options(self._types.of(key, callback)):
            if isinstance(option, ProjectFunction):
                if self._asks_outcome(option.key):
                    return True
            elif not (isinstance(callback, Attr) and callback.name in _EMPTIES):
                return True
        return False

    def _asks_outcome(self, key: FunctionKey) -> bool:
        """Whether a function asks a handle how it ended, or gives one of its parameters to another call."""
        function = self._program.function(key)
        params = {Name(param.name) for param in function.params}
        for step in function.steps:
            match step:
                case Call(func=Attr(name=name)) if name in _OUTCOMES:
                    return True
                case Call(func=func, args=args) if last_name(func) not in _EMPTIES:
                    if params.intersection(args):
                        return True
                case _:
                    pass
        return False

    # ----------------------------------------------------------------- words

    def _first_written(self, key: FunctionKey, callee: ProjectCallee) -> str:
        """What a helper is given to run, if that can be written in a few words."""
        shown = (self._written(key, value) for value in callee.args[:2] if isinstance(value, Temp))
        return next((each for each in shown if each), "")

    def _written(self, key: FunctionKey, expr: Expr) -> str:
        """Return a call, function or variable as its author wrote it, or nothing if that is long."""
        if isinstance(expr, Temp):
            step = self._program.function(key).steps[expr.step]
            expr = step.func if isinstance(step, Call) else expr
        names: list[str] = []
        while isinstance(expr, Attr):
            names.append(expr.name)
            expr = expr.base
        if not isinstance(expr, Name):
            return names[0] if names else ""
        return ".".join((expr.id.partition("@")[0], *reversed(names)))


class _Use(Struct, frozen=True):
    """What one step does with a handle."""

    fate: _Fate = _Fate.LOST
    moved: _Held | None = None
    watched: bool = False
    told: bool = False
    weak: bool = False


_NOTHING = _Use()
_KEPT = _Use(_Fate.KEPT)
_RETURNED = _Use(_Fate.RETURNED)


class _Trail:
    """Follows one handle through one function."""

    def __init__(self, handles: Handles, key: FunctionKey) -> None:
        self._handles = handles
        self._key = key
        self._function = handles.function(key)

    def follow(self, made: Expr, number: int) -> _Followed:
        """Return what becomes of what step `number` made, or of a parameter."""
        fate, watched, told, ending, last = _Fate.LOST, False, False, Ending.UNBOUND, ""
        waiting: list[_Held | None] = [None if isinstance(made, Temp) else _Held(_name(made), number, False)]
        seen: set[_Held] = set()
        while waiting and fate is not _Fate.KEPT:
            held = waiting.pop()
            if held is None:
                uses = tuple(self._uses_of_outcome(made))
            else:
                if held in seen:
                    continue
                seen.add(held)
                ending, last = _ending(held), held.name if not held.name.startswith("$") else last
                uses = tuple(self._uses_of_variable(held))
            for use in uses:
                fate = max(fate, use.fate)
                watched, told = watched or use.watched, told or use.told
                ending = Ending.WEAK if use.weak else ending
                if use.moved is not None:
                    waiting.append(use.moved)
        return _Followed(fate, ending, last, watched, told)

    def _uses_of_outcome(self, made: Expr) -> Iterator[_Use]:
        for number in range(len(self._function.steps)):
            yield self._use(number, made, False)

    def _uses_of_variable(self, held: _Held) -> Iterator[_Use]:
        """Yield what is done with a variable before it is bound anew; it may be read by nested functions."""
        name = Name(held.name)
        if self._reads(_closures(self._function), held.name):
            yield _KEPT
        returns = held.after < 0
        for number in _reachable(self._function, held.after, held.name):
            if number == RETURN_EXIT:
                returns = True
                continue
            yield self._use(number, name, held.in_container)
        if not returns:
            yield _KEPT  # the variable lives as long as the function runs, and it never returns

    def _reads(self, functions: Iterable[int], name: str) -> bool:
        """Whether nested functions, or functions nested in them, read a variable of this one."""
        waiting = list(functions)
        while waiting:
            nested = self._handles.function(FunctionKey(self._key.module, waiting.pop()))
            if name in nested.locals or any(param.name == name for param in nested.params):
                continue
            if any(_mentions(expr, Name(name)) for step in nested.steps for expr in _expressions(step)):
                return True
            waiting.extend(_closures(nested))
        return False

    # ----------------------------------------------------------------- one step

    def _use(self, number: int, held: Expr, in_container: bool) -> _Use:
        """What a step does with a handle, or with the container that has it."""
        step = self._function.steps[number]
        if not any(_mentions(expr, held) for expr in _expressions(step)):
            return _NOTHING
        match step:
            case Assign():
                return self._assigned(number, step, held, in_container)
            case Call():
                return self._called(number, step, held, in_container)
            case Return(value=value):
                return _RETURNED if _carries(value, held) else _NOTHING
            case Evaluate() | Delete():
                return _NOTHING
            case _:
                return _KEPT

    def _assigned(self, number: int, step: Assign, held: Expr, in_container: bool) -> _Use:
        match step.target:
            case Item(base=base, key=key) if _carries(key, held):
                return self._stored(number, base)
            case _ if not _carries(step.value, held):
                return _NOTHING
            case _:
                pass
        collects = in_container or bool(step.op) or isinstance(step.value, Build)
        match step.target:
            case Name(id=name):
                if step.value == step.target:
                    return _NOTHING
                if self._outlives(name) or (step.op and not self._is_own_container(name)):
                    return _KEPT
                return _Use(moved=_Held(name, number, collects))
            case Item(base=base):
                return self._stored(number, base)
            case _:
                return _KEPT

    def _stored(self, number: int, container: Expr) -> _Use:
        """What it means for a handle to be put into a container."""
        if isinstance(container, Name) and self._is_own_container(container.id):
            return _Use(moved=_Held(container.id, number, True))
        return _Use(weak=True) if self._handles.is_weak(self._key, container) else _KEPT

    def _called(self, number: int, step: Call, held: Expr, in_container: bool) -> _Use:
        match step.func:
            case Attr(base=base, name=method) if base == held:
                known = _FILLS | _EMPTIES if in_container else _KEEPS_NOTHING
                if method not in known:
                    return _KEPT
                if not in_container and method == "add_done_callback":
                    if isinstance(held, Name) and self._waits_for_callback(number, step):
                        return _KEPT
                    told = any(self._handles.sees_error(self._key, value) for value in step.args)
                    return _Use(watched=True, told=told)
                return _NOTHING
            case Attr(name="add_done_callback") if in_container:
                return _NOTHING
            case _:
                pass
        given = (*step.args, *(value for _, value in step.keywords))
        if _carries(step.func, held):
            return _KEPT
        if not any(_carries(value, held) for value in given):
            return _NOTHING
        match step.func:
            case Attr(base=base, name=method) if method in _FILLS:
                return self._stored(number, base)
            case _:
                return self._given(number, held)

    def _given(self, number: int, held: Expr) -> _Use:
        """What a call does with a handle among its arguments: the mildest of what its callees do."""
        watched = told = False
        for callee in self._handles.callees(self._key, number):
            if self._handles.only_looks(callee):
                continue
            param = self._parameter(callee, held)
            if not isinstance(callee, ProjectCallee) or param is None:
                return _KEPT
            found = self._handles.keeps_parameter(callee.key, param)
            if found.fate is not _Fate.LOST:
                return _KEPT
            watched, told = watched or found.watched, told or found.told
        return _Use(watched=watched, told=told)

    def _parameter(self, callee: Callee, held: Expr) -> str | None:
        """The parameter that receives the handle itself."""
        if not isinstance(callee, ProjectCallee):
            return None
        params = [
            param.name for param in self._handles.function(callee.key).params if param.kind != "varargs"
        ]
        offset = 1 if callee.receiver is not None or callee.constructs else 0
        for position, value in enumerate(callee.args):
            if isinstance(value, Star):
                return None
            if value == held:
                return params[position + offset] if position + offset < len(params) else None
        return next((name for name, value in callee.keywords if value == held and name in params), None)

    def _waits_for_callback(self, number: int, step: Call) -> bool:
        """Whether the function goes on to wait for something that the done-callback has hold of.

        It is told when the task is done, and its variable keeps the task until then.
        """
        signals = [Name(name) for name in self._function.locals if self._has_hold_of(step.args, name)]
        for later in _reachable(self._function, number, ""):
            if later == RETURN_EXIT or not isinstance(self._function.steps[later], Await):
                continue
            waited = _expressions(self._function.steps[later])
            for expr in waited:
                made = self._function.steps[expr.step] if isinstance(expr, Temp) else None
                parts = (*waited, *_expressions(made)) if isinstance(made, Call) else waited
                if any(_mentions(part, signal) for part in parts for signal in signals):
                    return True
        return False

    def _has_hold_of(self, callbacks: tuple[Expr, ...], name: str) -> bool:
        """Whether a callback is a method of what a variable means, or a function that reads the variable."""
        for callback in callbacks:
            bound = self._local_function(callback)
            if _mentions(callback, Name(name)) or (bound is not None and self._reads((bound,), name)):
                return True
        return False

    def _local_function(self, expr: Expr) -> int | None:
        """The nested function that an expression is, or names."""
        if isinstance(expr, Closure):
            return expr.function
        for step in self._function.steps:
            if isinstance(step, Assign) and step.target == expr and isinstance(step.value, Closure):
                return step.value.function
        return None

    # ----------------------------------------------------------------- variables

    def _outlives(self, name: str) -> bool:
        function = self._function
        return (
            function.kind in ("module", "class")
            or name in function.global_names
            or name in function.nonlocal_names
        )

    def _is_own_container(self, name: str) -> bool:
        """Whether a variable of the function means nothing but containers made in it."""
        if self._outlives(name) or any(param.name == name for param in self._function.params):
            return False
        bound = [
            step.value
            for step in self._function.steps
            if isinstance(step, Assign) and step.target == Name(name) and not step.op
        ]
        return bool(bound) and all(self._is_new_container(value) for value in bound)

    def _is_new_container(self, value: Expr) -> bool:
        match value:
            case Build():
                return True
            case Name(id=name) if name.startswith("$"):
                return self._is_own_container(name)
            case Temp(step=step) if isinstance(self._function.steps[step], Call):
                callees = self._handles.callees(self._key, step)
                return all(isinstance(one, LibraryCallee) and one.name in _NEW_CONTAINERS for one in callees)
            case _:
                return False


def _is_future(found: Type) -> bool:
    match found:
        case Pending(task=task):
            return task
        case Instance(cls=cls):
            return cls in _FUTURES
        case _:
            return False


def _ending(held: _Held) -> Ending:
    if held.in_container:
        return Ending.UNSEEN
    if not held.name.strip("_"):
        return Ending.DISCARDED
    return Ending.UNBOUND if held.name.startswith("$") else Ending.UNUSED


def _name(expr: Expr) -> str:
    return expr.id if isinstance(expr, Name) else ""


def _reachable(function: Function, after: int, name: str) -> Iterator[int]:
    """Yield the steps that may run after a step while a variable keeps its value, and RETURN_EXIT."""
    blocks = function.blocks
    start = next((i for i, block in enumerate(blocks) if block.first <= after < block.last), 0)
    waiting, seen = [(start, max(after + 1, blocks[start].first))], set[int]()
    while waiting:
        index, number = waiting.pop()
        rebound = False
        while number < blocks[index].last and not rebound:
            yield number
            match function.steps[number]:
                case Assign(target=Name(id=bound), op="") if bound == name:
                    rebound = True
                case _:
                    number += 1
        if rebound:
            yield RETURN_EXIT
            continue
        for edge in blocks[index].edges:
            if edge.to == RETURN_EXIT:
                yield RETURN_EXIT
            elif edge.to >= 0 and edge.to not in seen:
                seen.add(edge.to)
                waiting.append((edge.to, blocks[edge.to].first))


def _renamed(function: Function, starters: Container[str]) -> Iterator[tuple[str, str]]:
    """Yield new and old name of what a function imports under another name, and of aliases of starters."""
    for step in function.steps:
        match step:
            case Assign(target=Name(id=name), value=Imported(name=str(old))) if name != old:
                yield name, old
            case Assign(target=Name(id=name) | Attr(name=name), value=Attr(name=old)) if old in starters:
                yield name, old
            case _:
                pass


def _with_renamed(names: frozenset[str], renamed: Mapping[str, set[str]]) -> frozenset[str]:
    """Return the names and all that they have been renamed to."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(renamed.get(name, ()))
    return frozenset(found)


def _returns(function: Function) -> bool:
    """Whether a function may return a handle."""
    if function.is_generator or function.kind not in ("function", "lambda"):
        return False
    return any(isinstance(step, Return) and not isinstance(step.value, Const) for step in function.steps)


def _called(function: Function) -> frozenset[str]:
    names = (last_name(step.func) for step in function.steps if isinstance(step, Call))
    return frozenset(name for name in names if name is not None)


def _closures(function: Function) -> Iterator[int]:
    """Yield the functions that a function makes."""
    for step in function.steps:
        waiting = list(_expressions(step))
        while waiting:
            current = waiting.pop()
            if isinstance(current, Closure):
                yield current.function
            waiting.extend(_parts(current))


def _expressions(step: Step) -> tuple[Expr, ...]:
    """The expressions that a step evaluates; the target of an assignment is none unless it has a base."""
    match step:
        case Call(func=func, args=args, keywords=keywords):
            return (func, *args, *(value for _, value in keywords))
        case Assign(target=Name(), value=value):
            return (value,)
        case Assign(target=target, value=value):
            return (target, value)
        case Delete(target=target):
            return (target,)
        case Catch(types=types):
            return types
        case Raise(value=raised):
            return () if raised is None else (raised,)
        case StarImport():
            return ()
        case Await(value=value) | Yield(value=value) | Enter(value=value) | Exit(value=value):
            return (value,)
        case Next(value=value) | Return(value=value) | Evaluate(value=value):
            return (value,)


def _mentions(expr: Expr, held: Expr) -> bool:
    """Whether a value is read anywhere in an expression."""
    waiting = [expr]
    while waiting:
        current = waiting.pop()
        if current == held:
            return True
        waiting.extend(_parts(current))
    return False


def _carries(expr: Expr, held: Expr) -> bool:
    """Whether an expression's value is, has or is bound to the value."""
    waiting = [expr]
    while waiting:
        current = waiting.pop()
        if current == held:
            return True
        if not isinstance(current, Op) or current.op not in _TESTS:
            waiting.extend(_parts(current))
    return False


def _parts(expr: Expr) -> tuple[Expr, ...]:
    match expr:
        case Attr(base=value) | Element(value=value) | Star(value=value):
            return (value,)
        case Item(base=base, key=key):
            return base, key
        case Op(operands=parts) | Build(items=parts):
            return parts
        case _:
            return ()
