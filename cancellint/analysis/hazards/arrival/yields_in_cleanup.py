"""Generators that yield when they are closed."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import ERROR, NORMAL
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import Halt, PathPoint, PathSearch
from cancellint.analysis.flow.cancellation_paths import catch_step
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.flow.handlers import Raised
from cancellint.analysis.flow.managers import exits_of
from cancellint.analysis.hazards.arrival.caught_tests import CaughtTests
from cancellint.analysis.library.exceptions import ANY_ERROR, Modality
from cancellint.analysis.program.names import decorator_names
from cancellint.model.ir import Edge, Leaves, Yield
from cancellint.model.types import FunctionKey

CLOSED: Raised = ("builtins.GeneratorExit",)
"""What is raised at the `yield` where a generator is closed."""
FAILED: Raised = (ANY_ERROR,)
"""What is raised at the `yield` of a context manager whose body fails."""
MOST_PLACES = Limit(2000, "places after a generator is closed")
_MANAGER = "asynccontextmanager"


class LateYield(Struct, frozen=True):
    """A generator ended at `closed` yields again, at `again`; `caught` handles that, -1 for a cleanup."""

    closed: int
    again: int
    caught: int
    failed: bool
    """it is a context manager, and ends so whenever its body fails"""
    sure: bool


def late_yields(effects: Effects, facts_of: FactsOf, key: FunctionKey) -> Iterator[LateYield]:
    """Yield where an asynchronous generator yields after it was closed, each place once."""
    function = effects.program.function(key)
    if not (function.is_async and function.is_generator):
        return
    ways = [CLOSED, FAILED] if _MANAGER in decorator_names(function) else [CLOSED]
    facts = facts_of(key)
    told: set[int] = set()
    for raised in ways:
        for number, step in enumerate(function.steps):
            if isinstance(step, Yield):
                for found in _Closing(effects, facts, number, raised).yields():
                    if found.again not in told:
                        told.add(found.again)
                        yield found


class _Closing:
    """Follows an exception from the `yield` where it is raised, through cleanups and handlers."""

    def __init__(self, effects: Effects, facts: Facts, closed: int, raised: Raised) -> None:
        self._effects = effects
        self._facts = facts
        self._flow = facts.flow
        self._closed = closed
        self._raised = raised
        self._exits = exits_of(facts.function)
        self._seen: set[int] = set()
        self._waiting: list[int] = []

    def yields(self) -> Iterator[LateYield]:
        self._arrive(self._flow.targets(self._flow.block_of(self._closed), ERROR))
        while self._waiting:
            number = self._waiting.pop()
            block = self._flow.blocks[number]
            late = self._yield_in(number)
            if late is not None:
                yield LateYield(self._closed, late, -1, self._raised is FAILED, True)
            elif any(edge.leaves is Leaves.CAUGHT for edge in block.edges):
                yield from self._dispatched(number)
            elif number in self._exits:
                self._arrive(self._flow.targets(number, ERROR))
            elif block.cleanup:
                self._arrive(self._flow.targets(number, NORMAL | ERROR))
            else:
                self._arrive(self._flow.targets(number, ERROR if not self._flow.steps(number) else NORMAL))

    def _arrive(self, targets: tuple[int, ...]) -> None:
        for target in targets:
            if target >= 0 and target not in self._seen:
                self._seen.add(target)
                self._waiting.append(target)

    def _yield_in(self, block: int) -> int | None:
        last = self._flow.last_step(block)
        return last if last is not None and isinstance(self._facts.function.steps[last], Yield) else None

    def _dispatched(self, number: int) -> Iterator[LateYield]:
        for edge in self._flow.blocks[number].edges:
            if edge.leaves is not Leaves.CAUGHT:
                self._arrive((edge.to,))
                continue
            verdict = self._facts.handlers.catches_some(edge.to, self._raised)
            if verdict is not Modality.NEVER:
                again = self._after(edge.to)
                if again is not None:
                    caught, failed = catch_step(self._facts, edge.to), self._raised is FAILED
                    yield LateYield(self._closed, again, caught, failed, verdict is Modality.MUST)

    def _after(self, handler: int) -> int | None:
        """Return the `yield` that a handler, or what follows it, comes to."""
        tests = CaughtTests(self._effects, self._facts, catch_step(self._facts, handler), self._raised)

        def reached(here: PathPoint[tuple[()]], step: int) -> tuple[()] | Halt:
            return Halt.FOUND if isinstance(self._facts.function.steps[step], Yield) else ()

        def onward(here: PathPoint[tuple[()]], edge: Edge) -> tuple[()] | None:
            return () if tests.allows(here.block, edge) else None

        search = PathSearch(
            self._flow, reached, onward, taken=NORMAL, tests=self._facts.tests, cap=MOST_PLACES
        )
        return search.run([PathPoint(handler, ())]).step
