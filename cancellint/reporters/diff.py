"""What fixes change, as a unified diff."""

import difflib
import re
from collections.abc import Iterator

from msgspec import Struct

from cancellint.printable import no_commands, printable

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
"""A line with its end. Python's own idea of lines has more ends than that."""


_KEPT = re.compile(r"[\t\f\r\n]|\N{ZERO WIDTH NO-BREAK SPACE}")
"""What a line of code may hold and a terminal takes no harm of."""


class Changes(Struct, frozen=True):
    """The changes of one file, to be shown."""

    text: str
    is_exact: bool
    """whether `patch` and `git apply -p0` can read it: nothing had to be written in another form"""


def render(path: str, before: str, after: str) -> Changes:
    """The changes of one file, with nothing in them that a terminal or GitHub's runner would obey."""
    exact = "".join(_lines(path, before, after))
    parts = _KEPT.split(exact)
    kept = _KEPT.findall(exact)
    shown = "".join(part for pair in zip(map(printable, parts), [*kept, ""], strict=True) for part in pair)
    text = no_commands(shown)
    return Changes(text, text == exact)


def _lines(path: str, before: str, after: str) -> Iterator[str]:
    for line in difflib.unified_diff(_LINE.findall(before), _LINE.findall(after), path, path):
        yield line
        if not line.endswith(("\n", "\r")):
            yield "\n\\ No newline at end of file\n"
