"""What one step of a function does, in that function's own terms.

A call's effect comes from the library tables or from the callee's summary, with the callee's
parameters replaced by the arguments. The effect of a coroutine stands at its await, not at its call.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product

from msgspec import structs

from cancellint.analysis.effects.acts import SAID, acts_by_name, acts_of_container, acts_of_known
from cancellint.analysis.effects.effect import NO_EFFECT, Argument, Effect, Fate, Raced
from cancellint.analysis.effects.gathering import (
    Gathering,
    bind,
    forget_results,
    gather_given,
    merge,
    merge_alternatives,
    move,
    wrap_losses,
)
from cancellint.analysis.effects.operations import Known, Operation, Operations, delivered, operands, wrapped
from cancellint.analysis.effects.queues import Queues
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.library.conventions import Conventions
from cancellint.analysis.library.knowledge import argument
from cancellint.analysis.memory.access_paths import Frame, cut
from cancellint.analysis.program.arguments import ELSEWHERE, positional_arguments, receives
from cancellint.analysis.program.arguments import bind as bind_arguments
from cancellint.analysis.program.attributes import Attributes
from cancellint.analysis.program.program import Program
from cancellint.analysis.program.type_algebra import options
from cancellint.analysis.types.members import MOST_OVERRIDES
from cancellint.analysis.types.types import Types
from cancellint.model.ir import (
    Await,
    AwaitKind,
    Build,
    Call,
    Const,
    Enter,
    Evaluate,
    Exit,
    Expr,
    Load,
    Name,
    Next,
    Op,
    Raise,
    Return,
    Star,
    Temp,
)
from cancellint.model.knowledge import Cancel, Entry, RaceKind, Role, Suspends
from cancellint.model.summary import (
    KEPT,
    RESULT,
    Acquires,
    Act,
    Cause,
    Closes,
    Locks,
    Loss,
    Path,
    Releases,
    Summary,
    Take,
    Verb,
    passed,
)
from cancellint.model.types import (
    Callee,
    CallSite,
    FunctionKey,
    Instance,
    LibraryCallee,
    LibraryFunction,
    NoneValue,
    Pending,
    ProjectCallee,
    ProjectFunction,
    Type,
    UnresolvedCallee,
)

DEEPEST_PASSED = Limit(4, "functions that are passed to functions that are passed on")
"""Functions that are passed to functions that are passed on: what is followed of that."""

_DEEPEST_RETURNING = Limit(3, "functions returned by functions that are passed to calls")
"""Functions passed to calls that are returned by functions passed to calls: how many levels are followed."""


FUTURE = "asyncio.Future"
"""What is cancelled together with whoever awaits it."""


class Effects:
    """Answers what each step does, under the summaries known so far."""

    def __init__(
        self,
        program: Program,
        types: Types,
        operations: Operations,
        summary_of: Callable[[FunctionKey], Summary],
    ) -> None:
        self.program = program
        self.types = types
        self.operations = operations
        self._summary_of = summary_of
        self.conventions: Conventions = operations.knowledge.conventions
        self.attributes = Attributes(program)
        self.queues = Queues(program, types, operations.knowledge)
        self._frames: dict[FunctionKey, Frame] = {}
        self._returning: list[FunctionKey] = []
        self._nesting = 0

    def frame(self, key: FunctionKey) -> Frame:
        if key not in self._frames:
            self._frames[key] = Frame(self.program, key)
        return self._frames[key]

    def of(self, key: FunctionKey, number: int) -> Effect:
        """Return the effect of a step, empty for steps that neither call nor wait."""
        match self.program.function(key).steps[number]:
            case Call():
                return self._of_call(key, number)
            case Await(kind=AwaitKind.EXPRESSION | AwaitKind.YIELD_FROM) as step:
                return self._of_await(key, number, step)
            case Await(kind=AwaitKind.NEXT, value=value):
                return self._of_protocol(key, number, value, "__anext__")
            case Await(kind=AwaitKind.ENTER, value=value):
                return self._of_protocol(key, number, value, "__aenter__")
            case Await(kind=AwaitKind.EXIT, value=value):
                return self._of_protocol(key, number, value, "__aexit__")
            case Enter(value=value):
                return self._of_protocol(key, number, value, "__enter__")
            case Exit(value=value):
                return self._of_protocol(key, number, value, "__exit__")
            case Next(value=value):
                return self._of_protocol(key, number, value, "__next__")
            case _:
                return NO_EFFECT

    def is_collected(self, key: FunctionKey, value: Expr) -> bool:
        """Tell whether an expression is an object that its last reference closes, if it is one at all."""
        found = [each for each in options(self.types.of(key, value)) if not isinstance(each, NoneValue)]
        return bool(found) and all(
            isinstance(option, Instance) and self.operations.knowledge.is_collected(option.cls)
            for option in found
        )

    def is_waiter(self, key: FunctionKey, value: Expr) -> bool:
        """Tell whether an expression is of a class that the tables know, or a pending coroutine or task."""
        return any(
            isinstance(option, Pending)
            or (
                isinstance(option, Instance)
                and self.operations.knowledge.entry(option.cls) is not None
                and not self.operations.exceptions.is_exception(option.cls)
            )
            for option in options(self.types.of(key, value))
        )

    def waits_for_somebody(self, key: FunctionKey, await_: int) -> bool:
        """Tell whether an await is one of a future, an event or a condition, that others complete."""
        step = self.program.function(key).steps[await_]
        if not isinstance(step, Await):
            return False
        if not isinstance(step.value, Temp):
            found = options(self.types.of(key, step.value))
            return any(isinstance(option, Instance) and option.cls == FUTURE for option in found)
        return any(
            known is not None and Role.WAITS in known.entry.roles and operation.callee.receiver is not None
            for operation in self.operations.behind(key, step.value)
            if not isinstance(operation.callee, ProjectCallee)
            for known in (self.operations.known(operation.callee),)
        )

    def acts_behind(self, key: FunctionKey, value: Expr) -> tuple[Act, ...]:
        """Return the acts of the functions that a value is, or whose coroutine it is, in their own terms."""
        functions = [found.key for found in _functions_in(self.types.of(key, value))]
        for operation in self.operations.behind(key, value):
            if isinstance(operation.callee, ProjectCallee):
                functions.append(operation.callee.key)
        return tuple(act for found in functions for act in self._summary_of(found).acts)

    def callees(self, key: FunctionKey, number: int) -> Iterator[FunctionKey]:
        """Yield the project functions on whose summaries the effect of a step rests."""
        match self.program.function(key).steps[number]:
            case Call():
                for callee in self.types.callees(key, number):
                    yield from self._summaries_of(key, callee)
            case Await(kind=AwaitKind.EXPRESSION | AwaitKind.YIELD_FROM, value=value):
                operations = self.operations.behind(key, value)
                for operation in operations:
                    yield from self._summaries_of(operation.site.function, operation.callee)
                if not operations:
                    yield from self._protocol_functions(key, value, "__await__")
            case Await(kind=kind, value=value):
                yield from self._protocol_functions(key, value, _AWAITED_PROTOCOL[kind])
            case Enter(value=value):
                yield from self._protocol_functions(key, value, "__enter__")
            case Exit(value=value):
                yield from self._protocol_functions(key, value, "__exit__")
            case Next(value=value):
                yield from self._protocol_functions(key, value, "__next__")
            case _:
                return

    def _protocol_functions(self, key: FunctionKey, value: Expr, method: str) -> Iterator[FunctionKey]:
        for callee in self._protocol_callees(key, value, method):
            yield from self._summaries_of(key, callee)

    def _summaries_of(self, key: FunctionKey, callee: Callee) -> Iterator[FunctionKey]:
        if isinstance(callee, ProjectCallee):
            yield callee.key
        for value in _all_arguments(callee):
            if not isinstance(value, Const | Build) and not _is_computed(value):
                for function in _functions_in(self.types.of(key, value)):
                    yield function.key

    # ------------------------------------------------------------------ calls

    def _of_call(self, key: FunctionKey, number: int) -> Effect:
        step = self.program.function(key).steps[number]
        assert isinstance(step, Call)
        callees = self.types.callees(key, number)
        parts = [self._of_callee(key, number, callee, step.used) for callee in self.implemented(callees)]
        if len(parts) == 1:
            return parts[0].effect()
        gathered = Gathering()
        merge_alternatives(gathered, parts, _are_all(callees))
        return gathered.effect()

    def _of_callee(self, key: FunctionKey, number: int, callee: Callee, used: bool) -> Gathering:
        gathered = Gathering()
        if self._is_pending(callee):
            gathered.arguments.extend(Argument(value, Fate.PASSES) for value in _all_arguments(callee))
        else:
            self._gather(gathered, key, number, callee, used)
        return gathered

    def implemented(self, callees: tuple[Callee, ...]) -> tuple[Callee, ...]:
        """Return the callees without abstract methods, unless there is nothing else."""
        if len(callees) < 2:
            return callees
        real = tuple(callee for callee in callees if not self.is_abstract(callee))
        return real or callees

    def is_abstract(self, callee: Callee) -> bool:
        """Tell whether a method does nothing but say that subclasses must."""
        if not isinstance(callee, ProjectCallee):
            return False
        steps = self.program.function(callee.key).steps
        return all(isinstance(step, Evaluate) for step in steps) or (
            isinstance(steps[-1], Raise) and len(steps) <= 2
        )

    def _is_pending(self, callee: Callee) -> bool:
        """Tell whether the call only makes something to await or iterate."""
        match callee:
            case ProjectCallee(key=key):
                function = self.program.function(key)
                return function.is_async or function.is_generator
            case _:
                known = self.operations.known(callee)
                return known is not None and known.entry.awaitable

    def _of_await(self, key: FunctionKey, number: int, step: Await) -> Effect:
        gathered = Gathering()
        race = self.race(key, step.value)
        operations = race.operations if race is not None else self._behind(key, step.value)
        given = [self.given_awaitable(key, value) for value in (race.values if race else (step.value,))]
        for source in given:
            if source is not None:
                gather_given(gathered, source)
        if not operations and not any(given):
            self._gather_awaitable(gathered, key, number, step.value)
        for alternatives in _by_site(operations):
            parts = []
            implemented = self.implemented(tuple(each.callee for each in alternatives))
            for operation in alternatives:
                if operation.callee not in implemented:
                    continue
                part = Gathering()
                self._gather_operation(part, key, number, operation, step.used)
                parts.append(part)
            merge_alternatives(gathered, parts, _are_all(each.callee for each in alternatives))
        if race is not None:
            gathered.suspends = True
            if race.kind is RaceKind.LEAVES_RUNNING:
                forget_results(gathered)
        return structs.replace(gathered.effect(race), operations=tuple(operations))

    def _gather_awaitable(self, gathered: Gathering, key: FunctionKey, number: int, value: Expr) -> None:
        """Add what awaiting an object does: its `__await__`, or else nobody knows."""
        gathered.suspends = True
        for callee in self._protocol_callees(key, value, "__await__"):
            self._gather(gathered, key, number, callee, used=True)

    def awaited(self, key: FunctionKey, number: int) -> tuple[Operation, ...]:
        """Return the operations that an await step waits for, races included."""
        step = self.program.function(key).steps[number]
        if not isinstance(step, Await) or step.region >= 0:
            return ()
        race = self.race(key, step.value)
        return race.operations if race is not None else self._behind(key, step.value)

    def _behind(self, key: FunctionKey, value: Expr) -> tuple[Operation, ...]:
        """Return the operations behind an awaited expression, none for what the caller has given."""
        if self.given_awaitable(key, value) is not None:
            return ()
        return self.operations.behind(key, value)

    def given_awaitable(self, key: FunctionKey, value: Expr) -> Path | None:
        """Return the path of what awaiting a parameter takes, or awaiting what calling one gives."""
        params = self.frame(key).params
        match value:
            case Name(id=name) if name in params:
                return Path(f"raced:{params[name]}")
            case Temp(step=step):
                made = self.program.function(key).steps[step]
                if isinstance(made, Load):
                    return self.given_awaitable(key, made.value)
                if isinstance(made, Call) and isinstance(made.func, Name) and made.func.id in params:
                    return Path(f"called:{params[made.func.id]}")
        return None

    def of_operation(self, key: FunctionKey, operation: Operation) -> Effect:
        """Return what an operation does by itself, without the task or shield around it."""
        gathered = Gathering()
        bare = structs.replace(operation, task=False, shielded=False)
        self._gather_operation(gathered, key, -1, bare, True)
        return gathered.effect()

    def of_started(self, key: FunctionKey, number: int) -> Effect:
        """Return what the task does by and by that a call starts, nothing for a call that starts none."""
        gathered = Gathering()
        for callee in self.types.callees(key, number):
            known = self.operations.known(callee)
            if known is None or Role.SPAWNS not in known.entry.roles:
                continue
            if known.entry.calls is None:
                for operand in wrapped(known.entry, callee):
                    for operation in self.operations.behind(key, operand):
                        self._gather_operation(gathered, key, number, operation, True)
                continue
            for called in operands(known.entry, known.entry.calls, callee):
                for function in _functions_in(self.types.of(key, called)):
                    if function.frame in (None, key):
                        args = (*function.leading, *callee.args[callee.args.index(called) + 1 :])
                        run = ProjectCallee(function.key, function.receiver, False, args, function.keywords)
                        self._gather_project(gathered, key, number, run)
        return gathered.effect()

    def race(self, key: FunctionKey, value: Expr) -> Raced | None:
        """Return the race that is awaited here, written in place."""
        if not isinstance(value, Temp) or not isinstance(self.program.function(key).steps[value.step], Call):
            return None
        for callee in self.types.callees(key, value.step):
            known = self.operations.known(callee)
            if known is None or known.entry.race is None or known.entry.raced == "body":
                continue
            if Role.RACES not in known.entry.roles:
                continue
            values = tuple(wrapped(known.entry, callee))
            found = (
                delivered(operation, known.entry)
                for operand in values
                for operation in self._behind(key, operand)
            )
            return Raced(known.entry.race, known.name, tuple(dict.fromkeys(found)), values)
        return None

    def body_race(self, key: FunctionKey, value: Expr) -> Known | None:
        """Return what is known of a context manager, made in place, that may cancel its body."""
        if not isinstance(value, Temp) or not isinstance(self.program.function(key).steps[value.step], Call):
            return None
        for callee in self.types.callees(key, value.step):
            known = self.operations.known(callee)
            if known is not None and known.entry.raced == "body" and known.entry.race is not None:
                return known if Role.RACES in known.entry.roles else None
        return None

    def _gather_operation(
        self, gathered: Gathering, key: FunctionKey, number: int, operation: Operation, used: bool
    ) -> None:
        """Add what one awaited operation does, translated into this function's terms."""
        inner = Gathering()
        site = operation.site
        self._gather(inner, site.function, site.step, operation.callee, used)
        if site.function != key:
            inner = self._translated(inner, key, operation)
        wrap_losses(inner, operation)
        gathered.suspends |= inner.suspends or operation.task or self._gives_future(operation.callee)
        merge(gathered, inner)

    def _gives_future(self, callee: Callee) -> bool:
        """Tell whether a library's call is no coroutine, so that what is awaited is what it gives."""
        known = self.operations.known(callee)
        return known is not None and not known.entry.awaitable

    # ------------------------------------------------------------------ context managers, iteration

    def _of_protocol(self, key: FunctionKey, number: int, value: Expr, method: str) -> Effect:
        gathered = Gathering()
        callees = tuple(self._protocol_callees(key, value, method))
        for callee in callees:
            self._gather(gathered, key, number, callee, used=True)
        if not callees and method in _AWAITED_PROTOCOL.values():
            gathered.suspends = True
        return gathered.effect()

    def _protocol_callees(self, key: FunctionKey, value: Expr, method: str) -> Iterator[Callee]:
        """Yield what an implicit call of `value.method()` reaches."""
        if method in _MANAGER_METHODS:
            generators = tuple(self._manager_generators(key, value))
            if generators:
                yield from generators
                return
        for option in options(self.types.of(key, value)):
            match option:
                case Instance(cls=cls) if self.program.cls(cls) is not None:
                    methods = self.program.methods(cls, method)
                    for found in methods:
                        yield ProjectCallee(found, value, False, (), ())
                    if not methods:
                        yield from self._library_protocol(self.types.library_bases(cls), value, method)
                case Instance(cls=cls):
                    yield from self._library_protocol((cls,), value, method)
                case Pending(site=site) if site.function == key:
                    yield from self._generators(site, method)
                case _:
                    pass

    def exits(self, key: FunctionKey, value: Expr, *, is_async: bool) -> Iterator[Callee]:
        """Yield what leaving a context manager calls: its exit, or the generator function it is made of."""
        yield from self._protocol_callees(key, value, "__aexit__" if is_async else "__exit__")

    def implicit_callees(self, key: FunctionKey, value: Expr, kind: AwaitKind) -> Iterator[Callee]:
        """Yield what waiting for a value calls, such as `__await__`, `__aenter__` and `__anext__`."""
        yield from self._protocol_callees(key, value, _AWAITED_PROTOCOL.get(kind, "__await__"))

    def _library_protocol(self, classes: tuple[str, ...], value: Expr, method: str) -> Iterator[Callee]:
        for name in classes:
            callee = LibraryCallee(f"{name}.{method}", value, (), ())
            if self.operations.known(callee) is not None:
                yield callee
                return

    def _manager_generators(self, key: FunctionKey, value: Expr) -> Iterator[Callee]:
        """Yield the generator function that a `@contextmanager` call runs."""
        if isinstance(value, Name):
            value = self.frame(key).value_of(value.id) or value
        if isinstance(value, Temp) and isinstance(self.program.function(key).steps[value.step], Call):
            yield from self._generators(CallSite(key, value.step), "")

    def _generators(self, site: CallSite, method: str) -> Iterator[Callee]:
        """Yield the generator functions behind an iteration or a generator-based context manager."""
        for callee in self.types.callees(site.function, site.step):
            if isinstance(callee, ProjectCallee) and self.program.function(callee.key).is_generator:
                yield callee

    # ------------------------------------------------------------------ one callee

    def _gather(self, gathered: Gathering, key: FunctionKey, number: int, callee: Callee, used: bool) -> None:
        match callee:
            case ProjectCallee():
                self._gather_project(gathered, key, number, callee)
            case _:
                known = self.operations.known(callee)
                if known is not None:
                    self._gather_known(gathered, key, callee, known, used)
                else:
                    self._gather_unknown(gathered, key, callee, used)

    def _gather_project(
        self, gathered: Gathering, key: FunctionKey, number: int, callee: ProjectCallee
    ) -> None:
        """Add the callee's summary, with its parameters replaced by the arguments.

        A function that is passed on and called may pass on functions itself, and so round in a ring.
        """
        if self._nesting == DEEPEST_PASSED:
            DEEPEST_PASSED.reached()
            gathered.suspends = True
            return
        if self.is_abstract(callee):
            self._gather_declared(gathered, key, callee)
        self._nesting += 1
        try:
            self._gather_summary(gathered, key, number, callee)
        finally:
            self._nesting -= 1

    def _gather_declared(self, gathered: Gathering, key: FunctionKey, callee: ProjectCallee) -> None:
        """Add what the name of a method says that is only declared, and implemented nobody knows where."""
        function = self.program.function(callee.key)
        named = UnresolvedCallee(function.name, callee.receiver, callee.args, callee.keywords)
        acts = tuple(acts_by_name(self.conventions, self.frame(key), function.name, named, used=False))
        gathered.add(*acts)
        gathered.suspends |= function.is_async and bool(acts)

    def _gather_summary(
        self, gathered: Gathering, key: FunctionKey, number: int, callee: ProjectCallee
    ) -> None:
        summary = self._summary_of(callee.key)
        given = self.given(callee)
        frame = self.frame(key)

        def here(path: Path) -> Path | None:
            if path in (RESULT, KEPT):
                return path
            if path.root.startswith("param:"):
                index = int(path.root[6:])
                if index == 0 and callee.constructs:
                    return cut(Path(f"temp:{number}", path.fields))
                value = given.get(index)
                base = frame.path(value) if value is not None else None
                return cut(base.child(*path.fields)) if base is not None else None
            return self._seen_from(key, path)

        asked: dict[Path, Gathering | None] = {}

        def awaiting(path: Path) -> Gathering | None:
            if path not in asked:
                asked[path] = self._of_given(key, number, given, path)
            return asked[path]

        gathered.suspends |= summary.suspends
        bind(gathered, callee.key, summary, here, awaiting)
        for index, value in (*given.items(), *self._spread(callee)):
            gathered.arguments.append(_argument(summary, index, value, here, callee.constructs))
        name = self.program.function(callee.key).name
        for act in acts_by_name(self.conventions, frame, name, callee, False) if callee.args else ():
            if act.verb not in SAID and not _releases(gathered, act.subject):
                gathered.add(act)
        for index in summary.calls:
            called = given.get(index)
            if called is not None:
                self._gather_called(gathered, key, number, called)

    def _of_given(
        self, key: FunctionKey, number: int, given: Mapping[int, Expr], path: Path
    ) -> Gathering | None:
        """Return what awaiting an argument does, None for a path that means no such thing."""
        which = passed(path)
        if which is None:
            return None
        inner = Gathering()
        kind, index = which
        value = given.get(index)
        if value is None:
            return inner
        frame = self.frame(key)
        if isinstance(value, Name) and value.id in frame.params:
            gather_given(inner, Path(f"{kind}:{frame.params[value.id]}"))
        elif kind == "called":
            self._gather_called(inner, key, number, value)
        else:
            for operation in self.operations.behind(key, value):
                self._gather_operation(inner, key, number, operation, True)
        return inner

    def given(self, callee: ProjectCallee) -> dict[int, Expr]:
        """Return which parameter of the callee receives which expression."""
        params = self.program.function(callee.key).params
        given = receives(params, positional_arguments(callee), callee.keywords)
        return {index: value for index, value in given.items() if value != ELSEWHERE}

    def _spread(self, callee: ProjectCallee) -> Iterator[tuple[int, Expr]]:
        """Yield the parameters that may receive what stands behind a `*` or `**`, each with that."""
        behind: list[Expr] = [value for value in callee.args if isinstance(value, Star)]
        behind += [value for name, value in callee.keywords if name is None]
        if behind:
            params = self.program.function(callee.key).params
            bound = bind_arguments(params, positional_arguments(callee), callee.keywords)
            yield from product(sorted(bound.open), behind)

    def _seen_from(self, key: FunctionKey, path: Path) -> Path:
        """Return a variable of an enclosing function as the enclosing function itself names it."""
        prefix = f"free:{key.module}#{key.function}:"
        if path.root.startswith(prefix):
            base = self.frame(key).path(Name(path.root.removeprefix(prefix)))
            if base is not None:
                return cut(base.child(*path.fields))
        return path

    def _gather_called(self, gathered: Gathering, key: FunctionKey, number: int, value: Expr) -> None:
        """Add what a function does that is passed as an argument and called by the callee."""
        for function in _functions_in(self.types.of(key, value)):
            if function.frame not in (None, key):
                continue
            callee = ProjectCallee(
                function.key, function.receiver, False, function.leading, function.keywords
            )
            self._gather_project(gathered, key, number, callee)
            if not self.program.function(function.key).is_async:
                self._gather_returned(gathered, key, function.key)

    def _gather_returned(self, gathered: Gathering, key: FunctionKey, called: FunctionKey) -> None:
        """Add what awaiting the coroutine does that a function such as `lambda: self.read()` returns.

        Such a function may pass itself, or others like it, to what it calls.
        """
        if called in self._returning or _DEEPEST_RETURNING.is_exceeded_by(len(self._returning) + 1):
            return
        self._returning.append(called)
        try:
            for step in self.program.function(called).steps:
                if isinstance(step, Return):
                    self._gather_behind(gathered, key, called, step.value)
        finally:
            self._returning.pop()

    def _gather_behind(self, gathered: Gathering, key: FunctionKey, called: FunctionKey, value: Expr) -> None:
        """Add what awaiting a value does that a function called from here has returned."""
        for operation in self.operations.behind(called, value):
            if operation.site.function == called:
                inner = Gathering()
                self._gather(inner, called, operation.site.step, operation.callee, True)
                inner.arguments.clear()
                move(gathered, inner, lambda path: self._outward(key, path))

    def _outward(self, key: FunctionKey, path: Path) -> Path | None:
        """Return a closure's path in the enclosing function's terms, None for what is its own."""
        if path.root.startswith(("param:", "local:", "temp:")):
            return None
        return self._seen_from(key, path)

    def _gather_known(
        self, gathered: Gathering, key: FunctionKey, callee: Callee, known: Known, used: bool
    ) -> None:
        """Add what the tables say of a library call."""
        entry = known.entry
        frame = self.frame(key)
        gathered.suspends |= self._may_suspend(key, callee, entry)
        of = next((frame.path(value) for value in operands(entry, entry.of, callee)), None)
        fate = _fate(entry.roles, used)
        for value in _all_arguments(callee):
            gathered.arguments.append(Argument(value, fate, of if fate is Fate.STORES else None))
        if callee.receiver is not None and used and not entry.awaitable and fate is not Fate.STORES:
            measures = Role.LOOKS in entry.roles and entry.returns in _MEASURES
            gathered.arguments.append(Argument(callee.receiver, Fate.LOOKS if measures else Fate.PASSES))
        gathered.add(*acts_of_container(frame, callee))
        if entry.calls is not None and entry.awaitable:
            gathered.add(*self._locked_elsewhere(key, callee, entry))
        if entry.of == "result":
            of = RESULT
        if of is None:
            return
        gathered.add(*acts_of_known(self.operations, frame, callee, known, of))
        if of == RESULT:
            return
        if Role.CONSUMES in entry.roles:
            into = self._destination(frame, entry.into, callee, known)
            gathered.add(Take(of, into, known.name, known.confidence))
            if entry.cancel is Cancel.LOSES and used:
                gathered.add(Loss(of, Cause.PRIMITIVE, known.name, known.confidence))
            elif entry.own_scopes_only:
                native = Loss(of, Cause.PRIMITIVE, known.name, known.confidence, native=True)
                gathered.add(native)
        if Role.CLOSES in entry.roles:
            gathered.add(Closes(of))
        kind = self.operations.lock_kind(known.name.rpartition(".")[0])
        if kind is not None:
            if Role.ACQUIRES in entry.roles:
                gathered.add(Acquires(of, kind))
                if entry.awaitable or Role.BLOCKS in entry.roles:
                    gathered.add(Locks(of, kind))
            if Role.RELEASES in entry.roles:
                gathered.add(Releases(of, kind))

    def _locked_elsewhere(
        self, key: FunctionKey, callee: Callee, entry: Entry
    ) -> Iterator[Acquires | Releases]:
        """Yield the locks that a thread, which is waited for, is told to take or to release."""
        assert entry.calls is not None
        for called in operands(entry, entry.calls, callee):
            for option in options(self.types.of(key, called)):
                if not isinstance(option, LibraryFunction) or option.receiver is None:
                    continue
                known = self.operations.knowledge.entry(option.name)
                kind = self.operations.lock_kind(option.name.rpartition(".")[0])
                path = self.frame(key).path(option.receiver) if option.frame in (None, key) else None
                if known is None or kind is None or path is None:
                    continue
                if Role.ACQUIRES in known.roles:
                    yield Acquires(path, kind)
                if Role.RELEASES in known.roles:
                    yield Releases(path, kind)

    def _may_suspend(self, key: FunctionKey, callee: Callee, entry: Entry) -> bool:
        """Tell whether a library's call may have to wait; what puts waits for room, if for anything."""
        if not entry.awaitable or entry.suspends is not Suspends.MAYBE:
            return entry.awaitable and entry.suspends is Suspends.ALWAYS
        if Role.STORES not in entry.roles or callee.receiver is None:
            return True
        return not self.queues.never_fills_up(key, callee.receiver)

    def _destination(self, frame: Frame, into: str, callee: Callee, known: Known) -> Path:
        """Return where taken data goes: the result, or an argument's object."""
        if into == "result":
            return RESULT
        value = argument(known.entry, into, callee.args, callee.keywords)
        path = frame.path(value) if value is not None else None
        return path if path is not None else KEPT

    def _gather_unknown(self, gathered: Gathering, key: FunctionKey, callee: Callee, used: bool) -> None:
        """Add what must be assumed of a call nobody knows."""
        gathered.suspends = True
        gathered.unknown = True
        fate = Fate.PASSES if used else Fate.KEEPS
        gathered.arguments.extend(Argument(value, fate) for value in _all_arguments(callee))
        method = _method_name(callee)
        frame = self.frame(key)
        gathered.add(*acts_of_container(frame, callee))
        gathered.add(*acts_by_name(self.conventions, frame, method, callee, used))
        receiver = callee.receiver
        if receiver is not None:
            gathered.arguments.append(Argument(receiver, Fate.PASSES))
            path = frame.path(receiver)
            if path is not None and method in self.conventions.closes:
                gathered.add(Closes(path))

    # ------------------------------------------------------------------ other frames

    def _translated(self, inner: Gathering, key: FunctionKey, operation: Operation) -> Gathering:
        """Return the facts of an operation made in another method, as seen from this function.

        Both are taken to be methods of one object: the one whose attribute holds the task.
        """
        holder = self.frame(key).path(operation.holder) if operation.holder is not None else None
        owner = Path(holder.root, holder.fields[:-1]) if holder is not None and holder.fields else None

        def here(path: Path) -> Path | None:
            if path.root == "param:0" and owner is not None:
                return cut(owner.child(*path.fields))
            return path if path.root.startswith(("global:", "free:")) or path in (RESULT, KEPT) else None

        outer = Gathering()
        move(outer, inner, here)
        return outer


