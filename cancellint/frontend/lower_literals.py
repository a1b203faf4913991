"""The values of literals, written so that equal values have equal texts."""

import re
import unicodedata
from sys import intern

import libcst as cst

from cancellint.model.ir import Const

_LONGEST_NUMBER = 1000
"""Numbers with more characters keep their spelling: converting them takes quadratic time."""

_ESCAPE = re.compile(
    r"\\(\r\n|\r|\n|[\\'\"abfnrtv]|[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\})"
)
_BYTE_ESCAPE = re.compile(r"\\(\r\n|\r|\n|[\\'\"abfnrtv]|[0-7]{1,3}|x[0-9a-fA-F]{2})")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

NAMED = {
    "None": Const("none", "None"),
    "True": Const("bool", "True"),
    "False": Const("bool", "False"),
}
"""Literals that are spelled as names."""

ELLIPSIS = Const("ellipsis", "...")


def integer(node: cst.Integer) -> Const:
    if len(node.value) > _LONGEST_NUMBER:
        return Const("int", node.value)
    return Const("int", str(int(node.value, 0)))


def floating(node: cst.Float) -> Const:
    return Const("float", repr(float(node.value)))


def imaginary(node: cst.Imaginary) -> Const:
    return Const("complex", str(complex(node.value)))


def string(node: cst.SimpleString) -> Const:
    """A string or bytes literal with its escapes resolved."""
    source = node.value
    start = min(at for at in (source.find("'"), source.find('"')) if at >= 0)
    prefix = source[:start].lower()
    quotes = 3 if len(source) - start >= 6 and source[start + 1 : start + 3] == source[start] * 2 else 1
    text = source[start + quotes : -quotes]
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "b" in prefix:
        return Const("bytes", _bytes_text(text, "r" in prefix))
    return Const("str", intern(text if "r" in prefix else unescaped(text)))


def unescaped(text: str) -> str:
    """`text` with its escapes resolved; those that Python leaves alone, or rejects, stay."""
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _bytes_text(text: str, raw: bool) -> str:
    if not raw and "\\" in text:
        text = _BYTE_ESCAPE.sub(_character, text)
    return repr(text.encode("latin-1", "replace"))


def _character(match: re.Match[str]) -> str:
    escape = match[1]
    kind = escape[0]
    if kind in "\r\n":
        return ""
    if kind in "\\'\"":
        return kind
    if kind in "01234567":
        return chr(int(escape, 8))
    if kind in "xuU":
        return _code_point(int(escape[1:], 16), match[0])
    if kind == "N":
        return _named_character(escape[2:-1], match[0])
    return _SIMPLE[kind]


def _code_point(code: int, spelling: str) -> str:
    """The character, or its spelling where it is none: lone surrogates cannot be stored as UTF-8."""
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return spelling
    return chr(code)


def _named_character(name: str, spelling: str) -> str:
    try:
        return unicodedata.lookup(name)
    except KeyError:
        return spelling
