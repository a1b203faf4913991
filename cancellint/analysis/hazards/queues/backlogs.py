"""Queues without a bound: who makes them, who feeds them and who drains them, over the whole program."""

import enum
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.callgraph.exposure import Exposure
from cancellint.analysis.callgraph.function_uses import FunctionUses
from cancellint.analysis.callgraph.homes import Home, Homes
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.queues import is_bounded
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.reachability import precedes
from cancellint.analysis.flow.inflows import Inflow, Inflows
from cancellint.analysis.program.expressions import last_name, parts
from cancellint.analysis.program.type_algebra import options
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
    Item,
    Name,
    Next,
    Op,
    Return,
    Step,
    Temp,
    Yield,
)
from cancellint.model.knowledge import Role
from cancellint.model.types import (
    CallSite,
    FunctionKey,
    Instance,
    ProjectCallee,
    ProjectFunction,
)


class BacklogKind(enum.StrEnum):
    """What serves as a queue."""

    QUEUE = "queue"
    STREAM = "memory stream"
    CHANNEL = "memory channel"
    DEQUE = "deque"
    LIST = "list"

    @property
    def is_plain(self) -> bool:
        """Whether most objects of the kind are no queues between tasks."""
        return self in (BacklogKind.DEQUE, BacklogKind.LIST)


class Feed(Struct, frozen=True):
    """A step that puts something into a queue, once for everything that comes in."""

    at: CallSite
    inflow: Inflow


class Backlog(Struct, frozen=True):
    """A queue that holds whatever its consumers have not come round to."""

    made: CallSite
    kind: BacklogKind
    shown: str
    feed: Feed
    drains: tuple[CallSite, ...]
    handed_on: bool = False
    """what waits for items is a generator that yields them: its consumer, whoever that is, sets the pace"""
    asked_for: bool = False
    """users of the program take items when they like, by a function that it offers"""


class _Made(Struct, frozen=True):
    site: CallSite
    kind: BacklogKind
    homes: tuple[Home, ...]
    shown: str
    bounded: bool


class _Use(Struct, frozen=True):
    """A step that does something with a queue; `data` is what it puts there."""

    at: CallSite
    made_at: frozenset[CallSite]
    home: Home | None
    method: str
    data: tuple[Expr, ...] = ()
    holder: str | None = None
    """the class of the object that has the queue, where that is known"""


_FEEDS = frozenset({"put", "put_nowait", "send", "send_nowait", "append", "appendleft", "extend"})
_DRAINS = frozenset({"get", "get_nowait", "receive", "receive_nowait", "popleft", "pop", "clear"})
_PATIENT = frozenset({"get", "receive", "next"})
"""Those that wait until there is something to take."""
_LIMITING = frozenset({"full", "statistics", "join"})
"""Methods by which code that uses them may hold back what it puts."""
_MEASURES = frozenset({"len", "qsize"})
_USES = _FEEDS | _DRAINS | _LIMITING | _MEASURES
_TELLING = frozenset({"put", "put_nowait", "get_nowait", "full", "qsize"})
"""Methods that hardly anything but a queue has: their receiver is looked at whatever its name."""
_FIRST = (Const("int", "0"),)


