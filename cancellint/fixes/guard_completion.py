"""A future is completed only if it is not done."""

from collections.abc import Sequence

import libcst as cst

from cancellint.fixes.syntax import Change, Syntax, below, code, is_chain


def guarded(syntax: Syntax, nodes: Sequence[cst.CSTNode]) -> Change | None:
    """The change of `future.set_result(x)` as a statement of its own.

    What is passed must not suspend or bind: it is evaluated after the test.
    """
    match nodes[0]:
        case cst.Call(func=cst.Attribute(value=future)) as call:
            line = syntax.line(call)
        case _:
            return None
    if line is None or not is_chain(future) or not _is_statement(line, call) or not _is_plain(call):
        return None
    block = syntax.spot(line)
    if block is None:
        return None
    inner = line.with_changes(leading_lines=())
    return Change(
        line,
        cst.If(
            test=cst.parse_expression(f"not {code(future)}.done()"),
            body=cst.IndentedBlock([inner], indent=_indent(block.block)),
            leading_lines=line.leading_lines,
        ),
    )


def _is_statement(line: cst.SimpleStatementLine, call: cst.Call) -> bool:
    match line.body:
        case [cst.Expr(value=value)]:
            return value is call
    return False


def _is_plain(call: cst.Call) -> bool:
    suspends = cst.Await | cst.Yield | cst.NamedExpr
    return not any(isinstance(each, suspends) for each in below(call))


def _indent(block: cst.IndentedBlock | cst.Module) -> str | None:
    return block.indent if isinstance(block, cst.IndentedBlock) else None
