"""The story of one finding, and how few of many are told in full."""

from pathlib import Path

import pytest

from cancellint.config import Config
from cancellint.pipeline import run
from cancellint.reporters.fingerprints import by_trace
from tests.frontend.test_notebook import notebook
from tests.test_cli import LOCKED, Command

MANY = LOCKED.partition("class")[0] + "".join(
    f"class Cache{number}:\n    def __init__(self):\n        self.lock = threading.Lock()\n\n"
    f"    async def refresh(self):\n        with self.lock:\n            await asyncio.sleep({number})\n\n\n"
    for number in range(6)
)


def test_of_many_findings_of_a_rule_in_a_file_the_first_are_told_with_their_story(command: Command) -> None:
    command.write(a=MANY, b=LOCKED)

    out = command("check").out

    assert out.count("error[CAN201]") == 4
    assert "3 more findings of the same rules in the same files, in brief:\n  a.py:" in out
    assert "\n7 findings (7 errors) in 2 files" in out
    assert "`cancellint show FILE:LINE`" in out


def test_further_places_of_a_cause_are_named_in_a_line(command: Command) -> None:
    for number in range(6):
        (command.folder / f"root{number}").mkdir()
        (command.folder / f"root{number}" / "a.py").write_text(LOCKED)

    lines = command("check").out.splitlines()

    also = [line for line in lines if line.startswith("  also: ")]
    assert also[0].startswith("  also: `self.lock` stays locked")
    assert also[0].endswith("  root1/a.py:11:13 in Cache.refresh")
    assert also[-1] == "  also: 2 more places"
    assert len(also) == 4


@pytest.mark.parametrize("word", ["a.py:11", "a.py:11:13", "./a.py:11:13:", "a.py"])
def test_a_finding_is_shown_step_by_step(command: Command, word: str) -> None:
    command.write(a=LOCKED)

    outcome = command("show", word)

    assert outcome.code == 0
    assert outcome.out.startswith("error[CAN201] thread-lock-across-await (certain)\n\n0. `self.lock` stays")
    assert "  --> a.py:10:14 in Cache.refresh\n   7 |         self.lock = threading.Lock()\n" in outcome.out
    assert "  10 |         with self.lock:\n     |              ^^^^^^^^^\n  11 | " in outcome.out
    assert "`cancellint explain CAN201` tells more" in outcome.out


def test_a_finding_is_shown_by_its_fingerprint(command: Command) -> None:
    command.write(a=LOCKED, b=LOCKED.replace("Cache", "Other"))
    (found,) = by_trace(run(Config(root=Path()), [Path("b.py")]))

    assert "b.py:11:13 in Other" in command("show", found[:12]).out


def test_a_finding_in_a_notebook_is_shown_by_its_cell(command: Command) -> None:
    (command.folder / "real.ipynb").write_bytes(notebook(("code", "x = 1"), ("code", LOCKED)))

    assert "--> real.ipynb:cell 2:11:13 in" in command("show", "real.ipynb:cell 2:11").out


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("a.py:3", "nothing is found at a.py:3; there are findings in lines 11"),
        ("nowhere.py:3", "is no place such as `src/app.py:12`"),
        ("0123456789ab", "nothing is found at 0123456789ab"),
    ],
)
def test_what_is_not_found_is_told(command: Command, word: str, problem: str) -> None:
    command.write(a=LOCKED)

    outcome = command("show", word)

    assert (outcome.code, outcome.out) == (2, "")
    assert problem in outcome.err
