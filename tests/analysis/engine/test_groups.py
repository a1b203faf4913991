"""Groups of mutually recursive functions: exact on every small graph, and on graphs too deep to recurse."""

from collections.abc import Iterator
from itertools import permutations

import pytest

from cancellint.analysis.engine.components import groups

Graph = tuple[tuple[int, ...], ...]
"""The successors of each node."""


def all_graphs(nodes: int) -> Iterator[Graph]:
    """Every directed graph over so many nodes, edges from a node to itself included."""
    for chosen in range(2 ** (nodes * nodes)):
        yield tuple(
            tuple(to for to in range(nodes) if chosen >> (nodes * node + to) & 1) for node in range(nodes)
        )


def reached(graph: Graph) -> list[int]:
    """For each node the nodes it reaches, itself included, as a bit mask (Warshall's closure)."""
    reach = [1 << node | sum(1 << to for to in set(after)) for node, after in enumerate(graph)]
    for middle in range(len(graph)):
        for node in range(len(graph)):
            if reach[node] >> middle & 1:
                reach[node] |= reach[middle]
    return reach


def found(graph: Graph, roots: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(groups(roots, graph.__getitem__))


def wrong(graph: Graph, roots: tuple[int, ...]) -> str | None:
    """What a grouping gets wrong, None if nothing."""
    reach = reached(graph)
    wanted = {node for root in roots for node in range(len(graph)) if reach[root] >> node & 1}
    order = found(graph, roots)
    listed = [node for group in order for node in group]
    if sorted(listed) != sorted(wanted):
        return f"grouped {listed}, reachable {sorted(wanted)}"
    place = {node: number for number, group in enumerate(order) for node in group}
    for one in wanted:
        for other in wanted:
            mutual = bool(reach[one] >> other & 1 and reach[other] >> one & 1)
            if (place[one] == place[other]) is not mutual:
                return f"{one} and {other}: in one group {not mutual}, reach each other {mutual}"
            if reach[one] >> other & 1 and place[other] > place[one]:
                return f"{other} comes after {one}, which reaches it"
    return None


@pytest.mark.parametrize("nodes", [1, 2, 3, 4])
def test_every_small_graph_is_grouped_exactly_and_callees_come_first(nodes: int) -> None:
    faults = ((graph, fault) for graph in all_graphs(nodes) if (fault := wrong(graph, tuple(range(nodes)))))

    assert next(faults, None) is None


@pytest.mark.parametrize("nodes", [1, 2, 3, 4])
def test_from_one_root_exactly_what_it_reaches_is_grouped(nodes: int) -> None:
    faults = ((graph, fault) for graph in all_graphs(nodes) if (fault := wrong(graph, (0,))))

    assert next(faults, None) is None


def test_whatever_the_order_of_roots_the_groups_hold_the_same_nodes() -> None:
    for graph in all_graphs(3):
        held = {
            frozenset(frozenset(group) for group in found(graph, roots)) for roots in permutations(range(3))
        }

        assert len(held) == 1, graph


def test_no_roots_make_no_groups() -> None:
    assert found(((1,), (0,)), ()) == []


def test_a_root_named_twice_is_grouped_once() -> None:
    assert found(((1,), ()), (1, 0, 1, 0)) == [(1,), (0,)]


def test_two_edges_to_one_node_are_one_edge() -> None:
    assert found(((1, 1), (0, 0, 0)), (0,)) == [(0, 1)]


def test_a_group_lists_its_nodes_in_the_order_they_were_reached() -> None:
    graph = ((2, 1), (0,), (1,))

    assert found(graph, (0,)) == [(0, 2, 1)]
    assert found(graph, (1,)) == [(1, 0, 2)]


def test_equal_graphs_are_grouped_in_equal_order() -> None:
    graph = tuple(((node * 7) % 50, (node * 3 + 1) % 50) for node in range(50))

    assert found(graph, tuple(range(50))) == found(graph, tuple(range(50)))


def test_successors_are_asked_for_once_per_node() -> None:
    asked: list[int] = []
    graph = ((1, 2), (2, 0), (2, 3), ())

    def callees(node: int) -> tuple[int, ...]:
        asked.append(node)
        return graph[node]

    list(groups((0, 1, 2, 3), callees))

    assert sorted(asked) == [0, 1, 2, 3]


def test_a_chain_of_a_hundred_thousand_calls_is_grouped_from_its_end() -> None:
    last = 100_000

    order = list(groups((0,), lambda node: (node + 1,) if node < last else ()))

    assert order == [(node,) for node in range(last, -1, -1)]


def test_a_ring_of_fifty_thousand_calls_is_one_group() -> None:
    size = 50_000

    order = list(groups((0,), lambda node: ((node + 1) % size,)))

    assert order == [tuple(range(size))]


def test_a_chain_whose_nodes_all_call_back_to_the_first_is_one_group() -> None:
    size = 20_000

    order = list(groups((0,), lambda node: (node + 1, 0) if node + 1 < size else (0,)))

    assert order == [tuple(range(size))]
