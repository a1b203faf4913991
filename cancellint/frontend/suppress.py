"""Suppression comments: `# cancellint: ignore[CAN101] reason`."""

import re
from bisect import bisect_right
from collections.abc import Iterable

from msgspec import Struct

from cancellint.frontend.tokens import logical_lines
from cancellint.model.source import Span

_COMMENT = re.compile(r"#\s*cancellint:\s*ignore(?:\s*\[(?P<rules>[^\]]*)\])?(?=$|[\s\].,;:#-])")

MARKER = b"cancellint:"
"""Bytes that every file with a suppression holds."""


class Suppression(Struct, frozen=True):
    """A comment that silences rules for the statement on the given lines. No rules: all of them."""

    first: int
    last: int
    rules: tuple[str, ...]

    def silences(self, code: str, name: str, line: int) -> bool:
        """Whether a finding of this rule on this line is meant."""
        if not self.first <= line <= self.last:
            return False
        return not self.rules or any(code.startswith(rule) or rule == name for rule in self.rules)


def suppressions(data: bytes, comments: Iterable[tuple[Span, str, bool]]) -> tuple[Suppression, ...]:
    """What the comments of a file silence.

    A comment at the end of a statement's first or last line, and one on a line of its own directly above
    it (other comments may stand between), speak for that whole statement; of a compound statement,
    for its header.
    """
    wanted = [(span.line, match, own) for span, text, own in comments if (match := _COMMENT.match(text))]
    if not wanted:
        return ()
    statements = _statement_lines(data)
    starts = [first for first, _ in statements]
    result = []
    for line, match, on_own_line in wanted:
        rules = tuple(word for word in re.split(r"[\s,]+", match["rules"] or "") if word)
        if match["rules"] is not None and not rules:
            continue
        at = bisect_right(starts, line) if on_own_line else bisect_right(starts, line) - 1
        inside = bisect_right(starts, line) - 1
        if on_own_line and inside >= 0 and statements[inside][1] > line:
            at = inside
        if 0 <= at < len(statements):
            first, last = statements[at]
            if on_own_line and at != inside:
                if _only_comments_between(data, line, first):
                    result.append(Suppression(first, last, rules))
            elif line in (first, last):
                result.append(Suppression(first, last, rules))
            elif first < line < last:
                result.append(Suppression(line + on_own_line, line + on_own_line, rules))
    return tuple(result)


def _statement_lines(data: bytes) -> list[tuple[int, int]]:
    """First and last line of every logical line."""
    ends = [match.end() for match in re.finditer(rb"\r\n|\n|\r", data)]
    return [
        (bisect_right(ends, start) + 1, bisect_right(ends, end) + 1) for start, end in logical_lines(data)
    ]


def _only_comments_between(data: bytes, line: int, statement: int) -> bool:
    lines = re.split(rb"\r\n|\n|\r", data)[line : statement - 1]
    return all(text.lstrip().startswith(b"#") for text in lines)
