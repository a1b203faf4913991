"""Context managers that are put on an `ExitStack` or `AsyncExitStack`."""

from collections.abc import Container, Sequence
from typing import NamedTuple

import libcst as cst

from cancellint.frontend.children import children


class Pushed(NamedTuple):
    """A context manager that a statement enters until the stack is left, and what is bound to its outcome."""

    manager: cst.BaseExpression
    asynchronous: bool
    target: cst.BaseExpression | None


def pushed_on_stack(statement: cst.CSTNode, stacks: Container[str]) -> Pushed | None:
    """Return what a statement such as `[x =] await stack.enter_async_context(manager)` puts on a stack."""
    if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1:
        statement = statement.body[0]
    match statement:
        case cst.Expr(value=value):
            target = None
        case cst.Assign(targets=[cst.AssignTarget(target=target)], value=value):
            pass
        case cst.AnnAssign(target=cst.Name() as target, value=cst.BaseExpression() as value):
            pass
        case _:
            return None
    match value:
        case cst.Await(expression=cst.Call() as call):
            method = "enter_async_context"
        case cst.Call() as call:
            method = "enter_context"
        case _:
            return None
    match call:
        case cst.Call(
            func=cst.Attribute(value=cst.Name(value=stack), attr=cst.Name(value=name)),
            args=[cst.Arg(keyword=None, star="", value=manager)],
        ) if name == method and stack in stacks:
            return Pushed(manager, method == "enter_async_context", target)
        case _:
            return None


def stack_seen_through(item: cst.WithItem, body: Sequence[cst.CSTNode]) -> cst.Name | None:
    """Return the variable of a stack that a body does nothing with but put managers on it.

    Such a stack does nothing of its own: what is put on it is as good as a `with` each.
    """
    if item.asname is None or not isinstance(name := item.asname.name, cst.Name):
        return None
    pushed = sum(pushed_on_stack(statement, (name.value,)) is not None for statement in body)
    return name if pushed and _mentions(body, name.value) == pushed else None


def _mentions(nodes: Sequence[cst.CSTNode], name: str) -> int:
    """Return how often a name is written in some statements."""
    count = 0
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        count += isinstance(node, cst.Name) and node.value == name
        waiting.extend(children(node))
    return count
