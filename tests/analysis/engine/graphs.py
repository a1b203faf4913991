"""Small made-up control-flow graphs, and what can be said of them by trying every path."""

from collections.abc import Iterable, Sequence

import networkx
from hypothesis import strategies as st

from cancellint.analysis.engine.graph import ALL, ControlFlow, EdgeClass
from cancellint.model.ir import RETURN_EXIT, Block, Edge, Leaves


@st.composite
def flows(draw: st.DrawFn, most_blocks: int = 6, most_edges: int = 3, most_steps: int = 2) -> ControlFlow:
    """Graphs of a few blocks, whose numbers say nothing about the order in which they run."""
    count = draw(st.integers(1, most_blocks))
    blocks: list[Block] = []
    first = 0
    for _ in range(count):
        last = first + draw(st.integers(0, most_steps))
        edges = st.builds(Edge, st.integers(-2, count - 1), st.sampled_from(Leaves))
        blocks.append(Block(first, last, tuple(draw(st.lists(edges, max_size=most_edges)))))
        first = last
    return ControlFlow(blocks)


def flow(*successors: Sequence[int], steps: int = 1) -> ControlFlow:
    """A graph of normal edges, with so many steps in each block."""
    return ControlFlow(
        [
            Block(number * steps, (number + 1) * steps, tuple(Edge(to, Leaves.NORMAL) for to in following))
            for number, following in enumerate(successors)
        ]
    )


def digraph(graph: ControlFlow, taken: EdgeClass = ALL, without: Iterable[int] = ()) -> networkx.DiGraph:
    """The same graph for networkx, exits included, perhaps without some nodes."""
    found = networkx.DiGraph()
    found.add_nodes_from(range(-3, len(graph.blocks)))
    for number, block in enumerate(graph.blocks):
        found.add_edges_from((number, edge.to) for edge in block.edges if edge.leaves in taken)
    found.remove_nodes_from(without)
    return found


def leads(graph: networkx.DiGraph, start: int, goal: int) -> bool:
    """Whether a path of any length leads from one node to another."""
    return start in graph and goal in graph and networkx.has_path(graph, start, goal)


def counts_of_steps(graph: ControlFlow, modulo: int, length: int) -> set[tuple[int, int]]:
    """Each block or exit with the number of steps before it, by trying every path of so many edges."""
    found = {(0, 0)}
    paths = [(0, 0)]
    for _ in range(length):
        paths = [
            (edge.to, (passed + len(graph.steps(block))) % modulo)
            for block, passed in paths
            for edge in graph.blocks[block].edges
        ]
        found.update(paths)
        paths = [path for path in dict.fromkeys(paths) if path[0] >= 0]
    return found


RETURNS = Edge(RETURN_EXIT, Leaves.RETURNED)
