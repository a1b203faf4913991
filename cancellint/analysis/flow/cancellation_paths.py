"""Cancellation paths: what runs between a cancelled await and the exit, and which handlers errors reach."""

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

from msgspec import Struct, structs

from cancellint.analysis.engine.graph import CANCELLED, ENTRY, ERROR, PASSED_ON
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import End, Found, PathPoint, PathSearch
from cancellint.analysis.engine.reachability import after_block
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.flow.unwinding import Shield
from cancellint.analysis.library.exceptions import Modality
from cancellint.model.ir import (
    CANCEL_EXIT,
    RAISE_EXIT,
    Await,
    AwaitKind,
    Catch,
    Edge,
    Exit,
    Leaves,
)
from cancellint.model.knowledge import RaceKind

Carried = TypeVar("Carried", bound=Hashable)


class RaceExit(Struct, frozen=True):
    """Where control is after a race region of this function has cut its body short."""

    region: int
    block: int
    travelling: bool


class CancellationPath(Struct, frozen=True):
    """A cancellation path: all that may run between a cancelled await and an exit, in the order it was found.

    `leaves` tells that the function ends at all, `reaches_caller` that it ends with the cancellation, or an
    error in its place. What only runs where a timeout of the function's own ends the cancellation is left
    out: one from outside passes it; `race_exits` tells where such a timeout would end one of its own.
    """

    steps: tuple[int, ...]
    leaves: bool
    reaches_caller: bool = False
    race_exits: tuple[RaceExit, ...] = ()


class Travel(Struct, Generic[Carried], frozen=True):
    """A state on a cancellation path: the region whose exit came last (-1: none), and what is carried."""

    region: int
    carried: Carried


def cancellation_path(facts: Facts, block: int) -> CancellationPath | None:
    """Return the cancellation path from the await that ends a block, None where that is shielded from all."""
    if facts.unwinding.shield(facts.function.blocks[block].regions) is Shield.ALL:
        return None
    return unshielded_path(facts, block)


def unshielded_path(facts: Facts, block: int) -> CancellationPath:
    """Return the cancellation path from the await that ends a block, as if nothing shielded it."""
    steps: dict[int, None] = {}

    def noted(carried: tuple[()], step: int) -> tuple[()]:
        steps[step] = None
        return carried

    passage = Passage(facts, noted)
    found = passage.follow(block, ())
    exits = {end.exit for end in found.ends}
    return CancellationPath(
        tuple(steps), bool(exits), bool(exits & {CANCEL_EXIT, RAISE_EXIT}), tuple(passage.race_exits)
    )


