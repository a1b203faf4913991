"""Notebooks and stubs on the command line."""

import json

import pytest

from tests.fixes.test_fixes import COMPLETED, GUARDED
from tests.frontend.test_notebook import notebook
from tests.test_cli import LOCKED, Command

IMPORTS, _, CLASS = LOCKED.partition("\n\n\n")
REAL = notebook(("markdown", "words"), ("code", IMPORTS), ("code", f"%time f()\n{CLASS}"))


@pytest.mark.parametrize("argument", ["real.ipynb", "."])
def test_a_finding_in_a_notebook_is_told_by_cell(command: Command, argument: str) -> None:
    (command.folder / "real.ipynb").write_bytes(REAL)

    outcome = command("check", argument)

    assert outcome.code == 1
    assert "--> real.ipynb:cell 3:8:13 in Cache.refresh" in outcome.out
    assert "\n  8 |             await asyncio.sleep(1)\n" in outcome.out
    concise = command("check", argument, "--output-format", "concise").out
    assert concise.startswith("real.ipynb:cell 3:8:13: CAN201 ")
    (found,) = json.loads(command("check", argument, "--output-format", "json").out)["findings"]
    assert (found["path"], found["cell"], found["line"]) == ("real.ipynb", 3, 8)
    assert {note["cell"] for note in found["notes"]} == {3}


def test_comments_in_notebooks_count(command: Command) -> None:
    text = CLASS.replace("sleep(1)", "sleep(1)  # cancellint: ignore[CAN201]")
    cells = notebook(("code", IMPORTS), ("code", text), ("code", "x = 1  # cancellint: ignore[CAN1]"))
    (command.folder / "real.ipynb").write_bytes(cells)

    assert command("check", "--output-format", "concise").out.startswith("real.ipynb:cell 3:1:8: CAN002")


def test_notebooks_are_not_changed(command: Command) -> None:
    command.write(a=COMPLETED)
    (command.folder / "real.ipynb").write_bytes(
        data := notebook(("code", COMPLETED.replace("Cache", "Other")))
    )

    outcome = command("check", "--fix", "--unsafe-fixes", "--min-confidence", "possible")

    assert (command.folder / "a.py").read_text() == GUARDED
    assert (command.folder / "real.ipynb").read_bytes() == data
    assert "real.ipynb:cell 1" in outcome.out


def test_a_notebook_that_cannot_be_read_is_told(command: Command) -> None:
    (command.folder / "real.ipynb").write_text("{")

    outcome = command("check", "real.ipynb", "--output-format", "concise")

    assert outcome.out.startswith(
        "real.ipynb:1:1: CAN001 unreadable-file: this notebook is not checked: it is no notebook of version 4"
    )


def test_a_stub_is_told_to_hold_nothing_to_check(command: Command) -> None:
    (command.folder / "a.pyi").write_text(LOCKED)

    outcome = command("check", "a.pyi")

    assert (outcome.code, outcome.err) == (
        0,
        "cancellint: warning: a.pyi is a stub: nothing in it runs, so there is nothing to check\n",
    )
    assert outcome.out.startswith("No findings in 0 files")
