"""Suppression comments: `# cancellint: ignore[CAN101] reason`, `ignore-file`, `# noqa: CAN101`."""

import difflib
import re
from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TypeAlias

from msgspec import Struct

from cancellint.frontend.tokens import logical_lines
from cancellint.model.source import Span
from cancellint.printable import shortened

_DIRECTIVE = re.compile(
    r"#\s*cancellint:\s*(?P<word>[A-Za-z]+(?:-[A-Za-z]+)*)"
    r"(?:\s*\[(?P<rules>[^\]#]*)(?P<closed>\])?)?(?=$|[\s\].,;:=(#-])(?P<rest>[^#]*)"
)
_BARE_RULES = re.compile(r"\s*(?P<sign>[=:(])?\s*(?P<words>CAN[0-9]+|[a-z]+(?:-[a-z]+)+\s*$)", re.IGNORECASE)
"""What follows a directive without brackets and is meant for its rules: a code, or nothing but a name."""
_MISSPELT = re.compile(
    r"#\s*(?P<tool>can[A-Za-z_-]{3,12})\s*(?P<colon>:)?\s*(?:ignore(?:-file)?|disable|noqa|cancel-safe)\b",
    re.IGNORECASE,
)
_FOREIGN = re.compile(
    r"#\s*(?P<words>(?!cancellint\b)[A-Za-z]+\s*:\s*(?:ignore|disable|noqa)|noqa(?!\s*:))\b[^#]*?\b(?P<code>CAN[0-9]+)"
)
"""A comment for another tool that names one of our codes."""
_NOQA = re.compile(r"#\s*noqa\s*:\s*(?P<rules>[A-Z]+[0-9]+(?:[\s,]+[A-Z]+[0-9]+\b)*)", re.IGNORECASE)
_OWN_CODE = re.compile(r"CAN[0-9]+", re.IGNORECASE)
NAME = "cancellint"
_MARKER = b"cancellint:"
_NOQA_FORMS = (b"noqa", b"NOQA", b"NoQA")
_NOQA_MARKER = re.compile(rb"(?i:noqa[ \t]*:[^\r\n]{0,200}can[0-9])")
_STRANGE_MARKER = re.compile(
    rb"#[ \t]*(?i:can[a-z_-]{3,12})[ \t]*:?[ \t]*(?i:ignore|disable|noqa|cancel-safe)\b"
    rb"|#[ \t]*(?:[A-Za-z]+[ \t]*:[ \t]*)?(?:ignore|disable|noqa)[^\r\n]{0,200}CAN[0-9]"
)

Aliases: TypeAlias = Mapping[str, tuple[str, ...]]
"""Codes of other tools that count in `noqa` comments, and the rules that each of them means here."""
NO_ALIASES: Aliases = {}

OTHER_WORDS = (
    "allow", "disable", "disable-file", "disable-line", "disable-next-line", "ignore-line",
    "ignore-next-line", "noqa", "nolint", "skip", "skip-file", "suppress",
)  # fmt: skip
"""What other tools call it."""

IGNORE, IGNORE_FILE, CANCEL_SAFE = "ignore", "ignore-file", "cancel-safe"
DIRECTIVES = (IGNORE, IGNORE_FILE, CANCEL_SAFE)
"""The words that mean something after `cancellint:`."""

BETWEEN = "rules stand between brackets"

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
    is_shared: bool = False
    """whether it is another tool's comment, which need not silence anything here"""
    next_word: str = ""
    """what follows where it names no rules"""

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


def may_speak(data: bytes, aliases: Aliases = NO_ALIASES) -> bool:
    """Whether a file can hold a comment for this tool; says so of some that hold none."""
    if _MARKER in data or _STRANGE_MARKER.search(data) is not None:
        return True
    if not any(form in data for form in _NOQA_FORMS):
        return False
    folded = data.upper() if aliases else b""
    return _NOQA_MARKER.search(data) is not None or any(code.upper().encode() in folded for code in aliases)


def comments_for_us(
    data: bytes, comments: Iterable[tuple[Span, str, bool]], aliases: Aliases = NO_ALIASES
) -> Comments:
    """What the comments of a file silence, and those that try and cannot.

    A comment at the end of a statement's first or last line, and one on a line of its own directly above
    it (other comments may stand between), speak for that whole statement; of a compound statement,
    for its header. `ignore-file` speaks for the file from a line of its own.
    """
    found = [saying for span, text, own in comments for saying in _sayings(span, text, own, aliases)]
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
    is_closed: bool = True
    on_own_line: bool = False
    rest: str = ""
    """what follows, up to the next comment"""
    is_shared: bool = False
    problem: str = ""
    """why it says nothing, where that is clear from its form"""


