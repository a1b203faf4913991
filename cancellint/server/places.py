"""Places as the protocol counts them: from 0, columns in the units that the client has chosen."""

import os
from collections.abc import Sequence
from pathlib import Path

from lsprotocol.types import Location, Position, Range
from pygls.uris import from_fs_path, to_fs_path
from pygls.workspace import PositionCodec

from cancellint.frontend.discover import absolute
from cancellint.model.source import Place, Span


def path_of(uri: str) -> Path | None:
    """The file that is meant; None for what is no file."""
    path = to_fs_path(uri) if uri.startswith("file:") else None
    return None if path is None else absolute(Path(path))


def uri_of(path: Path) -> str:
    """The address of a file."""
    return from_fs_path(str(path)) or ""


def file_of(place: Place) -> Path:
    """The file of a place, whose path is relative to the working folder."""
    return Path(os.path.abspath(place.path))


def range_of(span: Span, lines: Sequence[str], codec: PositionCodec) -> Range:
    """The range of a span of a text, given its lines."""
    return Range(
        _position(span.line, span.column, lines, codec),
        _position(span.end_line, span.end_column, lines, codec),
    )


def location_of(place: Place, lines: Sequence[str], codec: PositionCodec) -> Location:
    """A place with its file."""
    return Location(uri_of(file_of(place)), range_of(place.span, lines, codec))


def line_and_column(position: Position, lines: Sequence[str], codec: PositionCodec) -> tuple[int, int]:
    """Line and column, from 1, in characters, of a position of a client."""
    found = codec.position_from_client_units(lines, position)
    return found.line + 1, found.character + 1


def holds(span: Span, line: int, column: int) -> bool:
    """Whether a place lies in a span, or just behind it."""
    return (span.line, span.column) <= (line, column) <= (span.end_line, span.end_column)


def size(span: Span) -> tuple[int, int]:
    """How large a span is, lines first."""
    return span.end_line - span.line, span.end_column - span.column


def _position(line: int, column: int, lines: Sequence[str], codec: PositionCodec) -> Position:
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    return Position(line - 1, codec.client_num_units(text[: column - 1]))
