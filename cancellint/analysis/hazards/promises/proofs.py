"""What is not proven to be cancel-safe: the first await behind a race of which too little is known.

An await is proven if what it reaches is declared cancel-safe, has a verdict in the library tables that says
so, or is a project function that loses nothing and whose own awaits are proven.
"""

import enum
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from msgspec import Struct, structs

from cancellint.analysis.callgraph.function_uses import FunctionUses
from cancellint.analysis.effects.effect import Raced
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import wrapped
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.flow.races import cancelled_tasks
from cancellint.analysis.flow.unwinding import Shield, Unwinding
from cancellint.analysis.hazards.promises.outstanding import Outstanding
from cancellint.analysis.program.promises import Contracts
from cancellint.analysis.program.type_algebra import options
from cancellint.analysis.summaries.summarize import Result
from cancellint.model.finding import Confidence
from cancellint.model.ir import Attr, Await, AwaitKind, Build, Call, Expr, Function, Name, Return, Star, Temp
from cancellint.model.knowledge import Cancel, RaceKind, Role, Suspends
from cancellint.model.summary import Loss, passed
from cancellint.model.types import (
    Callee,
    CallSite,
    FunctionKey,
    LibraryCallee,
    LibraryFunction,
    ProjectCallee,
    ProjectFunction,
    UnresolvedCallee,
)


class Lack(enum.Enum):
    """Why an await is not proven."""

    UNRESOLVED = enum.auto()
    """nobody knows what is awaited"""
    UNKNOWN = enum.auto()
    """it is a library's, and the tables say nothing of it"""
    NAMED = enum.auto()
    """what it is is known by its name only"""
    LOSES = enum.auto()
    """it is known not to be cancel-safe"""
    ABSTRACT = enum.auto()
    """it is a method without a body, which promises nothing"""
    GIVEN = enum.auto()
    """it is what the function was given, and nobody knows by whom"""


class Gap(Struct, frozen=True):
    """An await that is not proven; `way` has the awaits through which a race reaches it, outermost first."""

    at: CallSite
    lack: Lack
    value: Expr
    """what is awaited there"""
    callee: Callee | None = None
    """what that calls, as far as it is known"""
    loss: Loss | None = None
    """what a project function is known to lose"""
    outstanding: Outstanding | None = None
    """what a project function is known to leave undone"""
    way: tuple[CallSite, ...] = ()
    given_at: CallSite | None = None
    """the call that hands it to the function with the race, where that is another"""


MOST_GIVERS = Limit(3, "functions that hand on what is raced")
"""Functions that merely hand on what they are given to a race: how many in a row are followed."""

_CONTAINERS = frozenset({"dict", "frozenset", "list", "set", "tuple", "collections.deque"})
"""What makes a container of awaitables; which ones it holds is not known then."""


class _Frame(Struct, frozen=True):
    """A function on the way, the await that reaches it, and what it is given in the terms of that frame."""

    function: FunctionKey
    at: CallSite | None = None
    given: Mapping[int, Expr] = {}
    outer: "_Frame | None" = None
    giving: CallSite | None = None
    """of a function that gives another something to race: the call"""
    handed_on: int = 0
    """through how many calls that has come here"""


class _Value(Struct, frozen=True):
    """A value that a step of a function waits for."""

    frame: _Frame
    step: int
    value: Expr
    kind: AwaitKind = AwaitKind.EXPRESSION
    called: bool = False
    """it is called first"""


class _Reached(Struct, frozen=True):
    """A call, made at `site`, whose outcome is waited for."""

    waited: _Value
    site: CallSite
    callee: Callee


_Open: TypeAlias = _Value | _Reached


