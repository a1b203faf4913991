"""Values that depend on each other, computed on demand and kept."""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from cancellint.analysis.engine.limits import Limit

_Cell = TypeVar("_Cell", bound=Hashable)
_Value = TypeVar("_Value")

_MAX_WEIGHT = 420
"""Bound on nested computations in stack frames, well below Python's own bound of 1000."""
_MAX_TURNS = Limit(16, "rounds over types that depend on each other")
"""Cells that depend on each other are computed again at most so often."""
_CELL_WEIGHT = 8
_PART_WEIGHT = 4


class _TooDeep(Exception):
    """Computing has nested too deep; the last postponed cell must be computed first."""


class _Provisional(Generic[_Cell, _Value]):
    """Values computed while leaning on cells that are still being computed.

    They lie in order of completion, in segments; all of a segment lean on one position, the lowest
    that any of them reaches.
    """

    def __init__(self) -> None:
        self._values: dict[_Cell, tuple[_Value, int]] = {}
        self._order: list[_Cell] = []
        self._starts: list[int] = []
        self._lowest: list[int] = []

    def mark(self) -> int:
        """Where values that are kept from now on will begin."""
        return len(self._order)

    def find(self, cell: _Cell) -> tuple[_Value, int] | None:
        """A value and the position it leans on."""
        found = self._values.get(cell)
        if found is None:
            return None
        value, index = found
        return value, self._lowest[bisect_right(self._starts, index) - 1]

    def keep(self, cell: _Cell, value: _Value, lowest: int, mark: int) -> None:
        """Keep a value; all that was kept since `mark` depends on it, and so leans on the same position."""
        self._drop_segments(mark)
        self._values[cell] = (value, len(self._order))
        self._order.append(cell)
        self._starts.append(mark)
        self._lowest.append(lowest)

    def take(self, mark: int) -> dict[_Cell, _Value]:
        """Remove and return what was kept since `mark`, in order."""
        self._drop_segments(mark)
        taken = {cell: self._values.pop(cell)[0] for cell in self._order[mark:]}
        del self._order[mark:]
        return taken

    def replace(self, cell: _Cell, value: _Value) -> None:
        self._values[cell] = (value, self._values[cell][1])

    def since(self, mark: int) -> list[tuple[_Cell, _Value]]:
        return [(cell, self._values[cell][0]) for cell in self._order[mark:]]

    def _drop_segments(self, mark: int) -> None:
        while self._starts and self._starts[-1] >= mark:
            self._starts.pop()
            self._lowest.pop()

    def partition(self, position: int) -> int:
        """Put what leans on `position` or above last, and return the mark where it begins."""
        if not self._order:
            return 0
        segments = self._segments()
        self._rebuild([each for each in segments if each[1] < position])
        mark = self.mark()
        self._rebuild([*self._segments(), *(each for each in segments if each[1] >= position)])
        return mark

    def _segments(self) -> list[tuple[dict[_Cell, _Value], int]]:
        """The values of each segment, with the position it leans on."""
        bounds = zip(self._starts, [*self._starts, len(self._order)][1:], self._lowest, strict=True)
        return [
            ({cell: self._values[cell][0] for cell in self._order[start:end]}, lowest)
            for start, end, lowest in bounds
        ]

    def _rebuild(self, segments: Sequence[tuple[dict[_Cell, _Value], int]]) -> None:
        self._values, self._order, self._starts, self._lowest = {}, [], [], []
        for values, lowest in segments:
            mark = self.mark()
            for cell, value in values.items():
                self.keep(cell, value, lowest, mark)

    def forget_all_but(self, limit: int) -> None:
        """Keep only what leans on a position below `limit`."""
        self._rebuild([each for each in self._segments() if each[1] < limit])


class Cells(Generic[_Cell, _Value]):
    """Computes cells by `compute`, which reads other cells.

    A cell that is being computed counts as `nothing` where it is read again. Cells that depend on
    each other are then computed again, in turns, until no value changes (`same` compares them) or
    the bound on turns is reached; they are settled together.
    Chains of any length are computed: one that nests too deep is unwound, its far end computed
    first, and resumed. A postponed cell counts as being computed; its position is its place among
    the postponed.
    """

    def __init__(
        self,
        compute: Callable[[_Cell], _Value],
        nothing: _Value,
        same: Callable[[_Value, _Value], bool],
    ) -> None:
        self._compute = compute
        self._nothing = nothing
        self._same = same
        self._current: dict[_Cell, _Value] = {}
        self._settled: dict[_Cell, _Value] = {}
        self._provisional: _Provisional[_Cell, _Value] = _Provisional()
        self._positions: dict[_Cell, int] = {}
        self._lowest: list[int] = []
        self._postponed: list[_Cell] = []
        self._weight = 0

    def read(self, cell: _Cell) -> _Value:
        """The value of a cell; to be called by `compute`, or inside of `demand`."""
        settled = self._settled.get(cell)
        if settled is not None:
            return settled
        position = self._positions.get(cell)
        if position is not None:
            self._lean_on(position)
            return self._current.get(cell, self._nothing)
        kept = self._provisional.find(cell)
        if kept is not None:
            self._lean_on(kept[1])
            return kept[0]
        if self._weight > _MAX_WEIGHT:
            self._postponed.append(cell)
            raise _TooDeep
        return self._compute_now(cell, max(len(self._postponed) - 1, 0) + len(self._lowest))

    def _lean_on(self, position: int) -> None:
        if self._lowest and position < self._lowest[-1]:
            self._lowest[-1] = position

    def _compute_now(self, cell: _Cell, position: int) -> _Value:
        mark = self._provisional.mark() if self._lowest else self._provisional.partition(position)
        self._positions[cell] = position
        self._lowest.append(position)
        self._weight += _CELL_WEIGHT
        value = self._compute(cell)
        if self._lowest[-1] == position and self._provisional.mark() > mark:
            value = self._repeat(cell, value, mark)
        self._weight -= _CELL_WEIGHT
        del self._positions[cell]
        lowest = self._lowest.pop()
        if lowest < position:
            self._provisional.keep(cell, value, lowest, mark)
            self._lean_on(lowest)
        else:
            self._settled.update(self._provisional.take(mark))
            self._settled[cell] = value
        return value

    def _repeat(self, head: _Cell, value: _Value, mark: int) -> _Value:
        """Compute the cells that lean on `head` again until none changes, and return its own value.

        They may turn out to lean on yet another cell that is being computed.
        """
        for _ in _MAX_TURNS.rounds():
            changed = False
            self._current[head] = value
            for cell, before in self._provisional.since(mark):
                after = self._compute(cell)
                self._provisional.replace(cell, after)
                changed = changed or not self._same(before, after)
            after = self._compute(head)
            changed = changed or not self._same(value, after)
            value = after
            if not changed:
                break
        del self._current[head]
        return value

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
                self._positions.pop(self._postponed[-1], None)
                self.read(self._postponed[-1])
                self._postponed.pop()
            except _TooDeep:
                self._unwind()

    def _unwind(self) -> None:
        """Give up all computations under way; the postponed cells stay, and what leans on them."""
        self._positions = {cell: index for index, cell in enumerate(self._postponed)}
        self._provisional.forget_all_but(len(self._postponed) - 1)
        self._lowest.clear()
        self._current.clear()
        self._weight = 0
