"""The settings of a run and where they come from."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

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
    return "".join(
        f"{line:<{width}}  # {setting.origin}\n" for line, setting in zip(lines, settings, strict=True)
    )


def as_json(settings: Sequence[Setting]) -> str:
    """The settings as one JSON object."""
    rows = [{"key": each.key, "value": each.value, "origin": each.origin} for each in settings]
    return json.dumps({"version": 1, "settings": rows}, indent=2) + "\n"


def _toml(value: Value) -> str:
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case _:
            inner = ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items())
            return f"{{ {inner} }}" if inner else "{}"