class Backlogs:
    """All queues of a program that nothing bounds and that are fed from outside."""

    def __init__(self, effects: Effects, uses: FunctionUses, exposure: Exposure) -> None:
        self._effects = effects
        self._callers = uses
        self._knowledge = effects.operations.knowledge
        self._program = effects.program
        self._calls = effects.program.calls
        self._homes = Homes(effects)
        self._inflows = Inflows(effects, uses)
        self._exposure = exposure

    def made_in(self, key: FunctionKey) -> Iterator[Backlog]:
        """Yield the backlogs whose queue is made by a function."""
        yield from self._all.get(key, ())

    @cached_property
    def _all(self) -> dict[FunctionKey, list[Backlog]]:
        found: dict[FunctionKey, list[Backlog]] = {}
        bounded = {home for each in self._made if each.bounded for home in each.homes}
        told: set[Home] = set()
        for each in self._made:
            if each.bounded or bounded.intersection(each.homes) or told.intersection(each.homes):
                continue
            backlog = self._backlog(each)
            if backlog is not None:
                told.update(each.homes)
                found.setdefault(each.site.function, []).append(backlog)
        return found

    # ----------------------------------------------------------------- what makes queues

    @cached_property
    def _made(self) -> tuple[_Made, ...]:
        return tuple(sorted((*self._constructions(), *self._lists()), key=lambda each: each.site))

    @cached_property
    def _sites(self) -> frozenset[CallSite]:
        return frozenset(each.site for each in self._made)

    @cached_property
    def _names(self) -> frozenset[str]:
        """The names under which queues that may be backlogs are kept."""
        return frozenset(
            home[1].rstrip("[]") for each in self._made if not each.bounded for home in each.homes
        )

    def _constructions(self) -> Iterator[_Made]:
        for site in self._calls.of_any(name.rpartition(".")[2] for name in self._knowledge.queues()):
            match self._program.function(site.function).steps[site.step]:
                case Call() as call:
                    yield from self._constructed(site, call)
                case _:
                    pass

    def _lists(self) -> Iterator[_Made]:
        """Yield the lists that are made as attributes, of those whose first item is taken out somewhere."""
        popped = frozenset(self._popped_from())
        for key in self._program.functions() if popped else ():
            for number, step in enumerate(self._program.function(key).steps):
                match step:
                    case Assign(target=Attr(name=name) as target, value=Build("list", ()), op="") if (
                        name in popped
                    ):
                        home = self._homes.of(key, target)
                        if home is not None:
                            yield _Made(
                                CallSite(key, number), BacklogKind.LIST, (home,), shown(target), False
                            )
                    case _:
                        pass

    def _popped_from(self) -> Iterator[str]:
        """Yield the names of attributes whose first item is taken out somewhere."""
        for site in self._calls.called.get("pop", ()):
            match self._program.function(site.function).steps[site.step]:
                case Call(func=Attr(base=Attr(name=name)), args=args) if args == _FIRST:
                    yield name
                case _:
                    pass

    def _constructed(self, site: CallSite, call: Call) -> Iterator[_Made]:
        entry = self._effects.queues.constructor(site.function, call)
        if entry is not None and entry.queue is not None:
            targets = tuple(self._targets(site))
            homes = tuple(home for each in targets if (home := self._homes.of(site.function, each)))
            name = shown(targets[0]) if targets else f"{last_name(call.func)}()"
            yield _Made(site, BacklogKind(entry.queue), homes, name, is_bounded(entry, call))

    def _targets(self, site: CallSite) -> Iterator[Expr]:
        """Yield what the outcome of a call, or a part of it, is assigned to."""
        for step in self._program.function(site.function).steps:
            match step:
                case Assign(target=target, value=Temp(step=made) | Element(value=Temp(step=made)), op=""):
                    if made == site.step:
                        yield target
                case _:
                    pass

    # ----------------------------------------------------------------- what uses them

    @cached_property
    def _uses(self) -> tuple[_Use, ...]:
        calling = self._calls.functions_with((*_USES, "len"))
        return tuple(
            use
            for key in self._program.functions()
            if key in calling or self._program.function(key).is_async
            for use in self._uses_in(key)
        )

    def _uses_in(self, key: FunctionKey) -> Iterator[_Use]:
        named = set(self._names)
        for number, step in enumerate(self._program.function(key).steps):
            match step:
                case Assign(target=Name(id=alias), value=Attr(name=name)) if name in named:
                    named.add(alias)
                case Call(func=Attr(base=base, name=name), args=args) if name in _USES:
                    if last_name(base) in named or name in _TELLING or (name == "get" and not args):
                        yield from self._use(key, number, base, name, args)
                case Call(func=Name(id="len"), args=(measured,)) if last_name(measured) in named:
                    yield from self._use(key, number, measured, "len", ())
                case Await(value=value, kind=AwaitKind.NEXT) if last_name(value) in named:
                    yield from self._use(key, number, value, "next", ())
                case _:
                    pass

    def _use(
        self, key: FunctionKey, number: int, base: Expr, method: str, args: tuple[Expr, ...]
    ) -> Iterator[_Use]:
        made_at = self._made_at(key, base)
        home = self._homes.of(key, base)
        if made_at or home is not None:
            yield _Use(CallSite(key, number), made_at, home, method, args, self._homes.holder(key, base))
            return
        for caller, given in self._arguments(key, base):
            yield _Use(
                CallSite(key, number),
                self._made_at(caller, given),
                self._homes.of(caller, given),
                method,
                args,
                self._homes.holder(caller, given),
            )

    def _made_at(self, key: FunctionKey, expr: Expr) -> frozenset[CallSite]:
        return frozenset(
            option.made_at
            for option in options(self._effects.types.of(key, expr))
            if isinstance(option, Instance) and option.made_at is not None and option.made_at in self._sites
        )

    def _arguments(self, key: FunctionKey, expr: Expr) -> Iterator[tuple[FunctionKey, Expr]]:
        """Yield what callers give for a parameter, each with the function that does."""
        params = self._program.function(key).params
        place = next((i for i, param in enumerate(params) if expr == Name(param.name)), None)
        if place is None:
            return
        for site, callee in self._callers.calls(key):
            given = self._effects.given(callee).get(place)
            if given is not None:
                yield site.function, given

    @cached_property
    def _by_home(self) -> dict[Home, list[_Use]]:
        found: dict[Home, list[_Use]] = {}
        for use in self._uses:
            if use.home is not None:
                found.setdefault(use.home, []).append(use)
        return found

    @cached_property
    def _by_site(self) -> dict[CallSite, list[_Use]]:
        found: dict[CallSite, list[_Use]] = {}
        for use in self._uses:
            for site in use.made_at:
                found.setdefault(site, []).append(use)
        return found

    def _uses_of(self, made: _Made) -> tuple[_Use, ...]:
        found = dict.fromkeys(self._by_site.get(made.site, ()))
        for home in made.homes:
            found.update(dict.fromkeys(self._by_home.get(home, ())))
        return tuple(sorted(found, key=lambda use: (use.at.function, use.at.step)))

    # ----------------------------------------------------------------- judging one

    def _backlog(self, made: _Made) -> Backlog | None:
        uses = self._uses_of(made)
        feeds = [use for use in uses if use.method in _FEEDS and _is_data(use.data)]
        drains = [use.at for use in sorted(uses, key=_cleans_up) if self._is_drain(made.kind, use)]
        if not feeds or not drains or any(self._limits(use) for use in uses):
            return None
        if any(use.at.function == made.site.function and use.method in _FEEDS for use in uses):
            return None
        if self._goes_round(made.kind, uses):
            return None
        if all(self._answers(each) for each in drains) or self._keeps_up(drains):
            return None
        found = [
            feed
            for use in feeds
            if any(self._may_be_one(use, each) for each in uses if self._is_drain(made.kind, each))
            if (feed := self._feed(use, drains)) is not None
        ]
        if not found:
            return None
        best = min(found, key=lambda feed: (feed.inflow.confidence.rank, feed.at))
        waiting = [each for each in drains if self._is_patient(each)]
        handed_on = bool(waiting) and all(map(self._is_handed_on, waiting))
        asked_for = any(map(self._is_asked_for, drains))
        return Backlog(made.site, made.kind, made.shown, best, tuple(drains), handed_on, asked_for)

    def _may_be_one(self, feed: _Use, drain: _Use) -> bool:
        """Tell whether the objects that have the queue may be the same: of one line of classes, or unknown.

        What a base class makes, each object of its subclasses has for itself.
        """
        if feed.holder is None or drain.holder is None:
            return True
        lines = [(cls, *self._program.bases(cls)) for cls in (feed.holder, drain.holder)]
        if feed.holder in lines[1] or drain.holder in lines[0]:
            return True
        makers = {self._program.class_of(site.function) for site in feed.made_at & drain.made_at}
        return any(maker is None or maker not in lines[0] or maker not in lines[1] for maker in makers)

    def _feed(self, use: _Use, drains: list[CallSite]) -> Feed | None:
        inflow = self._inflows.of(use.at.function, use.at.step, use.data)
        if inflow is None:
            return None
        involved = (inflow.source.function, *(site.function for site in inflow.calls), use.at.function)
        draining = {site.function for site in drains}
        if any(key in draining or self._works_off(key, draining) for key in involved):
            return None
        if any(self._holds_back(key) for key in involved):
            return None
        return Feed(use.at, inflow)

    def _is_drain(self, kind: BacklogKind, use: _Use) -> bool:
        if kind is BacklogKind.LIST:
            return use.method == "pop" and use.data == _FIRST
        if kind is BacklogKind.DEQUE:
            return use.method in ("popleft", "pop", "clear")
        return use.method in ("get", "get_nowait", "receive", "receive_nowait", "next")

    def _goes_round(self, kind: BacklogKind, uses: tuple[_Use, ...]) -> bool:
        """Tell whether some function takes something out and puts something in: a rotation, or a pool.

        Of what waits for its next item that is no sign: it may put back what it could not handle.
        """
        feeding = {use.at.function for use in uses if use.method in _FEEDS}
        return any(
            use.at.function in feeding and self._is_drain(kind, use) and use.method not in _PATIENT
            for use in uses
        )

    def _limits(self, use: _Use) -> bool:
        """Tell whether a use asks how full the queue is, other than whether it is empty."""
        if use.method in _LIMITING:
            return True
        if use.method not in _MEASURES:
            return False
        outcome = Temp(use.at.step)
        function = self._program.function(use.at.function)
        tests = [block.test for block in function.blocks if block.test is not None]
        values = [step.value for step in function.steps if isinstance(step, Assign | Return)]
        if any(isinstance(step, Return) and step.value == outcome for step in function.steps):
            return function.name == "__len__" or function.name in self._compared
        return any(_compares(each, outcome) for each in (*tests, *values))

    @cached_property
    def _compared(self) -> frozenset[str]:
        """The names of attributes and calls that the program compares with a limit."""
        found: set[str] = set()
        for key in self._program.functions():
            function = self._program.function(key)
            tests = [block.test for block in function.blocks if block.test is not None]
            values = [step.value for step in function.steps if isinstance(step, Assign | Return)]
            for part in (part for each in (*tests, *values) for part in parts(each)):
                match part:
                    case Op(op="<" | ">" | "<=" | ">=" | "==" | "!=", operands=operands):
                        found.update(_read(function.steps, operands))
                    case _:
                        pass
        return frozenset(found)

    def _answers(self, drain: CallSite) -> bool:
        """Tell whether a drain waits for the answer to what its function has just sent."""
        function = self._program.function(drain.function)
        flow = self._program.flow(drain.function)
        if flow.cycle(flow.block_of(drain.step)):
            return False
        asks = self._effects.conventions.asks
        return any(
            isinstance(step, Call)
            and isinstance(step.func, Attr)
            and step.func.name in asks
            and precedes(flow, number, drain.step)
            for number, step in enumerate(function.steps)
        )

    def _keeps_up(self, drains: list[CallSite]) -> bool:
        """Tell whether some drain is a loop that waits for nothing but the queue: it is never behind."""
        return any(self._waits_for_items_only(drain, drains) for drain in drains)

    def _waits_for_items_only(self, drain: CallSite, drains: list[CallSite]) -> bool:
        """Tell whether a loop that has no number of turns waits for the queue alone."""
        key = drain.function
        function, flow = self._program.function(key), self._program.flow(key)
        turn = tuple(flow.steps_of(flow.cycle(flow.block_of(drain.step))))
        waits = [number for number in turn if self._suspends(key, number)]
        counted = self._has_an_end(drain)
        handed_on = any(isinstance(function.steps[number], Yield) for number in turn)
        return (
            bool(waits)
            and not counted
            and not handed_on
            and all(self._waits_for(key, each, drains) for each in waits)
        )

    def _suspends(self, key: FunctionKey, number: int) -> bool:
        step = self._program.function(key).steps[number]
        return isinstance(step, Await) and self._effects.of(key, number).suspends

    def _waits_for(self, key: FunctionKey, number: int, drains: list[CallSite]) -> bool:
        """Tell whether an await waits for the queue, be it with a time limit, and for nothing else."""
        if CallSite(key, number) in drains:
            return True
        awaited = self._effects.awaited(key, number)
        return bool(awaited) and all(operation.site in drains for operation in awaited)

    def _is_patient(self, drain: CallSite) -> bool:
        """Tell whether a drain waits until there is something to take."""
        match self._program.function(drain.function).steps[drain.step]:
            case Call(func=Attr(name=name)):
                return name in _PATIENT
            case step:
                return isinstance(step, Await)

    def _is_asked_for(self, drain: CallSite) -> bool:
        """Tell whether a function that users may call gives them one item, or items to what they give."""
        if not self._exposure.is_nameable(drain.function):
            return False
        function, flow = self._program.function(drain.function), self._program.flow(drain.function)
        turn = flow.cycle(flow.block_of(drain.step))
        given = {param.name for param in function.params}
        return (
            not turn
            or self._has_an_end(drain)
            or self._is_handed_on(drain)
            or any(
                isinstance(step, Call) and isinstance(step.func, Name) and step.func.id in given
                for step in (function.steps[number] for number in flow.steps_of(turn))
            )
        )

    def _has_an_end(self, drain: CallSite) -> bool:
        """Tell whether the loop that a drain is in goes over something, and takes no more than that."""
        function, flow = self._program.function(drain.function), self._program.flow(drain.function)
        inner = flow.loop_of(flow.block_of(drain.step))
        return inner is not None and any(
            isinstance(function.steps[number], Next) for number in flow.steps(inner.header)
        )

    def _is_handed_on(self, drain: CallSite) -> bool:
        """Tell whether a generator yields what it takes in the same turn of its loop."""
        function, flow = self._program.function(drain.function), self._program.flow(drain.function)
        turn = flow.steps_of(flow.cycle(flow.block_of(drain.step)))
        return any(isinstance(function.steps[number], Yield) for number in turn)

    def _works_off(self, key: FunctionKey, draining: set[FunctionKey]) -> bool:
        """Tell whether a feeder itself runs, or has run, what drains the queue."""
        reached = {key: 0}
        for current in (waiting := [key]):
            if current in draining:
                return True
            if _DEEPEST.is_exceeded_by(reached[current] + 1) or _MOST_FUNCTIONS.is_exceeded_by(len(reached)):
                continue
            for called in self._runs(current):
                if called not in reached:
                    reached[called] = reached[current] + 1
                    waiting.append(called)
        return False

    def _runs(self, key: FunctionKey) -> Iterator[FunctionKey]:
        """Yield the plain functions that a function calls, or has the loop call next."""
        for number, step in enumerate(self._program.function(key).steps):
            if not isinstance(step, Call):
                continue
            yield from self._called_back_by(key, step)
            for callee in self._effects.types.callees(key, number):
                if isinstance(callee, ProjectCallee) and not self._program.function(callee.key).is_async:
                    yield callee.key
            if self._inflows.defers(key, number):
                for operand in step.args[:1]:
                    kind = self._effects.types.of(key, operand)
                    if isinstance(kind, ProjectFunction):
                        yield kind.key

    def _called_back_by(self, key: FunctionKey, step: Call) -> Iterator[FunctionKey]:
        """Yield the done-callbacks of the future that a call completes: the loop calls them next."""
        match step.func:
            case Attr(base=base, name=name) if name in self._completing:
                home = self._homes.of(key, base)
                yield from self._done_callbacks.get(home, ()) if home is not None else ()
            case _:
                pass

    @cached_property
    def _completing(self) -> frozenset[str]:
        """The methods that complete a future."""
        return frozenset(name.rpartition(".")[2] for name in self._knowledge.with_role(Role.COMPLETES))

    @cached_property
    def _done_callbacks(self) -> dict[Home, tuple[FunctionKey, ...]]:
        """Plain functions that are called when the future that somebody keeps is done."""
        found: dict[Home, dict[FunctionKey, None]] = {}
        for key in self._program.functions():
            for step in self._program.function(key).steps:
                match step:
                    case Call(func=Attr(base=base, name="add_done_callback"), args=(callback, *_)):
                        home, kind = self._homes.of(key, base), self._effects.types.of(key, callback)
                        if home is not None and isinstance(kind, ProjectFunction):
                            found.setdefault(home, {})[kind.key] = None
                    case _:
                        pass
        return {home: tuple(callbacks) for home, callbacks in found.items()}

    def _holds_back(self, key: FunctionKey) -> bool:
        """Tell whether a function, what it runs, or a method of its object, lets the peer wait."""
        if key in self._pausing or any(called in self._pausing for called in self._runs(key)):
            return True
        cls = self._program.class_of(key)
        return cls is not None and any(
            self._program.inherits(cls, pausing) or self._program.inherits(pausing, cls)
            for each in self._pausing
            if (pausing := self._program.class_of(each)) is not None
        )

    @cached_property
    def _pausing(self) -> frozenset[FunctionKey]:
        """Functions that call, or hand on, what stops the flow of what a peer sends for a while."""
        names = {name.rpartition(".")[2] for name in self._knowledge.with_role(Role.PAUSES)}
        return frozenset(
            key
            for key in self._program.functions()
            for step in self._program.function(key).steps
            if isinstance(step, Call)
            for named in (step.func, *step.args, *(value for _, value in step.keywords))
            if isinstance(named, Attr) and named.name in names
        )


