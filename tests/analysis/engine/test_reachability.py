"""What may run after what, against all paths of small graphs."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cancellint.analysis.engine.graph import ALL, ERROR, NORMAL, ControlFlow
from cancellint.analysis.engine.reachability import after_block, leads_to, may_follow, reachable, reaches
from cancellint.model.ir import RAISE_EXIT, RETURN_EXIT, Block, Edge, Leaves
from tests.analysis.engine.graphs import digraph, flow, flows, leads

GUARDED = ControlFlow(
    [
        Block(0, 2, (Edge(1, Leaves.RESUMED), Edge(2, Leaves.RAISED))),
        Block(2, 3, (Edge(RETURN_EXIT, Leaves.RETURNED),)),
        Block(3, 4, (Edge(RAISE_EXIT, Leaves.RAISED),)),
    ]
)
"""An await of two steps, what follows it, and what follows its failure."""


def test_a_class_of_edges_keeps_out_the_others():
    assert reachable(GUARDED, (0,), NORMAL) == {0, 1, RETURN_EXIT}
    assert after_block(GUARDED, 0, ERROR) == {2, RAISE_EXIT}


def test_within_one_block_a_step_follows_those_before_it_only():
    assert [may_follow(GUARDED, 0, 1), may_follow(GUARDED, 1, 0), may_follow(GUARDED, 0, 0)] == [
        True,
        False,
        False,
    ]


def test_a_path_begins_right_behind_the_step_it_starts_at():
    assert leads_to(GUARDED, 0, 1)
    assert [leads_to(GUARDED, 1, goal) for goal in (0, 1, 2, 3)] == [False, False, True, True]


def test_in_a_loop_a_step_follows_itself_and_what_comes_after_it():
    graph = flow((1,), (0, RETURN_EXIT), steps=2)
    assert all(may_follow(graph, one, other) for one in range(4) for other in range(4))


def test_what_is_avoided_is_not_passed():
    graph = flow((1, 2), (3,), (3,), (RETURN_EXIT,))
    assert reaches(graph, 0, 3, avoiding=(1,))
    assert not reaches(graph, 0, 3, avoiding=(1, 2))


@given(flows(), st.sampled_from([ALL, NORMAL]), st.integers(0, 5))
def test_reachable_is_what_a_path_leads_to(graph: ControlFlow, taken: frozenset[Leaves], avoided: int):
    around = digraph(graph, taken, without=(avoided,))
    for start in range(len(graph.blocks)):
        expected = {goal for goal in range(-3, len(graph.blocks)) if leads(around, start, goal)}
        assert reachable(graph, (start,), taken, (avoided,)) == expected


@given(flows())
def test_a_step_may_follow_another_if_a_path_of_steps_leads_there(graph: ControlFlow):
    """Each step a node of its own, and each block an end that its last step leads to."""
    steps = digraph(graph, without=range(len(graph.blocks)))
    for number, block in enumerate(graph.blocks):
        chain = [("in", number), *graph.steps(number), ("out", number)]
        steps.add_edges_from(pairwise(chain))
        steps.add_edges_from((("out", number), ("in", edge.to)) for edge in block.edges)
    count = graph.blocks[-1].last
    for first in range(count):
        for later in range(count):
            expected = any(leads(steps, after, later) for after in steps.successors(first))
            assert may_follow(graph, first, later) == expected
