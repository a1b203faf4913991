"""A future is completed only if it is not done."""

from collections.abc import Sequence

import libcst as cst

from cancellint.fixes.syntax import Block, Change, Spot, Syntax, below, code, is_chain

_NAMES = ("result", "outcome", "value")
"""For what is awaited before the test: the first that the function does not use."""


def guarded(syntax: Syntax, nodes: Sequence[cst.CSTNode]) -> Change | None:
    """The change of `future.set_result(x)`, a statement of its own, or of `future.set_result(await x)`."""
    match nodes[0]:
        case cst.Call(func=cst.Attribute(value=future)) as call if is_chain(future):
            line = syntax.line(call)
        case _:
            return None
    spot = None if line is None else syntax.spot(line)
    if line is None or spot is None or not _is_statement(line, call):
        return None
    if any(isinstance(each, cst.Await | cst.Yield | cst.NamedExpr) for each in below(call)):
        return _awaited_first(syntax, spot, line, call, future)
    return Change(line, _tested(spot.block, future, line).with_changes(leading_lines=line.leading_lines))


def _awaited_first(
    syntax: Syntax, spot: Spot, line: cst.SimpleStatementLine, call: cst.Call, future: cst.BaseExpression
) -> Change | None:
    """The change where the one argument is an await: it comes before the test, as it came before the call."""
    name = next((each for each in _NAMES if each not in syntax.names()), None)
    match call.args:
        case [cst.Arg(value=cst.Await() as awaited, keyword=None, star="") as argument] if name is not None:
            bound = cst.Assign([cst.AssignTarget(cst.Name(name))], awaited)
            completed = call.with_changes(args=[argument.with_changes(value=cst.Name(name))])
        case _:
            return None
    first = cst.SimpleStatementLine([bound], leading_lines=line.leading_lines)
    then = _tested(spot.block, future, line.with_changes(body=[cst.Expr(completed)]))
    return Change(spot.block, spot.block.with_changes(body=[*spot.before, first, then, *spot.after]))


def _tested(block: Block, future: cst.BaseExpression, line: cst.SimpleStatementLine) -> cst.If:
    inner = line.with_changes(leading_lines=())
    return cst.If(
        test=cst.parse_expression(f"not {code(future)}.done()"),
        body=cst.IndentedBlock(
            [inner], indent=block.indent if isinstance(block, cst.IndentedBlock) else None
        ),
    )


def _is_statement(line: cst.SimpleStatementLine, call: cst.Call) -> bool:
    match line.body:
        case [cst.Expr(value=value)]:
            return value is call
    return False
