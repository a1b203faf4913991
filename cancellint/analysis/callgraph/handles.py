"""Which calls start a task, directly or through helpers that return it, and which of them drop its handle."""

import sys
from collections.abc import Container, Iterator, Mapping
from functools import cached_property

from msgspec import Struct, structs

from cancellint.analysis.callgraph.handle_trails import Ending, HandleFate, Trails
from cancellint.analysis.effects.operations import Known, Operations, operands, pendings
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.program.expressions import decorating, last_name
from cancellint.analysis.program.names import External
from cancellint.analysis.program.program import Program
from cancellint.analysis.program.type_algebra import options
from cancellint.analysis.types.types import Types
from cancellint.model.finding import Confidence
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Closure,
    Const,
    Expr,
    Function,
    Imported,
    Item,
    Name,
    Return,
    Temp,
)
from cancellint.model.knowledge import Entry, Mode, RaceKind, Role
from cancellint.model.types import (
    Callee,
    CallSite,
    FunctionKey,
    Instance,
    NoneValue,
    Pending,
    ProjectCallee,
    Type,
    Unknown,
    UnresolvedCallee,
)

DEEPEST_HELPER = Limit(4, "helpers that return what another one starts")
"""Helpers that return what another helper returns: how many levels are followed."""

_FUTURES = frozenset({"asyncio.Task", "asyncio.Future", "concurrent.futures.Future"})


class Started(Struct, frozen=True):
    """A task, or a call in another thread, that a step starts.

    `runs` is what it runs, as written, or empty. `helpers` are the steps of project functions at which it
    really starts, outermost first. `told` says that a done-callback looks at its error, `watched` that
    there is one at all.
    """

    runs: str
    in_thread: bool
    confidence: Confidence
    work: Expr | None = None
    """the coroutine, or what another thread calls, in terms of the function that drops the handle"""
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
    outlasted: bool = False
    """that variable is one of a function that runs the event loop, and keeps the task while it does"""


