"""What is acquired is released in a `finally`, or held in an `async with`."""

from collections.abc import Sequence

import libcst as cst

from cancellint.fixes.finally_clause import closed_in_finally, held_in_async_with
from cancellint.fixes.regions import Line, region
from cancellint.fixes.syntax import Change, Statement, Syntax, code, has_comment, is_chain


def released(syntax: Syntax, nodes: Sequence[cst.CSTNode], *, async_with: bool) -> Change | None:
    """The change of what lies between an acquire and its releases; all are statements of their own.

    With `async_with` that becomes an `async with lock`, if nothing but `lock.acquire()` and `lock.release()`
    is called; an acquire that may fail to acquire, and says so, is none of these.
    """
    found = region(syntax, nodes)
    if found is None:
        return None
    lock = _acquired(found.line)
    is_plain = lock is not None and code(lock) == _released(found.closing) and not has_comment(found.closing)
    if async_with and lock is not None and is_plain and (found.closes_behind or found.kept):
        return held_in_async_with(found, lock)
    return closed_in_finally(found)


def _acquired(line: Statement) -> cst.BaseExpression | None:
    """The lock of `await lock.acquire()`."""
    match line.body:
        case [cst.Expr(value=cst.Await(expression=cst.Call(
            func=cst.Attribute(value=lock, attr=cst.Name(value="acquire")), args=[]
        )))] if is_chain(lock):  # fmt: skip
            return lock
    return None


def _released(line: Line) -> str | None:
    """The lock of `lock.release()`, as text."""
    match line.body:
        case [cst.Expr(value=cst.Call(
            func=cst.Attribute(value=lock, attr=cst.Name(value="release")), args=[]
        ))]:  # fmt: skip
            return code(lock)
    return None
