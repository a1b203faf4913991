"""Refuses, on the bytes alone, what the parser does not survive.

libcst is recursive native code: deep enough nesting ends the process, and long operator chains take
it quadratic time. The limits are CPython's own where it has one.
"""

import re

from msgspec import Struct

from cancellint.frontend.tokens import TEXT, TOKEN, logical_lines

MAX_BYTES = 10_000_000
MAX_BRACKETS = 200
MAX_INDENTS = 100
MAX_CHAIN = 2_000
"""How many operators, prefixes and trailers may be open at one point, and `elif`s stand in a row."""
MAX_PATTERN = 8
"""How deep brackets may be nested in the pattern of a `case`: the parser takes up to four times as long for
each level, a third of a second for eight."""


class Refusal(Struct, frozen=True):
    """Why a file was not parsed, and where. Columns count from 1 in characters."""

    message: str
    line: int
    column: int


def refusal(data: bytes) -> Refusal | None:
    """The first reason not to parse these bytes, or None."""
    if len(data) > MAX_BYTES:
        return Refusal(f"this file is larger than {MAX_BYTES // 1_000_000} MB", 1, 1)
    zero = data.find(b"\0")
    if zero >= 0:
        return refusal_at(data, zero, "this file holds a NUL byte")
    deep = _too_deep(data) if _may_be_deep(data) else None
    return deep or _too_deep_pattern(data) or _too_many_indents(data)


def refusal_at(data: bytes, offset: int, message: str) -> Refusal:
    """The refusal, placed at a byte offset."""
    before = data[:offset].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    line = before.rpartition(b"\n")[2].removeprefix(b"\xef\xbb\xbf")
    return Refusal(message, before.count(b"\n") + 1, len(line.decode("utf-8", "replace")) + 1)


# --------------------------------------------------------------------------- a cheap first look

_STATEMENT = re.compile(
    rb"^[ \t\f]*(?:def|class|return|while|with|try|import|raise|assert|del|pass|break|continue|except|finally"
    rb"|async[ \t]+def)\b",
    re.MULTILINE,
)
"""No bracket can be open where such a line starts: the parser gives up there, if it has not before."""

_OPERATOR = re.compile(rb"[-+*/%@&|^~<>.(\[{]|\b(?:and|or|not|in|is|if|for|lambda|await)\b")

_DEEP_INDENT = re.compile(rb"^[ \t]{%d}" % MAX_INDENTS, re.MULTILINE)


def _may_be_deep(data: bytes) -> bool:
    """Whether some stretch that may be one expression holds enough to pass a limit."""
    if len(data) < MAX_BRACKETS:
        return False
    if data.count(b"elif") > MAX_CHAIN:
        return True
    if _holds_little(data):
        return False
    code = TEXT.sub(rb"\g<kept>", data)
    return any(_is_suspicious(part) for part in _STATEMENT.split(code) if len(part) > MAX_BRACKETS)


_SYMBOLS = b"-+*/%@&|^~<>.([{"
_WORDS = (b"and", b"or", b"not", b"in", b"is", b"if", b"for", b"lambda", b"await")


def _holds_little(data: bytes) -> bool:
    """Whether a file as a whole, with its strings and comments, has too few brackets and operators."""
    if data.count(b"(") + data.count(b"[") + data.count(b"{") > MAX_BRACKETS:
        return False
    symbols = len(data) - len(data.translate(None, _SYMBOLS))
    return symbols + sum(map(data.count, _WORDS)) <= MAX_CHAIN


def _is_suspicious(part: bytes) -> bool:
    if part.count(b"(") + part.count(b"[") + part.count(b"{") > MAX_BRACKETS:
        return True
    return len(part) > MAX_CHAIN and len(_OPERATOR.findall(part)) > MAX_CHAIN


# --------------------------------------------------------------------------- the exact scan


class _Level:
    """One open bracket: the operators of its current item, and whether a lambda's parameters go on."""

    __slots__ = ("chain", "in_lambda")

    def __init__(self) -> None:
        self.chain = 0
        self.in_lambda = False


