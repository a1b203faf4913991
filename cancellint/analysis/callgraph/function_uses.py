"""Where a function is called, handed over to be called, or run by the syntax of its class."""

import enum
from collections.abc import Iterable, Iterator
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.program.expressions import last_name
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Closure,
    Enter,
    Exit,
    Expr,
    Function,
    Name,
    Next,
    Return,
    Temp,
)
from cancellint.model.types import CallSite, FunctionKey, ProjectCallee, ProjectFunction, UnresolvedCallee

MOST_CALLERS = Limit(16, "calls of one function")
"""Calls of one function that are followed to whoever makes them."""

MOST_NAMESAKES = Limit(64, "uses of one name")
"""Uses of anything that has a function's name that are resolved, those in its own module first."""

_IMPLICIT = (AwaitKind.ENTER, AwaitKind.EXIT, AwaitKind.NEXT)


class Use(enum.IntEnum):
    """How a step makes a function run."""

    CALLED = 0
    GIVEN = 1
    """it is an argument of the call"""
    IMPLICIT = 2
    """`async with`, `async for` or `await` runs it"""


class Reference(Struct, frozen=True):
    """A step that makes a function run, now or later. `receiver` is its object, in the frame of the step."""

    site: CallSite
    use: Use
    receiver: Expr | None = None


