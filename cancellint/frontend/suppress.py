"""Suppression comments: `# cancellint: ignore[CAN101] reason`, `ignore-file`, `# noqa: CAN101`."""

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from msgspec import Struct

from cancellint.frontend.tokens import logical_lines
from cancellint.model.source import Span
from cancellint.printable import shortened

_DIRECTIVE = re.compile(
    r"#\s*cancellint:\s*(?P<word>[A-Za-z]+(?:-[A-Za-z]+)*)"
    r"(?:\s*\[(?P<rules>[^\]#]*)(?P<closed>\])?)?(?=$|[\s\].,;:#-])"
)
_NOQA = re.compile(r"#\s*noqa\s*:\s*(?P<rules>[A-Z]+[0-9]+(?:[\s,]+[A-Z]+[0-9]+\b)*)", re.IGNORECASE)
_OWN_CODE = re.compile(r"CAN[0-9]+", re.IGNORECASE)
_MARKER = b"cancellint:"
_NOQA_FORMS = (b"noqa", b"NOQA", b"NoQA")
_NOQA_MARKER = re.compile(rb"(?i:noqa[ \t]*:[^\r\n]{0,200}can[0-9])")

IGNORE, IGNORE_FILE, CANCEL_SAFE = "ignore", "ignore-file", "cancel-safe"
DIRECTIVES = (IGNORE, IGNORE_FILE, CANCEL_SAFE)
"""The words that mean something after `cancellint:`."""

MAX_DIRECTIVE = 40

MAX_WORDS = 1_000
"""How many words the comments of a file may have for this tool, each `ignore` being one: each is compared
with each rule, and each comment with each finding."""

END_OF_FILE = 2**31
"""A line that no file has."""


class Suppression(Struct, frozen=True):
    """A comment that silences rules on the given lines. No rules: all of them."""

    first: int
    last: int
    rules: tuple[str, ...]
    at: Span
    """the comment itself"""

    def silencing(self, code: str, name: str, line: int) -> tuple[str, ...] | None:
        """The words by which a finding of this rule on this line is meant, or None where it is not."""
        if not self.first <= line <= self.last:
            return None
        words = tuple(word for word in self.rules if means(word, code, name))
        return words if words or not self.rules else None


class Blunder(Struct, frozen=True):
    """A comment that was meant to silence something and cannot."""

    at: Span
    problem: str


class Comments(Struct, frozen=True):
    """What the comments of a file say to this tool."""

    suppressions: tuple[Suppression, ...] = ()
    blunders: tuple[Blunder, ...] = ()


NO_COMMENTS = Comments()


def means(word: str, code: str, name: str) -> bool:
    """Whether a code, prefix or name means this rule."""
    folded = word.casefold()
    return code.casefold().startswith(folded) or folded == name


def may_speak(data: bytes) -> bool:
    """Whether a file can hold a comment for this tool; says so of some that hold none."""
    if _MARKER in data:
        return True
    return any(form in data for form in _NOQA_FORMS) and _NOQA_MARKER.search(data) is not None


def comments_for_us(data: bytes, comments: Iterable[tuple[Span, str, bool]]) -> Comments:
    """What the comments of a file silence, and those that try and cannot.

    A comment at the end of a statement's first or last line, and one on a line of its own directly above
    it (other comments may stand between), speak for that whole statement; of a compound statement,
    for its header. `ignore-file` speaks for the file from a line of its own.
    """
    found = [saying for span, text, own in comments for saying in _sayings(span, text, own)]
    if not found:
        return NO_COMMENTS
    statements = _Statements(data)
    taken = _as_many_as_are_read(found)
    said: list[Suppression | Blunder | None] = [_understood(saying, statements) for saying in taken]
    if len(taken) < len(found):
        said.append(Blunder(found[len(taken)].at, f"comments of more than {MAX_WORDS:,} words are not read"))
    return Comments(
        tuple(each for each in said if isinstance(each, Suppression)),
        tuple(each for each in said if isinstance(each, Blunder)),
    )


