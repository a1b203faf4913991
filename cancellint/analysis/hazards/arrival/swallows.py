"""Where a function ends a cancellation that travels through it, and with what it goes on then."""

import enum
from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import CANCELLED, ERROR, NORMAL, ControlFlow
from cancellint.analysis.engine.path_search import PathPoint, PathSearch
from cancellint.analysis.flow.cancellation_paths import catch_step
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.flow.managers import exits_of
from cancellint.analysis.flow.unwinding import Shield
from cancellint.analysis.hazards.arrival.caught_tests import CaughtTests
from cancellint.analysis.library.exceptions import Modality
from cancellint.model.ir import (
    Await,
    AwaitKind,
    Block,
    Edge,
    Exit,
    Expr,
    Leaves,
    Raise,
    Return,
)

_JUMPS = NORMAL - {Leaves.RETURNED}


class By(enum.Enum):
    """What ends a cancellation."""

    HANDLER = enum.auto()
    MANAGER = enum.auto()
    """the exit of a context manager"""
    JUMP = enum.auto()
    """a `return`, `break` or `continue` in a `finally`"""


class Swallow(Struct, frozen=True):
    """A cancellation of `await_` ends at the step `at`, and control goes on in the block `start`.

    With `raised` it has become an ordinary exception: what the handler raises in its place.
    """

    await_: int
    at: int
    by: By
    start: int
    sure: bool
    catch: int = -1
    """the handler's first step, if it is one"""
    raised: Expr | None = None


def swallows(effects: Effects, facts: Facts, block: int) -> Iterator[Swallow]:
    """Yield where a cancellation of the await that ends a block is swallowed or turned into an error."""
    if facts.unwinding.shield(facts.function.blocks[block].regions) is not Shield.ALL:
        yield from _Travel(effects, facts, block).ends()


class _Travel:
    """Follows a cancellation through cleanups, exits and handlers, those that raise it again included."""

    def __init__(self, effects: Effects, facts: Facts, block: int) -> None:
        self._effects = effects
        self._facts = facts
        self._flow: ControlFlow = facts.flow
        self._exits = exits_of(facts.function)
        self._await = facts.flow.steps(block).stop - 1
        self._seen: set[int] = set()
        self._waiting: list[int] = []
        self._block = block

    def ends(self) -> Iterator[Swallow]:
        yield from self._arrive(self._flow.targets(self._block, CANCELLED))
        while self._waiting:
            number = self._waiting.pop()
            block = self._flow.blocks[number]
            if any(edge.leaves is Leaves.CAUGHT for edge in block.edges):
                yield from self._dispatched(block)
            elif number in self._exits and any(edge.leaves is Leaves.ABSORBED for edge in block.edges):
                yield from self._left(number, block)
            else:
                yield from self._cleaned_up(number, block)

    def _arrive(self, targets: tuple[int, ...]) -> Iterator[Swallow]:
        """Follow the cancellation into blocks; into what is no part of unwinding it got by a jump."""
        for target in targets:
            if target < 0 or target in self._seen:
                continue
            if self._unwinds(target):
                self._seen.add(target)
                self._waiting.append(target)
            else:
                yield Swallow(self._await, self._await, By.JUMP, target, sure=True)

    def _unwinds(self, number: int) -> bool:
        """Tell whether a block is one that runs while something travels."""
        block = self._flow.blocks[number]
        if block.cleanup or number in self._exits:
            return True
        last = self._flow.last_step(number)
        step = None if last is None else self._facts.function.steps[last]
        if isinstance(step, Exit) or (isinstance(step, Await) and step.kind is AwaitKind.EXIT):
            return True
        passes = {Leaves.CAUGHT, Leaves.CANCELLED, Leaves.ABSORBED, Leaves.CONVERTED}
        return step is None and any(edge.leaves in passes for edge in block.edges)

    def _dispatched(self, block: Block) -> Iterator[Swallow]:
        for edge in block.edges:
            if edge.leaves is not Leaves.CAUGHT:
                yield from self._arrive((edge.to,))
                continue
            verdict = self._facts.handlers.catches_cancellation(edge.to)
            if verdict is not Modality.NEVER:
                yield from self._handled(edge.to, verdict)

    def _handled(self, handler: int, verdict: Modality) -> Iterator[Swallow]:
        """Tell how a handler goes on; what it raises again travels on."""
        if handler in self._seen:
            return
        self._seen.add(handler)
        catch = catch_step(self._facts, handler)
        sure = verdict is Modality.MUST
        for number, raised in self._raised_in(handler, catch):
            again = self._flow.targets(number, CANCELLED)
            yield from self._arrive(again)
            if not again:
                yield Swallow(self._await, catch, By.HANDLER, number, sure, catch, raised.value)
        yield Swallow(self._await, catch, By.HANDLER, handler, sure, catch)

    def _raised_in(self, handler: int, catch: int) -> Iterator[tuple[int, Raise]]:
        """Yield the blocks of a handler that end in a `raise`, as far as a cancellation comes to them."""
        tests = CaughtTests(self._effects, self._facts, catch)
        raising: dict[int, Raise] = {}

        def onward(here: PathPoint[tuple[()]], edge: Edge) -> tuple[()] | None:
            last = self._flow.last_step(here.block)
            step = None if last is None else self._facts.function.steps[last]
            if isinstance(step, Raise):
                raising[here.block] = step
                return None
            return () if tests.allows(here.block, edge) else None

        PathSearch(self._flow, None, onward, taken=NORMAL | ERROR | CANCELLED).run([PathPoint(handler, ())])
        for number, step in raising.items():
            if self._flow.dominance.dominates(handler, number):
                yield number, step

    def _left(self, number: int, block: Block) -> Iterator[Swallow]:
        """Tell what the exit of a `with` does; a timeout or scope ends only what it has caused itself."""
        region = self._exits[number]
        race = self._facts.unwinding.race(region)
        verdict = Modality.NEVER if race else self._facts.unwinding.absorbs_cancellation(region)
        for edge in block.edges:
            if edge.leaves is Leaves.CANCELLED:
                yield from self._arrive((edge.to,))
            elif edge.leaves is Leaves.ABSORBED and verdict is not Modality.NEVER:
                enter = self._facts.function.regions[region].enter
                yield Swallow(self._await, enter, By.MANAGER, edge.to, verdict is Modality.MUST)

    def _cleaned_up(self, number: int, block: Block) -> Iterator[Swallow]:
        """Follow a cleanup; a `return` in it, or a jump out of it, ends the cancellation."""
        steps = self._facts.function.steps
        returned = next((at for at in self._flow.steps(number) if isinstance(steps[at], Return)), None)
        if returned is not None and block.cleanup:
            yield Swallow(self._await, returned, By.JUMP, number, sure=True)
            return
        last = self._flow.last_step(number)
        awaits = last is not None and isinstance(steps[last], Await)
        for edge in block.edges:
            if edge.leaves in _JUMPS or (edge.leaves is Leaves.CANCELLED and not awaits):
                yield from self._arrive((edge.to,))
