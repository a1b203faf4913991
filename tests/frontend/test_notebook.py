"""Notebooks become modules whose lines can be led back to cells."""

import json

import pytest

from cancellint.frontend.notebook import Cell, Cells, NoNotebook, cell_at, read_cells


def notebook(*cells: tuple[str, str | list[str]], language: str = "python") -> bytes:
    listed = [{"cell_type": kind, "source": source, "metadata": {}} for kind, source in cells]
    metadata = {"kernelspec": {"language": language}, "language_info": {"name": language}}
    return json.dumps({"nbformat": 4, "cells": listed, "metadata": metadata}).encode()


def code_of(data: bytes) -> str:
    cells = read_cells(data)
    assert isinstance(cells, Cells)
    return cells.data.decode()


def test_cells_of_code_are_one_module() -> None:
    cells = read_cells(notebook(("markdown", "# x"), ("code", ["a = 1\n", "b = 2"]), ("code", "c = 3\n")))

    assert cells == Cells(b"a = 1\nb = 2\nc = 3\n\n", (Cell(2, 1), Cell(3, 3)))
    assert [cell_at(cells.cells, line).number for line in (1, 2, 3, 4)] == [2, 2, 3, 3]


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1\n"),
        ("if a:\n    !ls\n", "if a:\n    pass\n\n"),
        ("files = !ls\nt = %timeit f()", "files = None\nt = None\n"),
        ("%%bash\nls -l\n", "\n\n\n"),
        ("%%time\nawait f()", "pass\nawait f()\n"),
        ("f?\nf.g??\n?f", "pass\npass\npass\n"),
        ("x = a % b\ny = a != b\n", "x = a % b\ny = a != b\n\n"),
    ],
)
def test_what_only_ipython_understands_is_left_out(cell: str, code: str) -> None:
    assert code_of(notebook(("code", cell))) == code


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"[" * 100_000, notebook(language="R")])
def test_what_is_no_notebook_of_python_is_refused(data: bytes) -> None:
    assert isinstance(read_cells(data), NoNotebook)
