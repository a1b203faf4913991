"""What a `match` pattern compares with and what it binds."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import libcst as cst

from cancellint.model import ir


class Pattern(NamedTuple):
    """`literals` are what the subject is compared with, `captures` the names bound and their values."""

    literals: tuple[ir.Expr, ...]
    captures: tuple[tuple[cst.Name, ir.Expr], ...]
    irrefutable: bool


def read(
    pattern: cst.MatchPattern, subject: ir.Expr, symbolic: Callable[[cst.BaseExpression], ir.Expr]
) -> Pattern:
    """Take a pattern apart. Alternatives (`|`) bind the same names; the first one says from where."""
    literals: list[ir.Expr] = []
    captures: dict[str, tuple[cst.Name, ir.Expr]] = {}
    waiting: list[tuple[cst.CSTNode, ir.Expr]] = [(pattern, subject)]
    while waiting:
        node, value = waiting.pop()
        literals.extend(symbolic(literal) for literal in _literals(node))
        name = _captured(node)
        if name is not None and name.value not in captures:
            captures[name.value] = (name, value)
        waiting.extend(reversed(_inner(node, value, symbolic)))
    return Pattern(tuple(literals), tuple(captures.values()), _irrefutable(pattern))


def _literals(node: cst.CSTNode) -> tuple[cst.BaseExpression, ...]:
    match node:
        case cst.MatchValue(value=value) | cst.MatchSingleton(value=value):
            return (value,)
        case cst.MatchClass(cls=value):
            return (value,)
        case cst.MatchMapping(elements=elements):
            return tuple(element.key for element in elements)
    return ()


def _captured(node: cst.CSTNode) -> cst.Name | None:
    match node:
        case cst.MatchAs(name=name) | cst.MatchStar(name=name) | cst.MatchMapping(rest=name):
            return name
    return None


def _inner(
    node: cst.CSTNode, value: ir.Expr, symbolic: Callable[[cst.BaseExpression], ir.Expr]
) -> list[tuple[cst.CSTNode, ir.Expr]]:
    """The patterns directly inside another one, each with the part of the value it is matched with."""
    match node:
        case cst.MatchAs(pattern=cst.MatchPattern() as inner):
            return [(inner, value)]
        case cst.MatchOr(patterns=alternatives):
            return [(alternative.pattern, value) for alternative in alternatives]
        case cst.MatchList(patterns=parts) | cst.MatchTuple(patterns=parts):
            return _sequence(parts, value)
        case cst.MatchMapping(elements=elements):
            return [(item.pattern, ir.Item(value, symbolic(item.key))) for item in elements]
        case cst.MatchClass(patterns=positional, kwds=keywords):
            found: list[tuple[cst.CSTNode, ir.Expr]] = [
                (part.value, ir.Element(value, i)) for i, part in enumerate(positional)
            ]
            return found + [(part.pattern, ir.Attr(value, part.key.value)) for part in keywords]
    return []


def _sequence(
    parts: Sequence[cst.MatchSequenceElement | cst.MatchStar], value: ir.Expr
) -> list[tuple[cst.CSTNode, ir.Expr]]:
    """The elements of a sequence pattern; those after a star are counted from the right."""
    found: list[tuple[cst.CSTNode, ir.Expr]] = []
    star = next((i for i, part in enumerate(parts) if isinstance(part, cst.MatchStar)), len(parts))
    for i, part in enumerate(parts):
        index = i if i <= star else i - len(parts)
        if isinstance(part, cst.MatchStar):
            found.append((part, ir.Element(value, index, starred=True)))
        else:
            found.append((part.value, ir.Element(value, index)))
    return found


def _irrefutable(pattern: cst.MatchPattern) -> bool:
    """Whether a pattern matches everything: a name, `_`, or alternatives one of which does."""
    waiting = [pattern]
    while waiting:
        match waiting.pop():
            case cst.MatchAs(pattern=None):
                return True
            case cst.MatchAs(pattern=cst.MatchPattern() as inner):
                waiting.append(inner)
            case cst.MatchOr(patterns=alternatives):
                waiting.extend(alternative.pattern for alternative in alternatives)
    return False
