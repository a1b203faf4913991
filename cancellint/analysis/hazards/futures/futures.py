"""Futures over the whole program: where they are made and kept, who waits for them and who completes them.

Only futures of asyncio: cancelling the one who waits for such a future cancels the future itself. Events that
are made for one waiter each are followed the same way, as another `Signal`.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.callgraph.function_uses import FunctionUses
from cancellint.analysis.callgraph.homes import Home, Homes
from cancellint.analysis.effects.effects import FUTURE, Effects
from cancellint.analysis.effects.operations import operands
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.flow.inflows import Inflows
from cancellint.analysis.flow.unwinding import Unwinding
from cancellint.analysis.program.expressions import last_name
from cancellint.analysis.program.type_algebra import options
from cancellint.model.finding import Confidence
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Build,
    Call,
    Closure,
    Element,
    Expr,
    Item,
    Load,
    Name,
    Next,
    Op,
    Return,
    Star,
    Temp,
)
from cancellint.model.knowledge import Entry, RaceKind, Role
from cancellint.model.types import (
    Callee,
    CallSite,
    FunctionKey,
    Instance,
    NoneValue,
    ProjectCallee,
    Type,
    Unknown,
)

FILLS = frozenset(
    {"append", "appendleft", "add", "insert", "setdefault", "put", "put_nowait", "extend", "update"}
)
"""Methods that put something into a container."""
TAKES = frozenset({"pop", "popleft", "popitem", "get", "get_nowait", "values", "items", "copy", "setdefault"})
"""Methods that give something that is in a container, whether it stays there or not."""
_PASSES = frozenset(
    {"next", "iter", "list", "tuple", "set", "sorted", "reversed", "enumerate", "zip", "cast"} | {"heappop"}
)
"""Functions whose result has what they are given."""
FILLED_ON_DEMAND = frozenset({"collections.defaultdict"})
"""Containers that make what is asked of them."""
_MOST_SOURCES = Limit(60, "expressions that one may stand for")
"""Expressions looked at to find what one may mean."""
_DEEPEST = Limit(2, "calls through which a future is followed")
"""Calls through which a future is followed into the function that stores it, or waits for it."""


class Signal(Struct, frozen=True):
    """What somebody waits for until somebody else completes it."""

    classes: frozenset[str]
    makers: frozenset[str]
    """last parts of the names of what makes one"""
    likely_makers: frozenset[str] = frozenset()
    """those that make one although nobody knows on what they are called"""
    waits: str | None = None
    """the method whose coroutine is awaited; None where it is awaited, and cancelled, itself"""
    completers: frozenset[str] | None = None
    """the methods that complete one; None for those that the tables know"""


FUTURES = Signal(frozenset({FUTURE}), frozenset({"create_future", "Future"}), frozenset({"create_future"}))
EVENTS = Signal(
    frozenset({"asyncio.Event", "anyio.Event", "trio.Event"}),
    frozenset({"Event"}),
    waits="wait",
    completers=frozenset({"set"}),
)


class Held(Struct, frozen=True):
    """What an expression may mean: futures made at these calls, or kept in these homes."""

    made: frozenset[CallSite]
    homes: frozenset[Home]

    def meets(self, other: "Held") -> bool:
        """Whether both may mean the same future."""
        return not (self.made.isdisjoint(other.made) and self.homes.isdisjoint(other.homes))


class Made(Struct, frozen=True):
    """A call that makes a future, and where that is kept."""

    site: CallSite
    held: Held
    kept_by: tuple[CallSite, ...]
    """the steps that store it in something that outlives the call"""
    handed_by: tuple[FunctionKey, ...]
    """the functions that return it, or a race with it"""
    handed_to: tuple[CallSite, ...]
    """the calls of the project that get it and keep it to themselves"""
    confidence: Confidence
    is_on_demand: bool = False
    """a container that makes one for every key that is asked for"""


class Wait(Struct, frozen=True):
    """An await that is cancelled together with the future it waits for."""

    at: CallSite
    value: Expr
    held: Held
    is_timed: bool
    helper: CallSite | None = None
    """the await in the function that is given the future"""


class Completion(Struct, frozen=True):
    """A call of `set_result` or `set_exception` on a future that was made elsewhere."""

    at: CallSite
    future: Expr
    held: Held


class Futures:
    """Finds futures and what is done with them. Rests on types and knowledge only."""

    def __init__(self, effects: Effects, uses: FunctionUses, signal: Signal = FUTURES) -> None:
        self.effects = effects
        self.uses = uses
        self.signal = signal
        self.program = effects.program
        self.homes = Homes(effects)
        self.inflows = Inflows(effects, uses)
        self._unwindings: dict[FunctionKey, Unwinding] = {}

    def unwinding(self, key: FunctionKey) -> Unwinding:
        if key not in self._unwindings:
            self._unwindings[key] = Unwinding(self.effects, key)
        return self._unwindings[key]

    # ----------------------------------------------------------------- what is done with futures

    @cached_property
    def made(self) -> tuple[Made, ...]:
        """The futures that are kept, or handed to a caller."""
        found = (self._made(site, confidence) for site, confidence in self._makers)
        return tuple(each for each in found if each.kept_by or each.handed_by)

    @cached_property
    def completions(self) -> tuple[Completion, ...]:
        completing = sorted(self.program.calls.functions_with(self._completers))
        return tuple(each for key in completing for each in self._completions(key))

    def made_in(self, key: FunctionKey) -> tuple[Made, ...]:
        """Return the futures that a function makes."""
        return self._made_by_function.get(key, ())

    @cached_property
    def _made_by_function(self) -> dict[FunctionKey, tuple[Made, ...]]:
        found: dict[FunctionKey, tuple[Made, ...]] = {}
        for each in self.made:
            found[each.site.function] = (*found.get(each.site.function, ()), each)
        return found

    @cached_property
    def waits(self) -> tuple[Wait, ...]:
        """The awaits that wait for a future as it is, so that both are cancelled together."""
        return tuple(each for key in self.program.functions() for each in self.waits_in(key))

    def waits_in(self, key: FunctionKey) -> Iterator[Wait]:
        """Yield those of one function, in the order of its steps."""
        for number, step in enumerate(self.program.function(key).steps):
            match step:
                case Await(value=value, kind=AwaitKind.EXPRESSION | AwaitKind.YIELD_FROM):
                    yield from self._waits(key, number, value)
                case _:
                    pass

    @cached_property
    def _makers(self) -> tuple[tuple[CallSite, Confidence], ...]:
        direct: list[tuple[CallSite, Confidence]] = []
        for site in self.program.calls.of_any(self._making):
            confidence = self._makes(site.function, site.step)
            if confidence is not None:
                direct.append((site, confidence))
        return (*direct, *self._made_by_helpers(direct))

    @cached_property
    def _making(self) -> frozenset[str]:
        """The last parts of the names of what makes one, or a container that does."""
        return self.signal.makers | {name.rpartition(".")[2] for name in FILLED_ON_DEMAND}

    def _makes(self, key: FunctionKey, number: int) -> Confidence | None:
        """Tell whether a call makes a future, or what makes them on demand, and how firmly that is known."""
        if self._makes_on_demand(key, number):
            return Confidence.CERTAIN
        found = options(self.effects.types.of(key, Temp(number)))
        if any(self._is_signal(each) for each in found):
            return Confidence.CERTAIN
        step = self.program.function(key).steps[number]
        if not isinstance(step, Call) or last_name(step.func) not in self.signal.likely_makers:
            return None
        return Confidence.LIKELY if all(isinstance(each, Unknown) for each in found) else None

    def _makes_on_demand(self, key: FunctionKey, number: int) -> bool:
        """Tell whether a call makes a dict that fills itself with futures."""
        return any(
            isinstance(each, Instance)
            and each.cls in FILLED_ON_DEMAND
            and any(self._is_signal(value) for arg in each.args[-1:] for value in options(arg))
            for each in options(self.effects.types.of(key, Temp(number)))
        )

    def _made_by_helpers(
        self, direct: Iterable[tuple[CallSite, Confidence]]
    ) -> Iterator[tuple[CallSite, Confidence]]:
        """Yield the calls of project functions that do nothing with a future but make and return it."""
        for site, confidence in direct:
            if not self.program.function(site.function).is_async and self._only_returns(site):
                for caller, _ in self.uses.calls(site.function):
                    yield caller, confidence

    def _only_returns(self, site: CallSite) -> bool:
        function = self.program.function(site.function)
        carriers = self._carriers(site)
        return any(
            isinstance(step, Return) and step.value in carriers for step in function.steps
        ) and not any(True for _ in self._stores(site.function, carriers, 1))

    @cached_property
    def _completers(self) -> frozenset[str]:
        """The last parts of the names of what completes futures, as the tables know them."""
        if self.signal.completers is not None:
            return self.signal.completers
        found = self.effects.operations.knowledge.with_role(Role.COMPLETES)
        return frozenset(name.rpartition(".")[2] for name in found)

    def _completions(self, key: FunctionKey) -> Iterator[Completion]:
        for number, step in enumerate(self.program.function(key).steps):
            match step:
                case Call(func=Attr(base=base, name=name)) if name in self._completers:
                    found = self.effects.types.of(key, base)
                    held = self.held(key, base)
                    if self.may_be_future(found) or (_is_never_set(found) and self._keeps_future(held)):
                        yield Completion(CallSite(key, number), base, held)
                case _:
                    pass

    def _keeps_future(self, held: Held) -> bool:
        """Tell whether a future that is made somewhere is put where this one comes from."""
        return not self._homes_of_made.isdisjoint(held.homes)

    @cached_property
    def _homes_of_made(self) -> frozenset[Home]:
        return frozenset(home for each in self.made for home in each.held.homes)

    def may_be_future(self, found: Type) -> bool:
        """Whether something is a future of asyncio, or nothing is known of it."""
        kinds = [each for each in options(found) if not isinstance(each, NoneValue)]
        return any(self._is_signal(each) or isinstance(each, Unknown) for each in kinds)

    def _is_signal(self, found: Type) -> bool:
        return isinstance(found, Instance) and found.cls in self.signal.classes

    # ----------------------------------------------------------------- where futures are kept

    def _made(self, site: CallSite, confidence: Confidence) -> Made:
        carriers = self._carriers(site)
        stores = tuple(self._stores(site.function, carriers, _DEEPEST))
        variables = [
            home
            for each in carriers
            if isinstance(each, Name) and (home := self.home(site.function, each)) is not None
        ]
        handing = (site.function,) if self._is_returned(site.function, carriers) else ()
        callers = [caller for key in handing for caller, _ in self.uses.calls(key)]
        passing = [caller for caller in callers if self._passes_on(caller)]
        return Made(
            site,
            Held(frozenset({site, *callers}), frozenset((*variables, *(home for _, home in stores)))),
            tuple(dict.fromkeys(at for at, _ in stores)),
            (*handing, *dict.fromkeys(caller.function for caller in passing)),
            tuple(caller for caller in callers if caller not in passing),
            confidence,
            self._makes_on_demand(site.function, site.step),
        )

    def _passes_on(self, call: CallSite) -> bool:
        """Tell whether a function returns the outcome of a call."""
        outcome = Temp(call.step)
        return any(
            isinstance(step, Return) and step.value == outcome
            for step in self.program.function(call.function).steps
        )

    def _is_returned(self, key: FunctionKey, carriers: frozenset[Expr]) -> bool:
        """Tell whether callers get a future, or something that is cancelled together with it."""
        if self.program.function(key).is_async:
            return False
        returned = [step.value for step in self.program.function(key).steps if isinstance(step, Return)]
        return any(value in carriers or self._wraps(key, value, carriers) for value in returned)

    def _wraps(self, key: FunctionKey, value: Expr, carriers: frozenset[Expr]) -> bool:
        """Tell whether a value is a race with one of the carriers, or made by a function that returns one."""
        if not isinstance(value, Temp):
            return False
        if any(expr in carriers for expr, _ in self._cancelled_with(key, value.step)):
            return True
        return any(
            isinstance(step, Return)
            and isinstance(step.value, Temp)
            and any(expr == Name(param) for expr, _ in self._cancelled_with(callee, step.value.step))
            for callee, param in self._given(key, value.step, carriers)
            if not self.program.function(callee).is_async
            for step in self.program.function(callee).steps
        )

    def _carriers(self, site: CallSite) -> frozenset[Expr]:
        """Return the variables and outcomes of a function that are, or that contain, what a call made."""
        return self._carrying(site.function, Temp(site.step))

    def _carrying(self, key: FunctionKey, made: Expr) -> frozenset[Expr]:
        found: set[Expr] = {made}
        size = 0
        while size < len(found):
            size = len(found)
            for number, step in enumerate(self.program.function(key).steps):
                match step:
                    case Assign(target=Name() as target, value=value, op="") if _carries(value, found):
                        found.add(target)
                    case Call(args=args, keywords=keywords):
                        given = (*args, *(value for _, value in keywords))
                        if any(_carries(each, found) for each in given) and self._is_record(key, number):
                            found.add(Temp(number))
                    case _:
                        pass
        return frozenset(found)

    def _is_record(self, key: FunctionKey, number: int) -> bool:
        """Tell whether a call makes an object of a project class."""
        return any(
            isinstance(each, Instance) and self.program.cls(each.cls) is not None
            for each in options(self.effects.types.of(key, Temp(number)))
        )

    def _stores(
        self, key: FunctionKey, carriers: frozenset[Expr], depth: int
    ) -> Iterator[tuple[CallSite, Home]]:
        """Yield the steps that put one of the carriers into something that outlives the function."""
        for number, step in enumerate(self.program.function(key).steps):
            for container in _stored_in(step, carriers):
                for home in self.homes_of_container(key, container):
                    yield CallSite(key, number), home
            for home in self._fields_given(key, number, carriers):
                yield CallSite(key, number), home
            for closure in _closures_in(step):
                yield from self._stores_in_closure(FunctionKey(key.module, closure), carriers, depth)
            if isinstance(step, Call) and _DEEPEST.leaves(depth):
                for callee, param in self._given(key, number, carriers):
                    inner = self._carrying(callee, Name(param))
                    for _, home in self._stores(callee, inner, depth - 1):
                        yield CallSite(key, number), home

    def _stores_in_closure(
        self, key: FunctionKey, carriers: frozenset[Expr], depth: int
    ) -> Iterator[tuple[CallSite, Home]]:
        """Yield those of a function that is written in place and sees the variables of the one around it."""
        bound = self.program.function(key).locals
        seen = frozenset(each for each in carriers if isinstance(each, Name) and each.id not in bound)
        if seen and _DEEPEST.leaves(depth):
            yield from self._stores(key, seen, depth - 1)

    def _fields_given(self, key: FunctionKey, number: int, carriers: frozenset[Expr]) -> Iterator[Home]:
        """Yield the fields that a call gives a carrier, where it makes a record that writes no `__init__`."""
        step = self.program.function(key).steps[number]
        if not isinstance(step, Call) or not any(
            _carries(each, carriers) for each in (*step.args, *(value for _, value in step.keywords))
        ):
            return
        for option in options(self.effects.types.of(key, Temp(number))):
            info = self.program.cls(option.cls) if isinstance(option, Instance) else None
            if info is None or self.program.methods(info.name, "__init__"):
                continue
            body = self.program.function(FunctionKey(info.module, info.definition.body))
            in_order = zip((field.name for field in body.annotations), step.args, strict=False)
            for name, value in (*in_order, *step.keywords):
                if name is not None and _carries(value, carriers):
                    yield self.homes.owning_class(info.name, name), name

    def _given(
        self, key: FunctionKey, number: int, carriers: frozenset[Expr]
    ) -> Iterator[tuple[FunctionKey, str]]:
        """Yield the project functions that a call gives a carrier, and their parameter."""
        step = self.program.function(key).steps[number]
        if not isinstance(step, Call):
            return
        if not any(_carries(each, carriers) for each in (*step.args, *(value for _, value in step.keywords))):
            return
        for callee in self.effects.types.callees(key, number):
            if isinstance(callee, ProjectCallee):
                for param, value in self.arguments(callee):
                    if _carries(value, carriers):
                        yield callee.key, param

    def is_given_to(self, site: CallSite, role: Role) -> bool:
        """Tell whether the outcome of a call is given to one that shields, or starts, what it gets."""
        for number, step in enumerate(self.program.function(site.function).steps):
            if isinstance(step, Call) and Temp(site.step) in step.args:
                for callee in self.effects.types.callees(site.function, number):
                    known = self.effects.operations.known(callee)
                    if known is not None and role in known.entry.roles:
                        return True
        return False

    def arguments(self, callee: ProjectCallee) -> Iterator[tuple[str, Expr]]:
        """Yield the parameters of a project function that a call gives, each with its value."""
        params = self.program.function(callee.key).params
        for place, value in self.effects.given(callee).items():
            yield params[place].name, value

    def home(self, key: FunctionKey, expr: Expr) -> Home | None:
        """Return who keeps an object, or the container that it is in."""
        while isinstance(expr, Item):
            expr = expr.base
        home = self.homes.of(key, expr)
        if home is not None or not isinstance(expr, Attr):
            return home
        path = self.effects.frame(key).path(expr)
        if path is None or not path.root.startswith(("free:", "global:")):
            return None
        return path.root, ".".join(path.fields)

    def homes_of_container(self, key: FunctionKey, container: Expr) -> frozenset[Home]:
        """Return the homes that a container may be, none for a variable that lives as long as the call."""
        found = self.held(key, container).homes
        return frozenset(home for home in found if home[0] != f"{key.module}#{key.function}")

    # ----------------------------------------------------------------- what an expression means

    def held(self, key: FunctionKey, expr: Expr) -> Held:
        """Return what an expression of a function may mean, whatever the way it came there."""
        made: set[CallSite] = set()
        homes: set[Home] = set()
        waiting: list[tuple[FunctionKey, Expr, int]] = [(key, expr, 0)]
        seen: set[tuple[FunctionKey, Expr]] = set()
        while waiting and not _MOST_SOURCES.is_exceeded_by(len(seen) + 1):
            function, current, depth = waiting.pop()
            if (function, current) in seen:
                continue
            seen.add((function, current))
            if isinstance(current, Temp):
                made.add(CallSite(function, current.step))
            elif (home := self.home(function, current)) is not None:
                homes.add(home)
            waiting.extend(self.sources(function, current, depth))
        return Held(frozenset(made), frozenset(homes))

    def sources(self, key: FunctionKey, expr: Expr, depth: int) -> Iterator[tuple[FunctionKey, Expr, int]]:
        """Yield what an expression is bound to, or taken from."""
        match expr:
            case Name(id=name):
                yield from self._bound(key, name, depth)
            case Item(base=base) | Element(value=base) | Star(value=base):
                yield key, base, depth
            case Op(operands=parts) | Build(items=parts):
                yield from ((key, part, depth) for part in parts)
            case Temp(step=number):
                yield from self._taken_from(key, number, depth)
            case _:
                pass

    def _bound(self, key: FunctionKey, name: str, depth: int) -> Iterator[tuple[FunctionKey, Expr, int]]:
        holder = self.program.scopes(key.module).scope(key.function, name)
        if holder is None:
            return
        scope = FunctionKey(key.module, holder)
        if depth < _DEEPEST and any(param.name == name for param in self.program.function(scope).params):
            yield from self._passed(scope, name, depth)
        for writer, value in self.program.assigned(scope, name):
            yield writer, value, depth

    def _passed(self, key: FunctionKey, name: str, depth: int) -> Iterator[tuple[FunctionKey, Expr, int]]:
        """Yield what callers give for a parameter."""
        for site, callee in self.uses.calls(key):
            for param, value in self.arguments(callee):
                if param == name:
                    yield site.function, value, depth + 1

    def _taken_from(
        self, key: FunctionKey, number: int, depth: int
    ) -> Iterator[tuple[FunctionKey, Expr, int]]:
        match self.program.function(key).steps[number]:
            case Next(value=value) | Load(value=value):
                yield key, value, depth
            case Await(value=Temp(step=made)) if isinstance(self.program.function(key).steps[made], Call):
                yield from self._taken_from(key, made, depth)
            case Call(func=Attr(base=base, name=name)) if name in TAKES:
                yield key, base, depth
            case Call(func=func, args=args) if last_name(func) in _PASSES:
                yield from ((key, each, depth) for each in args)
            case _:
                pass

    # ----------------------------------------------------------------- waiting

    def _waits(self, key: FunctionKey, number: int, value: Expr) -> Iterator[Wait]:
        timed = self._in_timeout(key, number)
        for expr, by_call in self.awaited(key, value):
            if (isinstance(expr, Temp) and self.signal.waits is None) or self.may_be_future(
                self.effects.types.of(key, expr)
            ):
                yield Wait(CallSite(key, number), expr, self.held(key, expr), timed or by_call)
        if isinstance(value, Temp) and self._is_given_future(key, value.step):
            yield from self._waits_in_helper(key, number, value.step)

    def _is_given_future(self, key: FunctionKey, number: int) -> bool:
        """Tell, without much ado, whether a call may be given a future that was made here or is kept."""
        step = self.program.function(key).steps[number]
        if not isinstance(step, Call):
            return False
        makes = bool(self.made_in(key))
        return any(
            (makes and isinstance(each, Name)) or (isinstance(each, Attr) and each.name in self._home_names)
            for each in (*step.args, *(value for _, value in step.keywords))
        )

    @cached_property
    def _home_names(self) -> frozenset[str]:
        """The names of the attributes and variables that keep futures."""
        return frozenset(name for _, name in self._homes_of_made)

    def awaited(self, key: FunctionKey, value: Expr) -> Iterator[tuple[Expr, bool]]:
        """Yield what is cancelled with an await: its value, or what a race with a time limit is given."""
        if self.signal.waits is not None:
            yield from self._waited_on(key, value)
            return
        if isinstance(value, Name | Attr | Item):
            yield value, False
            return
        if not isinstance(value, Temp):
            return
        step = self.program.function(key).steps[value.step]
        if not isinstance(step, Call):
            return
        if last_name(step.func) in self._returning and any(
            isinstance(callee, ProjectCallee) and callee.key in self._handing
            for callee in self.effects.types.callees(key, value.step)
        ):
            yield value, False
        else:
            yield from self._cancelled_with(key, value.step)

    def _waited_on(self, key: FunctionKey, value: Expr) -> Iterator[tuple[Expr, bool]]:
        """Yield what an await waits on by a method of it, and whether that has a time limit."""
        race = self.effects.race(key, value)
        timed = race is not None and race.kind is RaceKind.CANCELS_RAISES
        operations = race.operations if race is not None else self.effects.operations.behind(key, value)
        for operation in operations:
            if operation.site.function != key:
                continue
            match self.program.function(key).steps[operation.site.step]:
                case Call(func=Attr(base=base, name=name)) if name == self.signal.waits:
                    yield base, timed
                case _:
                    pass

    def _cancelled_with(self, key: FunctionKey, number: int) -> Iterator[tuple[Expr, bool]]:
        """Yield what a call cancels when what it returns is cancelled, and whether it has a time limit."""
        step = self.program.function(key).steps[number]
        if isinstance(step, Call) and last_name(step.func) in self._racing:
            for callee in self.effects.types.callees(key, number):
                yield from self._cancelled_by(callee)

    @cached_property
    def _returning(self) -> frozenset[str]:
        """The names of the functions that return a future they have made."""
        return frozenset(self.program.function(key).name for key in self._handing)

    @cached_property
    def _handing(self) -> frozenset[FunctionKey]:
        return frozenset(key for each in self.made for key in each.handed_by)

    @cached_property
    def _racing(self) -> frozenset[str]:
        """The last parts of the names of what cancels the futures it is given, as the tables know them."""
        knowledge = self.effects.operations.knowledge
        found: set[str] = set()
        for name in knowledge.names():
            entry = knowledge.entry(name)
            if entry is not None and _cancels_what_it_awaits(entry):
                found.update(each.rpartition(".")[2] for each in (name, *entry.aliases))
        return frozenset(found)

    def _cancelled_by(self, callee: Callee) -> Iterator[tuple[Expr, bool]]:
        known = self.effects.operations.known(callee)
        if known is None or not _cancels_what_it_awaits(known.entry):
            return
        for each in operands(known.entry, known.entry.raced, callee):
            if isinstance(each, Name | Attr | Item):
                yield each, known.entry.race is RaceKind.CANCELS_RAISES

    def _waits_in_helper(self, key: FunctionKey, number: int, call: int) -> Iterator[Wait]:
        """Yield the awaits of a project coroutine on a future that it is given."""
        for callee in self.effects.types.callees(key, call):
            if not isinstance(callee, ProjectCallee) or not self.program.function(callee.key).is_async:
                continue
            given = dict(self.arguments(callee))
            for inner, step in enumerate(self.program.function(callee.key).steps):
                if not isinstance(step, Await):
                    continue
                for expr, by_call in self.awaited(callee.key, step.value):
                    value = given.get(expr.id) if isinstance(expr, Name) else None
                    if value is not None and self.may_be_future(self.effects.types.of(key, value)):
                        timed = by_call or self._in_timeout(callee.key, inner)
                        helper = CallSite(callee.key, inner)
                        yield Wait(CallSite(key, number), value, self.held(key, value), timed, helper)

    def _in_timeout(self, key: FunctionKey, number: int) -> bool:
        """Tell whether a step stands in the body of a race."""
        flow = self.program.flow(key)
        block = flow.blocks[flow.block_of(number)]
        if not block.regions:
            return False
        unwinding = self.unwinding(key)
        return any(unwinding.race(region) is not None for region in block.regions)


def _closures_in(step: object) -> Iterator[int]:
    """Yield the functions that a step makes in place and binds, or gives to a call."""
    match step:
        case Assign(value=Closure(function=index)):
            yield index
        case Call(args=args, keywords=keywords):
            for value in (*args, *(value for _, value in keywords)):
                if isinstance(value, Closure):
                    yield value.function
        case _:
            pass


def _is_never_set(found: Type) -> bool:
    """Tell whether nothing but None is known of an attribute, whose type leaves out what others put there."""
    return all(isinstance(each, NoneValue) for each in options(found))


def _cancels_what_it_awaits(entry: Entry) -> bool:
    """Tell whether a call, when it times out or is cancelled, cancels the futures among its arguments."""
    if entry.raced == "body":
        return False
    return Role.GATHERS in entry.roles or entry.race is RaceKind.CANCELS_RAISES


def _carries(value: Expr, carriers: Iterable[Expr]) -> bool:
    """Tell whether a value is one of the carriers, or a display that has one."""
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if current in carriers:
            return True
        match current:
            case Build(items=items):
                waiting.extend(items)
            case Op(op="ifexp" | "or", operands=parts):
                waiting.extend(parts)
            case _:
                pass
    return False


def _stored_in(step: object, carriers: frozenset[Expr]) -> Iterator[Expr]:
    """Yield what a step stores a carrier in."""
    match step:
        case Assign(target=Attr() | Item() as target, value=value) if _carries(value, carriers):
            yield target
        case Assign(target=Item(base=base, key=held)) if held in carriers:
            yield base
        case Assign(target=Name() as target, value=value, op=op) if op and _carries(value, carriers):
            yield target
        case Call(func=Attr(base=base, name=name), args=args) if name in FILLS:
            if any(_carries(each, carriers) for each in args):
                yield base
        case Call(func=func, args=(container, *rest)) if last_name(func) == "heappush":
            if any(_carries(each, carriers) for each in rest):
                yield container
        case _:
            pass
