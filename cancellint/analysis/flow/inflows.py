"""Whether something is done for everything that the network sends: by a loop, a callback, a handler."""

import enum
from collections.abc import Iterable, Iterator

from msgspec import Struct

from cancellint.analysis.callgraph.function_uses import FunctionUses
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.reachability import after_step
from cancellint.analysis.flow.tainting import Taint
from cancellint.analysis.program.expressions import last_name
from cancellint.analysis.program.type_algebra import options
from cancellint.model.finding import Confidence, firmest
from cancellint.model.ir import Attr, Await, AwaitKind, Call, Expr, Function, Name, Op, Temp
from cancellint.model.knowledge import Callback, Role, SourceKind
from cancellint.model.types import (
    Callee,
    CallSite,
    FunctionKey,
    Instance,
    ProjectCallee,
    ProjectFunction,
    UnresolvedCallee,
)


class Growth(enum.StrEnum):
    """What runs once for everything that comes in."""

    LOOP = "a loop"
    CALLBACK = "a callback"
    HANDLER = "a request handler"


class Inflow(Struct, frozen=True):
    """How data from outside gets to a step: calls from the outermost one inwards."""

    growth: Growth
    confidence: Confidence
    source: CallSite
    """the await that reads, or the function that is called back (step -1)"""
    calls: tuple[CallSite, ...] = ()


_DEEPEST = Limit(4, "calls between what reads and what stores")
"""Calls between what reads and what stores that are followed."""
_MOST_CALLERS = Limit(8, "unknown callers of one function")
_MOST_NAMESAKES = Limit(64, "calls of one name")
"""Calls of anything that has a function's name, above which its callers are not looked for."""

REMOTE = frozenset({SourceKind.STREAM, SourceKind.MESSAGES})
"""Sources whose pace a peer sets, unlike that of queues, files and containers in this process."""

_WAITING = frozenset({"wait", "join", "acquire", "wait_closed"})
"""Methods that come back when others are done: what is put before them is not put again until then."""


