"""The settings of a run and where they come from."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from cancellint.printable import no_commands, printable
from cancellint.reporters.json import dumped

Value: TypeAlias = str | bool | tuple[str, ...] | Mapping[str, "Value"]


class Setting(Struct, frozen=True):
    """A setting, its value, and where that was said."""

    key: str
    value: Value
    origin: str


def as_toml(settings: Sequence[Setting]) -> str:
    """The settings as the text of a `cancellint.toml` that would have the same effect."""
    lines = [f"{setting.key} = {_toml(setting.value)}" for setting in settings]
    width = max(len(line) for line in lines)
    rows = zip(lines, settings, strict=True)
    return no_commands("".join(f"{line:<{width}}  # {printable(setting.origin)}\n" for line, setting in rows))


def as_json(settings: Sequence[Setting]) -> str:
    """The settings as one JSON object."""
    rows = [{"key": each.key, "value": each.value, "origin": each.origin} for each in settings]
    return dumped({"version": 1, "settings": rows})


def _toml(value: Value) -> str:
    match value:
        case str():
            return _quoted(value)
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case _:
            inner = ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items())
            return f"{{ {inner} }}" if inner else "{}"


def _quoted(text: str) -> str:
    """A string of TOML: what does not print is written in TOML's own escapes, and means the same."""
    return "".join(
        char if printable(char) == char else f"\\U{ord(char):08X}"
        for char in json.dumps(text, ensure_ascii=False)
    ).replace("##[", "#\\u0023[")
