"""The texts of an editor, as the bytes of files."""

import tokenize
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

from cancellint.pipeline import Examined


def encoded(text: str) -> bytes:
    """A text as the bytes of a file: in the encoding that it declares, if it can be."""
    data = text.encode("utf-8", "surrogatepass")
    try:
        declared, _ = tokenize.detect_encoding(BytesIO(data).readline)
        return text.encode(declared)
    except (SyntaxError, UnicodeError, LookupError):
        return data


def texts_of(examined: Iterable[Examined]) -> Iterator[tuple[Path, bytes]]:
    """The files of projects, as they were analysed."""
    for each in examined:
        for source in each.reading.sources.values():
            if source.data is not None and not source.cells:
                yield source.path, source.data
