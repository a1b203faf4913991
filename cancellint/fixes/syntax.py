"""One function's syntax: what each part of it stands in."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple, TypeAlias

import libcst as cst

Block: TypeAlias = cst.IndentedBlock | cst.Module
Statement: TypeAlias = cst.SimpleStatementLine | cst.BaseCompoundStatement

_EMPTY = cst.Module([])


class Change(NamedTuple):
    """A piece of syntax and what stands in its place."""

    replaced: cst.CSTNode
    by: cst.CSTNode
    imports_asyncio: bool = False
    """whether the module needs an `import asyncio` for it"""


class Spot(NamedTuple):
    """Where a statement stands in its block."""

    block: Block
    statements: tuple[Statement, ...]
    """those of the block"""
    number: int

    @property
    def before(self) -> tuple[Statement, ...]:
        return self.statements[: self.number]

    @property
    def after(self) -> tuple[Statement, ...]:
        return self.statements[self.number + 1 :]


class Syntax:
    """A part of a module, with the way from each node to what it stands in."""

    def __init__(self, module: cst.Module, root: cst.CSTNode) -> None:
        self.module = module
        self.root = root
        self._parents = _parents(root)

    def around(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """What a node stands in, from the inside out."""
        parent = self._parents.get(node)
        while parent is not None:
            yield parent
            parent = self._parents.get(parent)

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        return self._parents.get(node)

    def names(self) -> frozenset[str]:
        """Every name that is used, nested functions included."""
        return frozenset(each.value for each in self._parents if isinstance(each, cst.Name))

    def line(self, node: cst.CSTNode) -> cst.SimpleStatementLine | None:
        """The line of its own that a node stands on; None where other statements share the line."""
        for each in (node, *self.around(node)):
            match each:
                case cst.SimpleStatementLine(body=[_]):
                    return each
                case cst.BaseStatement() | cst.BaseSuite():
                    return None
        return None

    def spot(self, statement: cst.CSTNode) -> Spot | None:
        """Where a statement stands; None of what is no statement of an indented block or a module."""
        match self._parents.get(statement):
            case cst.IndentedBlock(body=body) | cst.Module(body=body) as block:
                statements = tuple(each for each in body if isinstance(each, Statement))
                return next(
                    (Spot(block, statements, i) for i, each in enumerate(statements) if each is statement),
                    None,
                )
        return None


def code(node: cst.CSTNode) -> str:
    """The text of a node."""
    return _EMPTY.code_for_node(node)


def below(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A node and all that it is made of, nested functions and classes left out."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        yield each
        waiting.extend(
            child
            for child in each.children
            if not isinstance(child, cst.FunctionDef | cst.ClassDef | cst.Lambda)
        )


def suspends(node: cst.CSTNode) -> bool:
    """Whether a piece of syntax waits."""
    return any(isinstance(each, cst.Await | cst.Asynchronous) for each in below(node))


def is_chain(node: cst.BaseExpression) -> bool:
    """Whether an expression only reads names and attributes, so that it may stand twice."""
    while isinstance(node, cst.Attribute):
        node = node.value
    return isinstance(node, cst.Name)


def comments(node: cst.CSTNode) -> Iterator[str]:
    """The comments in and directly above a piece of syntax, in no order."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, cst.Comment):
            yield each.value
        waiting.extend(each.children)


def has_comment(node: cst.CSTNode) -> bool:
    """Whether a comment stands in or directly above a piece of syntax."""
    return any(True for _ in comments(node))


def blank_lines(statement: Statement) -> tuple[tuple[cst.EmptyLine, ...], tuple[cst.EmptyLine, ...]]:
    """The blank lines above a statement, and what follows them there: comments, and lines among those."""
    lines = tuple(statement.leading_lines)
    blank = tuple(takewhile(lambda line: line.comment is None, lines))
    return blank, lines[len(blank) :]


def with_leading_lines(statement: Statement, lines: Sequence[cst.EmptyLine]) -> Statement:
    """The statement below these lines."""
    return statement.with_changes(leading_lines=lines)


def _parents(root: cst.CSTNode) -> dict[cst.CSTNode, cst.CSTNode]:
    parents: dict[cst.CSTNode, cst.CSTNode] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        for child in node.children:
            parents[child] = node
            waiting.append(child)
    return parents