class _Saying(Struct, frozen=True):
    """One directive in a comment."""

    word: str
    rules: tuple[str, ...] | None
    at: Span
    is_closed: bool
    on_own_line: bool


def _sayings(span: Span, text: str, on_own_line: bool) -> Iterator[_Saying]:
    for match in _DIRECTIVE.finditer(text):
        rules = None if match["rules"] is None else _words(match["rules"])
        is_closed = rules is None or match["closed"] is not None
        yield _Saying(match["word"], rules, _within(span, match), is_closed, on_own_line)
    for match in _NOQA.finditer(text):
        own = tuple(word for word in _words(match["rules"]) if _OWN_CODE.fullmatch(word))
        if own and not on_own_line:  # `noqa` speaks for the line it ends
            yield _Saying(IGNORE, own, _within(span, match), True, False)


def _as_many_as_are_read(found: Sequence[_Saying]) -> Sequence[_Saying]:
    totals = accumulate(1 + len(saying.rules or ()) for saying in found)
    return found[: bisect_right(tuple(totals), MAX_WORDS)]


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[\s,]+", text) if word)


def _within(span: Span, match: re.Match[str]) -> Span:
    column = span.column + match.start()
    return Span(span.line, column, span.line, column + len(match[0]))


def _understood(saying: _Saying, statements: "_Statements") -> Suppression | Blunder | None:
    """What a directive silences, or why it does not; None for one that is about something else."""
    if saying.word not in (IGNORE, IGNORE_FILE):
        return _unknown(saying)
    if not saying.is_closed:
        return Blunder(saying.at, "the bracket is not closed")
    if saying.rules == ():
        return Blunder(saying.at, "no rule stands between the brackets")
    if saying.word == IGNORE_FILE:
        if not saying.on_own_line:
            return Blunder(saying.at, f"`{IGNORE_FILE}` speaks only from a line of its own")
        return Suppression(1, END_OF_FILE, saying.rules or (), saying.at)
    lines = statements.meant_by(saying.at.line, saying.on_own_line)
    if lines is None:
        return Blunder(saying.at, "no statement follows directly")
    return Suppression(*lines, saying.rules or (), saying.at)


def _unknown(saying: _Saying) -> Blunder | None:
    """The blunder of a word that is nearly a directive, or is followed by rules; other words are prose."""
    if saying.word in DIRECTIVES:
        return None
    short = len(saying.word) <= MAX_DIRECTIVE
    near = difflib.get_close_matches(saying.word.casefold(), DIRECTIVES, n=1, cutoff=0.8) if short else []
    if not near and saying.rules is None:
        return None
    question = f"; did you mean `{near[0]}`?" if near else ""
    return Blunder(saying.at, f"`{shortened(saying.word)}` means nothing here{question}")


class _Statements:
    """The lines of the logical lines of a file."""

    def __init__(self, data: bytes) -> None:
        ends = [match.end() for match in re.finditer(rb"\r\n|\n|\r", data)]
        self._texts = re.split(rb"\r\n|\n|\r", data)
        self._lines = [
            (bisect_right(ends, start) + 1, bisect_right(ends, end) + 1) for start, end in logical_lines(data)
        ]
        self._starts = [first for first, _ in self._lines]

    def meant_by(self, line: int, on_own_line: bool) -> tuple[int, int] | None:
        """First and last line of what a comment on this line speaks for, or None."""
        inside = bisect_right(self._starts, line) - 1
        if inside >= 0 and line <= self._lines[inside][1]:
            first, last = self._lines[inside]
            if line in (first, last):
                return first, last
            return line + on_own_line, line + on_own_line
        after = inside + 1
        if on_own_line and after < len(self._lines) and self._only_comments_between(line, after):
            return self._lines[after]
        return None

    def _only_comments_between(self, line: int, statement: int) -> bool:
        lines = self._texts[line : self._starts[statement] - 1]
        return all(text.lstrip().startswith(b"#") for text in lines)
