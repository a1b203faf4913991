"""The control-flow graph of one function while it is built."""

from functools import lru_cache

import libcst as cst

from cancellint.frontend.lower_completions import CANCELLED, RAISED, Completion, Label, Nesting, Target, leave
from cancellint.model import ir
from cancellint.model.ir import Leaves

MOST_SHARED = 4096
"""Different sets of edges that are kept to be shared."""


class Graph:
    """Steps and blocks in the making.

    `current` is the block that steps go into, None where no control arrives: code there is not
    lowered. `risky` tells that something in the current block may raise, `cleaning` in how many `finally`
    the current block lies.
    """

    def __init__(self) -> None:
        self.steps: list[ir.Step] = []
        self.nodes: list[cst.CSTNode] = []
        self.placed: list[Label] = []
        self.regions: list[tuple[ir.Expr, bool, int, Label]] = []
        self.frame: Nesting | None = None
        self.inside: tuple[int, ...] = ()
        self.risky = False
        self.cleaning = 0
        self.current: Label | None = None
        start = Label()
        start.reached = True
        self.place(start)

    def emit(self, step: ir.Step, node: cst.CSTNode) -> int:
        """Append a step, remembering the syntax it came from; its number."""
        number = len(self.steps)
        self.steps.append(step)
        self.nodes.append(node)
        return number

    def target_of(self, completion: Completion) -> Target:
        return leave(self.frame, completion)

    def end(self, *edges: tuple[Target, Leaves], test: ir.Expr | None = None) -> None:
        """End the current block. A risky one inside a `try` or `with` also raises into it."""
        block = self.current
        if block is None:
            return
        if self.risky and all(leaves is not Leaves.RAISED for _, leaves in edges):
            target = leave(self.frame, RAISED)
            if isinstance(target, Label):
                edges = (*edges, (target, Leaves.RAISED))
        for target, _ in edges:
            if isinstance(target, Label):
                target.reached = True
        block.last = len(self.steps)
        block.edges = edges
        block.test = test
        self.current = None

    def place(self, label: Label) -> bool:
        """Go on at `label`, falling through to it; whether control arrives there at all."""
        if self.current is not None:
            self.end((label, Leaves.NORMAL))
        if label.reached:
            label.first = len(self.steps)
            label.regions = self.inside
            label.cleanup = self.cleaning > 0
            self.placed.append(label)
            self.current = label
            self.risky = False
        return label.reached

    def cut(self) -> None:
        """Start a new block, unless the current one is empty and lies in the same place."""
        block = self.current
        if block is not None and (
            block.first != len(self.steps)
            or block.regions != self.inside
            or block.cleanup != (self.cleaning > 0)
            or self.risky
        ):
            self.place(Label())

    def suspend(self, step: ir.Await, node: cst.CSTNode) -> ir.Temp:
        """Emit an await and go on where it is resumed."""
        number = self.emit(step, node)
        resumed = Label()
        self.end(
            (resumed, Leaves.RESUMED),
            (self.target_of(CANCELLED), Leaves.CANCELLED),
            (self.target_of(RAISED), Leaves.RAISED),
        )
        self.place(resumed)
        return ir.Temp(number)

    def hand_over(self, value: ir.Expr, used: bool, node: cst.CSTNode) -> ir.Temp:
        """Emit a yield and go on where it is resumed."""
        number = self.emit(ir.Yield(value, used), node)
        resumed = Label()
        self.end((resumed, Leaves.RESUMED), (self.target_of(RAISED), Leaves.RAISED))
        self.place(resumed)
        return ir.Temp(number)

    def turn(
        self, value: ir.Expr, asynchronous: bool, node: cst.CSTNode, item: Label, done: Label
    ) -> ir.Temp:
        """Emit one turn of a loop over `value`, ending the block; the item."""
        if asynchronous:
            number = self.emit(ir.Await(value, ir.AwaitKind.NEXT, True), node)
            self.end(
                (item, Leaves.RESUMED),
                (done, Leaves.EXHAUSTED),
                (self.target_of(CANCELLED), Leaves.CANCELLED),
                (self.target_of(RAISED), Leaves.RAISED),
            )
        else:
            number = self.emit(ir.Next(value), node)
            self.end((item, Leaves.ITEM), (done, Leaves.EXHAUSTED), (self.target_of(RAISED), Leaves.RAISED))
        return ir.Temp(number)

    def blocks(self) -> tuple[ir.Block, ...]:
        """The finished blocks. Empty ones that only fall through are skipped."""
        kept = [label for label in self.placed if label is self.placed[0] or _skip(label) is label]
        for number, label in enumerate(kept):
            label.number = number
        return tuple(
            ir.Block(
                label.first,
                label.last,
                _edges(tuple([(_number(target), leaves) for target, leaves in label.edges])),
                label.test,
                label.regions,
                label.cleanup,
            )
            for label in kept
        )

    def finished_regions(self) -> tuple[ir.Region, ...]:
        """The `with` regions; to be asked for after `blocks`, which numbers what follows them."""
        return tuple(
            ir.Region(value, is_async, enter, _number(after) if after.reached else -1)
            for value, is_async, enter, after in self.regions
        )


@lru_cache(MOST_SHARED)
def _edges(led: tuple[tuple[int, Leaves], ...]) -> tuple[ir.Edge, ...]:
    """The edges of a block, one object for all blocks that have the same."""
    return tuple(ir.Edge(to, leaves) for to, leaves in led)


def _number(target: Target) -> int:
    return _skip(target).number if isinstance(target, Label) else target


def _skip(label: Label) -> Label:
    """The first block from `label` on that does something; `label` itself in an empty endless loop."""
    at = label
    seen = {id(label)}
    while at.first == at.last and len(at.edges) == 1 and at.edges[0][1] is Leaves.NORMAL:
        target = at.edges[0][0]
        if not isinstance(target, Label):
            return at
        if id(target) in seen:
            return label
        seen.add(id(target))
        at = target
    return at
