"""The page for newcomers names what is there: its paths exist, its examples import what they say."""

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from cancellint.analysis.library.knowledge import load

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
FOLDERS = (
    ROOT,
    ROOT / "cancellint",
    ROOT / "cancellint" / "analysis",
    ROOT / "cancellint" / "analysis" / "normal",
)
MADE_UP = ("sleep", "broker", "deletes.py", "negations.py", "<")
"""What the examples of the page add, and its placeholders."""


def fences(language: str) -> list[str]:
    found = re.findall(rf"(?ms)^( *)```{language}\n(.*?)^\1```$", TEXT)
    return [dedent(code) for _, code in found]


def paths() -> Iterator[str]:
    outside = re.sub(r"(?ms)^ *```.*?^ *```$", "", TEXT)
    for quoted in re.findall(r"`([\w./*<>-]+(?:\.py|\.toml|/))`", outside):
        if not any(word in quoted for word in MADE_UP):
            yield quoted


def imported() -> Iterator[tuple[str, str]]:
    for code in fences("python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module and "sleeping" not in node.module:
                yield from ((node.module, alias.name) for alias in node.names)


def test_every_path_on_the_page_exists():
    named = list(paths())

    assert len(named) > 50
    assert [path for path in named if not any(any(folder.glob(path)) for folder in FOLDERS)] == []


def test_every_package_of_the_analysis_is_on_the_page():
    packages = sorted(each.parent.name for each in (ROOT / "cancellint" / "analysis").glob("*/__init__.py"))

    assert packages
    assert [name for name in packages if f"| `{name}/` |" not in TEXT] == []


def test_what_the_examples_import_is_there():
    named = list(imported())

    assert len(named) > 20
    assert [
        f"{module}.{name}" for module, name in named if not hasattr(importlib.import_module(module), name)
    ] == []


def test_the_example_of_a_table_is_one():
    (table,) = fences("toml")

    assert load([tomllib.loads(table)]).entry("broker.Connection.recv") is not None