_DEEPEST = Limit(4, "calls between what feeds a queue and what drains it")
_MOST_FUNCTIONS = Limit(300, "functions between what feeds a queue and what drains it")


def _cleans_up(use: _Use) -> bool:
    """Tell whether a use looks like what empties a queue at the end: shown after those that wait."""
    return use.method not in _PATIENT


def _is_data(data: tuple[Expr, ...]) -> bool:
    """Tell whether what is put is more than a sentinel."""
    return bool(data) and not all(isinstance(each, Const) for each in data)


def _read(steps: tuple[Step, ...], operands: tuple[Expr, ...]) -> Iterator[str]:
    """Yield the last names of the attributes and calls among operands."""
    for operand in operands:
        made = steps[operand.step] if isinstance(operand, Temp) else None
        name = last_name(made.func if isinstance(made, Call) else operand)
        if name is not None:
            yield name


def _compares(expr: Expr, outcome: Expr) -> bool:
    """Tell whether an expression compares a length with something but zero or one."""
    for part in parts(expr):
        match part:
            case Op(op="<" | ">" | "<=" | ">=" | "==" | "!=", operands=operands) if outcome in operands:
                others = [each for each in operands if each != outcome]
                if not all(each in (Const("int", "0"), Const("int", "1")) for each in others):
                    return True
            case _:
                pass
    return False


def shown(expr: Expr) -> str:
    """Return an expression that names something as its author would write it."""
    text = ""
    while True:
        match expr:
            case Name(id=name):
                return name + text
            case Attr(base=base, name=name):
                text = f".{name}{text}"
            case Item(base=base, key=Const(text=key)):
                text = f"[{key}]{text}"
            case Item(base=base):
                text = f"[…]{text}"
            case _:
                return f"it{text}"
        expr = base
