"""An awaited future is shielded, so that a waiter that is cancelled does not cancel it for all."""

from collections.abc import Sequence

import libcst as cst

from cancellint.fixes.imports import bound_names
from cancellint.fixes.syntax import Change, Syntax
from cancellint.frontend.lower_handlers import last_name


def shielded(syntax: Syntax, nodes: Sequence[cst.CSTNode]) -> Change | None:
    """The change of `await x`; of `await wait_for(x, 5)`, which cancels too, that of what it waits for."""
    match nodes[0]:
        case cst.Await(expression=cst.Call(func=func) as call) if last_name(func) in ("shield", "wait_for"):
            awaited = _waited_for(call)
            return None if awaited is None else _changed(syntax, awaited)
        case cst.Await(expression=awaited, whitespace_after_await=space) as node:
            inner = _changed(syntax, awaited)
            if not isinstance(space, cst.SimpleWhitespace) or not space.empty:
                return inner
            spaced = node.with_changes(expression=inner.by, whitespace_after_await=cst.SimpleWhitespace(" "))
            return inner._replace(replaced=node, by=spaced)
    return None


def _waited_for(call: cst.Call) -> cst.BaseExpression | None:
    match call:
        case cst.Call(func=func, args=[cst.Arg(value=value, star="", keyword=None), *_]) if (
            last_name(func) == "wait_for"
        ):
            return None if isinstance(value, cst.Call) and last_name(value.func) == "shield" else value
    return None


def _changed(syntax: Syntax, awaited: cst.BaseExpression) -> Change:
    names = bound_names(syntax.module)
    called = names.shield or f"{names.asyncio or 'asyncio'}.shield"
    is_imported = names.shield is not None or names.asyncio is not None
    call = cst.Call(cst.parse_expression(called), [cst.Arg(awaited)])
    return Change(awaited, call, imports_asyncio=not is_imported)
