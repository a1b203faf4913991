"""Where the handle of a task goes, from the step that makes it to where it is kept, returned or lost.

A doubt counts as kept. What only asks to be told (a done-callback) keeps nothing.
"""

import enum
from collections.abc import Iterable, Iterator

from msgspec import Struct

from cancellint.analysis.effects.operations import Operations
from cancellint.analysis.engine.graph import ControlFlow
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import Halt, PathPoint, PathSearch
from cancellint.analysis.engine.reachability import behind
from cancellint.analysis.program.arguments import bind, positional_arguments
from cancellint.analysis.program.expressions import last_name
from cancellint.analysis.program.program import Program
from cancellint.analysis.program.type_algebra import options
from cancellint.analysis.types.types import Types
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Attr,
    Await,
    Block,
    Build,
    Call,
    Catch,
    Closure,
    Delete,
    Element,
    Enter,
    Evaluate,
    Exit,
    Expr,
    Function,
    Item,
    Load,
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
from cancellint.model.knowledge import Role
from cancellint.model.types import (
    Callee,
    FunctionKey,
    Instance,
    LibraryCallee,
    ProjectCallee,
    ProjectFunction,
)

DEEPEST_CALL = Limit(4, "functions that hand a task on to each other")
"""Functions that hand a handle on to each other: how many levels are followed."""

_NEW_CONTAINERS = frozenset(
    {"builtins.list", "builtins.set", "builtins.dict", "list", "set", "dict", "collections.deque"}
)
_KEEPS_NOTHING = frozenset({"add_done_callback", "remove_done_callback", "set_name", "get_name"})
"""Methods of a handle after which it is no better kept than before."""
_FILLS = frozenset({"append", "appendleft", "add", "insert", "extend", "update", "setdefault"})
_EMPTIES = frozenset({"discard", "remove", "clear"})
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
    """it is bound to `_`, or to a name that begins with one, which says that it is meant"""
    UNSEEN = 3
    """it is put into a container of the function that nobody looks at"""
    WEAK = 4
    """only a weak reference is kept"""


class HandleFate(enum.IntEnum):
    """What becomes of a handle, worst first."""

    LOST = 0
    RETURNED = 1
    KEPT = 2


class _Held(Struct, frozen=True):
    """A handle in a variable, or in a container that a variable means, from a step on."""

    name: str
    after: int
    in_container: bool


class Followed(Struct, frozen=True):
    """Where a handle ended up."""

    fate: HandleFate
    ending: Ending = Ending.UNBOUND
    holder: str = ""
    watched: bool = False
    told: bool = False
    outlasted: bool = False
    """a variable has it while the function blocks its thread, as one does that runs the event loop"""


class Trails:
    """Follows handles. Rests on types and knowledge only."""

    def __init__(self, program: Program, types: Types, operations: Operations) -> None:
        self._program = program
        self._types = types
        self._operations = operations
        self._depth = 0

    def follow(self, key: FunctionKey, made: Expr, number: int) -> Followed:
        """Follow a handle through the function that has it: an outcome, or a parameter."""
        trail = _Trail(self, key)
        return trail.follow(made, number)

    def keeps_parameter(self, key: FunctionKey, name: str) -> Followed:
        """What a project function does with a handle it is given."""
        function = self._program.function(key)
        if function.is_async or function.is_generator or DEEPEST_CALL.is_exceeded_by(self._depth):
            return Followed(HandleFate.KEPT)
        self._depth += 1
        found = self.follow(key, Name(name), -1)
        self._depth -= 1
        return found

    def is_used_after(self, key: FunctionKey, name: str, number: int) -> bool:
        """Whether a variable is still of use after a step, to the function or to one nested in it."""
        trail = _Trail(self, key)
        return any(use.fate is not HandleFate.LOST for use in trail.uses_of_variable(name, number))

    def callees(self, key: FunctionKey, number: int) -> tuple[Callee, ...]:
        return self._types.callees(key, number)

    def function(self, key: FunctionKey) -> Function:
        return self._program.function(key)

    def flow(self, key: FunctionKey) -> ControlFlow:
        return self._program.flow(key)

    def only_looks(self, callee: Callee) -> bool:
        known = self._operations.known(callee)
        return known is not None and known.entry.roles == (Role.LOOKS,)

    def blocks(self, key: FunctionKey, number: int) -> bool:
        """Whether a call blocks the thread, such as one that runs the event loop."""
        known = (self._operations.known(callee) for callee in self.callees(key, number))
        return any(each is not None and Role.BLOCKS in each.entry.roles for each in known)

    def is_weak(self, key: FunctionKey, expr: Expr) -> bool:
        """Whether a container holds its elements weakly."""
        found = options(self._types.of(key, expr))
        weak = [isinstance(each, Instance) and self._operations.knowledge.is_weak(each.cls) for each in found]
        return bool(weak) and all(weak)

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


