"""Notebooks: their cells of code as the text of one module."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

SUFFIX: Final = ".ipynb"

_TRANSPARENT: Final = ("%%time", "%%timeit", "%%capture", "%%prun")
"""What may stand above a cell and leaves it Python."""

_MAGIC: Final = re.compile(r"^(?P<indent>[ \t]*)(?:[%!]|\?|[\w.]+\?\??\s*$)")
_ASSIGNED_MAGIC: Final = re.compile(r"^(?P<target>[ \t]*[\w., ]+=[ \t]*)[%!]")


class _Cell(Struct):
    cell_type: str = ""
    source: str | list[str] = ""


class _Language(Struct):
    name: str = "python"


class _Kernel(Struct):
    language: str = "python"


class _Metadata(Struct):
    kernelspec: _Kernel = msgspec.field(default_factory=_Kernel)
    language_info: _Language = msgspec.field(default_factory=_Language)


class _Notebook(Struct):
    cells: list[_Cell] = []
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class Cell(Struct, frozen=True):
    """A cell of code."""

    number: int
    """among all cells, from 1"""
    line: int
    """the line of the module that it begins on"""


class Cells(Struct, frozen=True):
    """The cells of a notebook, and the module that they are."""

    data: bytes
    cells: tuple[Cell, ...]


class NoNotebook(Struct, frozen=True):
    """Why a file holds no cells of Python."""

    reason: str


def read_cells(data: bytes) -> Cells | NoNotebook:
    """The code of a notebook. What only IPython understands is left out, and its lines are kept."""
    try:
        notebook = msgspec.json.decode(data, type=_Notebook)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        return NoNotebook(f"it is no notebook of version 4: {error}")
    language = notebook.metadata.language_info.name or notebook.metadata.kernelspec.language
    if language not in ("python", "ipython") or notebook.metadata.kernelspec.language != "python":
        return NoNotebook("its language is not Python")
    lines: list[str] = []
    cells: list[Cell] = []
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "code":
            cells.append(Cell(number, len(lines) + 1))
            lines += _python(cell.source if isinstance(cell.source, str) else "".join(cell.source))
    return Cells("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"), tuple(cells))


def _python(text: str) -> Iterator[str]:
    """The lines of a cell, as many as there are, with `pass` for what is no Python."""
    lines = re.split(r"\r\n|\n|\r", text)
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%") and not first.startswith(_TRANSPARENT):
        yield from ("" for _ in lines)
        return
    for line in lines:
        assigned, magic = _ASSIGNED_MAGIC.match(line), _MAGIC.match(line)
        if assigned is not None:
            yield f"{assigned['target']}None"
        elif magic is not None:
            yield f"{magic['indent']}pass"
        else:
            yield line


def cell_at(cells: tuple[Cell, ...], line: int) -> Cell:
    """The cell that a line of the module stands in."""
    return cells[max(0, bisect_right([cell.line for cell in cells], line) - 1)]
