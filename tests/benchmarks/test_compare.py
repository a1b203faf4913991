"""The comparison with other tools: its table is the script's, and a cell that does not hold is seen."""

import os
import re
import sys
from pathlib import Path

import pytest

from benchmarks import compare

ROOT = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def test_the_table_of_the_page_is_what_the_script_tries() -> None:
    text = compare.PAGE.read_text("utf-8").partition(compare.BEGIN)[2].partition(compare.END)[0]
    head, _, *rows = text.strip().splitlines()

    assert re.fullmatch(r"\| \|(?: \w+ [\d.]+ \|){5}", head)
    assert [re.findall(r"\w+", each)[0] for each in head.split("|")[2:-1]] == [*compare.TOOLS]
    assert rows == [
        f"| {row} | {' | '.join(cells[tool].says for tool in compare.TOOLS)} |"
        for row, cells in compare.ROWS.items()
    ]


@pytest.mark.parametrize("row", ["JSON", "a misspelt rule in the settings", "checks again on change"])
def test_a_cell_holds_and_one_that_says_otherwise_does_not(row: str) -> None:
    cell = compare.ROWS[row]["cancellint"]
    otherwise = cell._replace(holds=lambda done: not cell.holds(done))

    assert compare.problem(row, "cancellint", cell, PATH) is None
    assert f"{row}, cancellint: not so" in str(compare.problem(row, "cancellint", otherwise, PATH))