class FunctionUses:
    """Looks for the uses of functions by name first, and asks the types then."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._program = effects.program
        self._found: dict[FunctionKey, tuple[Reference, ...]] = {}
        self._calls: dict[FunctionKey, tuple[tuple[CallSite, ProjectCallee], ...]] = {}
        self._waiting: dict[FunctionKey, dict[CallSite, int]] = {}

    def of(self, key: FunctionKey) -> tuple[Reference, ...]:
        """Return the steps that are known to make a function run."""
        if key not in self._found:
            self._found[key] = tuple(self._find(key))
        return self._found[key]

    def calls(self, key: FunctionKey) -> tuple[tuple[CallSite, ProjectCallee], ...]:
        """Return the calls that are known to reach a function, the first few."""
        if key not in self._calls:
            self._calls[key] = tuple(MOST_CALLERS.first(self._calling(key)))
        return self._calls[key]

    def waiting_for(self, site: CallSite) -> int:
        """Return the await of the same function that waits for a call, through wrappers too; -1 for none."""
        key = site.function
        if key not in self._waiting:
            self._waiting[key] = dict(self._awaits(key))
        return self._waiting[key].get(site, -1)

    def _calling(self, key: FunctionKey) -> Iterator[tuple[CallSite, ProjectCallee]]:
        name = self._program.function(key).name
        sites = (*self._program.calls.called.get(name, ()), *self._calls_of_variables(key.module, name))
        for site in MOST_NAMESAKES.first(_nearest(sites, key)):
            for callee in self._effects.types.callees(site.function, site.step):
                if isinstance(callee, ProjectCallee) and callee.key == key:
                    yield site, callee

    def _find(self, key: FunctionKey) -> Iterator[Reference]:
        function = self._program.function(key)
        yield from self._implicit.get(key, ())
        near = _nearest(self._named(function.name), key)
        resolved = [each for site in MOST_NAMESAKES.first(near) for each in self._at(site, key)]
        yield from resolved or self._by_name(near, function.name)
        for site in self._closures.get(key, ()):
            yield Reference(site, Use.GIVEN)

    def _by_name(self, sites: Iterable[CallSite], name: str) -> Iterator[Reference]:
        """Yield the calls of what nothing but its name is known of: one of them may be meant."""
        for site in MOST_NAMESAKES.first(sites):
            for callee in self._effects.types.callees(site.function, site.step):
                if isinstance(callee, UnresolvedCallee) and callee.method == name:
                    yield Reference(site, Use.CALLED, callee.receiver)

    def _at(self, site: CallSite, key: FunctionKey) -> Iterator[Reference]:
        for callee in self._effects.types.callees(site.function, site.step):
            if isinstance(callee, ProjectCallee) and callee.key == key:
                yield Reference(site, Use.CALLED, callee.receiver)
                return
        step = self._program.function(site.function).steps[site.step]
        for value in _arguments(step) if isinstance(step, Call) else ():
            if last_name(value) is None:
                continue
            for option in options(self._effects.types.of(site.function, value)):
                if isinstance(option, ProjectFunction) and option.key == key:
                    yield Reference(site, Use.GIVEN, option.receiver)
                    return

    def _awaits(self, key: FunctionKey) -> Iterator[tuple[CallSite, int]]:
        """Yield calls with the awaits that wait for them; the first of several comes last, and counts."""
        steps = self._program.function(key).steps
        for number in reversed(range(len(steps))):
            step = steps[number]
            if not isinstance(step, Await):
                continue
            if isinstance(step.value, Temp):
                yield CallSite(key, step.value.step), number
            for operation in self._effects.awaited(key, number) if step.kind not in _IMPLICIT else ():
                yield operation.site, number

    def _named(self, name: str) -> frozenset[CallSite]:
        """Return the calls of what has a name, and those that are given it."""
        calls = self._program.calls
        return frozenset((*calls.called.get(name, ()), *(site for site, _ in calls.given.get(name, ()))))

    def _calls_of_variables(self, module: str, name: str) -> Iterator[CallSite]:
        """Yield the calls of variables that may hold a function of this name, in its own module."""
        for variable in self._variables.get(name, ()):
            for site in self._program.calls.called.get(variable, ()):
                if site.function.module == module and variable != name:
                    yield site

    @cached_property
    def _variables(self) -> dict[str, dict[str, None]]:
        """The variables that are assigned an attribute, by the attribute's name."""
        found: dict[str, dict[str, None]] = {}
        for key in self._program.functions():
            for step in self._program.function(key).steps:
                match step:
                    case Assign(target=Name(id=variable), value=Attr(name=name)):
                        found.setdefault(name, {})[variable] = None
                    case _:
                        pass
        return found

    @cached_property
    def _closures(self) -> dict[FunctionKey, list[CallSite]]:
        """The calls that are given a function written in place."""
        found: dict[FunctionKey, list[CallSite]] = {}
        for key in self._program.functions():
            for number, step in enumerate(self._program.function(key).steps):
                for value in _arguments(step) if isinstance(step, Call) else ():
                    if isinstance(value, Closure):
                        inner = FunctionKey(key.module, value.function)
                        found.setdefault(inner, []).append(CallSite(key, number))
        return found

    @cached_property
    def _implicit(self) -> dict[FunctionKey, list[Reference]]:
        """The steps whose syntax runs a method."""
        found: dict[FunctionKey, list[Reference]] = {}
        for key in self._program.functions():
            for number, value in _runs_methods(self._program.function(key)):
                for callee in self._effects.callees(key, number):
                    reference = Reference(CallSite(key, number), Use.IMPLICIT, value)
                    found.setdefault(callee, []).append(reference)
        return found


def _nearest(sites: Iterable[CallSite], key: FunctionKey) -> list[CallSite]:
    """Return places, those in the function's own module first."""
    return sorted(sites, key=lambda site: (site.function.module != key.module, site))


def hands_on(function: Function, call: int) -> bool:
    """Tell whether a plain function returns the coroutine that a call has made."""
    return not function.is_async and any(
        isinstance(step, Return) and step.value == Temp(call) for step in function.steps
    )


def _runs_methods(function: Function) -> Iterator[tuple[int, Expr]]:
    for number, step in enumerate(function.steps):
        match step:
            case Await(kind=kind, value=value) if kind in _IMPLICIT:
                yield number, value
            case Enter(value=value) | Exit(value=value) | Next(value=value):
                yield number, value
            case _:
                pass


def _arguments(call: Call) -> tuple[Expr, ...]:
    return (*call.args, *(value for _, value in call.keywords))