def _sayings(span: Span, text: str, on_own_line: bool, aliases: Aliases) -> Iterator[_Saying]:
    for match in _DIRECTIVE.finditer(text):
        rules = None if match["rules"] is None else _words(match["rules"])
        is_closed = rules is None or match["closed"] is not None
        at = _within(span, match, match.start("rest"))
        yield _Saying(match["word"], rules, at, is_closed, on_own_line, match["rest"])
    yield from _misspelt(span, text)
    for match in _NOQA.finditer(text) if not on_own_line else ():  # `noqa` speaks for the line it ends
        yield from _noqa(_words(match["rules"]), _within(span, match, match.end()), aliases)


def _noqa(words: Sequence[str], at: Span, aliases: Aliases) -> Iterator[_Saying]:
    """The own codes of the comment, and what the others mean by the configuration."""
    own = tuple(word for word in words if _OWN_CODE.fullmatch(word))
    if own:
        yield _Saying(IGNORE, own, at)
    meant = {code.upper(): rules for code, rules in aliases.items()}
    shared = tuple(rule for word in words for rule in meant.get(word.upper(), ()))
    if shared:
        yield _Saying(IGNORE, shared, at, is_shared=True)


def _misspelt(span: Span, text: str) -> Iterator[_Saying]:
    """The comments that would speak to this tool if they called it by its name, or in its own words."""
    told: set[int] = set()
    for match in _MISSPELT.finditer(text):
        tool = match["tool"].rstrip("-_")
        is_ours = tool == NAME
        if (is_ours and match["colon"]) or difflib.SequenceMatcher(None, tool.casefold(), NAME).ratio() < 0.8:
            continue
        problem = f"`{NAME}` needs a colon behind it" if is_ours else f"`{tool}` is not `{NAME}`"
        told.add(match.start())
        yield _Saying("", None, _within(span, match, match.end()), problem=problem)
    for match in _FOREIGN.finditer(text):
        if match.start() in told:
            continue
        words = " ".join(match["words"].split())
        problem = f"`{words}` silences nothing here; write `# {NAME}: {IGNORE}[{match['code']}]`"
        yield _Saying("", None, _within(span, match, match.end()), problem=problem)


def _as_many_as_are_read(found: Sequence[_Saying]) -> Sequence[_Saying]:
    totals = accumulate(1 + len(saying.rules or ()) for saying in found)
    return found[: bisect_right(tuple(totals), MAX_WORDS)]


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[\s,]+", text) if word)


def _within(span: Span, match: re.Match[str], end: int) -> Span:
    return Span(span.line, span.column + match.start(), span.line, span.column + end)


def _understood(saying: _Saying, statements: "_Statements") -> Suppression | Blunder | None:
    """What a directive silences, or why it does not; None for one that is about something else."""
    if saying.problem:
        return Blunder(saying.at, saying.problem)
    if saying.word not in (IGNORE, IGNORE_FILE):
        return _unknown(saying)
    if saying.rules is None and (bare := _BARE_RULES.match(saying.rest)) is not None:
        meant = f"{saying.word}[{shortened(bare['words'].strip())}]"
        return Blunder(saying.at, f"{BETWEEN}: `{meant}`")
    if saying.rules is None and saying.rest.lstrip().startswith(("=", "(")):
        return Blunder(saying.at, f"{BETWEEN}: `{saying.word}[…]`")
    if not saying.is_closed:
        return Blunder(saying.at, "the bracket is not closed")
    if saying.rules == ():
        return Blunder(saying.at, "no rule stands between the brackets")
    if saying.word == IGNORE_FILE:
        if not saying.on_own_line:
            return Blunder(saying.at, f"`{IGNORE_FILE}` speaks only from a line of its own")
        return Suppression(1, END_OF_FILE, saying.rules or (), saying.at, next_word=_next_word(saying))
    lines = statements.meant_by(saying.at.line, saying.on_own_line)
    if lines is None:
        return Blunder(saying.at, "no statement follows directly")
    return Suppression(*lines, saying.rules or (), saying.at, saying.is_shared, _next_word(saying))


def _next_word(saying: _Saying) -> str:
    """The word behind a directive without rules."""
    match = re.match(r"\s*([\w-]+)", saying.rest) if saying.rules is None else None
    return "" if match is None else match[1]


def without_bare_rules(comments: Comments, names: Container[str]) -> Comments:
    """The same, where a comment for all rules that goes on with the name of one silences nothing."""
    bare = [each for each in comments.suppressions if each.next_word.casefold() in names]
    if not bare:
        return comments
    blunders = (Blunder(each.at, f"{BETWEEN}: `{IGNORE}[{each.next_word}]`") for each in bare)
    kept = tuple(each for each in comments.suppressions if each not in bare)
    return Comments(kept, (*comments.blunders, *blunders))


def _unknown(saying: _Saying) -> Blunder | None:
    """The blunder of a word that is nearly a directive, or is followed by rules; other words are prose."""
    if saying.word in DIRECTIVES:
        return None
    if saying.word.casefold() in OTHER_WORDS:
        return Blunder(saying.at, f"`{saying.word}` means nothing here; write `{IGNORE}[…]` with the rules")
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
