"""Which method lowers which kind of syntax."""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import libcst as cst

Lowering = TypeVar("Lowering")
Node = TypeVar("Node", bound=cst.CSTNode)
Outcome = TypeVar("Outcome")

Entry: TypeAlias = tuple[type[cst.CSTNode], Callable[[Lowering, cst.CSTNode], Outcome]]


def on(kind: type[Node], method: Callable[[Lowering, Node], Outcome]) -> Entry[Lowering, Outcome]:
    """An entry of a dispatch table: `method` lowers syntax of exactly this kind."""

    def lowered(lowering: Lowering, node: cst.CSTNode) -> Outcome:
        if not isinstance(node, kind):
            raise TypeError(f"{type(node).__name__} is no {kind.__name__}")
        return method(lowering, node)

    return kind, lowered


def link(
    kind: type[Node], method: Callable[[Lowering, Node, Outcome], Outcome]
) -> tuple[type[cst.CSTNode], Callable[[Lowering, cst.CSTNode, Outcome], Outcome]]:
    """The same for syntax that goes on from a value: `method` gets the value too."""

    def lowered(lowering: Lowering, node: cst.CSTNode, value: Outcome) -> Outcome:
        if not isinstance(node, kind):
            raise TypeError(f"{type(node).__name__} is no {kind.__name__}")
        return method(lowering, node, value)

    return kind, lowered


def part(
    kind: type[Node], choose: Callable[[Node], Outcome]
) -> tuple[type[cst.CSTNode], Callable[[cst.CSTNode], Outcome]]:
    """An entry of a table of parts: what `choose` finds in syntax of exactly this kind."""

    def chosen(node: cst.CSTNode) -> Outcome:
        if not isinstance(node, kind):
            raise TypeError(f"{type(node).__name__} is no {kind.__name__}")
        return choose(node)

    return kind, chosen
