"""Dominators: which nodes lie on every path from a root. Post-dominators are those of the inverse graph.

The iterative algorithm of Cooper, Harvey and Kennedy ("A Simple, Fast Dominance Algorithm", 2001).
"""

from collections.abc import Sequence

from cancellint.analysis.engine.order import reverse_postorder


class Dominance:
    """The dominator tree of the nodes that a root reaches."""

    def __init__(self, root: int, immediate: dict[int, int]) -> None:
        self.root = root
        self.immediate = immediate
        """the immediate dominator of each node that the root reaches; the root's is itself"""
        self._stretches = _stretches(root, immediate)

    def reaches(self, node: int) -> bool:
        """Whether any path leads from the root to a node."""
        return node in self._stretches

    def dominates(self, one: int, other: int) -> bool:
        """Whether `one` lies on every path from the root to `other`: of no path, so every one is."""
        below = self._stretches.get(other)
        if below is None:
            return True
        above = self._stretches.get(one)
        return above is not None and above[0] <= below[0] < above[1]

    def dominated(self, node: int) -> frozenset[int]:
        """The nodes to which every path leads through `node`, itself included."""
        if node not in self._stretches:
            return frozenset((node,))
        return frozenset(other for other in self._stretches if self.dominates(node, other))


def _stretches(root: int, immediate: dict[int, int]) -> dict[int, tuple[int, int]]:
    """Number the nodes from the root down: the number of each, and the first one that is not below it."""
    below: dict[int, list[int]] = {node: [] for node in immediate}
    for node, above in immediate.items():
        if node != root:
            below[above].append(node)
    first: dict[int, int] = {}
    found: dict[int, tuple[int, int]] = {}
    waiting = [root] if immediate else []
    while waiting:
        node = waiting.pop()
        if node in first:
            found[node] = first[node], len(first)
        else:
            first[node] = len(first)
            waiting += [node, *below[node]]
    return found


def dominators(successors: Sequence[Sequence[int]], root: int) -> Dominance:
    """Return the dominators of the nodes that `root` reaches."""
    if not successors:
        return Dominance(root, {})
    order = reverse_postorder(successors, (root,))
    position = {node: index for index, node in enumerate(order)}
    before: dict[int, list[int]] = {node: [] for node in order}
    for node in order:
        for following in successors[node]:
            before[following].append(node)
    immediate = {root: root}
    changed = True
    while changed:
        changed = False
        for node in order[1:]:
            known = [each for each in before[node] if each in immediate]
            nearest = known[0]
            for other in known[1:]:
                nearest = _meeting(immediate, position, nearest, other)
            if immediate.get(node) != nearest:
                immediate[node] = nearest
                changed = True
    return Dominance(root, immediate)


def _meeting(immediate: dict[int, int], position: dict[int, int], one: int, other: int) -> int:
    """Return the nearest node that dominates both."""
    while one != other:
        while position[one] > position[other]:
            one = immediate[one]
        while position[other] > position[one]:
            other = immediate[other]
    return one
