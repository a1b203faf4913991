"""Cells that depend on each other: every small graph, and graphs deeper than the nesting bound."""

from collections.abc import Iterator, Mapping
from itertools import combinations, product
from operator import eq
from random import Random

import pytest

from cancellint.analysis.engine.demand import Cells

Graph = Mapping[int, tuple[int, ...]]


def cells_of(graph: Graph) -> Cells[tuple[int], frozenset[int]]:
    """Cells each of which is itself and all that the cells it reads are: what can be reached from it."""

    def compute(cell: tuple[int]) -> frozenset[int]:
        found = {cell[0]}
        for target in graph[cell[0]]:
            cells.descend()
            found |= cells.read((target,))
            cells.ascend()
        return frozenset(found)

    cells: Cells[tuple[int], frozenset[int]] = Cells(compute, frozenset(), eq)
    return cells


def reachable(graph: Graph, start: int) -> frozenset[int]:
    found = {start}
    queue = [start]
    for node in queue:
        fresh = [target for target in graph[node] if target not in found]
        found.update(fresh)
        queue.extend(fresh)
    return frozenset(found)


def answers(graph: Graph, order: list[int]) -> dict[int, frozenset[int]]:
    cells = cells_of(graph)
    return {node: cells.demand(lambda node=node: cells.read((node,))) for node in order}


def wanted(graph: Graph) -> dict[int, frozenset[int]]:
    return {node: reachable(graph, node) for node in graph}


def graphs(size: int) -> Iterator[Graph]:
    nodes = range(size)
    targets = [tuple(chosen) for count in range(size + 1) for chosen in combinations(nodes, count)]
    for edges in product(targets, repeat=size):
        yield dict(zip(nodes, edges, strict=True))


def test_every_graph_of_three_cells_is_computed_exactly_in_both_orders():
    for graph in graphs(3):
        assert answers(graph, [0, 1, 2]) == wanted(graph)
        assert answers(graph, [2, 1, 0]) == wanted(graph)


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs_are_computed_exactly(seed: int):
    chance = Random(seed)
    size = chance.randrange(4, 40)
    graph = {node: tuple(chance.randrange(size) for _ in range(chance.randrange(4))) for node in range(size)}
    order = list(range(size))
    chance.shuffle(order)

    assert answers(graph, order) == wanted(graph)


@pytest.mark.parametrize("size", [30, 60, 61, 100, 500])
def test_a_ring_of_any_length_is_computed_exactly(size: int):
    graph = {node: ((node + 1) % size,) for node in range(size)}

    assert answers(graph, [0, size // 2]) == {0: frozenset(range(size)), size // 2: frozenset(range(size))}


@pytest.mark.parametrize("seed", range(20))
def test_rings_with_chords_beyond_the_nesting_bound_are_computed_exactly(seed: int):
    chance = Random(seed)
    size = 150
    graph = {node: ((node + 1) % size, chance.randrange(size)) for node in range(size)}

    assert answers(graph, [seed, 0, 149]) == dict.fromkeys([seed, 0, 149], frozenset(range(size)))


@pytest.mark.parametrize("seed", range(20))
def test_deep_graphs_with_ways_back_are_computed_exactly(seed: int):
    chance = Random(seed)
    size = 200
    graph = {
        node: (
            *([node + 1] if node + 1 < size else []),
            *([chance.randrange(node + 1)] if node % 7 == 0 else []),
        )
        for node in range(size)
    }
    order = [0, size - 1, *(chance.randrange(size) for _ in range(10))]

    assert answers(graph, order) == {node: reachable(graph, node) for node in order}


def cells_of_weight(graph: Graph, weight: int, most: int = 10**6) -> Cells[tuple[int], frozenset[int]]:
    """The same cells, each reading nested so deep that few may wait for each other before all is unwound."""
    computed = 0

    def compute(cell: tuple[int]) -> frozenset[int]:
        nonlocal computed
        computed += 1
        assert computed <= most
        found = {cell[0]}
        for target in graph[cell[0]]:
            for _ in range(weight):
                cells.descend()
            found |= cells.read((target,))
            for _ in range(weight):
                cells.ascend()
        return frozenset(found)

    cells: Cells[tuple[int], frozenset[int]] = Cells(compute, frozenset(), eq)
    return cells


def test_when_all_is_unwound_what_leaned_on_it_is_forgotten():
    graph = {
        0: (8, 0),
        1: (2, 3),
        2: (8, 8),
        3: (3, 7),
        4: (6, 6, 6),
        5: (1,),
        6: (0, 0, 5),
        7: (2,),
        8: (2, 5, 8),
    }
    cells = cells_of_weight(graph, 40)
    order = [0, 4, 8, 2, 6, 1, 7, 3, 5]

    found = {node: cells.demand(lambda node=node: cells.read((node,))) for node in order}

    assert found == wanted(graph)


def test_when_all_is_unwound_what_leans_on_what_stays_postponed_is_kept():
    graph = {0: (2, 3), 1: (0, 1), 2: (1, 1), 3: (3, 1)}
    cells = cells_of_weight(graph, 60, most=50)

    found = {node: cells.demand(lambda node=node: cells.read((node,))) for node in (0, 2, 3, 1)}

    assert found == wanted(graph)


def test_a_ring_that_has_settled_is_not_computed_again():
    graph = {0: (1,), 1: (2,), 2: (0,)}
    cells = cells_of_weight(graph, 1, most=9)

    assert cells.demand(lambda: cells.read((0,))) == {0, 1, 2}