class Proofs:
    """Answers what is not proven behind an await. What is proven once is not looked at again."""

    def __init__(
        self,
        effects: Effects,
        uses: FunctionUses,
        contracts: Contracts,
        result_of: Callable[[FunctionKey], Result],
        outstanding_by: Callable[[FunctionKey], tuple[Outstanding, ...]],
    ) -> None:
        self._effects = effects
        self._contracts = contracts
        self._result_of = result_of
        self._outstanding_by = outstanding_by
        self._proven: set[tuple[FunctionKey, bool]] = set()
        self._uses = uses

    def gap_at(self, key: FunctionKey, step: int, *, native: bool) -> Gap | None:
        """Return the first thing an await step waits for that is not proven, None if all is.

        `native` tells that asyncio itself cancels, which scopes of anyio do not keep out.
        """
        node = self._effects.program.function(key).steps[step]
        assert isinstance(node, Await)
        race = self._effects.race(key, node.value) if node.region < 0 else None
        values = race.values if race is not None and race.values else (node.value,)
        gap = self._first_gap([_Value(_Frame(key), step, value, node.kind) for value in values], native)
        if gap is not None:
            return gap
        lost = (loss for loss in self._effects.of(key, step).losses if _counts(loss, native))
        loss = next(lost, None)
        return Gap(CallSite(key, step), Lack.LOSES, values[0], loss=loss) if loss is not None else None

    def _first_gap(self, start: list[_Value], native: bool) -> Gap | None:
        """Search in the order of the code, depth first; a function reached in a ring has been looked at."""
        waiting: list[_Open] = [*reversed(start)]
        seen: set[tuple[FunctionKey, CallSite | None]] = set()
        while waiting:
            match waiting.pop():
                case _Value() as waited:
                    found = self._reached(waited)
                case _Reached(callee=ProjectCallee() as callee) as reached:
                    asked = callee.key, reached.site if self._awaits_given(callee.key) else None
                    if asked in seen or (callee.key, native) in self._proven:
                        continue
                    seen.add(asked)
                    found = self._judged(reached, callee, native)
                case _Reached() as reached:
                    found = self._looked_up(reached, native)
            if isinstance(found, Gap):
                return found
            waiting.extend(reversed(found))
        self._proven.update((function, native) for function, site in seen if site is None)
        return None

    def _awaits_given(self, key: FunctionKey) -> bool:
        """Tell whether a function awaits what it is given, so that each call of it must be looked at."""
        return any(passed(take.source) is not None for take in self._result_of(key).summary.takes)

    # ------------------------------------------------------------------ what is waited for

    def _reached(self, waited: _Value) -> tuple[_Open, ...] | Gap:
        """Return what waiting for a value reaches next."""
        if waited.called:
            return self._called(waited)
        if waited.kind not in (AwaitKind.EXPRESSION, AwaitKind.YIELD_FROM):
            return self._by_protocol(waited)
        match waited.value:
            case Build(items=items):
                return tuple(structs.replace(waited, value=item) for item in items)
            case Star(value=value):
                return (structs.replace(waited, value=value),)
            case _:
                pass
        key = waited.frame.function
        parts = self._wrapped(key, waited.value)
        if parts is not None:
            return tuple(structs.replace(waited, value=part) for part in parts)
        given = self._effects.given_awaitable(key, waited.value)
        which = passed(given) if given is not None else None
        if which is not None:
            return self._given(waited, *which)
        operations = self._effects.operations.behind(key, waited.value)
        if not operations:
            return self._by_protocol(waited)
        callees = self._waited_for(tuple(each.callee for each in operations))
        return tuple(
            _Reached(waited, each.site, each.callee)
            for each in operations
            if each.callee in callees and not each.shielded
        )

    def _waited_for(self, callees: tuple[Callee, ...]) -> tuple[Callee, ...]:
        """Return the callees without abstract methods, and without plain functions beside coroutines."""
        if any(isinstance(callee, ProjectCallee) and self._is_async(callee) for callee in callees):
            callees = tuple(
                callee
                for callee in callees
                if not isinstance(callee, ProjectCallee) or callee.constructs or self._is_async(callee)
            )
        return self._effects.implemented(callees)

    def _is_async(self, callee: ProjectCallee) -> bool:
        function = self._effects.program.function(callee.key)
        return function.is_async or function.is_generator

    def _wrapped(self, key: FunctionKey, value: Expr) -> tuple[Expr, ...] | None:
        """Return what a task, gathering or race written in place runs and, unlike a shield, may cancel."""
        if not isinstance(value, Temp):
            return None
        if not isinstance(self._effects.program.function(key).steps[value.step], Call):
            return None
        for callee in self._effects.types.callees(key, value.step):
            known = self._effects.operations.known(callee)
            if known is not None and known.entry.raced != "body":
                operands = tuple(wrapped(known.entry, callee))
                if operands:
                    return () if Role.SHIELDS in known.entry.roles else operands
        return None

    def _by_protocol(self, waited: _Value) -> tuple[_Open, ...] | Gap:
        """Return the methods that the syntax calls: `__await__`, `__aenter__`, `__aexit__`, `__anext__`."""
        site = CallSite(waited.frame.function, waited.step)
        return self._by_protocol_of(waited, site, waited.value)

    def _by_protocol_of(self, waited: _Value, site: CallSite, value: Expr) -> tuple[_Open, ...] | Gap:
        """Return the same for a value of the function that a site lies in."""
        callees = tuple(self._effects.implicit_callees(site.function, value, waited.kind))
        if not callees:
            return self._gap(waited, Lack.UNRESOLVED)
        return tuple(_Reached(waited, site, callee) for callee in callees)

    def _given(self, waited: _Value, kind: str, index: int) -> tuple[_Open, ...] | Gap:
        """Return what a function is given to await, in the terms of the function that gives it."""
        frame = waited.frame
        if frame.outer is None or frame.at is None:
            return tuple(self._given_by_callers(waited, kind, index)) or self._gap(waited, Lack.GIVEN)
        value = frame.given.get(index)
        if value is None:
            return self._gap(waited, Lack.GIVEN)
        return (_Value(frame.outer, frame.at.step, value, called=kind == "called"),)

    def _given_by_callers(self, waited: _Value, kind: str, index: int) -> Iterator[_Open]:
        """Yield what the callers of the function that races a parameter give it."""
        frame = waited.frame
        followed = not MOST_GIVERS.is_exceeded_by(frame.handed_on + 1)
        for site, callee in self._uses.calls(frame.function) if followed else ():
            value = self._effects.given(callee).get(index)
            if value is not None:
                giver = _Frame(site.function, giving=site, handed_on=frame.handed_on + 1)
                yield _Value(giver, site.step, value, called=kind == "called")

    def _called(self, waited: _Value) -> tuple[_Open, ...] | Gap:
        """Return the functions that a function is given to call, so as to wait for what they give."""
        key = waited.frame.function
        params = self._effects.frame(key).params
        if isinstance(waited.value, Name) and waited.value.id in params:
            return self._given(waited, "called", params[waited.value.id])
        site = CallSite(key, waited.step)
        callees = tuple(self._functions(key, waited.value))
        return tuple(_Reached(waited, site, each) for each in callees) or self._gap(waited, Lack.UNRESOLVED)

    def _functions(self, key: FunctionKey, value: Expr) -> Iterator[Callee]:
        for option in options(self._effects.types.of(key, value)):
            match option:
                case ProjectFunction(function, _, receiver, _, leading, keywords):
                    yield ProjectCallee(function, receiver, False, leading, keywords)
                case LibraryFunction(name, _, receiver, _, leading, keywords):
                    yield LibraryCallee(name, receiver, leading, keywords)
                case _:
                    pass

    # ------------------------------------------------------------------ verdicts

    def _judged(self, reached: _Reached, callee: ProjectCallee, native: bool) -> tuple[_Open, ...] | Gap:
        """Return the awaits of a project function, unless it is known to be safe, or not to be."""
        key = callee.key
        if callee.constructs:
            return self._by_protocol_of(reached.waited, reached.site, Temp(reached.site.step))
        if self._contracts.made_at(key) is not None:
            return ()
        if self._effects.is_abstract(callee):
            return self._gap(reached.waited, Lack.ABSTRACT, callee)
        for loss in self._result_of(key).summary.losses:
            if _counts(loss, native):
                return structs.replace(self._gap(reached.waited, Lack.LOSES, callee), loss=loss)
        for outstanding in self._outstanding_by(key):
            return structs.replace(self._gap(reached.waited, Lack.LOSES, callee), outstanding=outstanding)
        waited = reached.waited
        here = reached.site.function == waited.frame.function
        at = CallSite(waited.frame.function, waited.step)
        given = self._effects.given(callee) if here else {}
        return tuple(self._awaits(_Frame(key, at, given, waited.frame)))

    def _awaits(self, frame: _Frame) -> Iterator[_Value]:
        """Yield what a function waits for; one that is no coroutine hands over what its caller waits for."""
        function = self._effects.program.function(frame.function)
        for number, step in enumerate(function.steps):
            match step:
                case Await(value=value, kind=kind):
                    yield _Value(frame, number, value, kind)
                case Return(value=value) if not function.is_async and not function.is_generator:
                    yield _Value(frame, number, value)
                case _:
                    pass

    def _looked_up(self, reached: _Reached, native: bool) -> tuple[_Open, ...] | Gap:
        """Return what the library tables say of a call."""
        callee = reached.callee
        known = self._effects.operations.known(callee)
        if isinstance(callee, LibraryCallee) and callee.name.removeprefix("builtins.") in _CONTAINERS:
            return self._gap(reached.waited, Lack.UNRESOLVED)
        if known is None:
            lack = Lack.UNRESOLVED if isinstance(callee, UnresolvedCallee) else Lack.UNKNOWN
            return self._gap(reached.waited, lack, callee)
        entry = known.entry
        if entry.race is not None:
            return self._gap(reached.waited, Lack.UNRESOLVED)  # what it runs is not visible
        if not entry.awaitable:
            return self._by_protocol_of(reached.waited, reached.site, Temp(reached.site.step))
        if entry.suspends is Suspends.NEVER:
            return ()
        if known.confidence is not Confidence.CERTAIN:
            return self._gap(reached.waited, Lack.NAMED, callee)
        loses = entry.cancel is Cancel.LOSES or (entry.own_scopes_only and native)
        return self._gap(reached.waited, Lack.LOSES, callee) if loses else ()

    def _gap(self, waited: _Value, lack: Lack, callee: Callee | None = None) -> Gap:
        way: list[CallSite] = []
        frame = waited.frame
        while frame.outer is not None and frame.at is not None:
            way.append(frame.at)
            frame = frame.outer
        at = CallSite(waited.frame.function, waited.step)
        return Gap(at, lack, waited.value, callee, way=tuple(reversed(way)), given_at=frame.giving)