def _too_deep(data: bytes) -> Refusal | None:
    levels = [_Level()]
    load = 0
    for token in TOKEN.finditer(data):
        level = levels[-1]
        match token.lastgroup:
            case "open":
                level.chain += 1
                load += 1
                levels.append(_Level())
            case "close" if len(levels) > 1:
                load -= levels.pop().chain
            case "operator":
                level.chain += 1
                load += 1
                level.in_lambda |= token[0] == b"lambda"
            case "colon":
                level.in_lambda = False
            case "comma" if not level.in_lambda:
                load -= level.chain
                level.chain = 0
            case "newline" if len(levels) == 1 or _STATEMENT.match(data, token.end()):
                levels = [_Level()]
                load = 0
            case "format":
                inside = _too_deep_in_format(data, token.start(), token.end(), MAX_BRACKETS - len(levels) + 1)
                if inside is not None:
                    return inside
        if len(levels) - 1 > MAX_BRACKETS:
            return refusal_at(data, token.start(), f"brackets are nested more than {MAX_BRACKETS} deep")
        if load > MAX_CHAIN:
            return refusal_at(data, token.start(), f"an expression chains more than {MAX_CHAIN} operators")
    return _too_many_elifs(data)


_IN_FORMAT = re.compile(
    rb"\{\{|\}\}|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<operator>[-+*/%@&|^~<>.]|\b\w+\b)"
)


def _too_deep_in_format(data: bytes, first: int, last: int, limit: int) -> Refusal | None:
    """The same limits inside a format string, whose braces hold expressions."""
    depth = 0
    chain = 0
    for token in _IN_FORMAT.finditer(data, first, last):
        match token.lastgroup:
            case "open":
                depth += 1
            case "close":
                depth = max(0, depth - 1)
            case "operator" if depth:
                chain += 1
        if not depth:
            chain = 0
        if depth > limit:
            return refusal_at(data, token.start(), f"brackets are nested more than {MAX_BRACKETS} deep")
        if chain > 2 * MAX_CHAIN:
            return refusal_at(data, token.start(), f"an expression chains more than {MAX_CHAIN} operators")
    return None


_CASE = re.compile(rb"^[ \t\f]*case\b", re.MULTILINE)


def _too_deep_pattern(data: bytes) -> Refusal | None:
    if b"case" not in data:
        return None
    for case in _CASE.finditer(data):
        deep = _deep_in_pattern(data, case.end())
        if deep is not None and not _is_text(data, case.end()):
            return refusal_at(
                data, deep, f"brackets are nested more than {MAX_PATTERN} deep in the pattern of a `case`"
            )
    return None


def _deep_in_pattern(data: bytes, first: int) -> int | None:
    """Where the pattern that starts here is nested too deep, if it is, and if it is a pattern."""
    depth = 0
    deep: int | None = None
    for token in TOKEN.finditer(data, first):
        match token.lastgroup:
            case "open":
                depth += 1
                if depth > MAX_PATTERN and deep is None:
                    deep = token.start()
            case "close":
                depth -= 1
            case "colon" if depth <= 0:
                return deep
            case "operator" if depth <= 0 and token[0] == b"if":
                return deep
            case "newline" if depth <= 0:
                return None
    return None


def _is_text(data: bytes, offset: int) -> bool:
    """Whether the offset lies in a string or a comment."""
    for token in TOKEN.finditer(data):
        if token.end() > offset:
            return token.start() < offset
    return False


def _too_many_elifs(data: bytes) -> Refusal | None:
    if data.count(b"elif") <= MAX_CHAIN:
        return None
    chains: list[tuple[int, int]] = []
    for start, _ in logical_lines(data):
        width = _indent(data, start)
        while chains and chains[-1][0] > width:
            chains.pop()
        continues = bool(chains) and chains[-1][0] == width
        length = chains.pop()[1] if continues else 0
        length = length + 1 if data.startswith(b"elif", start) else 0
        chains.append((width, length))
        if length > MAX_CHAIN:
            return refusal_at(data, start, f"more than {MAX_CHAIN} `elif` branches stand in a row")
    return None


def _too_many_indents(data: bytes) -> Refusal | None:
    if _DEEP_INDENT.search(data) is None:
        return None
    widths = [0]
    for start, _ in logical_lines(data):
        width = _indent(data, start)
        while widths[-1] > width:
            widths.pop()
        if width > widths[-1]:
            widths.append(width)
        if len(widths) - 1 > MAX_INDENTS:
            return refusal_at(data, start, f"blocks are nested more than {MAX_INDENTS} deep")
    return None


def _indent(data: bytes, start: int) -> int:
    """How many blanks stand before the offset on its line."""
    line = data.rfind(b"\n", 0, start) + 1
    return start - max(line, data.rfind(b"\r", line, start) + 1)