_SELECTING = frozenset({"or", "and", "ifexp", "call"})
"""Operators whose outcome is one of their operands, or what calling it gives."""

_MEASURES = ("bool", "int")
"""Types of results that tell something about an object but contain none of its data."""

_MANAGER_METHODS = frozenset({"__enter__", "__exit__", "__aenter__", "__aexit__"})

_AWAITED_PROTOCOL = {
    AwaitKind.NEXT: "__anext__",
    AwaitKind.ENTER: "__aenter__",
    AwaitKind.EXIT: "__aexit__",
}


def _functions_in(kind: Type) -> Iterator[ProjectFunction]:
    for option in options(kind):
        if isinstance(option, ProjectFunction):
            yield option


def _all_arguments(callee: Callee) -> tuple[Expr, ...]:
    return (*callee.args, *(value for _, value in callee.keywords))


def _method_name(callee: Callee) -> str | None:
    match callee:
        case UnresolvedCallee(method=method):
            return method
        case LibraryCallee(name=name):
            return name.rpartition(".")[2]
        case _:
            return None


def _fate(roles: tuple[Role, ...], used: bool) -> Fate:
    if Role.LOOKS in roles:
        return Fate.LOOKS
    if Role.STORES in roles:
        return Fate.STORES
    if Role.SENDS in roles:
        return Fate.KEEPS
    return Fate.PASSES if used else Fate.KEEPS


