"""What the handlers of one function catch, those before them in the same `try` taken into account."""

from functools import cached_property
from typing import TypeAlias

from msgspec import structs

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.library.exceptions import ANY_ERROR, Modality, some
from cancellint.model.ir import Block, Catch, Edge, Function, Leaves
from cancellint.model.types import FunctionKey

Raised: TypeAlias = tuple[str, ...]
"""What travels, by the classes that different libraries raise for the same reason.

A handler that catches one of them is taken to be written for the library that raises it."""

FORWARD = frozenset(
    {Leaves.NORMAL, Leaves.TRUE, Leaves.FALSE, Leaves.RESUMED, Leaves.RETURNED, Leaves.ITEM, Leaves.EXHAUSTED}
)
"""Edges that control takes while nothing travels."""


class Handlers:
    """Answers by the block that a handler starts in; for any other block, that nothing is caught."""

    def __init__(self, effects: Effects, key: FunctionKey) -> None:
        self._key = key
        self._exceptions = effects.operations.exceptions
        self._function = effects.program.function(key)

    def catches(self, block: int, raised: str) -> Modality:
        """Whether an exception of a class that travels to a `try` ends in its handler in this block."""
        return self.catches_some(block, (raised,))

    def catches_cancellation(self, block: int) -> Modality:
        """Whether a cancellation ends in a handler, of whatever library it is."""
        return self.catches_some(block, self._exceptions.cancellations)

    def catches_timeout(self, block: int) -> Modality:
        """Whether what a lost race raises ends in a handler, of whatever library the race is."""
        return self.catches_some(block, self._exceptions.timeouts)

    def catches_some(self, block: int, raised: Raised) -> Modality:
        """Whether what travels to a `try` ends in its handler in this block."""
        own = self._by_itself(block, raised)
        if own is Modality.NEVER:
            return own
        match some(self._by_itself(each, raised) for each in self._earlier.get(block, ())):
            case Modality.MUST:
                return Modality.NEVER
            case Modality.MAY:
                return Modality.MAY
            case Modality.NEVER:
                return own

    def catches_every_error(self, block: int) -> bool:
        """Whether any ordinary exception surely ends in a handler, if not in one before it."""
        return self._by_itself(block, (ANY_ERROR,)) is Modality.MUST

    def is_for_timeouts_only(self, block: int) -> bool:
        """Whether a handler names exceptions of lost races and nothing else."""
        return self._is_for(block, self._exceptions.timeouts)

    def is_for_cancellations_only(self, block: int) -> bool:
        """Whether a handler names cancellations and nothing else."""
        return self._is_for(block, self._exceptions.cancellations)

    def names_cancellation(self, block: int) -> bool:
        """Whether a handler names a cancellation itself, and not merely a base of it."""
        caught = self._caught.get(block)
        wanted = self._exceptions.cancellations
        return caught is not None and self._exceptions.names_one(self._key, caught.types, wanted)

    def names(self, block: int, raised: str) -> bool:
        """Whether a handler names a class itself, and not merely a base of it."""
        caught = self._caught.get(block)
        return caught is not None and self._exceptions.names_one(self._key, caught.types, (raised,))

    def names_timeout(self, block: int) -> bool:
        """Whether a handler names what a lost race raises, and not merely a base of it."""
        caught = self._caught.get(block)
        wanted = self._exceptions.timeouts
        return caught is not None and self._exceptions.names_one(self._key, caught.types, wanted)

    def _is_for(self, block: int, wanted: tuple[str, ...]) -> bool:
        caught = self._caught.get(block)
        return caught is not None and self._exceptions.only(self._key, caught.types, wanted)

    def _by_itself(self, block: int, raised: Raised) -> Modality:
        caught = self._caught.get(block)
        if caught is None:
            return Modality.NEVER
        return some(self._exceptions.catches(self._key, caught.types, each) for each in raised)

    @cached_property
    def _caught(self) -> dict[int, Catch]:
        """The step that starts a handler, by block."""
        steps = self._function.steps
        return {
            number: step
            for number, block in enumerate(self._function.blocks)
            for step in steps[block.first : block.last]
            if isinstance(step, Catch)
        }

    @cached_property
    def _earlier(self) -> dict[int, tuple[int, ...]]:
        """The handlers of the same `try` that are asked before one."""
        found: dict[int, tuple[int, ...]] = {}
        for block in self._function.blocks:
            handlers = _caught_by(block)
            for place, handler in enumerate(handlers):
                if place > len(found.get(handler, ())):
                    found[handler] = handlers[:place]
        for handler, caught in self._caught.items():
            for later in self._asked_after(handler) if caught.group else ():
                before = (*found.get(later, ()), handler, *found.get(handler, ()))
                found[later] = tuple(dict.fromkeys(before))
        return found

    def _asked_after(self, handler: int) -> tuple[int, ...]:
        """Return the handlers that get the rest of a group when an `except*` is done."""
        blocks = self._function.blocks
        seen = {handler}
        waiting = [handler]
        while waiting:
            block = blocks[waiting.pop()]
            if _caught_by(block):
                return _caught_by(block)
            after = {edge.to for edge in block.edges if edge.to >= 0 and edge.leaves in FORWARD} - seen
            seen |= after
            waiting.extend(sorted(after))
        return ()

    # ----------------------------------------------------------------- where a cancellation can go

    def without_idle_edges(self, function: Function) -> Function:
        """Return a function without the edges on which no cancellation gets past, or into, a handler."""
        dispatching = self._dispatching_cancellations()
        if not dispatching:
            return function
        blocks = list(function.blocks)
        for number in dispatching:
            blocks[number] = structs.replace(blocks[number], edges=self._taken(blocks[number]))
        return structs.replace(function, blocks=_without_dead_ends(blocks))

    def _dispatching_cancellations(self) -> tuple[int, ...]:
        """Return the blocks from which a cancellation is sent to the handlers of a `try`."""
        blocks = self._function.blocks
        dispatching = {
            number
            for number, block in enumerate(blocks)
            if any(edge.leaves is Leaves.CAUGHT for edge in block.edges)
        }
        if not dispatching:
            return ()
        reached = {edge.to for block in blocks for edge in block.edges if edge.leaves is Leaves.CANCELLED}
        return tuple(sorted(dispatching & reached))

    def _taken(self, block: Block) -> tuple[Edge, ...]:
        kept: list[Edge] = []
        for edge in block.edges:
            if edge.leaves is Leaves.CAUGHT:
                verdict = self._by_itself(edge.to, self._exceptions.cancellations)
                if verdict is not Modality.NEVER:
                    kept.append(edge)
                if verdict is Modality.MUST:
                    break
            else:
                kept.append(edge)
        return tuple(kept)


def _caught_by(block: Block) -> tuple[int, ...]:
    """The handlers that what travels may be caught by from a block, in order."""
    return tuple(edge.to for edge in block.edges if edge.leaves is Leaves.CAUGHT)


def _without_dead_ends(blocks: list[Block]) -> tuple[Block, ...]:
    """The blocks; those that are never entered, copies of handlers for what passes them, lead nowhere."""
    entered = {0}
    waiting = [0]
    while waiting:
        after = {edge.to for edge in blocks[waiting.pop()].edges if edge.to >= 0} - entered
        entered |= after
        waiting.extend(after)
    return tuple(
        block if number in entered else structs.replace(block, edges=())
        for number, block in enumerate(blocks)
    )
