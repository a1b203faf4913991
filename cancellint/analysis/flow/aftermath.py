"""What may still run after a step, depending on why control left it."""

from collections.abc import Iterable

from cancellint.analysis.flow.tainting import block_of
from cancellint.model.ir import Function, Leaves


def reachable(function: Function, blocks: Iterable[int]) -> frozenset[int]:
    """Return the blocks, and the exits of the function, that some blocks lead to, themselves included."""
    waiting, seen = list(blocks), set[int]()
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        if current >= 0:
            waiting.extend(edge.to for edge in function.blocks[current].edges)
    return frozenset(seen)


def after_leaving(function: Function, step: int, leaves: Leaves) -> frozenset[int]:
    """Return the blocks and exits that may follow when control leaves a step, the last of its block, so."""
    block = function.blocks[block_of(function, step)]
    return reachable(function, (edge.to for edge in block.edges if edge.leaves is leaves))


def blocks_among(blocks: Iterable[int]) -> frozenset[int]:
    """Return the blocks without the exits."""
    return frozenset(block for block in blocks if block >= 0)
