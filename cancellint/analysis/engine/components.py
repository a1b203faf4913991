"""Strongly connected components of a graph, what is reached first: callees before their callers."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def groups(roots: Iterable[Node], callees: Callable[[Node], tuple[Node, ...]]) -> Iterator[tuple[Node, ...]]:
    """Yield groups of mutually reachable nodes, each after all groups it reaches (Tarjan, explicit stack)."""
    index: dict[Node, int] = {}
    lowest: dict[Node, int] = {}
    path: list[Node] = []
    on_path: set[Node] = set()
    for root in roots:
        if root in index:
            continue
        work: list[tuple[Node, Iterator[Node]]] = [(root, iter(callees(root)))]
        index[root] = lowest[root] = len(index)
        path.append(root)
        on_path.add(root)
        while work:
            node, rest = work[-1]
            following = next(rest, None)
            if following is None:
                work.pop()
                if work:
                    caller = work[-1][0]
                    lowest[caller] = min(lowest[caller], lowest[node])
                if lowest[node] == index[node]:
                    yield _pop(path, on_path, node)
            elif following not in index:
                index[following] = lowest[following] = len(index)
                path.append(following)
                on_path.add(following)
                work.append((following, iter(callees(following))))
            elif following in on_path:
                lowest[node] = min(lowest[node], index[following])


def _pop(path: list[Node], on_path: set[Node], last: Node) -> tuple[Node, ...]:
    group: list[Node] = []
    while True:
        node = path.pop()
        on_path.discard(node)
        group.append(node)
        if node == last:
            return tuple(reversed(group))
