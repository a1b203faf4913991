"""Generators that are suspended inside of a timeout, a scope or a task group."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.callgraph.function_uses import FunctionUses, Use
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.flow.facts import FactsOf
from cancellint.model.finding import Confidence
from cancellint.model.ir import Await, AwaitKind, Yield
from cancellint.model.knowledge import RaceKind
from cancellint.model.types import FunctionKey, ProjectCallee

_DEEPEST = Limit(2, "context managers of the project that enter others")


class ScopedYield(Struct, frozen=True):
    """A `yield` while a scope is open that `entered` enters. `stepped` is where the generator is asked."""

    at: int
    entered: int
    name: str
    group: bool
    confidence: Confidence


class ScopedYields:
    """Finds them for one generator at a time."""

    def __init__(self, effects: Effects, uses: FunctionUses, facts_of: FactsOf) -> None:
        self._effects = effects
        self._program = effects.program
        self._uses = uses
        self._facts_of = facts_of

    def of(self, key: FunctionKey) -> Iterator[ScopedYield]:
        """Yield the places where a generator is suspended within a scope, one for each scope.

        What a decorator makes something else of, and what is given to a library to be called, is entered and
        left as that says: a context manager, a fixture, a dependency.
        """
        function = self._program.function(key)
        if not (function.is_async and function.is_generator and function.regions) or function.decorators:
            return
        confidence = self._confidence(key)
        if confidence is None:
            return
        for at, region, name, group in self._suspended(key, _DEEPEST):
            yield ScopedYield(at, function.regions[region].enter, name, group, confidence)

    def _suspended(self, key: FunctionKey, depth: int) -> Iterator[tuple[int, int, str, bool]]:
        """Yield each scope that is open at a `yield`, with the first such."""
        function = self._program.function(key)
        told: set[int] = set()
        for block in function.blocks:
            last = function.steps[block.last - 1] if block.last > block.first else None
            for region in block.regions if isinstance(last, Yield) else ():
                scope = self._scope(key, region, depth) if region not in told else None
                if scope is not None:
                    told.add(region)
                    yield (block.last - 1, region, *scope)

    def _scope(self, key: FunctionKey, region: int, depth: int) -> tuple[str, bool] | None:
        """Return the name of the scope that a region is, or that its context manager holds open."""
        race = self._facts_of(key).unwinding.race(region)
        if race is not None:
            return race[1], race[0] is RaceKind.SCOPE
        entered = self._program.function(key).regions[region]
        exits = (
            self._effects.exits(key, entered.value, is_async=entered.is_async)
            if _DEEPEST.leaves(depth)
            else ()
        )
        for callee in exits:
            if isinstance(callee, ProjectCallee) and self._program.function(callee.key).is_generator:
                for _, _, name, group in self._suspended(callee.key, depth - 1):
                    return name, group
        return None

    def _confidence(self, key: FunctionKey) -> Confidence | None:
        """Return how firmly it stands that the generator is asked for items by a loop, None if it is not."""
        references = self._uses.of(key)
        if any(reference.use is Use.GIVEN for reference in references):
            return None
        if any(self._is_asked(reference.site.function, reference.site.step) for reference in references):
            return Confidence.CERTAIN
        cls = self._program.class_of(key)
        overrides = cls is not None and bool(self._effects.types.library_bases(cls))
        return Confidence.POSSIBLE if overrides or self._yields_once(key) else Confidence.LIKELY

    def _is_asked(self, caller: FunctionKey, call: int) -> bool:
        """Tell whether what a call makes is iterated over."""
        return any(
            isinstance(step, Await)
            and step.kind is AwaitKind.NEXT
            and any(each.site.step == call for each in self._effects.operations.behind(caller, step.value))
            for step in self._program.function(caller).steps
        )

    def _yields_once(self, key: FunctionKey) -> bool:
        """Tell whether a generator looks like a context manager that somebody makes of it elsewhere."""
        function, flow = self._program.function(key), self._program.flow(key)
        yields = [number for number, step in enumerate(function.steps) if isinstance(step, Yield)]
        return not any(flow.cycle(flow.block_of(number)) for number in yields)