class Inflows:
    """Finds what drives a step from outside, through the functions that call it."""

    def __init__(self, effects: Effects, uses: FunctionUses) -> None:
        self._effects = effects
        self._uses = uses
        self._conventions = effects.conventions
        self._program = effects.program
        self._calls = effects.program.calls
        self._reads: dict[FunctionKey, Confidence | None] = {}

    def of(self, key: FunctionKey, step: int, data: Iterable[Expr]) -> Inflow | None:
        """Return the strongest inflow whose data reaches the expressions used at a step."""
        return self._find(key, step, tuple(data), (), frozenset())

    def _find(
        self,
        key: FunctionKey,
        step: int,
        data: tuple[Expr, ...],
        calls: tuple[CallSite, ...],
        seen: frozenset[FunctionKey],
    ) -> Inflow | None:
        """Look in the function itself, then in its callers; `calls` lead from it to where data is stored."""
        if self._is_answered(key, step):
            return None
        looped = self._from_loop(key, step, data, calls)
        if looped is not None:
            return looped
        function = self._program.function(key)
        given = Taint(function, [Name(param.name) for param in function.params])
        if not any(given.reaches(each) for each in data):
            return None
        called_back = self._called_back(key)
        if called_back is not None:
            growth, confidence = called_back
            return Inflow(growth, confidence, CallSite(key, -1), calls)
        if key in seen or _DEEPEST.is_exceeded_by(len(calls) + 1):
            return None
        return self._from_callers(key, calls, seen | {key})

    def _from_callers(
        self, key: FunctionKey, calls: tuple[CallSite, ...], seen: frozenset[FunctionKey]
    ) -> Inflow | None:
        found: list[Inflow] = []
        for site, data in self._callers(key):
            if site.function in seen:
                continue
            inflow = self._find(site.function, site.step, data, (site, *calls), seen)
            if inflow is not None:
                found.append(inflow)
        return min(found, key=lambda each: (each.confidence.rank, len(each.calls)), default=None)

    # ----------------------------------------------------------------- loops

    def _from_loop(
        self, key: FunctionKey, step: int, data: tuple[Expr, ...], calls: tuple[CallSite, ...]
    ) -> Inflow | None:
        function = self._program.function(key)
        flow = self._program.flow(key)
        found: list[tuple[int, Confidence]] = []
        for number in flow.steps_of(flow.cycle(flow.block_of(step))):
            if isinstance(function.steps[number], Await):
                confidence = self._reads_remote(key, number, _DEEPEST)
                if confidence is not None:
                    found.append((number, confidence))
        for number, confidence in sorted(found, key=lambda pair: pair[1].rank):
            taint = Taint(function, [Temp(number)])
            if any(taint.reaches(each) for each in data):
                return Inflow(Growth.LOOP, confidence, CallSite(key, number), calls)
        return None

    def _reads_remote(self, key: FunctionKey, number: int, depth: int) -> Confidence | None:
        """Tell whether an await fetches what a peer sends, and how firmly that is known."""
        step = self._program.function(key).steps[number]
        if not isinstance(step, Await) or step.kind in (AwaitKind.ENTER, AwaitKind.EXIT):
            return None
        for take in self._effects.of(key, number).takes:
            if self._effects.operations.knowledge.source(take.origin) in REMOTE:
                return take.confidence
        inner = [self._function_reads(called, depth - 1) for called in self._awaited(key, number)]
        known = [each for each in inner if each is not None]
        if known:
            return firmest(*known)
        return Confidence.LIKELY if self._reads_by_name(key, step) else None

    def _awaited(self, key: FunctionKey, number: int) -> Iterator[FunctionKey]:
        """Yield the project functions whose body an await runs."""
        yield from self._effects.callees(key, number)
        step = self._program.function(key).steps[number]
        if isinstance(step, Await) and isinstance(step.value, Temp):
            for callee in self._callees(key, step.value.step):
                if isinstance(callee, ProjectCallee):
                    yield callee.key

    def _function_reads(self, key: FunctionKey, depth: int) -> Confidence | None:
        """Tell whether a coroutine or generator fetches what a peer sends whenever it is run."""
        if key in self._reads or depth <= 0:
            return self._reads.get(key)
        self._reads[key] = None
        steps = self._program.function(key).steps
        found = [
            confidence
            for number, step in enumerate(steps)
            if isinstance(step, Await) and (confidence := self._reads_remote(key, number, depth)) is not None
        ]
        self._reads[key] = firmest(*found) if found else None
        return self._reads[key]

    def _reads_by_name(self, key: FunctionKey, step: Await) -> bool:
        if step.kind is AwaitKind.NEXT:
            return self._is_connection(key, step.value) or self._streams(key, step.value)
        if not isinstance(step.value, Temp):
            return False
        match self._program.function(key).steps[step.value.step]:
            case Call(func=Attr(base=base, name=name)):
                if base == self._receiver(key):
                    return name in self._conventions.fetches
                return self._conventions.receives(name, base) and self._is_connection(key, base)
            case _:
                return False

    def _is_connection(self, key: FunctionKey, expr: Expr) -> bool:
        """Tell whether a name speaks of a connection; of the project's own classes the code tells that."""
        return self._conventions.is_connection(expr) and not any(
            isinstance(option, Instance) and self._program.cls(option.cls) is not None
            for option in options(self._effects.types.of(key, expr))
        )

    def _streams(self, key: FunctionKey, value: Expr) -> bool:
        """Tell whether an iterable is what a peer sends, by its class or by the name of what gives it."""
        if isinstance(value, Temp):
            made = self._program.function(key).steps[value.step]
            if isinstance(made, Call) and last_name(made.func) in self._conventions.streams:
                return True
        knowledge = self._effects.operations.knowledge
        return any(
            isinstance(option, Instance) and knowledge.source(f"{option.cls}.__anext__") in REMOTE
            for option in options(self._effects.types.of(key, value))
        )

    def _receiver(self, key: FunctionKey) -> Expr | None:
        params = self._program.function(key).params
        return Name(params[0].name) if params and self._program.class_of(key) is not None else None

    # ----------------------------------------------------------------- callbacks and handlers

    def _called_back(self, key: FunctionKey) -> tuple[Growth, Confidence] | None:
        function = self._program.function(key)
        cls = self._program.class_of(key)
        if cls is not None and function.cls >= 0:
            bases = self._effects.types.library_bases(cls)
            overridden = self._effects.operations.knowledge.overridden(bases, function.name)
            if overridden is not None and overridden.callback is Callback.DATA:
                return Growth.CALLBACK, Confidence.CERTAIN
            if function.name in self._conventions.called_back:
                return Growth.CALLBACK, Confidence.LIKELY
        if any(self._is_route(each) for each in function.decorators):
            return Growth.HANDLER, Confidence.LIKELY
        return self._registered(key)

    def _is_route(self, decorator: Expr) -> bool:
        """Tell whether a decorator registers a function for the requests of a web framework."""
        match decorator:
            case Op(op="call", operands=(Attr(base=base, name=name), *_)) | Attr(base=base, name=name):
                return self._conventions.is_route(name, base)
            case _:
                return False

    def _registered(self, key: FunctionKey) -> tuple[Growth, Confidence] | None:
        """Tell whether a function is given to a call that calls it back with connections or data."""
        for site, operand in self._calls.given.get(self._program.function(key).name, ()):
            if not self._means(site.function, operand, key):
                continue
            for callee in self._callees(site.function, site.step):
                known = self._effects.operations.known(callee)
                if known is None or known.entry.calls is None:
                    continue
                if known.entry.calls_with:
                    return Growth.HANDLER, known.confidence
                if known.entry.callback is Callback.DATA:
                    return Growth.CALLBACK, known.confidence
        return None

    # ----------------------------------------------------------------- callers

    def unknown_callers(self, key: FunctionKey) -> Iterator[CallSite]:
        """Yield the calls of something unknown that has a function's name, the first few."""
        sites = self._calls.called.get(self._program.function(key).name, ())
        if not _MOST_NAMESAKES.is_exceeded_by(len(sites)):
            unknown = (
                site
                for site in sites
                if any(isinstance(each, UnresolvedCallee) for each in self._callees(site.function, site.step))
            )
            yield from _MOST_CALLERS.first(unknown)

    def _callers(self, key: FunctionKey) -> Iterator[tuple[CallSite, tuple[Expr, ...]]]:
        """Yield the calls that reach a function, now or soon, each with what it is given."""
        for site, callee in self._uses.calls(key):
            own = () if callee.receiver is None else (callee.receiver,)
            yield site, (*callee.args, *(value for _, value in callee.keywords), *own)
        for site, operand in self._calls.given.get(self._program.function(key).name, ()):
            step = self._program.function(site.function).steps[site.step]
            if not isinstance(step, Call) or not self.defers(site.function, site.step):
                continue
            if self._means(site.function, operand, key):
                own = (operand.base,) if isinstance(operand, Attr) else ()
                yield site, (*step.args[1:], *own)

    def defers(self, key: FunctionKey, number: int) -> bool:
        """Tell whether a call has a function called soon, by itself and not for what comes in."""
        known = (self._effects.operations.known(callee) for callee in self._callees(key, number))
        return any(
            each is not None
            and each.entry.calls is not None
            and each.entry.callback is None
            and not each.entry.calls_with
            and Role.SPAWNS not in each.entry.roles
            for each in known
        )

    def _means(self, function: FunctionKey, expr: Expr, key: FunctionKey) -> bool:
        kind = self._effects.types.of(function, expr)
        return isinstance(kind, ProjectFunction) and kind.key == key

    def _callees(self, key: FunctionKey, number: int) -> tuple[Callee, ...]:
        if not isinstance(self._program.function(key).steps[number], Call):
            return ()
        return self._effects.types.callees(key, number)

    def _is_answered(self, key: FunctionKey, step: int) -> bool:
        """Tell whether the function waits for somebody else before it can come round to a step again."""
        function = self._program.function(key)
        flow = self._program.flow(key)
        later, following = after_step(flow, step)
        blocks = flow.cycle(flow.block_of(step)) or following
        return any(self._waits(function, number) for number in (*later, *flow.steps_of(blocks)))

    def _waits(self, function: Function, number: int) -> bool:
        match function.steps[number]:
            case Await(kind=AwaitKind.EXPRESSION | AwaitKind.YIELD_FROM, value=Temp(step=made)):
                match function.steps[made]:
                    case Call(func=Attr(base=base, name=name)):
                        return name in _WAITING and base != Name("asyncio")
                    case _:
                        return False
            case Await(kind=AwaitKind.EXPRESSION | AwaitKind.YIELD_FROM, value=Name() | Attr()):
                return True
            case _:
                return False