class Handles:
    """Finds the handles that are dropped. Rests on types and knowledge only."""

    def __init__(self, program: Program, types: Types, operations: Operations) -> None:
        self._calls = program.calls
        self._program = program
        self._types = types
        self._operations = operations
        self._knowledge = operations.knowledge
        self._given: dict[FunctionKey, Started | None] = {}
        self._trails = Trails(program, types, operations)
        self._depth = 0

    def dropped(self, key: FunctionKey) -> Iterator[Dropped]:
        """Yield the handles that function `key` drops, in the order of its steps."""
        for number, started in self.started(key):
            found = self._trails.follow(key, Temp(number), number)
            if found.fate is not HandleFate.LOST:
                continue
            started = structs.replace(
                started, watched=started.watched or found.watched, told=started.told or found.told
            )
            if not (started.in_thread and started.told):
                yield Dropped(number, started, found.ending, found.holder, found.outlasted)

    # ----------------------------------------------------------------- what starts a task

    def started(self, key: FunctionKey) -> Iterator[tuple[int, Started]]:
        """Yield the steps of function `key` whose outcome is the handle of a new task."""
        return self._starts(key, self._names) if key in self._starting else iter(())

    @cached_property
    def _starting(self) -> frozenset[FunctionKey]:
        """The functions that call something of a name by which tasks are started."""
        return self._calls.functions_with(self._names)

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
            one = self._started_by(key, number, callee, names)
            if one is None:
                return None
            weaker = found is None or one.confidence.rank > found.confidence.rank
            found = one if weaker else found
        return found

    def _started_by(
        self, key: FunctionKey, number: int, callee: Callee, names: Container[str]
    ) -> Started | None:
        if isinstance(callee, ProjectCallee):
            given = None if callee.constructs else self._gives(callee.key, names)
            return self._given_to(key, callee, given) if given is not None else None
        known = self._operations.known(callee) or self._known_by_name(callee)
        if known is None or not self._gives_handle(known.name, known.entry):
            return None
        wanted = known.entry.calls or known.entry.spawned
        operand = next(operands(known.entry, wanted, callee), None)
        if (
            operand is not None
            and known.entry.calls is None
            and self._is_held_elsewhere(key, number, operand)
        ):
            return None
        if self._gives_nothing(key, operand):
            return None  # there is no coroutine, and so no task
        made_by = self._made_by(key, operand)
        if made_by and all(Role.STORES in entry.roles for entry in made_by):
            return None  # it cannot fail, and what it waits for holds it
        if self._never_waits(key, operand):
            return None  # its first step is its last, and until then the loop holds it
        if self._does_nothing(key, operand):
            return None  # there is no error to be seen
        runs = "" if operand is None else self._written(key, operand)
        goes_on = bool(made_by) and all(entry.mode is Mode.THREAD_CONTINUES for entry in made_by)
        in_thread = known.entry.calls is not None or goes_on
        return Started(runs, in_thread, known.confidence, operand)

    def _given_to(self, key: FunctionKey, helper: ProjectCallee, given: Started) -> Started:
        """Return what a helper starts, in terms of the function that calls it."""
        coroutines = (value for value in helper.args if any(pendings(self._types.of(key, value))))
        work = next(coroutines, None)
        return structs.replace(given, runs=self._first_written(key, helper), work=work)

    def _known_by_name(self, callee: Callee) -> Known | None:
        """Return the entry of a method that is named like a starter, on an object named like its owner."""
        if not isinstance(callee, UnresolvedCallee) or callee.method is None or callee.receiver is None:
            return None
        name = self._knowledge.conventions.starter(callee.method, callee.receiver)
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

    def _is_held_elsewhere(self, key: FunctionKey, number: int, operand: Expr) -> bool:
        """Whether what is to be started is a task or future already, which somebody else has."""
        found = [each for each in options(self._types.of(key, operand)) if not isinstance(each, NoneValue)]
        if all(isinstance(each, Unknown) for each in found):
            return self._may_be_future(key, number, operand)
        if not all(_is_future(each) for each in found):
            return False
        if isinstance(operand, Temp):
            return self._started(key, operand.step, self._starters) is None
        return True

    def _may_be_future(self, key: FunctionKey, number: int, operand: Expr) -> bool:
        """Whether something of unknown type is used like a future: a coroutine can be awaited only once."""
        match operand:
            case Attr() | Item():
                return True
            case Name(id=name):
                return self._trails.is_used_after(key, name, number)
            case _:
                return False

    def _made_by(self, key: FunctionKey, operand: Expr | None) -> tuple[Entry, ...]:
        """What the tables know of the calls that make an awaitable, nothing if one is not known."""
        known = [self._operations.known(callee) for callee in self._makers(key, operand)]
        entries = tuple(each.entry for each in known if each is not None)
        return entries if len(entries) == len(known) else ()

    def _gives_nothing(self, key: FunctionKey, operand: Expr | None) -> bool:
        """Tell whether what is to be run is the result of plain project functions that return nothing."""
        makers = self._makers(key, operand)
        return bool(makers) and all(
            isinstance(callee, ProjectCallee) and self._is_procedure(callee) for callee in makers
        )

    def _is_procedure(self, callee: ProjectCallee) -> bool:
        """Tell whether a call runs a function at once that returns nothing, and is more than declared."""
        function = self._program.function(callee.key)
        at_once = not (function.is_async or function.is_generator or callee.constructs)
        returned = [step.value for step in function.steps if isinstance(step, Return)]
        does_something = any(isinstance(step, Call | Assign) for step in function.steps)
        plain = not function.decorators and does_something
        return at_once and plain and all(value == Const("none", "None") for value in returned)

    def _never_waits(self, key: FunctionKey, operand: Expr | None) -> bool:
        """Tell whether a project coroutine is run that awaits nothing at all."""
        makers = self._makers(key, operand)
        return bool(makers) and all(
            isinstance(callee, ProjectCallee)
            and self._program.function(callee.key).is_async
            and any(isinstance(step, Call) for step in self._program.function(callee.key).steps)
            and not any(isinstance(step, Await) for step in self._program.function(callee.key).steps)
            for callee in makers
        )

    def _makers(self, key: FunctionKey, operand: Expr | None) -> tuple[Callee, ...]:
        """Return what the call reaches whose outcome is to be run, nothing if it is no call's outcome."""
        steps = self._program.function(key).steps
        if not isinstance(operand, Temp) or not isinstance(steps[operand.step], Call):
            return ()
        return self._types.callees(key, operand.step)

    def _does_nothing(self, key: FunctionKey, operand: Expr | None) -> bool:
        """Tell whether what is run is a function written in place that only returns a constant."""
        if not isinstance(operand, Closure):
            return False
        steps = self._program.function(FunctionKey(key.module, operand.function)).steps
        return all(isinstance(step, Return) and isinstance(step.value, Const) for step in steps)

    def _may_remember(self, key: FunctionKey, decorator: Expr) -> bool:
        """Tell whether a decorator may keep what the function returns: of one from outside nobody knows."""
        found = self._program.denotes(self._program.around(key), decorating(decorator))
        return any(self._remembers(each.name) for each in found if isinstance(each, External))

    def _remembers(self, decorator: str) -> bool:
        entry = self._knowledge.entry(decorator)
        if entry is None:
            return decorator.partition(".")[0] not in sys.stdlib_module_names
        return Role.REMEMBERS in entry.roles

    def _gives(self, key: FunctionKey, names: Container[str]) -> Started | None:
        """Return what a project function starts and returns without keeping it."""
        if key in self._given or DEEPEST_HELPER.is_exceeded_by(self._depth):
            return self._given.get(key)
        self._given[key] = None
        function = self._program.function(key)
        if function.is_generator or any(self._may_remember(key, each) for each in function.decorators):
            return None
        self._depth += 1
        for number, started in self._starts(key, names):
            found = self._trails.follow(key, Temp(number), number)
            if found.fate is HandleFate.RETURNED:
                self._given[key] = structs.replace(
                    started,
                    helpers=(CallSite(key, number), *started.helpers),
                    watched=started.watched or found.watched,
                    told=started.told or found.told,
                )
                break
        self._depth -= 1
        return self._given[key]

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


def _is_future(found: Type) -> bool:
    match found:
        case Pending(task=task):
            return task
        case Instance(cls=cls):
            return cls in _FUTURES
        case _:
            return False


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
