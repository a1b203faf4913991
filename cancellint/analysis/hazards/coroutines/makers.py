"""Which calls make a coroutine: of coroutine functions, through decorators, wrappers and helpers."""

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import ENTRY
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.reachability import reaches
from cancellint.analysis.hazards.coroutines.decorated import Decorated
from cancellint.analysis.hazards.coroutines.doubts import Doubts
from cancellint.analysis.program.expressions import last_name
from cancellint.analysis.program.names import decorator_names
from cancellint.analysis.program.program import Program
from cancellint.analysis.program.type_algebra import options
from cancellint.model.finding import Confidence
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Attr,
    Await,
    AwaitKind,
    Build,
    Call,
    Evaluate,
    Expr,
    Function,
    Item,
    Name,
    Next,
    Return,
    Temp,
)
from cancellint.model.knowledge import Entry
from cancellint.model.types import (
    Callee,
    CallSite,
    FunctionKey,
    Instance,
    Pending,
    ProjectCallee,
    TupleOf,
    Type,
    UnresolvedCallee,
)

DEEPEST_HELPER = Limit(4, "functions that return the coroutine of one another")

_COROUTINE = "collections.abc.Coroutine"


class Made(Struct, frozen=True):
    """What a step makes: a coroutine, or with a `place` a tuple that has one there."""

    runs: str
    confidence: Confidence
    place: int | None = None