def _releases(gathered: Gathering, subject: Path) -> bool:
    return any(act.verb is Verb.RELEASES and act.subject == subject for act in gathered.of_kind(Act))


def _argument(
    summary: Summary, index: int, value: Expr, here: Callable[[Path], Path | None], constructs: bool
) -> Argument:
    """Return what a project function does with the data of one of its parameters."""
    if index in summary.keeps and not (constructs and index in summary.hands_back):
        return Argument(value, Fate.KEEPS)
    for source, into in summary.stores:
        if source == index:
            place = here(into)
            if constructs and into.root == "param:0":
                return Argument(value, Fate.PASSES)
            early = index in summary.stores_early
            fate = Fate.STORES if place is not None else Fate.KEEPS
            return Argument(value, fate, place, early)
    return Argument(value, Fate.PASSES if index in summary.hands_back else Fate.LOOKS)


def _by_site(operations: tuple[Operation, ...]) -> Iterator[list[Operation]]:
    """Yield the operations grouped by call: what one call may reach are alternatives."""
    groups: dict[CallSite, list[Operation]] = {}
    for operation in operations:
        groups.setdefault(operation.site, []).append(operation)
    yield from groups.values()


def _is_computed(value: Expr) -> bool:
    """Tell whether a value is what an operator gives that never gives one of its operands."""
    return isinstance(value, Op) and value.op not in _SELECTING


def _are_all(callees: Iterable[Callee]) -> bool:
    """Tell whether these are all methods that a call may reach: of many overrides only some are followed."""
    return sum(isinstance(callee, ProjectCallee) for callee in callees) <= MOST_OVERRIDES
