"""Orders, dominators, loops and components, against networkx and against their definitions."""

import networkx
from hypothesis import given

from cancellint.analysis.engine.components import groups
from cancellint.analysis.engine.graph import ALL, NORMAL, ControlFlow
from cancellint.analysis.engine.loops import Loop
from cancellint.model.ir import RETURN_EXIT
from tests.analysis.engine.graphs import digraph, flow, flows, leads

DIAMOND = flow((2, 1), (3,), (3,), (RETURN_EXIT,))
NESTED = flow((1,), (2, 5), (3, 1), (2, 4), (1,), (RETURN_EXIT,))
"""Blocks 1 to 4 are a loop, in which 2 and 3 are another."""


def test_a_diamond_is_dominated_by_its_head_alone():
    assert [DIAMOND.dominance.immediate[each] for each in (1, 2, 3)] == [0, 0, 0]
    assert DIAMOND.dominance.dominated(0) == {0, 1, 2, 3}
    assert DIAMOND.dominance.dominated(1) == {1}


def test_dominators_of_a_graph_that_no_single_round_settles():
    """The irreducible graph of Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm", figure 4."""
    tangled = flow([1, 2], [3], [4, 5], [4], [3, 5], [4])

    assert {each: tangled.dominance.dominated(each) - {each} for each in range(6)} == {
        0: {1, 2, 3, 4, 5},
        **{each: set() for each in range(1, 6)},
    }


def test_a_diamond_is_post_dominated_by_its_foot():
    after = DIAMOND.post_dominance(ALL, (RETURN_EXIT,))
    assert [after.dominates(each, 0) for each in range(4)] == [True, False, False, True]


@given(flows())
def test_what_follows_within_a_class_is_what_its_edges_lead_to(graph: ControlFlow):
    for block, following in enumerate(graph.within(NORMAL)):
        edges = [edge for edge in graph.blocks[block].edges if edge.to >= 0]
        assert set(following) == {edge.to for edge in edges if edge.leaves in NORMAL}


def test_the_order_has_a_join_after_both_branches():
    assert DIAMOND.order[0] == 0
    assert DIAMOND.order[3] == 3


def test_the_steps_of_some_blocks_are_those_of_the_entry_too_and_none_of_an_exit():
    graph = flow((1,), (RETURN_EXIT,), steps=2)

    assert list(graph.steps_of((RETURN_EXIT, 1, 0))) == [0, 1, 2, 3]


def test_loops_nest_the_larger_first():
    assert NESTED.loops == (Loop(1, frozenset({1, 2, 3, 4})), Loop(2, frozenset({2, 3})))


def test_a_block_belongs_to_the_innermost_loop_around_it():
    headers = [loop.header if (loop := NESTED.loop_of(block)) else None for block in range(6)]
    assert headers == [None, 1, 2, 2, 1, None]


def test_back_edges_lead_to_the_headers_of_loops():
    back = [
        (number, edge.to)
        for number, block in enumerate(NESTED.blocks)
        for edge in block.edges
        if NESTED.is_back_edge(number, edge)
    ]
    assert back == [(2, 1), (3, 2), (4, 1)]


def test_a_block_that_leads_to_itself_is_a_cycle():
    graph = flow((0, 1), (RETURN_EXIT,))
    assert (graph.cycle(0), graph.cycle(1)) == ({0}, frozenset())


def test_what_is_entered_in_the_middle_is_a_cycle_but_no_natural_loop():
    graph = flow((1, 2), (2,), (1,))
    assert graph.loops == ()
    assert graph.cycle(1) == {1, 2}


@given(flows())
def test_dominators_are_those_of_networkx(graph: ControlFlow):
    expected = networkx.immediate_dominators(digraph(graph, without=(-1, -2, -3)), 0)
    found = graph.dominance.immediate
    assert {node: found[node] for node in found if node != 0} == {
        node: before for node, before in expected.items() if node != 0
    }


@given(flows())
def test_a_dominator_is_one_without_which_the_other_is_not_reached(graph: ControlFlow):
    for one in range(len(graph.blocks)):
        for other in range(len(graph.blocks)):
            passes_by = one != other and leads(digraph(graph, without=(one,)), 0, other)
            assert graph.dominance.dominates(one, other) == (not passes_by)


@given(flows())
def test_a_post_dominator_is_one_without_which_no_exit_is_reached(graph: ControlFlow):
    after = graph.post_dominance(NORMAL, (RETURN_EXIT,))
    for one in range(len(graph.blocks)):
        for other in range(len(graph.blocks)):
            around = digraph(graph, NORMAL, without=(one,))
            passes_by = one != other and leads(around, other, RETURN_EXIT)
            assert after.dominates(one, other) == (not passes_by)


@given(flows())
def test_a_natural_loop_is_what_leads_to_a_back_edge_without_its_header(graph: ControlFlow):
    whole = digraph(graph, without=(-1, -2, -3))
    reached = networkx.descendants(whole, 0) | {0}
    expected = {}
    for header in reached:
        latches = [
            each
            for each in whole.predecessors(header)
            if each in reached and graph.dominance.dominates(header, each)
        ]
        around = digraph(graph, without=(header,))
        body = {each for each in reached for end in latches if leads(around, each, end)}
        if latches:
            expected[header] = body | {header}
    assert {loop.header: loop.blocks for loop in graph.loops} == expected


@given(flows())
def test_cycles_are_the_components_of_networkx(graph: ControlFlow):
    whole = digraph(graph, without=(-1, -2, -3))
    expected = {
        node: component
        for component in networkx.strongly_connected_components(whole)
        for node in component
        if len(component) > 1 or whole.has_edge(node, node)
    }
    assert {node: graph.cycle(node) for node in range(len(graph.blocks)) if graph.cycle(node)} == expected


@given(flows())
def test_components_come_after_those_they_reach(graph: ControlFlow):
    found = list(groups(range(len(graph.blocks)), graph.successors.__getitem__))
    assert sorted(node for group in found for node in group) == list(range(len(graph.blocks)))
    place = {node: index for index, group in enumerate(found) for node in group}
    for number, following in enumerate(graph.successors):
        assert all(place[to] <= place[number] for to in following)


@given(flows())
def test_only_back_edges_go_against_the_order(graph: ControlFlow):
    """An edge against the order closes a cycle, whatever the block numbers are."""
    assert sorted(graph.order) == list(range(len(graph.blocks)))
    position = {block: index for index, block in enumerate(graph.order)}
    for number, following in enumerate(graph.successors):
        for to in following:
            if graph.dominance.reaches(number) and position[to] <= position[number]:
                assert to in graph.cycle(number)
    reached = sum(graph.dominance.reaches(each) for each in range(len(graph.blocks)))
    assert all(graph.dominance.reaches(each) for each in graph.order[:reached])
