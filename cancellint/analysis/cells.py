"""Values that depend on each other, computed on demand and kept."""

from collections.abc import Callable
from typing import Generic, TypeVar

_Cell = TypeVar("_Cell", bound=tuple[object, ...])
_Value = TypeVar("_Value")

_MAX_WEIGHT = 420
"""Bound on nested computations in stack frames, well below Python's own bound of 1000."""
_CELL_WEIGHT = 8
_PART_WEIGHT = 4


class _TooDeep(Exception):
    """Computing has nested too deep; the last postponed cell must be computed first."""


class Cells(Generic[_Cell, _Value]):
    """Computes cells by `compute`, which reads other cells.

    A cell that is being computed counts as `nothing` where it is read again. What was computed
    while leaning on such a cell is kept only until that cell is settled. Chains of any length
    are computed: one that nests too deep is unwound, its far end computed first, and resumed.
    """

    def __init__(self, compute: Callable[[_Cell], _Value], nothing: _Value) -> None:
        self._compute = compute
        self._nothing = nothing
        self._settled: dict[_Cell, _Value] = {}
        self._provisional: dict[_Cell, tuple[_Value, int]] = {}
        self._positions: dict[_Cell, int] = {}
        self._lowest: list[int] = []
        self._postponed: list[_Cell] = []
        self._waiting: set[_Cell] = set()
        self._weight = 0

    def read(self, cell: _Cell) -> _Value:
        """The value of a cell; to be called by `compute`, or inside of `demand`."""
        settled = self._settled.get(cell)
        if settled is not None:
            return settled
        position = self._positions.get(cell)
        if position is not None:
            self._lean_on(position)
            return self._nothing
        kept = self._provisional.get(cell)
        if kept is not None:
            self._lean_on(kept[1])
            return kept[0]
        if cell in self._waiting and self._positions:
            return self._nothing
        if self._weight > _MAX_WEIGHT:
            self._postponed.append(cell)
            raise _TooDeep
        return self._compute_now(cell)

    def _lean_on(self, position: int) -> None:
        if self._lowest and position < self._lowest[-1]:
            self._lowest[-1] = position

    def _compute_now(self, cell: _Cell) -> _Value:
        position = len(self._positions)
        self._positions[cell] = position
        self._lowest.append(position)
        self._weight += _CELL_WEIGHT
        value = self._compute(cell)
        self._weight -= _CELL_WEIGHT
        del self._positions[cell]
        lowest = self._lowest.pop()
        if lowest < position:
            self._provisional[cell] = (value, lowest)
            self._lean_on(lowest)
            return value
        self._settled[cell] = value
        self._forget_above(position)
        return value

    def _forget_above(self, position: int) -> None:
        while self._provisional:
            cell, (_, lowest) = next(reversed(self._provisional.items()))
            if lowest < position:
                return
            del self._provisional[cell]

    def descend(self) -> None:
        """Tell that a part of a cell's value nests by itself; `ascend` ends it."""
        self._weight += _PART_WEIGHT

    def ascend(self) -> None:
        self._weight -= _PART_WEIGHT

    def demand(self, evaluate: Callable[[], _Value]) -> _Value:
        """What `evaluate` gives, which may read any cell."""
        while True:
            try:
                if not self._postponed:
                    return evaluate()
                self.read(self._postponed[-1])
                self._waiting.discard(self._postponed.pop())
            except _TooDeep:
                self._unwind()

    def _unwind(self) -> None:
        self._waiting.add(self._postponed[-1])
        self._positions.clear()
        self._provisional.clear()
        self._lowest.clear()
        self._weight = 0
