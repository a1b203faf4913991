"""The page about reports names all formats, and its commands do what it says."""

import re
from pathlib import Path

import pytest

from cancellint.formats import FORMATS
from tests.test_ci import bash, environment, project

__all__ = ["project"]

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "reports.md").read_text("utf-8")
COMMANDS = [line for fence in re.findall(r"(?ms)^```sh\n(.*?)^```$", PAGE) for line in fence.splitlines()]


def test_every_format_is_on_the_page() -> None:
    rows = re.findall(r"(?m)^\| (`.+?) \|", PAGE)

    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(FORMATS)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_the_page_exits_as_it_says(line: str, project: Path) -> None:
    stated = re.search(r"# exits with (\d)$", line)

    done = bash(line, project, environment(project.parent))

    assert done.returncode == (int(stated[1]) if stated else 0), done.stderr
    assert "Traceback" not in done.stderr
