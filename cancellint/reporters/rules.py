"""The list of rules."""

import json
from collections.abc import Sequence

from msgspec import Struct

from cancellint.model.finding import Severity


class Row(Struct, frozen=True):
    """A rule in the list."""

    code: str
    name: str
    severity: Severity
    pedantic: bool
    summary: str


def as_table(rows: Sequence[Row]) -> str:
    """One line per rule: code, name, level, what it finds."""
    width = max(len(row.name) for row in rows)
    return "".join(f"{row.code}  {row.name:<{width}}  {_level(row):<8}  {row.summary}\n" for row in rows)


def as_json(rows: Sequence[Row]) -> str:
    """The rules as one JSON object."""
    rules = [
        {
            "code": row.code,
            "name": row.name,
            "severity": row.severity.value,
            "pedantic": row.pedantic,
            "summary": row.summary,
        }
        for row in rows
    ]
    return json.dumps({"version": 1, "rules": rules}, indent=2, ensure_ascii=False) + "\n"


def _level(row: Row) -> str:
    return "pedantic" if row.pedantic else row.severity.value
