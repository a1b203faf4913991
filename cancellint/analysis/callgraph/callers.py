"""Who calls a function, and at which await the caller waits for it."""

from collections.abc import Iterator
from functools import cached_property
from itertools import islice

from msgspec import Struct

from cancellint.analysis.callgraph.references import hands_on
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.program.arguments import receives
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import Assign, Attr, Await, AwaitKind, Call, Closure, Expr, Function, Name, Temp
from cancellint.model.types import CallSite, FunctionKey, ProjectCallee, ProjectFunction

MOST_CALLERS = 16
_MOST_NAMESAKES = 64
"""Calls of anything that has a function's name that are looked at, those in its own module first."""


class Caller(Struct, frozen=True):
    """A call that reaches a function.

    `awaited` is the await that waits for it, -1 where none does; `given` says which parameter is given which
    expression. `encloses` marks the function that a closure is made in: it shares its variables.
    """

    site: CallSite
    given: tuple[tuple[int, Expr], ...]
    awaited: int = -1
    hands_on: bool = False
    """it returns the coroutine to its own caller"""
    encloses: bool = False


class Callers:
    """Looks for callers by name first, and asks the types then."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._program = effects.program
        self._calls = effects.calls

    def of(self, key: FunctionKey) -> tuple[Caller, ...]:
        """Return the calls that are known to reach a function, the first few, and where a closure is made."""
        calling = islice(self._calling(key), MOST_CALLERS)
        return (*calling, *self._enclosing(key), *self._decorating(key))

    def _calling(self, key: FunctionKey) -> Iterator[Caller]:
        name = self._program.function(key).name
        sites = [*self._calls.called.get(name, ()), *self._calls_of_variables(key.module, name)]
        near = sorted(sites, key=lambda site: site.function.module != key.module)
        for site in near[:_MOST_NAMESAKES]:
            for callee in self._effects.types.callees(site.function, site.step):
                if isinstance(callee, ProjectCallee) and callee.key == key:
                    given = tuple(sorted(self._effects.given(callee).items(), key=lambda pair: pair[0]))
                    awaited = self._awaited(site)
                    yield Caller(site, given, awaited, awaited < 0 and self._is_returned(site))

    def _enclosing(self, key: FunctionKey) -> Iterator[Caller]:
        """Yield the calls that are given a closure, in the function that makes it."""
        function = self._program.function(key)
        if function.parent < 0:
            return
        parent = FunctionKey(key.module, function.parent)
        outer = self._program.function(parent)
        if outer.kind != "function":
            return
        made = Closure(key.function)
        names: list[Expr] = [made]
        names += [step.target for step in outer.steps if isinstance(step, Assign) and step.value == made]
        for number, step in enumerate(outer.steps):
            if isinstance(step, Call) and any(
                each in names for each in (step.func, *step.args, *(value for _, value in step.keywords))
            ):
                site = CallSite(parent, number)
                awaited = self._awaited(site)
                yield Caller(site, (), awaited, awaited < 0 and self._is_returned(site), encloses=True)

    def _decorating(self, key: FunctionKey) -> Iterator[Caller]:
        """Yield the calls by which a decorator of the project's own calls what it decorates."""
        function = self._program.function(key)
        scope = FunctionKey(key.module, max(function.parent, 0))
        for decorator in function.decorators:
            for option in options(self._effects.types.of(scope, decorator)):
                if isinstance(option, ProjectFunction):
                    yield from self._calls_of_parameter(option.key, function)

    def _calls_of_parameter(self, decorator: FunctionKey, decorated: Function) -> Iterator[Caller]:
        """Yield where the functions that a decorator makes call the function it is given."""
        params = self._program.function(decorator).params
        functions = self._program.module(decorator.module).functions
        for index, wrapper in enumerate(functions):
            if wrapper.parent != decorator.function or not params:
                continue
            for number, step in enumerate(wrapper.steps):
                if isinstance(step, Call) and step.func == Name(params[0].name):
                    site = CallSite(FunctionKey(decorator.module, index), number)
                    awaited = self._awaited(site)
                    given = tuple(receives(decorated.params, step.args, step.keywords).items())
                    yield Caller(site, given, awaited, awaited < 0 and self._is_returned(site))

    def _awaited(self, site: CallSite) -> int:
        """Return the await that waits for a call, be it through a timeout or a shield."""
        steps = self._program.function(site.function).steps
        for number in range(site.step + 1, len(steps)):
            match steps[number]:
                case Await(kind=AwaitKind.EXPRESSION | AwaitKind.YIELD_FROM, value=value):
                    if value == Temp(site.step) or any(
                        operation.site == site for operation in self._effects.awaited(site.function, number)
                    ):
                        return number
                case _:
                    pass
        return -1

    def _is_returned(self, site: CallSite) -> bool:
        return hands_on(self._program.function(site.function), site.step)

    def _calls_of_variables(self, module: str, name: str) -> Iterator[CallSite]:
        """Yield the calls of variables that may hold a function of this name, in its own module."""
        for variable in self._variables.get(name, ()):
            for site in self._calls.called.get(variable, ()):
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
