"""The solver against all paths: what it says of a point is what some path, or every path, says."""

import pytest
from hypothesis import given

from cancellint.analysis.engine.graph import UNFINISHED, ControlFlow
from cancellint.analysis.engine.solver import Direction, solve
from cancellint.model.ir import RETURN_EXIT, Block, Edge, Leaves
from tests.analysis.engine.graphs import flow, flows

BEGUN = 99
"""Stands for the entry of the function."""
FORBIDDEN = Leaves.ABSORBED
"""Edges that the analyses below never take."""


class _Passed:
    """The steps that some path has passed, undone ones aside: each even step undoes the one before it."""

    def start(self) -> frozenset[int]:
        return frozenset((BEGUN,))

    def over_step(self, state: frozenset[int], step: int) -> frozenset[int]:
        return (state - {step - 1}) | {step} if step % 2 == 0 else state | {step}

    def happens(self, step: int, edge: Edge) -> bool:
        return edge.leaves not in UNFINISHED

    def over_edge(self, state: frozenset[int], block: int, edge: Edge) -> frozenset[int] | None:
        return None if edge.leaves is FORBIDDEN else state

    def join(self, known: frozenset[int], arriving: frozenset[int]) -> frozenset[int]:
        return known if arriving <= known else known | arriving


class _PassedSurely(_Passed):
    """The same on every path."""

    def join(self, known: frozenset[int], arriving: frozenset[int]) -> frozenset[int]:
        return known if known <= arriving else known & arriving


def states(graph: ControlFlow) -> list[set[frozenset[int]]]:
    """All states that paths from the entry bring to each block, path by path."""
    analysis = _Passed()
    found: list[set[frozenset[int]]] = [set() for _ in graph.blocks]
    paths = [(0, analysis.start())]
    while paths:
        number, state = paths.pop()
        if number < 0 or state in found[number]:
            continue
        found[number].add(state)
        for edge in graph.blocks[number].edges:
            here = state
            for step in graph.steps(number):
                skipped = step == graph.last_step(number) and edge.leaves in UNFINISHED
                here = here if skipped else analysis.over_step(here, step)
            if edge.leaves is not FORBIDDEN:
                paths.append((edge.to, here))
    return found


@given(flows())
def test_a_may_analysis_is_the_union_over_all_paths(graph: ControlFlow):
    expected = [frozenset().union(*each) if each else None for each in states(graph)]
    assert list(solve(graph, _Passed()).entry) == expected


@given(flows())
def test_a_must_analysis_is_what_all_paths_agree_on(graph: ControlFlow):
    expected = [frozenset.intersection(*each) if each else None for each in states(graph)]
    assert list(solve(graph, _PassedSurely()).entry) == expected


class _Ahead:
    """Backward: the steps that some path still passes, up to the next one that undoes them."""

    def start(self) -> frozenset[int]:
        return frozenset()

    def over_step(self, state: frozenset[int], step: int) -> frozenset[int]:
        return (state - {step + 1}) | {step}

    def happens(self, step: int, edge: Edge) -> bool:
        return edge.leaves not in UNFINISHED

    def over_edge(self, state: frozenset[int], block: int, edge: Edge) -> frozenset[int] | None:
        return None if edge.leaves is FORBIDDEN else state

    def join(self, known: frozenset[int], arriving: frozenset[int]) -> frozenset[int]:
        return known if arriving <= known else known | arriving


def is_ahead(graph: ControlFlow, block: int, wanted: int) -> bool:
    """Whether a path from the start of a block passes a step before the one that undoes it."""
    seen: set[int] = set()
    paths = [block]
    while paths:
        number = paths.pop()
        if number < 0 or number in seen:
            continue
        seen.add(number)
        steps = graph.steps(number)
        if not graph.blocks[number].edges:
            if _comes(steps, wanted):
                return True
            continue
        for edge in graph.blocks[number].edges:
            passed = steps[:-1] if edge.leaves in UNFINISHED else steps
            if edge.leaves is FORBIDDEN:
                continue
            if _comes(passed, wanted):
                return True
            if wanted - 1 not in passed:
                paths.append(edge.to)
        if all(edge.leaves is FORBIDDEN for edge in graph.blocks[number].edges) and _comes(steps, wanted):
            return True
    return False


def _comes(steps: range, wanted: int) -> bool:
    """Whether the wanted step is among these, and is not hidden by the one before it."""
    return wanted in steps and wanted - 1 not in steps


@given(flows())
def test_a_backward_analysis_is_the_union_over_all_paths_onward(graph: ControlFlow):
    solved = solve(graph, _Ahead(), Direction.BACKWARD).entry
    for number in range(len(graph.blocks)):
        expected = {step for step in range(graph.blocks[-1].last) if is_ahead(graph, number, step)}
        assert solved[number] == expected


AWAITED = ControlFlow(
    [
        Block(0, 2, (Edge(1, Leaves.RESUMED), Edge(2, Leaves.CANCELLED))),
        Block(2, 3, (Edge(0, Leaves.NORMAL),)),
        Block(3, 4, (Edge(RETURN_EXIT, Leaves.RETURNED),)),
    ]
)


def test_what_a_cancelled_step_does_has_not_happened():
    solved = solve(AWAITED, _PassedSurely())
    assert solved.entry == ({BEGUN}, {BEGUN, 0, 1}, {BEGUN, 0})


@pytest.mark.parametrize(("step", "expected"), [(0, {BEGUN}), (1, {BEGUN, 0}), (2, {BEGUN, 0, 1})])
def test_the_state_before_a_step_is_that_of_its_place(step: int, expected: set[int]):
    assert solve(AWAITED, _PassedSurely()).before(0, step) == expected


@pytest.mark.parametrize(("edge", "expected"), [(0, {BEGUN, 0, 1}), (1, {BEGUN, 0})])
def test_the_state_along_an_edge_is_what_has_happened_on_it(edge: int, expected: set[int]):
    assert solve(AWAITED, _PassedSurely()).along(0, AWAITED.blocks[0].edges[edge]) == expected


def test_of_a_block_that_nothing_leads_to_nothing_is_said():
    solved = solve(flow((RETURN_EXIT,), (0,)), _Passed())
    assert solved.entry[1] is None
    assert solved.before(1, 2) is None


class _EffectOfOneStep(_Passed):
    """Only one step takes effect although an exception leaves its block."""

    def happens(self, step: int, edge: Edge) -> bool:
        return step == 1 or edge.leaves not in UNFINISHED


@pytest.mark.parametrize("direction", Direction)
def test_whether_a_step_happens_is_asked_of_the_last_one_of_its_block(direction: Direction):
    graph = ControlFlow(
        [Block(0, 2, (Edge(1, Leaves.RAISED),)), Block(2, 3, (Edge(RETURN_EXIT, Leaves.NORMAL),))]
    )
    known = solve(graph, _EffectOfOneStep(), direction).entry

    passed = known[1] if direction is Direction.FORWARD else known[0]
    assert passed is not None
    assert 1 in passed
