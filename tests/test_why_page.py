"""The programs of *Why cancellation bites* do what the page says, and are reported, or not, as it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cancellint.api import check

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "why.md").read_text("utf-8")
PROGRAMS = re.findall(r"(?ms)^```python\n(.*?)^```$.*?^```text\n(.*?)^```$", PAGE)
EXPECTED = ["CAN101", None, "CAN106", None, "CAN501", None]
ENDS = [True, True, False, True, False, True]
WALKS = re.findall(r'(?ms)^<div class="walk" markdown>\n\n```python\n(.*?)^```$\n\n(.*?)^</div>$', PAGE)


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_a_program_of_the_page_prints_what_stands_below_it(number: int, tmp_path: Path) -> None:
    text, printed = PROGRAMS[number]
    (tmp_path / "program.py").write_text(text)
    command = [sys.executable, "-u", "program.py"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        try:
            out, _ = running.communicate(timeout=20 if ENDS[number] else 3)
        except subprocess.TimeoutExpired:
            running.kill()
            out, _ = running.communicate()
            assert not ENDS[number]
        else:
            assert ENDS[number]

    assert out.startswith(printed)
    assert out == printed or not ENDS[number]


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_the_faulty_ones_are_reported_and_the_cures_are_not(number: int, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAMS[number][0])

    found = [each.code for each in check([tmp_path], isolated=True).findings]

    assert found == [EXPECTED[number]] * (EXPECTED[number] is not None)


def test_there_are_three_walks_and_their_steps_stand_at_lines_of_code() -> None:
    assert len(PROGRAMS) == len(EXPECTED)
    assert len(WALKS) == 3
    for text, steps in WALKS:
        lines = text.splitlines()
        numbers = re.findall(r"(?m)^\d+\. \*\*line (\d+)\*\* ", steps)
        assert len(numbers) == len(re.findall(r"(?m)^\d+\. ", steps)) >= 6
        assert all(lines[int(number) - 1].strip() for number in numbers)
