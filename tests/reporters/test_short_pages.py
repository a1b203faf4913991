"""The pages of the rules as users read them."""

import re
from pathlib import Path

import pytest

from cancellint.reporters.pages import SHORT_SECTIONS, short, whole
from cancellint.resources import rule_pages


@pytest.mark.parametrize("page", rule_pages(), ids=lambda page: page.stem)
def test_every_page_has_a_short_form_of_one_screen(page: Path) -> None:
    text = short(page.read_text("utf-8"))

    assert re.findall(r"(?m)^## (.+)$", text) == list(SHORT_SECTIONS)
    assert text.count("```python\n") == 2
    assert text.count("```") == 4
    assert len(text.splitlines()) <= 60


@pytest.mark.parametrize("page", rule_pages(), ids=lambda page: page.stem)
def test_no_page_shows_the_marks_of_its_tests(page: Path) -> None:
    assert "# want" not in whole(page.read_text("utf-8"))


def test_only_marks_are_left_out() -> None:
    page = 'x = 1  # want CAN101 "a" CAN102 "b"\ny = 2  # they want this\ndef f():  # want f: "suspends"\n'

    assert whole(page) == "x = 1\ny = 2  # they want this\ndef f():\n"
