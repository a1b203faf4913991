"""From a syntax tree to the IR of its file."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import libcst as cst

from cancellint.frontend import lower_literals as literals
from cancellint.frontend.lower_completions import RETURNED, Label
from cancellint.frontend.lower_control import Statements
from cancellint.frontend.scopes import Scope, SyntaxScopes
from cancellint.model import ir

_FRAMES = 10_000
"""Enough for 200 brackets inside 100 nested blocks, with room to spare."""


class SyntaxOrigins(NamedTuple):
    """The syntax that one function's steps came from, and its own definition."""

    definition: cst.CSTNode
    steps: tuple[cst.CSTNode, ...]


def lower(tree: cst.Module) -> ir.Module:
    """The IR of one file. Names stay symbolic; the same tree always gives an equal module."""
    return lower_with_origins(tree)[0]


def lower_with_origins(tree: cst.Module) -> tuple[ir.Module, tuple[SyntaxOrigins, ...]]:
    """The IR of one file and, function by function, the syntax it came from."""
    with room_to_recurse():
        return _lowered(tree)


def _lowered(tree: cst.Module) -> tuple[ir.Module, tuple[SyntaxOrigins, ...]]:
    scopes = SyntaxScopes(tree)
    done: dict[int, tuple[ir.Function, SyntaxOrigins]] = {}
    while scopes.waiting:
        scope = scopes.waiting.popleft()
        lowering = Statements(scopes, scope)
        _lower_body(lowering, scope)
        done[scope.index] = _function(lowering, scope), SyntaxOrigins(scope.node, tuple(lowering.nodes))
    in_order = [done[index] for index in range(scopes.count)]
    module = ir.Module(tuple(function for function, _ in in_order), tuple(scopes.classes))
    return module, tuple(origins for _, origins in in_order)


@contextmanager
def room_to_recurse() -> Iterator[None]:
    """Let brackets and blocks nest as deep as CPython compiles them.

    Lowering recurses for them, a few frames each, in Python code only: that costs no native stack.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _lower_body(lowering: Statements, scope: Scope) -> None:
    match scope.node:
        case cst.Module(body=body):
            lowering.statements(body)
        case cst.FunctionDef(body=body) | cst.ClassDef(body=body):
            lowering.suite(body)
        case cst.Lambda(body=body):
            lowering.emit(ir.Return(lowering.expr(body)), body)
        case cst.GeneratorExp():
            _lower_generator(lowering, scope.node, scope.iterated or literals.ELLIPSIS)
    lowering.leave((RETURNED,))


def _lower_generator(lowering: Statements, node: cst.GeneratorExp, iterated: ir.Expr) -> None:
    """A generator expression yields its elements one by one."""
    done = Label()
    turn = lowering.clauses(node.for_in, iterated, done)
    if lowering.current is not None:
        lowering.hand_over(lowering.expr(node.elt), False, node.elt)
        lowering.end_at(turn)
    lowering.place(done)


def _function(lowering: Statements, scope: Scope) -> ir.Function:
    declared = lowering.global_names | lowering.nonlocal_names
    yields = lowering.yields or lowering.yields_from or scope.kind == "genexp"
    old = scope.is_old_coroutine and not lowering.yields
    blocks = lowering.blocks()
    return ir.Function(
        name=scope.name,
        qualname=scope.qualname,
        kind=scope.kind,
        parent=scope.parent,
        cls=scope.cls,
        is_async=scope.is_async and (old or not scope.is_old_coroutine),
        is_generator=yields and not old,
        params=scope.params,
        returns=scope.returns,
        decorators=scope.decorators,
        locals=tuple(sorted(lowering.bound - declared)),
        global_names=tuple(sorted(lowering.global_names)),
        nonlocal_names=tuple(sorted(lowering.nonlocal_names)),
        annotations=tuple(lowering.annotations),
        contract=scope.contract,
        steps=tuple(lowering.steps),
        blocks=blocks,
        regions=lowering.finished_regions(),
    )
