"""Which way a cancellation takes out of a function, and which handlers an error meets instead."""

from collections import deque

from msgspec import Struct

from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.flow.unwinding import Shield
from cancellint.model.ir import RETURN_EXIT, Await, AwaitKind, Catch, Exit, Leaves


class WayOut(Struct, frozen=True):
    """All that may run between a cancelled await and the function's end, in the order it was found.

    `leaves` tells that the function ends at all. What only runs where a timeout of the function's own ends
    the cancellation is left out: one from outside passes it.
    """

    steps: tuple[int, ...]
    leaves: bool


def way_out(facts: Facts, block: int) -> WayOut | None:
    """Return the way of a cancellation at the await that ends a block, None where no cancellation arrives."""
    if facts.unwinding.shield(facts.function.blocks[block].regions) is Shield.ALL:
        return None
    walk = _Walk(facts)
    for edge in facts.function.blocks[block].edges:
        if edge.leaves is Leaves.CANCELLED:
            walk.enter(edge.to, -1)
    return walk.run()


class _Walk:
    """A search over the blocks that a cancellation passes through."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._steps: dict[int, None] = {}
        self._leaves = False
        self._seen: set[tuple[int, int]] = set()
        self._waiting: deque[tuple[int, int]] = deque()

    def enter(self, block: int, region: int) -> None:
        if block < 0:
            self._leaves = True
        elif (block, region) not in self._seen:
            self._seen.add((block, region))
            self._waiting.append((block, region))

    def run(self) -> WayOut:
        while self._waiting:
            self._through(*self._waiting.popleft())
        return WayOut(tuple(self._steps), self._leaves)

    def _through(self, number: int, region: int) -> None:
        function = self._facts.function
        block = function.blocks[number]
        for step in range(block.first, block.last):
            self._steps[step] = None
            match function.steps[step]:
                case Exit(region=left) | Await(kind=AwaitKind.EXIT, region=left):
                    region = left
                case _:
                    pass
        awaits = block.last > block.first and isinstance(function.steps[block.last - 1], Await)
        for edge in block.edges:
            match edge.leaves:
                case Leaves.CANCELLED if awaits:
                    pass
                case Leaves.CANCELLED:
                    self.enter(edge.to, -1)
                case Leaves.CAUGHT:
                    if self._facts.handlers.catches_cancellation(edge.to):
                        self.enter(edge.to, -1)
                case Leaves.ABSORBED if region >= 0:
                    if self._facts.unwinding.absorbs_cancellation(region):
                        self.enter(edge.to, -1)
                case Leaves.ABSORBED | Leaves.CONVERTED:
                    pass
                case Leaves.RAISED if len(block.edges) > 1:
                    pass
                case _:
                    self.enter(edge.to, region)


def error_handlers(facts: Facts, block: int) -> tuple[int, ...]:
    """Return the blocks of the handlers that an error at the end of a block may reach, not a cancellation."""
    function = facts.function
    found: dict[int, None] = {}
    seen: set[int] = set()
    waiting = [edge.to for edge in function.blocks[block].edges if edge.leaves is Leaves.RAISED]
    while waiting:
        number = waiting.pop()
        if number < 0 or number in seen:
            continue
        seen.add(number)
        for edge in function.blocks[number].edges:
            match edge.leaves:
                case Leaves.CAUGHT:
                    if edge.to >= 0 and not facts.handlers.catches_cancellation(edge.to):
                        found[edge.to] = None
                case Leaves.CANCELLED | Leaves.ABSORBED:
                    pass
                case _:
                    waiting.append(edge.to)
    return tuple(sorted(found))


def catch_step(facts: Facts, block: int) -> int:
    """Return the number of the step that starts a handler."""
    node = facts.function.blocks[block]
    return next(
        number for number in range(node.first, node.last) if isinstance(facts.function.steps[number], Catch)
    )


def only_through(facts: Facts, block: int) -> frozenset[int]:
    """Return the blocks that run only after this one has been entered: for a handler, its body."""
    blocks = facts.function.blocks
    seen = {0} if block != 0 else set()
    waiting = list(seen)
    while waiting:
        for edge in blocks[waiting.pop()].edges:
            if edge.to >= 0 and edge.to != block and edge.to not in seen:
                seen.add(edge.to)
                waiting.append(edge.to)
    within = {block}
    waiting = [block]
    while waiting:
        for edge in blocks[waiting.pop()].edges:
            if edge.to >= 0 and edge.to not in seen and edge.to not in within:
                within.add(edge.to)
                waiting.append(edge.to)
    return frozenset(within)


def steps_after_errors(facts: Facts) -> frozenset[int]:
    """Return the steps that only run in the handlers of ordinary errors."""
    blocks = facts.function.blocks
    found: set[int] = set()
    for number, block in enumerate(blocks):
        steps = range(block.first, block.last)
        catches = any(isinstance(facts.function.steps[step], Catch) for step in steps)
        if catches and not facts.handlers.catches_cancellation(number):
            for inner in only_through(facts, number):
                found.update(range(blocks[inner].first, blocks[inner].last))
    return frozenset(found)


def may_be_skipped(facts: Facts, step: int) -> bool:
    """Tell whether the function may return without having run a step."""
    blocks = facts.function.blocks
    through = facts.block_of(step)
    seen = {0}
    waiting = [0] if through != 0 else []
    while waiting:
        for edge in blocks[waiting.pop()].edges:
            if edge.leaves in (Leaves.CANCELLED, Leaves.RAISED) or edge.to == through or edge.to in seen:
                continue
            if edge.to == RETURN_EXIT:
                return True
            if edge.to >= 0:
                seen.add(edge.to)
                waiting.append(edge.to)
    return False