class _Use(Struct, frozen=True):
    """What one step does with a handle."""

    fate: HandleFate = HandleFate.LOST
    moved: _Held | None = None
    watched: bool = False
    told: bool = False
    weak: bool = False


_NOTHING = _Use()
_KEPT = _Use(HandleFate.KEPT)
_RETURNED = _Use(HandleFate.RETURNED)


class _Trail:
    """Follows one handle through one function."""

    def __init__(self, trails: Trails, key: FunctionKey) -> None:
        self._trails = trails
        self._key = key
        self._function = trails.function(key)
        self._flow = trails.flow(key)

    def follow(self, made: Expr, number: int) -> Followed:
        """Return what becomes of what step `number` made, or of a parameter."""
        fate, watched, told, ending, last = HandleFate.LOST, False, False, Ending.UNBOUND, ""
        outlasted = False
        waiting: list[_Held | None] = [None if isinstance(made, Temp) else _Held(_name(made), number, False)]
        seen: set[_Held] = set()
        while waiting and fate is not HandleFate.KEPT:
            held = waiting.pop()
            if held is None:
                uses = tuple(self._uses_of_outcome(made))
            else:
                if held in seen:
                    continue
                seen.add(held)
                ending, last = _ending(held), held.name if not held.name.startswith("$") else last
                uses = tuple(self._uses_of_variable(held))
                outlasted = outlasted or self._blocks_after(held)
            for use in uses:
                fate = max(fate, use.fate)
                watched, told = watched or use.watched, told or use.told
                ending = Ending.WEAK if use.weak else ending
                if use.moved is not None:
                    waiting.append(use.moved)
        return Followed(fate, ending, last, watched, told, outlasted)

    def _blocks_after(self, held: _Held) -> bool:
        """Whether a plain function goes on to block its thread while a variable has the handle."""
        return not self._function.is_async and any(
            number != RETURN_EXIT
            and isinstance(self._function.steps[number], Call)
            and self._trails.blocks(self._key, number)
            for number in _reachable(self._function, self._flow, held.after, held.name)
        )

    def uses_of_variable(self, name: str, after: int) -> Iterator[_Use]:
        """Yield what is done with a variable from a step on."""
        if self._reads(_closures(self._function), name):
            yield _KEPT
        for number in _reachable(self._function, self._flow, after, name):
            if number in (RETURN_EXIT, after) or _closes(self._function.steps[number]):
                continue
            yield self._use(number, Name(name), False)

    def _uses_of_outcome(self, made: Expr) -> Iterator[_Use]:
        for number in range(len(self._function.steps)):
            yield self._use(number, made, False)

    def _uses_of_variable(self, held: _Held) -> Iterator[_Use]:
        """Yield what is done with a variable before it is bound anew; it may be read by nested functions."""
        name = Name(held.name)
        if self._reads(_closures(self._function), held.name):
            yield _KEPT
        if held.in_container and any(_tests(block, name) for block in self._function.blocks):
            yield _KEPT  # `while tasks:` waits until a callback has emptied it
        returns = held.after < 0
        for number in _reachable(self._function, self._flow, held.after, held.name):
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
            nested = self._trails.function(FunctionKey(self._key.module, waiting.pop()))
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
        return _Use(weak=True) if self._trails.is_weak(self._key, container) else _KEPT

    def _called(self, number: int, step: Call, held: Expr, in_container: bool) -> _Use:
        match step.func:
            case Attr(base=base, name=method) if base == held:
                known = _FILLS | _EMPTIES if in_container else _KEEPS_NOTHING
                if method not in known:
                    return _KEPT
                if not in_container and method == "add_done_callback":
                    if isinstance(held, Name) and self._waits_for_callback(number, step):
                        return _KEPT
                    told = any(self._trails.sees_error(self._key, value) for value in step.args)
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
            case _ if in_container:
                return _KEPT
            case _:
                return self._given(number, held)

    def _given(self, number: int, held: Expr) -> _Use:
        """What a call does with a handle among its arguments: the mildest of what its callees do."""
        watched = told = False
        for callee in self._trails.callees(self._key, number):
            if self._trails.only_looks(callee):
                continue
            param = self._parameter(callee, held)
            if not isinstance(callee, ProjectCallee) or param is None:
                return _KEPT
            found = self._trails.keeps_parameter(callee.key, param)
            if found.fate is not HandleFate.LOST:
                return _KEPT
            watched, told = watched or found.watched, told or found.told
        return _Use(watched=watched, told=told)

    def _parameter(self, callee: Callee, held: Expr) -> str | None:
        """The parameter that receives the handle itself."""
        if not isinstance(callee, ProjectCallee):
            return None
        params = self._trails.function(callee.key).params
        bound = bind(params, positional_arguments(callee), callee.keywords)
        return next((params[place].name for place, value in bound.given.items() if value == held), None)

    def _waits_for_callback(self, number: int, step: Call) -> bool:
        """Whether the function goes on to wait for something that the done-callback has hold of.

        It is told when the task is done, and its variable keeps the task until then.
        """
        signals = [Name(name) for name in self._function.locals if self._has_hold_of(step.args, name)]
        for later in _reachable(self._function, self._flow, number, ""):
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
                callees = self._trails.callees(self._key, step)
                return all(isinstance(one, LibraryCallee) and one.name in _NEW_CONTAINERS for one in callees)
            case _:
                return False


