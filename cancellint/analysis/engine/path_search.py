"""The path search: follows all paths from some places, carrying a state, until nothing new is found.

A path is a sequence of edges with the state that its steps and edges have left. Two paths that come to a
block with equal states, and the same outcomes of tests decided on the way, are one from there on.
"""

import enum
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from cancellint.analysis.engine.graph import ALL, ControlFlow, EdgeClass
from cancellint.analysis.engine.limits import Limit
from cancellint.model.ir import Edge

State = TypeVar("State", bound=Hashable)

Decided = tuple[tuple[Hashable, Hashable], ...]
"""What the tests and assignments on the way have decided, as pairs of a place and what is known of it."""


class PathPoint(Struct, Generic[State], frozen=True):
    """Where a path is: before a step of a block (-1: before its first), or at its end."""

    block: int
    state: State
    step: int = -1
    decided: Decided = ()


class Halt(enum.Enum):
    """What a step may say instead of giving a state."""

    STOP = enum.auto()
    """this path need not be followed any further"""
    FOUND = enum.auto()
    """the whole search is over"""


class Outcome(enum.Enum):
    """How a search has ended."""

    DONE = enum.auto()
    """all paths have been followed to where they stop"""
    FOUND = enum.auto()
    """a step has ended the search"""
    UNKNOWN = enum.auto()
    """the cap on places was reached first: what has not been found may be there"""


class End(Struct, Generic[State], frozen=True):
    """A path that leaves the function: by which exit, from which block, and in which state."""

    exit: int
    block: int
    state: State
    decided: Decided = ()


class Found(Struct, Generic[State], frozen=True):
    """What a search has come to; `step` is the one that has ended it."""

    outcome: Outcome
    ends: tuple[End[State], ...]
    step: int | None = None


class PathMemory(Protocol):
    """Remembers what the steps and tests of a path have decided, so that no later test contradicts it."""

    def over_step(self, decided: Decided, step: int) -> Decided:
        """Return what is still decided after a step, and what it decides itself."""
        ...

    def over_edge(self, decided: Decided, block: int, edge: Edge) -> Decided | None:
        """Return what is decided on an edge, None where an earlier test forbids it."""
        ...


OnStep = Callable[[PathPoint[State], int], State | Halt]
OnEdge = Callable[[PathPoint[State], Edge], State | None]


class _Frontier(Generic[State]):
    """The places still to be visited, each place once."""

    def __init__(self) -> None:
        self._seen: set[PathPoint[State]] = set()
        self._waiting: deque[PathPoint[State]] = deque()

    def add(self, places: Iterable[PathPoint[State]]) -> None:
        for place in places:
            if place not in self._seen:
                self._seen.add(place)
                self._waiting.append(place)

    def next(self) -> PathPoint[State] | None:
        return self._waiting.popleft() if self._waiting else None

    @property
    def size(self) -> int:
        """How many places have been found so far."""
        return len(self._seen)


class PathSearch(Generic[State]):
    """A breadth-first search over places.

    `on_step` is asked with the place of a path for each step, `on_edge` for each edge of the class `taken`
    that the tests allow; a None forbids it. Only so many places as `cap` says are visited.
    """

    def __init__(
        self,
        flow: ControlFlow,
        on_step: OnStep[State] | None = None,
        on_edge: OnEdge[State] | None = None,
        *,
        taken: EdgeClass = ALL,
        tests: PathMemory | None = None,
        cap: Limit | None = None,
    ) -> None:
        self._flow = flow
        self._on_step = on_step
        self._on_edge = on_edge
        self._taken = taken
        self._tests = tests
        self._cap = cap

    def run(self, starts: Iterable[PathPoint[State]]) -> Found[State]:
        """Follow the paths from some places."""
        ends: dict[End[State], None] = {}
        frontier: _Frontier[State] = _Frontier()
        frontier.add(starts)
        while (place := frontier.next()) is not None:
            if self._cap is not None and self._cap.is_exceeded_by(frontier.size):
                return Found(Outcome.UNKNOWN, tuple(ends))
            here = self._through(place)
            if isinstance(here, int):
                return Found(Outcome.FOUND, tuple(ends), here)
            for following in self._leave(here) if here is not None else ():
                if isinstance(following, End):
                    ends[following] = None
                else:
                    frontier.add((following,))
        return Found(Outcome.DONE, tuple(ends))

    def _through(self, here: PathPoint[State]) -> PathPoint[State] | int | None:
        """Return the place at a block's end, the step that ends the search, or None where the path stops."""
        if self._on_step is None and self._tests is None:
            return here
        block = self._flow.blocks[here.block]
        state, decided = here.state, here.decided
        for number in range(max(block.first, here.step), block.last):
            if self._on_step is not None:
                answer = self._on_step(here, number)
                if isinstance(answer, Halt):
                    return number if answer is Halt.FOUND else None
                state = answer
            if self._tests is not None:
                decided = self._tests.over_step(decided, number)
            if state is not here.state or decided is not here.decided:
                here = PathPoint(here.block, state, here.step, decided)
        return here

    def _leave(self, here: PathPoint[State]) -> Iterator[PathPoint[State] | End[State]]:
        """Yield where the edges of a block lead."""
        for edge in self._flow.blocks[here.block].edges:
            if edge.leaves not in self._taken:
                continue
            allowed = self._tests.over_edge(here.decided, here.block, edge) if self._tests is not None else ()
            state = here.state if self._on_edge is None else self._on_edge(here, edge)
            if allowed is None or state is None:
                continue
            if edge.to >= 0:
                yield PathPoint(edge.to, state, decided=allowed)
            else:
                yield End(edge.to, here.block, state, allowed)
