"""A rough, fast reading of source bytes: just enough for brackets, strings, comments and line ends."""

import re
from collections.abc import Iterator

_STRING = rb"""
    (?:'''(?:[^'\\]++|\\.|'(?!''))*+(?:'''|\Z)
    |\"\"\"(?:[^"\\]++|\\.|"(?!""))*+(?:\"\"\"|\Z)
    |'(?:[^'\\\r\n]++|\\\r\n|\\.)*+(?:'|(?=[\r\n])|\Z)
    |"(?:[^"\\\r\n]++|\\\r\n|\\.)*+(?:"|(?=[\r\n])|\Z))
"""
_FORMAT_PREFIX = rb"\b(?:[fFtT][rR]?|[rR][fFtT])"

TOKEN = re.compile(
    rb"(?P<format>" + _FORMAT_PREFIX + _STRING + rb")"
    rb"|(?P<string>" + _STRING + rb")"
    rb"""
    |(?P<comment>\#[^\r\n]*)
    |(?P<joined>\\(?:\r\n|\n|\r))
    |(?P<newline>\r\n|\n|\r)
    |(?P<open>[(\[{])
    |(?P<close>[)\]}])
    |(?P<comma>[,;])
    |(?P<colon>:)
    |(?P<operator>\*\*|//|<<|>>|[-+*/%@&|^~<>.]|\b(?:and|or|not|in|is|if|else|for|lambda|await)\b)
    """,
    re.VERBOSE | re.DOTALL,
)
"""The tokens that nesting depends on; everything else is skipped."""

TEXT = re.compile(
    rb"(?P<kept>" + _FORMAT_PREFIX + _STRING + rb")|" + _STRING + rb"|\#[^\r\n]*",
    re.VERBOSE | re.DOTALL,
)
"""Strings and comments; format strings, which hold code, as `kept`."""


def logical_lines(data: bytes) -> Iterator[tuple[int, int]]:
    """The start and end offset of every logical line, blank lines and lines of comment alone left out."""
    depth = 0
    start: int | None = None
    last = 0
    for token in TOKEN.finditer(data):
        kind = token.lastgroup
        if start is None:
            start = _first_of_code(data, last, token.start())
        if kind == "newline" and not depth:
            if start is not None:
                yield start, token.start()
            start = None
        elif kind != "comment" and kind != "newline" and start is None:
            start = token.start()
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth = max(0, depth - 1)
        last = token.end()
    if start is None:
        start = _first_of_code(data, last, len(data))
    if start is not None:
        yield start, len(data)


def _first_of_code(data: bytes, first: int, last: int) -> int | None:
    """The offset of the first byte between the two that is neither blank nor a byte order mark."""
    text = data[first:last]
    code = text.lstrip(b" \t\f\xef\xbb\xbf")
    return last - len(code) if code else None
