"""What is told of the run itself."""

import re
from typing import Any

import pytest

from cancellint import pipeline
from cancellint.analysis.engine.limits import LOG, Limit
from cancellint.analysis.project import Project
from tests.cli.test_projects import tree
from tests.test_cli import LOCKED, Command


def test_verbose_tells_root_configuration_files_and_times(command: Command) -> None:
    tree(
        command.folder,
        a=LOCKED,
        base_toml="ignore = ['CAN3']\n",
        cancellint_toml="extend = 'base.toml'\nselect = ['CAN2']\n",
        inner__b="async def f(): pass\n",
        inner__cancellint_toml="profile = 'pedantic'\n",
    )

    outcome = command("check", "a.py", "--verbose")

    assert f"project {command.folder}: ignore, select from base.toml, cancellint.toml\n" in outcome.err
    assert "  in it inner: profile from inner/cancellint.toml\n" in outcome.err
    assert "2 files read, 1 of them reported on\n" in outcome.err
    assert re.findall(r"(?m)^cancellint: (.+): \d+\.\d\d s$", outcome.err) == [
        "finding files",
        "parsing and lowering",
        "summaries",
        "rules",
        "places and fixes",
    ]


def test_verbose_tells_which_limits_were_reached(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command.write(a=LOCKED)
    apples = Limit(3, "apples in a basket")
    original = pipeline.analyse

    def reaches(*arguments: Any) -> Project:
        apples.reached()
        apples.reached()
        return original(*arguments)

    assert command("check", "--verbose").err.endswith("no limit of the analysis was reached\n")
    monkeypatch.setattr(pipeline, "analyse", reaches)

    told = "cancellint: limit reached, and not looked further: 3 apples in a basket (2 times)\n"
    assert told in command("check", "--verbose").err
    assert command("check").err == ""
    assert LOG.handlers == []


def test_verbose_tells_every_story(command: Command) -> None:
    from tests.cli.test_show import MANY

    command.write(a=MANY)

    assert command("check", "--verbose").out.count("error[CAN201]") == 6


def test_quiet_prints_findings_alone(command: Command) -> None:
    command.write(a=LOCKED, b="x = 1\n")
    (command.folder / "docs").mkdir()

    found, clean = command("check", "-q", "a.py", "docs"), command("check", "-q", "b.py", "docs")

    assert found.out.startswith("error[CAN201]")
    assert "finding" not in found.out
    assert (clean.out, clean.err, found.err) == ("", "", "")
    assert (clean.code, found.code) == (0, 1)
    assert command("check", "-q", "-v").code == 2


@pytest.mark.parametrize(
    ("arguments", "files"),
    [((), ["a.py", "inner/b.py"]), (("c.py", "inner"), ["c.py", "inner/b.py"]), (("a.pyi",), [])],
)
def test_the_files_that_would_be_reported_on_are_listed(
    command: Command, arguments: tuple[str, ...], files: list[str]
) -> None:
    tree(
        command.folder,
        a=LOCKED,
        c="x = 1\n",
        inner__b=LOCKED,
        inner__c=LOCKED,
        inner__cancellint_toml="exclude = ['c.py']",
        cancellint_toml="exclude = ['/c.py']",
    )
    (command.folder / "a.pyi").touch()

    outcome = command("check", "--show-files", *arguments)

    assert (outcome.code, outcome.out.splitlines()) == (0, files)
