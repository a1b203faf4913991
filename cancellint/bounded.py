"""Reads what strangers have written: regular files only, of bounded size, and TOML of bounded shape.

A pipe or a device may never end, and `tomllib` is recursive and takes quadratic time for long keys.
"""

import os
import re
import stat
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

MAX_TOML_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 50
"""How deep brackets may be nested."""
MAX_PARTS: Final = 50
"""How many dots a key may have."""
MAX_WORD: Final = 200
"""How long a bare key or a number may be: TOML promises no more than 64 bits."""

if sys.platform == "win32":
    _OPEN: Final = os.O_BINARY
else:
    _OPEN: Final = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    """Opening a pipe waits for whoever is to write into it, unless told not to."""


class Unusable(Exception):
    """A file that is not read, and why; the message follows the file's name."""


def read_bytes(file: Path, most: int) -> bytes:
    """The content of a regular file of at most this many bytes. Raises OSError and Unusable."""
    number = os.open(file, os.O_RDONLY | _OPEN)
    with open(number, "rb") as opened:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise Unusable("it is not a regular file")
        data = opened.read(most + 1)
    if len(data) > most:
        raise Unusable(f"it is larger than {most // 1_000_000} MB")
    return data


def write_text(file: Path, text: str) -> None:
    """Gives a regular file, or one that is not there yet, this content. Raises OSError and Unusable."""
    number = os.open(file, os.O_WRONLY | os.O_CREAT | _OPEN, 0o666)
    with open(number, "wb") as opened:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise Unusable("it is not a regular file")
        opened.truncate()
        opened.write(text.encode("utf-8", "surrogateescape"))


def read_toml(file: Path) -> Mapping[str, object]:
    """The tables of a file. Raises OSError and Unusable."""
    try:
        text = read_bytes(file, MAX_TOML_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unusable(f"is not UTF-8 at byte {error.start}") from None
    return parse_toml(text)


def parse_toml(text: str) -> Mapping[str, object]:
    """The tables of a text. Raises Unusable."""
    _look_at_shape(text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Unusable(f"is not TOML: {error}") from None
    except (ValueError, RecursionError, OverflowError) as error:
        raise Unusable(f"cannot be read: {error}") from None


_TOKEN: Final = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<long>\"\"\"|''')
    |(?P<short>"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')
    |(?P<open>[\[{])|(?P<close>[\]}])
    |(?P<end>[,=\n])|(?P<dot>\.)
    |(?P<word>[A-Za-z0-9_+-]+)""",
    re.VERBOSE,
)


def _look_at_shape(text: str) -> None:
    """Raises Unusable where brackets are nested, keys are cut in parts, or words are, beyond the bounds."""
    depth = dots = place = 0
    while (token := _TOKEN.search(text, place)) is not None:
        place = token.end()
        match token.lastgroup:
            case "open":
                depth, dots = depth + 1, 0
            case "close":
                depth, dots = max(0, depth - 1), 0
            case "end":
                dots = 0
            case "dot":
                dots += 1
            case "long":
                place = _end_of_long(text, place, token[0])
            case "word" if len(token[0]) > MAX_WORD:
                raise _too_much(text, token.start(), f"a word or number has more than {MAX_WORD} characters")
            case _:
                pass
        if depth > MAX_DEPTH:
            raise _too_much(text, token.start(), f"brackets are nested more than {MAX_DEPTH} deep")
        if dots > MAX_PARTS:
            raise _too_much(text, token.start(), f"a key has more than {MAX_PARTS} parts")


def _end_of_long(text: str, start: int, quotes: str) -> int:
    """Where a string of several lines ends; the end of the text where it does not."""
    place = start
    while (end := text.find(quotes, place)) >= 0:
        before = end
        while quotes[0] == '"' and before > start and text[before - 1] == "\\":
            before -= 1
        if (end - before) % 2 == 0:
            return end + 3
        place = end + 1
    return len(text)


def _too_much(text: str, at: int, problem: str) -> Unusable:
    return Unusable(f"{problem} (at line {text.count(chr(10), 0, at) + 1})")
