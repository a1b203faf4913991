"""A region of statements put into a `try` whose `finally` closes it, or into an `async with`."""

from collections.abc import Sequence
from typing import TypeAlias

import libcst as cst

from cancellint.fixes.regions import TextRegion
from cancellint.fixes.syntax import Change, Statement, blank_lines, has_comment, with_leading_lines
from cancellint.frontend.lower_handlers import Catches, catches_cancellation, catches_every_error, members

_Lines: TypeAlias = frozenset[cst.CSTNode]


def closed_in_finally(found: TextRegion) -> Change:
    """The change that moves the closing line into a `finally`."""
    closing = found.closing if found.closes_behind else found.closing.deep_clone()
    last = cst.Finally(_block(found, [with_leading_lines(closing, blank_lines(closing)[1])]))
    match found.statements:
        case [*first, cst.Try(finalbody=cst.Finally() as own) as guarded] if found.kept:
            return _guarded(found, [*first, *_unguarded(guarded)], own)
        case [cst.Try(finalbody=None) as only]:
            body = _without([only.with_changes(finalbody=last)], found.removed)
            return _changed(found, [*found.opening.before, found.line, *body])
        case statements:
            return _guarded(found, statements, last)


def _guarded(found: TextRegion, statements: Sequence[Statement], last: cst.Finally) -> Change:
    blank, body = _body(statements, found.removed)
    guarded = cst.Try(body=_block(found, body), finalbody=last, leading_lines=blank)
    return _changed(found, [*found.opening.before, found.line, guarded])


def _unguarded(statement: cst.Try) -> Sequence[Statement]:
    """A `try` without its `finally`; what is left of it where it has no handlers."""
    if statement.handlers:
        return [statement.with_changes(finalbody=None)]
    body = [each for each in statement.body.body if isinstance(each, Statement)]
    return [with_leading_lines(body[0], (*statement.leading_lines, *body[0].leading_lines)), *body[1:]]


def held_in_async_with(found: TextRegion, lock: cst.BaseExpression) -> Change:
    """The change of an acquire and a release, which has no comment that would get lost, to `async with`."""
    statements = found.statements
    match statements:
        case [*first, cst.Try() as guarded] if found.kept:
            statements = (*first, *_unguarded(guarded))
    _, body = _body(statements, found.removed)
    held = cst.With(
        items=[cst.WithItem(lock)],
        body=_block(found, body).with_changes(header=found.line.trailing_whitespace),
        asynchronous=cst.Asynchronous(),
        leading_lines=found.line.leading_lines,
    )
    return _changed(found, [*found.opening.before, held])


def _changed(found: TextRegion, head: Sequence[Statement]) -> Change:
    block = found.opening.block
    return Change(block, block.with_changes(body=[*head, *found.rest]))


def _block(found: TextRegion, body: Sequence[Statement]) -> cst.IndentedBlock:
    around = found.opening.block
    return cst.IndentedBlock(body, indent=around.indent if isinstance(around, cst.IndentedBlock) else None)


def _body(
    statements: Sequence[Statement], removed: _Lines
) -> tuple[Sequence[cst.EmptyLine], Sequence[Statement]]:
    """The statements without what is removed, and the blank lines that stood above them."""
    left = _without(statements, removed)
    comments = blank_lines(left[0])[1]
    return blank_lines(statements[0])[0], [with_leading_lines(left[0], comments), *left[1:]]


def _without(statements: Sequence[Statement], removed: _Lines) -> list[Statement]:
    """The statements without the removed lines, and without handlers and a `try` that are idle then."""
    wrapped = cst.IndentedBlock(statements).visit(_Removing(removed))
    body = wrapped.body if isinstance(wrapped, cst.IndentedBlock) else ()
    return [each for each in body if isinstance(each, Statement)]


class _Removing(cst.CSTTransformer):
    """Takes lines out of the blocks they stand in, and handlers that then only raise again."""

    def __init__(self, removed: _Lines) -> None:
        super().__init__()
        self.removed = removed

    def on_visit(self, node: cst.CSTNode) -> bool:
        clauses = cst.ExceptHandler | cst.ExceptStarHandler | cst.Else | cst.Finally | cst.MatchCase
        return isinstance(node, cst.BaseCompoundStatement | cst.IndentedBlock | clauses)

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.RemovalSentinel:
        return cst.RemoveFromParent() if original_node in self.removed else updated_node

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        if updated_node.body:
            return updated_node
        return updated_node.with_changes(body=[cst.SimpleStatementLine([cst.Pass()])])

    def leave_Try(
        self, original_node: cst.Try, updated_node: cst.Try
    ) -> cst.Try | cst.FlattenSentinel[cst.BaseStatement]:
        if updated_node.orelse is not None:
            return updated_node
        both = zip(original_node.handlers, updated_node.handlers, strict=True)
        idle = {after for before, after in both if _is_idle(before, after, self.removed)}
        handlers = [*updated_node.handlers]
        for each in reversed(updated_node.handlers):
            later = handlers[handlers.index(each) + 1 :]
            if each in idle and not any(_catches_too(other, each) for other in later):
                handlers.remove(each)
        if handlers or updated_node.finalbody is not None:
            return updated_node.with_changes(handlers=handlers)
        return _opened(updated_node)


def _opened(statement: cst.Try) -> cst.Try | cst.FlattenSentinel[cst.BaseStatement]:
    """What stands in a `try`, without it; the `try` itself where it has a comment of its own."""
    match statement.body:
        case cst.IndentedBlock(
            body=[cst.SimpleStatementLine() | cst.BaseCompoundStatement() as first, *rest],
            footer=[],
            header=header,
        ) if header.comment is None:
            lines = (*statement.leading_lines, *first.leading_lines)
            return cst.FlattenSentinel([first.with_changes(leading_lines=lines), *rest])
    return statement


def _is_idle(before: cst.ExceptHandler, after: cst.ExceptHandler, removed: _Lines) -> bool:
    """Whether a handler, from which lines were removed, only raises again."""
    match after.body:
        case cst.IndentedBlock(body=[cst.SimpleStatementLine(body=[cst.Raise(exc=None)])]):
            return bool(removed.intersection(before.body.body)) and not has_comment(after)
    return False


def _catches_too(later: cst.ExceptHandler, earlier: cst.ExceptHandler) -> bool:
    """Whether a handler may catch what one before it catches now."""
    only_cancellations = earlier.type is not None and all(
        catches_cancellation(each) is Catches.SURELY and not catches_every_error(each)
        for each in members(earlier.type)
    )
    return not only_cancellations or catches_cancellation(later.type) is not Catches.NEVER
