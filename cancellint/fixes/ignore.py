"""Writes suppression comments beside what they silence."""

import ast
import io
import re
import tokenize
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Mapping

from cancellint.frontend.guards import refusal
from cancellint.frontend.suppress import IGNORE, NAME
from cancellint.frontend.tokens import logical_lines

WIDEST = 100
"""How many characters a line may have for a comment to go to its end."""

_END = re.compile(rb"\r\n|\n|\r")


def ignored(data: bytes, codes: Mapping[int, Iterable[str]], reason: str) -> bytes | None:
    """The file with a comment for each of these lines, None where that would change what it means.

    A comment goes to the end of its line, or above the statement where it has no place there.
    """
    if refusal(data) is not None:
        return None
    lines = _END.split(data)
    ends = [*_END.findall(data), b""]
    closed = _without_room(data)
    starts = _statements(data)
    above: dict[int, list[bytes]] = {}
    for line, names in sorted(codes.items()):
        comment = f"# {NAME}: {IGNORE}[{', '.join(sorted(set(names)))}] {reason}".rstrip().encode("utf-8")
        text = lines[line - 1]
        if line not in closed and len(text) + 2 + len(comment) <= WIDEST:
            lines[line - 1] = text.rstrip() + b"  " + comment
        else:
            first = starts[max(0, bisect_right(starts, line) - 1)]
            indent = re.match(rb"[ \t\f]*", lines[first - 1])
            above.setdefault(first, []).append((indent[0] if indent else b"") + comment)
    end = next(iter(_END.findall(data)), b"\n")
    after = b"".join(
        b"".join(comment + end for comment in above.get(number, ())) + text + ending
        for number, (text, ending) in enumerate(zip(lines, ends, strict=True), 1)
    )
    return after if _meaning(data) == _meaning(after) is not None else None


def _without_room(data: bytes) -> frozenset[int]:
    """The lines that end inside of a string, or go on by a backslash."""
    closed = {
        number for number, line in enumerate(_END.split(data), 1) if line.rstrip(b" \t\f").endswith(b"\\")
    }
    try:
        for token in tokenize.tokenize(io.BytesIO(data).readline):
            if token.type not in (tokenize.NEWLINE, tokenize.NL, tokenize.ENDMARKER):
                closed.update(range(token.start[0], token.end[0]))
    except (tokenize.TokenError, SyntaxError):
        return frozenset(range(1, len(_END.split(data)) + 1))
    return frozenset(closed)


def _statements(data: bytes) -> list[int]:
    """The lines that logical lines begin on."""
    ends = [match.end() for match in _END.finditer(data)]
    return [bisect_right(ends, start) + 1 for start, _ in logical_lines(data)] or [1]


def _meaning(data: bytes) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.dump(ast.parse(data))
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return None
