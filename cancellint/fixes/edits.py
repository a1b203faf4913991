"""What a fix changes, as edits of the text."""

import difflib
import re
from collections.abc import Iterator

from cancellint.fixes.mend import mended
from cancellint.frontend.parse import source_text
from cancellint.model.finding import Fix, TextEdit
from cancellint.model.source import Span

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def edits_of(data: bytes, fix: Fix) -> tuple[TextEdit, ...]:
    """The edits that make a fix; none where the text does not admit it."""
    changed = mended(data, (fix,))
    return () if changed is None else edits_between(data, changed.data)


def edits_between(before: bytes, after: bytes) -> tuple[TextEdit, ...]:
    """The edits that make one text of a file into another."""
    return tuple(_edits(source_text(before), source_text(after)))


def _edits(before: str, after: str) -> Iterator[TextEdit]:
    """An edit for each stretch of lines that differ."""
    old, new = _LINE.findall(before), _LINE.findall(after)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, first, end, new_first, new_end in matcher.get_opcodes():
        if kind != "equal":
            span = Span(first + 1, 1, end + 1, 1)
            if end == len(old) and old and not old[-1].endswith(("\r", "\n")):
                span = Span(first + 1, 1, end, len(old[-1]) + 1)
            yield TextEdit(span, "".join(new[new_first:new_end]))
