"""The frame of the searches that follow one task of several: what a path does at steps, edges and tests."""

from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from cancellint.analysis.engine.graph import ControlFlow
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import Found, Halt, PathPoint, PathSearch
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.hazards.tasks.contender_tests import ContenderTests
from cancellint.analysis.hazards.tasks.contender_uses import ContenderUses
from cancellint.analysis.hazards.tasks.contenders import Carrier, Carriers, Contenders
from cancellint.model.ir import Await, Block, Edge, Expr, Leaves, Next, Temp

MOST_PLACES = Limit(10_000, "places on the paths of one task")
"""Places after which a search is given up; what it has found by then is not all there may be."""

Held = tuple[tuple[Expr, Carrier], ...]
"""What means the task, as a value that can be compared."""

State = TypeVar("State", bound=Hashable)


class Follower(Protocol[State]):
    """What one search makes of the steps and edges on its paths; a None ends the path."""

    def over_step(self, state: State, number: int) -> State | Halt:
        """Return the state after a step."""
        ...

    def over_await(self, state: State, block: Block, number: int, edge: Edge) -> State | None:
        """Return the state on an edge that leaves an await."""
        ...

    def over_turn(self, state: State, number: int, edge: Edge) -> State | None:
        """Return the state on an edge that leaves the head of a loop over a container."""
        ...

    def over_test(self, state: State, test: Expr, outcome: bool) -> State | None:
        """Return the state where a test has come out so."""
        ...

    def over_handler(self, state: State, handler: int) -> State | None:
        """Return the state where a handler has caught what travels."""
        ...


class TaskPaths(Generic[State]):
    """Follows a task through a function, and reads its steps and tests for a follower."""

    def __init__(self, contenders: Contenders, facts: Facts, follower: Follower[State]) -> None:
        self.contenders = contenders
        self.facts = facts
        self.uses = ContenderUses(contenders, facts)
        self.tests = ContenderTests(contenders, facts, self.uses)
        self._follower = follower
        self._steps = facts.function.steps
        self._flow: ControlFlow = facts.flow

    def run(self, block: int, step: int, state: State) -> Found[State]:
        """Follow all paths from a step of a block."""
        tests = self.facts.tests
        search = PathSearch(self._flow, self._over_step, self._over_edge, tests=tests, cap=MOST_PLACES)
        return search.run([PathPoint(block, state, step)])

    def after(self, number: int, carriers: Carriers) -> Held:
        """Return what means the task after a step."""
        found = self.contenders.after(self.facts.key, number, carriers)
        return tuple(sorted(found.items(), key=lambda pair: str(pair[0])))

    def call_waited_for(self, number: int) -> int:
        """Return the call whose outcome an await waits for, -1 where there is none."""
        step = self._steps[number] if number >= 0 else None
        return step.value.step if isinstance(step, Await) and isinstance(step.value, Temp) else -1

    def _over_step(self, here: PathPoint[State], number: int) -> State | Halt:
        return self._follower.over_step(here.state, number)

    def _over_edge(self, here: PathPoint[State], edge: Edge) -> State | None:
        block = self._flow.blocks[here.block]
        last = self._flow.last_step(here.block)
        match self._steps[last] if last is not None else None:
            case Await():
                return self._follower.over_await(here.state, block, last or 0, edge)
            case Next():
                return self._follower.over_turn(here.state, last or 0, edge)
            case _:
                return self._over_other_edge(here.state, block, edge)

    def _over_other_edge(self, state: State, block: Block, edge: Edge) -> State | None:
        match edge.leaves:
            case Leaves.TRUE | Leaves.FALSE if block.test is not None:
                return self._follower.over_test(state, block.test, edge.leaves is Leaves.TRUE)
            case Leaves.CAUGHT:
                return self._follower.over_handler(state, edge.to)
            case Leaves.RAISED if len(block.edges) > 1 and block.last > block.first:
                # Any statement of a `try` may raise; the awaits among them are what is worth telling of.
                return None
            case _:
                return state