class Passage(Generic[Carried]):
    """The search over what a cancellation passes through: cleanups, handlers that may catch it, exits.

    `carry` is told each step and gives what is carried on from there.
    """

    def __init__(
        self, facts: Facts, carry: Callable[[Carried, int], Carried], cap: Limit | None = None
    ) -> None:
        self._facts = facts
        self._carry = carry
        self._cap = cap
        self.race_exits: dict[RaceExit, None] = {}
        """where race regions of the function end the cancellations that they have caused themselves"""

    def follow(self, block: int, carried: Carried) -> Found[Travel[Carried]]:
        """Follow the cancellation of the await that ends a block."""
        search = PathSearch(self._facts.flow, self._after, self._along, cap=self._cap)
        inner = [PathPoint(to, Travel(-1, carried)) for to in self._cancelled(block) if to >= 0]
        found = search.run(inner)
        outer = tuple(End(to, block, Travel(-1, carried)) for to in self._cancelled(block) if to < 0)
        return structs.replace(found, ends=(*outer, *found.ends))

    def _cancelled(self, block: int) -> tuple[int, ...]:
        return self._facts.flow.targets(block, CANCELLED)

    def _after(self, here: PathPoint[Travel[Carried]], step: int) -> Travel[Carried]:
        travel = here.state
        carried = self._carry(travel.carried, step)
        match self._facts.function.steps[step]:
            case Exit(region=region) | Await(kind=AwaitKind.EXIT, region=region):
                return Travel(region, carried)
            case _:
                return travel if carried is travel.carried else Travel(travel.region, carried)

    def _along(self, here: PathPoint[Travel[Carried]], edge: Edge) -> Travel[Carried] | None:
        function, travel = self._facts.function, here.state
        match edge.leaves:
            case Leaves.CANCELLED:
                again = self._ends_in_await(here.block)  # a second cancellation is another matter
                return None if again else Travel(-1, travel.carried)
            case Leaves.CAUGHT:
                caught = self._facts.handlers.catches_cancellation(edge.to)
                return Travel(-1, travel.carried) if caught is not Modality.NEVER else None
            case Leaves.ABSORBED | Leaves.CONVERTED:
                return Travel(-1, travel.carried) if self._is_absorbed(edge, travel.region) else None
            case Leaves.RAISED if len(function.blocks[here.block].edges) > 1:
                return None
            case _:
                return travel

    def _ends_in_await(self, block: int) -> bool:
        last = self._facts.flow.last_step(block)
        return last is not None and isinstance(self._facts.function.steps[last], Await)

    def _is_absorbed(self, edge: Edge, region: int) -> bool:
        """Tell whether a region's exit swallows any cancellation; what a race swallows is noted."""
        race = self._facts.unwinding.race(region) if region >= 0 else None
        if race is not None:
            raises = race[0] is RaceKind.CANCELS_RAISES
            if raises is (edge.leaves is Leaves.CONVERTED) and race[0] is not RaceKind.SCOPE:
                self.race_exits[RaceExit(region, edge.to, raises)] = None
            return False
        swallows = region >= 0 and edge.leaves is Leaves.ABSORBED
        return swallows and self._facts.unwinding.absorbs_cancellation(region) is not Modality.NEVER


def error_handlers(facts: Facts, block: int) -> tuple[int, ...]:
    """Return the blocks of the handlers that an error at the end of a block may reach, not a cancellation."""
    flow = facts.flow
    passed = after_block(flow, block, ERROR, PASSED_ON)
    handlers = {
        edge.to
        for number in passed
        if number >= 0
        for edge in flow.blocks[number].edges
        if edge.leaves is Leaves.CAUGHT and edge.to >= 0
    }
    return tuple(
        sorted(each for each in handlers if facts.handlers.catches_cancellation(each) is Modality.NEVER)
    )


def catch_step(facts: Facts, block: int) -> int:
    """Return the number of the step that starts a handler."""
    return next(step for step in facts.flow.steps(block) if isinstance(facts.function.steps[step], Catch))


def steps_only_through(facts: Facts, block: int) -> Iterator[int]:
    """Yield the steps that run only after a block has been entered: for a handler, its body."""
    yield from facts.flow.steps_of(facts.flow.dominance.dominated(block))


def steps_after_errors(facts: Facts) -> frozenset[int]:
    """Return the steps that only run in the handlers of ordinary errors."""
    found: set[int] = set()
    for number in range(len(facts.flow.blocks)):
        catches = any(isinstance(facts.function.steps[step], Catch) for step in facts.flow.steps(number))
        if catches and facts.handlers.catches_cancellation(number) is Modality.NEVER:
            found.update(steps_only_through(facts, number))
    return frozenset(found)


def may_be_skipped(facts: Facts, step: int) -> bool:
    """Tell whether the function may return without having run a step."""
    return not facts.before_return.dominates(facts.flow.block_of(step), ENTRY)


def only_fails(facts: Facts, block: int) -> bool:
    """Tell whether all that may follow a block, new cancellations aside, is that the function fails."""
    flow = facts.flow

    def onward(here: PathPoint[tuple[()]], edge: Edge) -> tuple[()] | None:
        last = flow.last_step(here.block)
        awaits = last is not None and isinstance(facts.function.steps[last], Await)
        return None if awaits and edge.leaves is Leaves.CANCELLED else ()

    ends = PathSearch(flow, None, onward).run([PathPoint(block, ())]).ends
    return bool(ends) and all(end.exit == RAISE_EXIT for end in ends)
