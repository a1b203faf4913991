"""Plain reachability: what may run after what, along edges of a class."""

from collections.abc import Collection, Iterable

from cancellint.analysis.engine.graph import ALL, ENTRY, ControlFlow, EdgeClass
from cancellint.analysis.engine.path_search import Halt, Outcome, PathPoint, PathSearch


def reachable(
    flow: ControlFlow,
    starts: Iterable[int],
    taken: EdgeClass = ALL,
    avoiding: Collection[int] = (),
) -> frozenset[int]:
    """Return the blocks and exits that some blocks lead to, themselves included, past none of `avoiding`."""
    seen: set[int] = set()
    waiting = list(starts)
    while waiting:
        current = waiting.pop()
        if current in seen or current in avoiding:
            continue
        seen.add(current)
        if current >= 0:
            waiting.extend(flow.targets(current, taken))
    return frozenset(seen)


def after_block(
    flow: ControlFlow,
    block: int,
    leaving: EdgeClass = ALL,
    taken: EdgeClass = ALL,
    avoiding: Collection[int] = (),
) -> frozenset[int]:
    """Return the blocks and exits that may follow when control leaves a block along an edge of a class."""
    return reachable(flow, flow.targets(block, leaving), taken, avoiding)


def after_step(flow: ControlFlow, step: int, taken: EdgeClass = ALL) -> tuple[range, frozenset[int]]:
    """Return what may run after a step: the rest of its block, and the blocks and exits that may follow."""
    block = flow.block_of(step)
    return range(step + 1, flow.blocks[block].last), after_block(flow, block, taken, taken)


def may_follow(flow: ControlFlow, first: int, later: int, taken: EdgeClass = ALL) -> bool:
    """Tell whether a step may run after another one has, be it in the next turn of a loop."""
    rest, blocks = after_step(flow, first, taken)
    return later in rest or flow.block_of(later) in blocks


def reaches(
    flow: ControlFlow, start: int, goal: int, taken: EdgeClass = ALL, avoiding: Collection[int] = ()
) -> bool:
    """Tell whether control may get from one block to another, or to an exit."""
    return goal in reachable(flow, (start,), taken, avoiding)


def leads_to(
    flow: ControlFlow,
    start: int | None,
    goal: int,
    taken: EdgeClass = ALL,
    avoiding: Collection[int] = (),
) -> bool:
    """Tell whether some path leads from behind a step, or the entry, to a step or exit, past none of some."""

    def passed(here: PathPoint[tuple[()]], step: int) -> tuple[()] | Halt:
        if step == goal:
            return Halt.FOUND
        return Halt.STOP if step in avoiding else ()

    found = PathSearch(flow, passed, taken=taken).run([behind(flow, start)])
    return found.outcome is Outcome.FOUND or any(end.exit == goal for end in found.ends)


def behind(flow: ControlFlow, step: int | None) -> PathPoint[tuple[()]]:
    """Return the place behind a step, or the entry."""
    return PathPoint(ENTRY, ()) if step is None else PathPoint(flow.block_of(step), (), step + 1)


def precedes(flow: ControlFlow, first: int, later: int, taken: EdgeClass = ALL) -> bool:
    """Tell whether a step may run after another one in the same turn of every loop that both are in."""
    before, after = flow.block_of(first), flow.block_of(later)
    return first < later if before == after else after in flow.later_in_turn(before, taken)