def _ending(held: _Held) -> Ending:
    if held.in_container:
        return Ending.UNSEEN
    if held.name.startswith("_"):
        return Ending.DISCARDED
    return Ending.UNBOUND if held.name.startswith("$") else Ending.UNUSED


def _name(expr: Expr) -> str:
    return expr.id if isinstance(expr, Name) else ""


def _reachable(function: Function, flow: ControlFlow, after: int, name: str) -> Iterator[int]:
    """Yield the steps that may run after a step while a variable keeps its value, and RETURN_EXIT."""
    passed: dict[int, None] = {}

    def keeps(here: PathPoint[tuple[()]], number: int) -> tuple[()] | Halt:
        passed[number] = None
        match function.steps[number]:
            case Assign(target=Name(id=bound), op="") if bound == name:
                passed[RETURN_EXIT] = None
                return Halt.STOP
            case _:
                return ()

    ends = PathSearch(flow, keeps).run([behind(flow, after if after >= 0 else None)]).ends
    yield from passed
    if any(end.exit == RETURN_EXIT for end in ends):
        yield RETURN_EXIT


def _closes(step: Step) -> bool:
    """Whether a step gives up a coroutine that could not be started."""
    return isinstance(step, Call) and isinstance(step.func, Attr) and step.func.name == "close"


def _tests(block: Block, held: Expr) -> bool:
    """Whether where a block goes on depends on a value."""
    return block.test is not None and _mentions(block.test, held)


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
        case Next(value=value) | Return(value=value) | Evaluate(value=value) | Load(value=value):
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
