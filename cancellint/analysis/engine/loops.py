"""Natural loops: what runs between a loop header and the back edges that lead to it."""

from collections.abc import Sequence

from msgspec import Struct

from cancellint.analysis.engine.dominance import Dominance


class Loop(Struct, frozen=True):
    """A loop header, which dominates the loop, and the blocks that may lead back to it."""

    header: int
    blocks: frozenset[int]


def natural_loops(predecessors: Sequence[Sequence[int]], dominance: Dominance) -> tuple[Loop, ...]:
    """Return the natural loops, one per header, the larger ones first.

    Of what can only be entered at several places, as no Python source can, no loop is found.
    """
    latches: dict[int, list[int]] = {}
    for header, before in enumerate(predecessors):
        for node in before:
            if dominance.reaches(node) and dominance.dominates(header, node):
                latches.setdefault(header, []).append(node)
    found = (Loop(header, _body(predecessors, dominance, header, ends)) for header, ends in latches.items())
    return tuple(sorted(found, key=lambda loop: (-len(loop.blocks), loop.header)))


def _body(
    predecessors: Sequence[Sequence[int]], dominance: Dominance, header: int, latches: list[int]
) -> frozenset[int]:
    seen = {header}
    waiting = list(latches)
    while waiting:
        node = waiting.pop()
        if node not in seen and dominance.reaches(node):
            seen.add(node)
            waiting.extend(predecessors[node])
    return frozenset(seen)
