"""The nodes that a node is made of, be its tree whole or made to be lowered only."""

import dataclasses
from collections.abc import Iterator
from functools import cache

import libcst as cst


def children(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Yield the nodes directly in a node, in no order that means anything, without making it anew."""
    for name in _fields(type(node)):
        match getattr(node, name):
            case cst.CSTNode() as child:
                yield child
            case list() | tuple() as several:
                yield from (each for each in several if isinstance(each, cst.CSTNode))
            case _:
                pass


@cache
def _fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))
