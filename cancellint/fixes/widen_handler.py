"""`except Exception` becomes `except BaseException` where the handler raises again what it has caught."""

from collections.abc import Sequence

import libcst as cst

from cancellint.fixes.imports import is_cancelled_too
from cancellint.fixes.syntax import Change, Syntax, below
from cancellint.frontend.lower_handlers import Catches, catches_cancellation, catches_every_error


def widened(syntax: Syntax, nodes: Sequence[cst.CSTNode], *, whatever: bool) -> Change | None:
    """The change of what a handler catches; with `whatever`, even where that is narrower than `Exception`.

    The handler must raise again whatever it has caught, and nothing it awaits may be cancelled once more.
    """
    caught = nodes[0]
    handler = syntax.parent(caught)
    if not isinstance(handler, cst.ExceptHandler) or not isinstance(caught, cst.BaseExpression):
        return None
    if is_cancelled_too(syntax, handler.body):
        return None
    if handler.type is not caught or not _decides(syntax, handler) or not _raises_again(handler):
        return None
    if not whatever and not catches_every_error(caught):
        return None
    return Change(caught, cst.Name("BaseException"))


def _decides(syntax: Syntax, handler: cst.ExceptHandler) -> bool:
    """Whether a cancellation would come to this handler, were it wider, and to none behind it now."""
    around = syntax.parent(handler)
    return (
        isinstance(around, cst.Try)
        and around.handlers[-1] is handler
        and all(catches_cancellation(each.type) is Catches.NEVER for each in around.handlers)
    )


def _raises_again(handler: cst.ExceptHandler) -> bool:
    """Whether whatever is caught is raised again at the end, and the handler is left in no other way."""
    return _is_reraise(handler) and not any(
        isinstance(each, cst.Return | cst.Break | cst.Continue) for each in below(handler.body)
    )


def _is_reraise(handler: cst.ExceptHandler) -> bool:
    statements = handler.body.body
    raised = [each for each in below(handler.body) if isinstance(each, cst.Raise)]
    last = statements[-1] if statements else None
    if isinstance(last, cst.SimpleStatementLine):
        last = last.body[-1]
    return raised == [last] and _is_caught(raised[0], handler)


def _is_caught(node: cst.Raise, handler: cst.ExceptHandler) -> bool:
    match node, handler.name:
        case cst.Raise(exc=None), _:
            return True
        case cst.Raise(exc=cst.Name(value=name), cause=None), cst.AsName(name=cst.Name(value=caught)):
            return name == caught
    return False
