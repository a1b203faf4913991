"""Orders of the nodes of a directed graph, given as the successors of each node."""

from collections.abc import Iterable, Sequence


def inverse(successors: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Return the predecessors of each node."""
    found: list[list[int]] = [[] for _ in successors]
    for number, following in enumerate(successors):
        for to in following:
            found[to].append(number)
    return tuple(tuple(dict.fromkeys(each)) for each in found)


def reverse_postorder(successors: Sequence[Sequence[int]], roots: Iterable[int]) -> tuple[int, ...]:
    """Return the nodes that roots reach, each before all that only follow it; what loops back aside.

    What the first root reaches comes first. Of several successors the first comes first, where nothing speaks
    against it: so a loop's body comes before what follows the loop.
    """
    found: list[int] = []
    seen: set[int] = set()
    for root in roots:
        finished = _postorder(successors, root, seen)
        finished.reverse()
        found.extend(finished)
    return tuple(found)


def _postorder(successors: Sequence[Sequence[int]], root: int, seen: set[int]) -> list[int]:
    """Return what a root reaches and nothing has `seen`, each node after those it leads to."""
    found: list[int] = []
    if root in seen:
        return found
    seen.add(root)
    path = [(root, reversed(successors[root]))]
    while path:
        node, rest = path[-1]
        following = next(rest, None)
        if following is None:
            found.append(node)
            path.pop()
        elif following not in seen:
            seen.add(following)
            path.append((following, reversed(successors[following])))
    return found
