"""The dataflow solver: every forward and backward analysis runs in it.

Steps and edges have transfer functions; what a step gives exists only on the edges on which it happened. A
state is a value: the transfer functions and `join` return new ones and leave those they are given alone.
"""

import enum
from heapq import heappop, heappush
from typing import Generic, Protocol, TypeVar

from cancellint.analysis.engine.graph import ENTRY, ControlFlow
from cancellint.model.ir import Edge

State = TypeVar("State")


class Direction(enum.Enum):
    """Which way facts flow."""

    FORWARD = enum.auto()
    BACKWARD = enum.auto()


class Analysis(Protocol[State]):
    """What is known at a point, and how it changes from one to the next."""

    def start(self) -> State:
        """Return what is known at the entry; backward, at an exit, and where no exit can be reached."""
        ...

    def over_step(self, state: State, step: int) -> State:
        """Return what is known on the other side of a step that has an outcome."""
        ...

    def happens(self, step: int, edge: Edge) -> bool:
        """Whether the last step of a block has taken effect where control leaves along an edge."""
        ...

    def over_edge(self, state: State, block: int, edge: Edge) -> State | None:
        """Return what is known on the other side of an edge, None where it cannot be taken."""
        ...

    def join(self, known: State, arriving: State) -> State:
        """Return what holds on either path: `known` itself where the other adds nothing.

        States grow along a chain without end only if the analysis is wrong: the fixpoint rests on it.
        """
        ...


class Solution(Generic[State]):
    """The state where each block starts, None where no path leads to it."""

    def __init__(self, flow: ControlFlow, analysis: Analysis[State], entry: tuple[State | None, ...]) -> None:
        self._flow = flow
        self._analysis = analysis
        self.entry = entry

    def before(self, block: int, step: int) -> State | None:
        """The state of a forward analysis before a step of a block, or at its end."""
        state = self.entry[block]
        if state is None:
            return None
        for number in range(self._flow.blocks[block].first, step):
            state = self._analysis.over_step(state, number)
        return state

    def along(self, block: int, edge: Edge) -> State | None:
        """The state of a forward analysis where control has left a block along an edge."""
        last = self._flow.last_step(block)
        end = self._flow.blocks[block].last
        if last is not None and not self._analysis.happens(last, edge):
            end = last
        state = self.before(block, end)
        return None if state is None else self._analysis.over_edge(state, block, edge)


def solve(
    flow: ControlFlow, analysis: Analysis[State], direction: Direction = Direction.FORWARD
) -> Solution[State]:
    """Return the least fixpoint of an analysis; blocks are visited in reverse postorder, or against it."""
    match direction:
        case Direction.FORWARD:
            entry = _forward(flow, analysis)
        case Direction.BACKWARD:
            entry = _backward(flow, analysis)
    return Solution(flow, analysis, tuple(entry))


class _Worklist:
    """Blocks to visit, each once, in a fixed order."""

    def __init__(self, order: tuple[int, ...]) -> None:
        self._order = order
        self._position = {block: index for index, block in enumerate(order)}
        self._heap: list[int] = []
        self._queued: set[int] = set()

    def add(self, block: int) -> None:
        position = self._position[block]
        if position not in self._queued:
            self._queued.add(position)
            heappush(self._heap, position)

    def pop(self) -> int | None:
        if not self._heap:
            return None
        position = heappop(self._heap)
        self._queued.discard(position)
        return self._order[position]


def _forward(flow: ControlFlow, analysis: Analysis[State]) -> list[State | None]:
    entry: list[State | None] = [None] * len(flow.blocks)
    if not entry:
        return entry
    entry[ENTRY] = analysis.start()
    work = _Worklist(flow.order)
    work.add(ENTRY)
    while (number := work.pop()) is not None:
        for to, arriving in _leaving(flow, analysis, number, entry[number]):
            known = entry[to]
            joined = arriving if known is None else analysis.join(known, arriving)
            if joined is not known:
                entry[to] = joined
                work.add(to)
    return entry


def _leaving(
    flow: ControlFlow, analysis: Analysis[State], number: int, state: State | None
) -> list[tuple[int, State]]:
    """Return the states on the edges out of a block, which do not leave the function."""
    block = flow.blocks[number]
    if state is None:
        return []
    before = after = state
    for step in range(block.first, block.last):
        before = after
        after = analysis.over_step(after, step)
    found: list[tuple[int, State]] = []
    for edge in block.edges:
        if edge.to < 0:
            continue
        happened = block.last == block.first or analysis.happens(block.last - 1, edge)
        arriving = analysis.over_edge(after if happened else before, number, edge)
        if arriving is not None:
            found.append((edge.to, arriving))
    return found


def _backward(flow: ControlFlow, analysis: Analysis[State]) -> list[State | None]:
    """Settle what leads to an exit first, and then endless loops, each from the start state."""
    entry: list[State | None] = [None] * len(flow.blocks)
    order = tuple(reversed(flow.order))
    work = _Worklist(order)
    for block in order:
        work.add(block)
    _settle_backward(flow, analysis, entry, work)
    for block in order:
        if entry[block] is None:
            entry[block] = _against(flow, analysis, block, entry, analysis.start())
            for before in flow.predecessors[block]:
                work.add(before)
            _settle_backward(flow, analysis, entry, work)
    return entry


def _settle_backward(
    flow: ControlFlow, analysis: Analysis[State], entry: list[State | None], work: _Worklist
) -> None:
    while (number := work.pop()) is not None:
        arriving = _against(flow, analysis, number, entry, None)
        known = entry[number]
        if arriving is None:
            continue
        joined = arriving if known is None else analysis.join(known, arriving)
        if joined is not known:
            entry[number] = joined
            for before in flow.predecessors[number]:
                work.add(before)


def _against(
    flow: ControlFlow,
    analysis: Analysis[State],
    number: int,
    entry: list[State | None],
    unknown: State | None,
) -> State | None:
    """Return what is known where a block starts, from what is known, or else `unknown`, beyond its edges."""
    block = flow.blocks[number]
    happened: State | None = None
    missed: State | None = None
    open_edges = False
    for edge in block.edges:
        beyond = analysis.start() if edge.to < 0 else entry[edge.to]
        beyond = unknown if beyond is None else beyond
        open_edges |= beyond is None
        state = None if beyond is None else analysis.over_edge(beyond, number, edge)
        if state is None:
            continue
        if block.last == block.first or analysis.happens(block.last - 1, edge):
            happened = state if happened is None else analysis.join(happened, state)
        else:
            missed = state if missed is None else analysis.join(missed, state)
    if happened is None and missed is None:
        if open_edges:
            return None
        happened = analysis.start()
    if happened is not None and block.last > block.first:
        happened = analysis.over_step(happened, block.last - 1)
    return _before(analysis, range(block.first, block.last - 1), happened, missed)


def _before(
    analysis: Analysis[State], steps: range, happened: State | None, missed: State | None
) -> State | None:
    """Return what is known before some steps, if after them the one or the other is."""
    if happened is not None and missed is not None:
        happened, missed = analysis.join(happened, missed), None
    state = happened if happened is not None else missed
    for step in reversed(steps):
        state = None if state is None else analysis.over_step(state, step)
    return state