def _counts(loss: Loss, native: bool) -> bool:
    return passed(loss.source) is None and (native or not loss.native)


class RacedAwait(Struct, frozen=True):
    """An await that a race of the same function may cancel."""

    race: int
    name: str
    awaited: int
    native: bool
    """asyncio itself cancels it"""


def raced_awaits(effects: Effects, key: FunctionKey) -> Iterator[RacedAwait]:
    """Yield the awaits of a function that its own races may cancel, by race, in the order of the code."""
    function = effects.program.function(key)
    unwinding = Unwinding(effects, key)
    for index, region in enumerate(function.regions):
        race = unwinding.race(index)
        if race is None or race[0] is RaceKind.SCOPE:
            continue
        native = not unwinding.is_scope(index)
        for awaited in _awaits_within(function, unwinding, index):
            yield RacedAwait(region.enter, race[1], awaited, native)
    for number, step in enumerate(function.steps):
        if isinstance(step, Await) and step.region < 0:
            raced = effects.race(key, step.value)
            if raced is not None and _cancels(effects, key, raced):
                yield RacedAwait(number, raced.name, number, True)


def _awaits_within(function: Function, unwinding: Unwinding, region: int) -> Iterator[int]:
    for block in function.blocks:
        last = block.last - 1
        if region not in block.regions or block.last <= block.first:
            continue
        if isinstance(function.steps[last], Await) and unwinding.shield(block.regions) is not Shield.ALL:
            yield last


def _cancels(effects: Effects, key: FunctionKey, raced: Raced) -> bool:
    """Tell whether a race cancels its losers, or its function does, as far as one can tell."""
    if raced.kind is not RaceKind.LEAVES_RUNNING:
        return True
    sites = {operation.site for operation in raced.operations}
    cancelled = dict.fromkeys(_cancelled(effects, key))
    resolved = tuple(cancelled_tasks(effects, key))
    return any(site in sites for _, site in resolved) or len(cancelled) > len({step for step, _ in resolved})


def _cancelled(effects: Effects, key: FunctionKey) -> Iterator[int]:
    """Yield the calls that cancel something which may be a task."""
    for number, step in enumerate(effects.program.function(key).steps):
        match step:
            case Call(func=Attr(name="cancel")):
                known = (effects.operations.known(callee) for callee in effects.types.callees(key, number))
                if all(each is None or Role.CANCELS in each.entry.roles for each in known):
                    yield number
            case _:
                pass
