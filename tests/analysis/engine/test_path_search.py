"""The path search against all paths, its caps, and what tests that were decided on the way rule out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cancellint.analysis.engine.graph import NORMAL, ControlFlow
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import (
    Decided,
    End,
    Halt,
    Outcome,
    PathPoint,
    PathSearch,
)
from cancellint.analysis.engine.reachability import reachable
from cancellint.model.ir import RETURN_EXIT, Block, Edge, Leaves
from tests.analysis.engine.graphs import counts_of_steps, flow, flows

MODULO = 3


def counted(here: PathPoint[int], step: int) -> int:
    return (here.state + 1) % MODULO


@given(flows(most_blocks=4))
def test_the_places_visited_are_those_of_all_paths(graph: ControlFlow):
    visited: set[tuple[int, int]] = {(0, 0)}

    def noted(here: PathPoint[int], edge: Edge) -> int:
        visited.add((edge.to, here.state))
        return here.state

    found = PathSearch(graph, counted, noted).run([PathPoint(0, 0)])
    expected = counts_of_steps(graph, MODULO, len(graph.blocks) * MODULO + 1)
    assert found.outcome is Outcome.DONE
    assert visited == expected
    assert {(end.exit, end.state) for end in found.ends} == {each for each in expected if each[0] < 0}


@given(flows(), st.integers(0, 11))
def test_a_search_for_a_step_finds_it_if_a_path_leads_there(graph: ControlFlow, wanted: int):
    def looked(here: PathPoint[None], step: int) -> tuple[()] | Halt:
        return Halt.FOUND if step == wanted else ()

    found = PathSearch(graph, looked).run([PathPoint(0, ())])
    blocks = {block for block in reachable(graph, (0,)) if block >= 0}
    expected = any(wanted in graph.steps(block) for block in blocks)
    assert (found.outcome is Outcome.FOUND) == expected
    assert found.step == (wanted if expected else None)


@given(flows(), st.integers(0, 11))
def test_a_path_stops_where_a_step_says_so(graph: ControlFlow, barrier: int):
    def stopped(here: PathPoint[tuple[()]], step: int) -> tuple[()] | Halt:
        return Halt.STOP if step == barrier else ()

    reached: set[int] = {0}

    def noted(here: PathPoint[tuple[()]], edge: Edge) -> tuple[()]:
        reached.add(edge.to)
        return ()

    PathSearch(graph, stopped, noted).run([PathPoint(0, ())])
    walled = ControlFlow(
        [
            Block(block.first, block.last, () if barrier in graph.steps(number) else block.edges)
            for number, block in enumerate(graph.blocks)
        ]
    )
    assert reached == reachable(walled, (0,))


@given(flows())
def test_only_edges_of_the_class_are_taken(graph: ControlFlow):
    found = PathSearch(graph, taken=NORMAL).run([PathPoint(0, ())])
    assert {end.exit for end in found.ends} == {each for each in reachable(graph, (0,), NORMAL) if each < 0}


def test_a_search_begins_after_the_step_it_is_told():
    passed: list[int] = []

    def noted(here: PathPoint[tuple[()]], step: int) -> tuple[()]:
        passed.append(step)
        return ()

    PathSearch(flow((1,), (RETURN_EXIT,), steps=3), noted).run([PathPoint(0, (), step=2)])
    assert passed == [2, 3, 4, 5]


def test_a_search_that_reaches_its_cap_does_not_know():
    graph = flow((0, RETURN_EXIT))

    def more(here: PathPoint[int], step: int) -> int:
        return here.state + 1

    found = PathSearch(graph, more, cap=Limit(50, "places")).run([PathPoint(0, 0)])
    assert found.outcome is Outcome.UNKNOWN
    assert End(RETURN_EXIT, 0, 7) in found.ends


# --------------------------------------------------------------------------- tests decided on the way


class _Same:
    """One test, asked in several blocks, until `changed` is passed."""

    def __init__(self, graph: ControlFlow, asking: tuple[int, ...], changed: int) -> None:
        self._graph = graph
        self._asking = asking
        self._changed = changed

    def over_step(self, decided: Decided, step: int) -> Decided:
        return () if step == self._changed else decided

    def over_edge(self, decided: Decided, block: int, edge: Edge) -> Decided | None:
        if block not in self._asking:
            return decided
        outcome = (("x", edge.leaves is Leaves.TRUE),)
        return outcome if decided in ((), outcome) else None


def asked_twice() -> ControlFlow:
    """`if x: a; b; if x: c else: d`, each letter one step."""
    return ControlFlow(
        [
            Block(0, 0, (Edge(1, Leaves.TRUE), Edge(2, Leaves.FALSE))),
            Block(0, 1, (Edge(2, Leaves.NORMAL),)),
            Block(1, 2, (Edge(3, Leaves.TRUE), Edge(4, Leaves.FALSE))),
            Block(2, 3, (Edge(RETURN_EXIT, Leaves.RETURNED),)),
            Block(3, 4, (Edge(RETURN_EXIT, Leaves.RETURNED),)),
        ]
    )


def runs(changed: int) -> set[tuple[int, ...]]:
    """The steps of each run that the search believes possible."""

    def noted(here: PathPoint[tuple[int, ...]], step: int) -> tuple[int, ...]:
        return (*here.state, step)

    graph = asked_twice()
    found = PathSearch(graph, noted, tests=_Same(graph, (0, 2), changed)).run([PathPoint(0, ())])
    return {end.state for end in found.ends}


def test_a_test_that_was_decided_comes_out_the_same_again():
    assert runs(changed=-1) == {(0, 1, 2), (1, 3)}


def test_what_has_been_changed_is_decided_anew():
    assert runs(changed=1) == {(0, 1, 2), (0, 1, 3), (1, 2), (1, 3)}


@pytest.mark.parametrize(("changed", "count"), [(-1, 2), (1, 4)])
def test_what_steps_decide_is_carried_on_though_the_state_stays_the_same(changed: int, count: int):
    def noted(here: PathPoint[tuple[int, ...]], edge: Edge) -> tuple[int, ...]:
        return (*here.state, edge.to)

    graph = asked_twice()
    search = PathSearch(graph, None, noted, tests=_Same(graph, (0, 2), changed))
    assert len({end.state for end in search.run([PathPoint(0, ())]).ends}) == count
