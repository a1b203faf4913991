"""Who calls a function, and at which await the caller waits for it."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.callgraph.function_uses import FunctionUses, hands_on
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.program.arguments import receives
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import Assign, Call, Closure, Expr, Function, Name
from cancellint.model.types import CallSite, FunctionKey, ProjectFunction


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
    """Tells who calls a function, where a closure is made, and by what decorators."""

    def __init__(self, effects: Effects, uses: FunctionUses) -> None:
        self._effects = effects
        self._program = effects.program
        self._uses = uses

    def of(self, key: FunctionKey) -> tuple[Caller, ...]:
        """Return the calls that are known to reach a function, the first few, and where a closure is made."""
        return (*self._calling(key), *self._enclosing(key), *self._decorating(key))

    def _calling(self, key: FunctionKey) -> Iterator[Caller]:
        for site, callee in self._uses.calls(key):
            given = tuple(sorted(self._effects.given(callee).items(), key=lambda pair: pair[0]))
            yield self._caller(site, given)

    def _caller(self, site: CallSite, given: tuple[tuple[int, Expr], ...], encloses: bool = False) -> Caller:
        awaited = self._uses.waiting_for(site)
        returned = awaited < 0 and hands_on(self._program.function(site.function), site.step)
        return Caller(site, given, awaited, returned, encloses)

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
                yield self._caller(CallSite(parent, number), (), encloses=True)

    def _decorating(self, key: FunctionKey) -> Iterator[Caller]:
        """Yield the calls by which a decorator of the project's own calls what it decorates."""
        function = self._program.function(key)
        scope = self._program.around(key)
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
                    given = tuple(receives(decorated.params, step.args, step.keywords).items())
                    yield self._caller(CallSite(FunctionKey(decorator.module, index), number), given)
