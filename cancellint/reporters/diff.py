"""What fixes change, as a unified diff."""

import difflib
import re
from collections.abc import Iterator

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
"""A line with its end. Python's own idea of lines has more ends than that."""


def render(path: str, before: str, after: str) -> str:
    """The changes of one file, as `patch` and `git apply -p0` read them."""
    return "".join(_lines(path, before, after))


def _lines(path: str, before: str, after: str) -> Iterator[str]:
    for line in difflib.unified_diff(_LINE.findall(before), _LINE.findall(after), path, path):
        yield line
        if not line.endswith(("\n", "\r")):
            yield "\n\\ No newline at end of file\n"