class Makers:
    """Tells what is a coroutine that nobody has awaited yet."""

    def __init__(self, effects: Effects, decorated: Decorated) -> None:
        self._effects = effects
        self._program: Program = effects.program
        self._decorated = decorated
        self._doubts = Doubts(effects, decorated)
        self._asked: list[CallSite] = []

    def made_by(self, key: FunctionKey, number: int) -> Made | None:
        """Return what a step makes, where all that it may reach makes a coroutine."""
        asked = CallSite(key, number)
        if asked in self._asked or DEEPEST_HELPER.is_exceeded_by(len(self._asked)):
            return None
        self._asked.append(asked)
        made = self._made_at(key, number)
        self._asked.pop()
        return made

    def _made_at(self, key: FunctionKey, number: int) -> Made | None:
        match self._program.function(key).steps[number]:
            case Call(func=func):
                made = self._made_by_call(key, number, func)
                return None if made is None or self._doubts.are_there(key, func) else made
            case Await(kind=AwaitKind.EXPRESSION):
                return self._given_by_await(key, number)
            case Next(value=Temp(step=step)):
                return self._given_by_turn(key, number, step)
            case Evaluate(value=Attr() as read):
                return self._given_by_property(key, read)
            case _:
                return None

    def behind(self, key: FunctionKey, value: Expr) -> str | None:
        """Return what runs if a function that is handed on is called, where that makes a coroutine."""
        callees = self._effects.types.reached(key, value)
        names = [self._of_callee(callee) for callee in callees]
        return None if None in names or self._doubts.are_there(key, value) else names[0]

    def _made_by_call(self, key: FunctionKey, number: int, func: Expr) -> Made | None:
        callees = self._effects.types.callees(key, number)
        if all(isinstance(callee, UnresolvedCallee) for callee in callees):
            return self._declared(key, func)
        names = [self._of_callee(callee) for callee in callees]
        if names[0] is not None and (None not in names or self._is_family(callees)):
            certain = None not in names and (_is_one(callees) or self._is_family(callees))
            return Made(names[0], Confidence.CERTAIN if certain else Confidence.LIKELY)
        return self._handed_on(key, number, callees)

    def _is_family(self, callees: tuple[Callee, ...]) -> bool:
        """Tell whether the other callees are what subclasses make of the first."""
        first = callees[0]
        return isinstance(first, ProjectCallee) and all(
            isinstance(each, ProjectCallee) and self._overrides(each.key, first.key) for each in callees[1:]
        )

    def _overrides(self, key: FunctionKey, overridden: FunctionKey) -> bool:
        cls, base = self._program.class_of(key), self._program.class_of(overridden)
        return cls is not None and base is not None and self._program.inherits(cls, base)

    # ----------------------------------------------------------------- callees

    def _of_callee(self, callee: Callee) -> str | None:
        """Return what runs in the coroutine that a callee makes, None if it may make none."""
        if isinstance(callee, ProjectCallee):
            return None if callee.constructs else self._of_function(callee.key)
        known = self._effects.operations.known(callee)
        if known is None or known.confidence is not Confidence.CERTAIN:
            return None
        return known.name if _waits_in_vain(known.entry) else None

    def _of_function(self, key: FunctionKey) -> str | None:
        function = self._program.function(key)
        if self._decorated.is_coroutine_function(key):
            return function.qualname
        if function.kind != "lambda":
            return None
        returned = self._program.scopes(key.module).bindings(key.function).returned
        match returned:
            case (Temp(step=step),) if isinstance(function.steps[step], Call):
                made = self.made_by(key, step)
                return None if made is None or made.place is not None else made.runs
            case _:
                return None

    def _handed_on(self, key: FunctionKey, number: int, callees: tuple[Callee, ...]) -> Made | None:
        """Return what a plain function of the project makes a coroutine of and returns."""
        if not all(isinstance(each, ProjectCallee) and self._is_plain(each) for each in callees):
            return None
        found = self._effects.types.of(key, Temp(number))
        given_by = self._written(key, number)
        runs = self._run_by(found, given_by)
        if runs is not None:
            return Made(runs, Confidence.CERTAIN if _is_one(callees) else Confidence.LIKELY)
        match options(found):
            case (TupleOf(items=items),):
                inside = [(place, self._run_by(item, given_by)) for place, item in enumerate(items)]
                places = [(place, name) for place, name in inside if name is not None]
                if len(places) == 1:
                    return Made(places[0][1], Confidence.LIKELY, places[0][0])
            case _:
                pass
        return None

    def _is_plain(self, callee: ProjectCallee) -> bool:
        function = self._program.function(callee.key)
        decorated = any(not self._decorated.keeps_kind(callee.key, each) for each in function.decorators)
        at_once = not (callee.constructs or decorated or function.is_async or function.is_generator)
        return at_once and not self._ends_without_return(callee.key, function)

    def _ends_without_return(self, key: FunctionKey, function: Function) -> bool:
        """Tell whether a function may come to the end of its body, and so gives nothing."""
        flow = self._program.flow(key)
        returning = {
            flow.block_of(number) for number, step in enumerate(function.steps) if isinstance(step, Return)
        }
        return ENTRY not in returning and reaches(flow, ENTRY, RETURN_EXIT, avoiding=returning)

    def _run_by(self, found: Type, given_by: str) -> str | None:
        """Return what runs in a value that can be nothing but a coroutine; if only declared, who gives it."""
        names: list[str | None] = []
        for each in options(found):
            match each:
                case Pending(site=site, task=False):
                    made = self._effects.types.callees(site.function, site.step)
                    names += [self._of_callee(callee) for callee in made]
                case Instance(cls=cls) if cls == _COROUTINE:
                    names.append(given_by)
                case _:
                    return None
        return names[0] if names and None not in names else None

    def _given_by_await(self, key: FunctionKey, number: int) -> Made | None:
        """Return what an awaited coroutine of the project, or a thread, has made of a coroutine function."""
        runs = self._run_by(self._effects.types.of(key, Temp(number)), self._written(key, number))
        return None if runs is None else Made(runs, Confidence.LIKELY)

    def _given_by_turn(self, key: FunctionKey, number: int, iterated: int) -> Made | None:
        """Return what a generator of the project makes for each turn of a loop over it."""
        if not isinstance(self._program.function(key).steps[iterated], Call):
            return None
        for callee in self._effects.types.callees(key, iterated):
            if not isinstance(callee, ProjectCallee) or not self._is_plain_generator(callee.key):
                return None
        runs = self._run_by(self._effects.types.of(key, Temp(number)), self._written(key, iterated))
        return None if runs is None else Made(runs, Confidence.LIKELY)

    def _written(self, key: FunctionKey, number: int) -> str:
        """Return the name of what a step calls, or of what made what it awaits."""
        steps = self._program.function(key).steps
        match steps[number]:
            case Await(value=Temp(step=made)) if isinstance(steps[made], Call):
                return self._written(key, made)
            case Call(func=func):
                return last_name(func) or "it"
            case _:
                return "it"

    def _is_plain_generator(self, key: FunctionKey) -> bool:
        function = self._program.function(key)
        return function.is_generator and not function.is_async and not function.decorators

    def _given_by_property(self, key: FunctionKey, read: Attr) -> Made | None:
        """Return what runs in the coroutine that reading a property gives, if all it may be gives one."""
        names: list[str | None] = []
        for each in options(self._effects.types.of(key, read.base)):
            if not isinstance(each, Instance) or self._program.cls(each.cls) is None:
                return None
            methods = self._program.methods(each.cls, read.name)
            names += [self._of_property(method) for method in methods] or [None]
        return None if None in names or not names else Made(names[0] or "", Confidence.LIKELY)

    def _of_property(self, key: FunctionKey) -> str | None:
        function = self._program.function(key)
        plain = function.is_async and not function.is_generator
        return function.qualname if plain and decorator_names(function) == ("property",) else None

    # ----------------------------------------------------------------- declarations

    def _declared(self, key: FunctionKey, func: Expr) -> Made | None:
        """Return what a parameter makes that is declared to be a function that gives a coroutine."""
        if not isinstance(func, Name):
            return None
        holder = self._program.scopes(key.module).scope(key.function, func.id)
        if holder is None:
            return None
        owner = self._program.function(FunctionKey(key.module, holder))
        annotation = next((each.annotation for each in owner.params if each.name == func.id), None)
        assigned = any(isinstance(step, Assign) and step.target == func for step in owner.steps)
        if annotation is None or assigned or not self._gives_coroutine(key, annotation):
            return None
        return Made(func.id, Confidence.LIKELY)

    def _gives_coroutine(self, key: FunctionKey, annotation: Expr) -> bool:
        """Tell whether an annotation is that of a function that gives a coroutine."""
        match annotation:
            case Item(base=Name(id="Callable") | Attr(name="Callable"), key=Build(items=(*_, given))):
                found = self._effects.types.annotated(key, given)
                return isinstance(found, Instance) and found.cls == _COROUTINE
            case _:
                return False


def _waits_in_vain(entry: Entry) -> bool:
    """Tell whether a library call gives a coroutine: what it is to do begins only if that is awaited."""
    return entry.coroutine and entry.awaitable


def _is_one(callees: tuple[Callee, ...]) -> bool:
    """Tell whether a call reaches one function only."""
    return len({each.key if isinstance(each, ProjectCallee) else each for each in callees}) == 1
