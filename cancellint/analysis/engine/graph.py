"""A control-flow graph, the classes of its edges, and what is derived from it, each once.

The engine knows graphs, not Python: of a function it sees basic blocks, ranges of step numbers and edges.
Block numbers are names. Nothing here, and nothing that uses it, takes them for an order of execution.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property

from cancellint.analysis.engine.components import groups
from cancellint.analysis.engine.dominance import Dominance, dominators
from cancellint.analysis.engine.loops import Loop, natural_loops
from cancellint.analysis.engine.order import inverse, reverse_postorder
from cancellint.model.ir import Block, Edge, Leaves

EdgeClass = frozenset[Leaves]
"""Edges that a walk follows."""

ALL: EdgeClass = frozenset(Leaves)
"""Every edge."""
NORMAL: EdgeClass = frozenset(
    {
        Leaves.NORMAL,
        Leaves.TRUE,
        Leaves.FALSE,
        Leaves.RESUMED,
        Leaves.ITEM,
        Leaves.EXHAUSTED,
        Leaves.RETURNED,
    }
)
"""Nothing travels: what was begun has gone well."""
ERROR: EdgeClass = frozenset({Leaves.RAISED})
"""An ordinary exception begins to travel, or goes on."""
CANCELLED: EdgeClass = frozenset({Leaves.CANCELLED})
"""A cancellation begins to travel, or goes on."""
HANDLED: EdgeClass = frozenset({Leaves.CAUGHT, Leaves.ABSORBED, Leaves.CONVERTED})
"""What travels meets a handler, or the exit of a context manager that does something to it."""
NOT_CANCELLED: EdgeClass = ALL - CANCELLED
"""Whatever happens, except that somebody cancels."""
NOT_FAILED: EdgeClass = ALL - ERROR
"""Whatever happens, except that something fails."""
PASSED_ON: EdgeClass = NORMAL | ERROR | {Leaves.CONVERTED}
"""The ways of an exception through cleanups, until a handler receives it."""
UNFINISHED: EdgeClass = ERROR | CANCELLED | {Leaves.EXHAUSTED}
"""The last step of the block has had no outcome."""

ENTRY = 0
"""The block a function begins with."""


class ControlFlow:
    """The basic blocks of one function. Edges to exits, whose numbers are negative, leave the graph."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = blocks
        self._later: dict[tuple[int, EdgeClass], frozenset[int]] = {}
        self._onwards: dict[EdgeClass, tuple[tuple[int, ...], ...]] = {}

    def steps(self, block: int) -> range:
        """The numbers of a block's steps."""
        return range(self.blocks[block].first, self.blocks[block].last)

    def steps_of(self, blocks: Iterable[int]) -> Iterator[int]:
        """Yield the steps of some blocks, exits aside, by their numbers."""
        for number in sorted(blocks):
            if number >= 0:
                yield from self.steps(number)

    def last_step(self, block: int) -> int | None:
        """The number of a block's last step, None where it has none."""
        node = self.blocks[block]
        return node.last - 1 if node.last > node.first else None

    def block_of(self, step: int) -> int:
        """The block a step lies in."""
        return self._homes[step]

    def targets(self, block: int, taken: EdgeClass) -> tuple[int, ...]:
        """Where control may go from a block along edges of a class, exits included."""
        return tuple(edge.to for edge in self.blocks[block].edges if edge.leaves in taken)

    def within(self, taken: EdgeClass) -> tuple[tuple[int, ...], ...]:
        """The successors of each block along edges of a class, exits aside."""
        return tuple(
            tuple(dict.fromkeys(edge.to for edge in block.edges if edge.to >= 0 and edge.leaves in taken))
            for block in self.blocks
        )

    @cached_property
    def successors(self) -> tuple[tuple[int, ...], ...]:
        """The blocks that may follow each block at once."""
        return tuple(
            tuple(dict.fromkeys(edge.to for edge in block.edges if edge.to >= 0)) for block in self.blocks
        )

    @cached_property
    def predecessors(self) -> tuple[tuple[int, ...], ...]:
        """The blocks that each block may follow at once."""
        return inverse(self.successors)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """All blocks in reverse postorder from the entry; those it does not reach come last."""
        roots = (ENTRY, *range(1, len(self.blocks)))[: len(self.blocks)]
        return reverse_postorder(self.successors, roots)

    @cached_property
    def dominance(self) -> Dominance:
        """Which blocks lie on every path from the entry to which."""
        return dominators(self.successors, ENTRY)

    def post_dominance(self, taken: EdgeClass, exits: Collection[int]) -> Dominance:
        """Which blocks lie on every path to some exits along edges of a class."""
        end = len(self.blocks)
        successors = [
            tuple(
                edge.to if edge.to >= 0 else end
                for edge in block.edges
                if edge.leaves in taken and (edge.to >= 0 or edge.to in exits)
            )
            for block in self.blocks
        ]
        return dominators(inverse((*successors, ())), end)

    @cached_property
    def loops(self) -> tuple[Loop, ...]:
        """The natural loops, the larger ones first."""
        return natural_loops(self.predecessors, self.dominance)

    def loop_of(self, block: int) -> Loop | None:
        """The innermost natural loop that a block lies in."""
        return next((loop for loop in reversed(self.loops) if block in loop.blocks), None)

    def is_back_edge(self, block: int, edge: Edge) -> bool:
        """Whether an edge begins the next turn of a loop."""
        return edge.to >= 0 and self.dominance.dominates(edge.to, block)

    def later_in_turn(self, block: int, taken: EdgeClass) -> frozenset[int]:
        """The blocks that may follow a block along edges of a class before any loop begins another turn."""
        known = self._later.get((block, taken))
        if known is None:
            onward = self._onward(taken)
            seen: set[int] = set()
            waiting = list(onward[block])
            while waiting:
                current = waiting.pop()
                if current not in seen:
                    seen.add(current)
                    waiting.extend(onward[current])
            known = self._later[block, taken] = frozenset(seen)
        return known

    def _onward(self, taken: EdgeClass) -> tuple[tuple[int, ...], ...]:
        """The successors of each block along edges of a class that are no back edges."""
        known = self._onwards.get(taken)
        if known is None:
            dominates = self.dominance.dominates
            known = self._onwards[taken] = tuple(
                tuple(to for to in targets if not dominates(to, block))
                for block, targets in enumerate(self.within(taken))
            )
        return known

    @cached_property
    def _cycles(self) -> dict[int, frozenset[int]]:
        found: dict[int, frozenset[int]] = {}
        for group in groups(range(len(self.blocks)), self.successors.__getitem__):
            if len(group) > 1 or group[0] in self.successors[group[0]]:
                found.update(dict.fromkeys(group, frozenset(group)))
        return found

    def cycle(self, block: int) -> frozenset[int]:
        """The blocks that may run between a block and its next turn; none outside of loops."""
        return self._cycles.get(block, frozenset())

    @cached_property
    def _homes(self) -> dict[int, int]:
        return {
            step: number
            for number, block in enumerate(self.blocks)
            for step in range(block.first, block.last)
        }
