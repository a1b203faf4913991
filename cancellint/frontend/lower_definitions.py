"""What a `def` says about itself before its body is looked at."""

import re
from collections.abc import Iterator, Sequence

import libcst as cst

from cancellint.frontend.lower_handlers import last_name

_CONTRACT = re.compile(r"#\s*cancellint:\s*(cancel-safe)\b")


def is_old_coroutine(node: cst.FunctionDef) -> bool:
    """Whether a generator function is declared a coroutine: `@asyncio.coroutine`, `@types.coroutine`."""
    return any(last_name(each.decorator) == "coroutine" for each in node.decorators)


def contract_of(node: cst.FunctionDef, around: cst.CSTNode) -> str | None:
    """The promise made in a comment on the `def`, on its last decorator or directly above.

    `around` is what the `def` stands in: the comments above a module's first statement are the module's.
    """
    comments = [*_comments(node)]
    if isinstance(around, cst.Module) and around.body[0] is node and not node.leading_lines:
        comments.extend(_directly_above(around.header))
    for comment in comments:
        promise = _CONTRACT.search(comment.value)
        if promise is not None:
            return promise[1]
    return None


def _comments(node: cst.FunctionDef) -> Iterator[cst.Comment]:
    header = node.body.header if isinstance(node.body, cst.IndentedBlock) else _trailing(node.body)
    if header is not None and header.comment is not None:
        yield header.comment
    if isinstance(node.whitespace_before_params, cst.ParenthesizedWhitespace):
        inner = node.whitespace_before_params.first_line.comment
        if inner is not None:
            yield inner
    yield from _directly_above(node.lines_after_decorators)
    if node.decorators:
        beside = node.decorators[-1].trailing_whitespace.comment
        if beside is not None:
            yield beside
    yield from _directly_above(node.leading_lines)


def _trailing(body: cst.BaseSuite) -> cst.TrailingWhitespace | None:
    return body.trailing_whitespace if isinstance(body, cst.SimpleStatementSuite) else None


def _directly_above(lines: Sequence[cst.EmptyLine]) -> Iterator[cst.Comment]:
    if lines and lines[-1].comment is not None:
        yield lines[-1].comment
