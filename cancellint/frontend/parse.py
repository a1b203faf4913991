"""Bytes of one file to a syntax tree, or the reason why not."""

import ast
import dataclasses
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import libcst
import msgspec
from msgspec import Struct

from cancellint.frontend.guards import Refusal, refusal, refusal_at


def parse(data: bytes) -> libcst.Module | Refusal:
    """The tree of these bytes, or why there is none."""
    refused = refusal(data)
    if refused is not None:
        return refused
    with _sparing():
        return _parsed(data)


def parse_to_lower(data: bytes) -> libcst.Module | Refusal:
    """The same, good for lowering alone: white space and punctuation are records and no nodes of a tree."""
    refused = refusal(data)
    if refused is not None:
        return refused
    with _sparing(), _records_for_nodes():
        return _parsed(data)


def _parsed(data: bytes) -> libcst.Module | Refusal:
    try:
        return libcst.parse_module(data)
    except libcst.ParserSyntaxError as error:
        return _syntax_error(data) or Refusal(
            "this file does not parse", max(1, error.editor_line), max(1, error.editor_column)
        )
    except RecursionError:
        return Refusal("this file is nested more deeply than the parser can follow", 1, 1)
    except (SyntaxError, UnicodeError, LookupError):
        return _encoding_error(data)


MOST_SHARED = 256
"""Different stretches of white space of which a node is kept."""

_white_space = lru_cache(MOST_SHARED)(libcst.SimpleWhitespace)


@contextmanager
def _sparing() -> Iterator[None]:
    """Spare the parser what no reader of its trees needs: a fifth of its time.

    Nodes are not checked while they are made: it makes no impossible ones. Nodes that fixes make are checked.
    White space of one text is one node wherever it stands: two of five nodes are such, and nobody asks which.
    """
    checked, white_space = libcst.CSTNode.__post_init__, libcst.SimpleWhitespace
    libcst.CSTNode.__post_init__ = _nothing  # type: ignore[method-assign,assignment]  # put back below
    libcst.SimpleWhitespace = _white_space  # type: ignore[misc,assignment]  # this too
    try:
        yield
    finally:
        libcst.CSTNode.__post_init__ = checked  # type: ignore[method-assign]  # as it was
        libcst.SimpleWhitespace = white_space  # type: ignore[misc]  # as it was


_BARE = (
    "SimpleWhitespace",
    "ParenthesizedWhitespace",
    "TrailingWhitespace",
    "EmptyLine",
    "Newline",
    "Comma",
    "Dot",
    "Semicolon",
    "Colon",
    "AssignEqual",
    "LeftParen",
    "RightParen",
    "LeftSquareBracket",
    "RightSquareBracket",
    "LeftCurlyBrace",
    "RightCurlyBrace",
)
"""The classes of nodes of which lowering asks nothing but the comments that some of them hold."""


@contextmanager
def _records_for_nodes() -> Iterator[None]:
    """Let records stand for the nodes of these classes: they are made in C, and are a third of all nodes."""
    nodes = {name: getattr(libcst, name) for name in _BARE}
    for name, record in _records().items():
        setattr(libcst, name, record)
    try:
        yield
    finally:
        for name, node in nodes.items():
            setattr(libcst, name, node)


@lru_cache(1)
def _records() -> dict[str, type[Struct]]:
    return {name: _record(getattr(libcst, name)) for name in _BARE}


def _record(node: type[libcst.CSTNode]) -> type[Struct]:
    """A record with the fields of a class of nodes, and None for what the parser leaves out."""
    fields = [(field.name, object, None) for field in dataclasses.fields(node)]
    return msgspec.defstruct(node.__name__, fields, kw_only=True, gc=False)


def _nothing(_node: libcst.CSTNode) -> None:
    """Stands in for the checks of a node."""


def is_surely_valid(data: bytes) -> bool:
    """Whether the running Python can read these bytes.

    Much faster than a tree, and enough where none is needed.
    """
    return refusal(data) is None and _python_error(data) is None


def source_text(data: bytes) -> str:
    """The text of a file, without a byte order mark. What cannot be decoded is replaced."""
    try:
        text = data.decode(_declared_encoding(data) or "utf-8", "replace")
    except (UnicodeError, LookupError):  # `hex` and others are encodings by name, and not for text
        text = data.decode("utf-8", "replace")
    return text.removeprefix("\ufeff")


def source_lines(data: bytes) -> tuple[str, ...]:
    """The text of each line, without its end."""
    return tuple(re.split(r"\r\n|\n|\r", source_text(data)))


def _syntax_error(data: bytes) -> Refusal | None:
    """The running Python's opinion, which is clearer and better placed, where it refuses the bytes too."""
    error = _python_error(data)
    if not isinstance(error, SyntaxError) or error.lineno is None:
        return None
    return Refusal(f"this file does not parse: {error.msg}", max(1, error.lineno), max(1, error.offset or 1))


def _python_error(data: bytes) -> Exception | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(data)
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            return error
    return None


def _encoding_error(data: bytes) -> Refusal:
    encoding = _declared_encoding(data)
    if encoding is None:
        return Refusal("this file declares an encoding that does not exist or does not fit it", 1, 1)
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        return refusal_at(data, error.start, f"this byte is not valid {error.encoding}")
    except (UnicodeError, LookupError):
        return Refusal(f"this file declares an encoding that is not for text: {encoding}", 1, 1)
    return Refusal(f"this file cannot be read as {encoding}", 1, 1)


def _declared_encoding(data: bytes) -> str | None:
    """The encoding of the cookie or byte order mark, UTF-8 without either; None where it is unknown.

    Only the first two lines count, and they may themselves be undecodable.
    """
    head = b"".join(
        line.decode("ascii", "replace").encode("ascii", "replace") for line in data.splitlines(True)[:2]
    )
    marked = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
    try:
        return tokenize.detect_encoding(io.BytesIO(marked + head.lstrip(b"?")).readline)[0]
    except SyntaxError:
        return None
