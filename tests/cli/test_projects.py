"""Several projects in one run, and where the settings of each come from."""

import json
from pathlib import Path

import pytest

from cancellint.projects import SettingsFrom, projects
from tests.test_cli import LOCKED, Command, Outcome

GENERATED = """\
import asyncio


async def pages():
    yield await asyncio.sleep(1)


async def show(timeout):
    while True:
        await asyncio.wait_for(anext(pages()), timeout)
"""


def tree(folder: Path, **files: str) -> None:
    """Files by their paths, `__` being a slash and `_toml` the ending `.toml`."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_toml", ".toml")
        path = path if path.suffix else path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def told(outcome: Outcome) -> list[str]:
    """Place and code of every finding."""
    return [" ".join(line.split()[:2]) for line in outcome.out.splitlines()]


@pytest.mark.parametrize("other", ["", "ignore = ['CAN001']\n"])
@pytest.mark.parametrize(
    "setting",
    [
        "ignore = ['CAN201']",
        "select = ['CAN1']",
        "severity = {CAN201 = 'warning'}",
        "per-file-ignores = {'/a.py' = ['CAN201']}",
        "exclude = ['/a.py']",
        "min-confidence = 'certain'",
        "profile = 'pedantic'",
        "assume-raced = 'public'",
        "unsafe-fixes = true",
    ],
)
def test_the_order_of_projects_changes_nothing(command: Command, setting: str, other: str) -> None:
    tree(command.folder, p1__a=LOCKED, p2__a=LOCKED, p1__cancellint_toml=setting, p2__cancellint_toml=other)

    def report(*arguments: str) -> dict[str, list[object]]:
        read: dict[str, list[object]] = json.loads(
            command("check", "--output-format", "json", *arguments).out
        )
        return read

    one, two, both = report("p1"), report("p2"), report("p1", "p2")

    assert both == report("p2", "p1")
    assert both["findings"] == one["findings"] + two["findings"]
    assert len(two["findings"]) == 1


def test_each_project_is_checked_under_its_own_configuration(command: Command) -> None:
    tree(
        command.folder,
        p1__a=LOCKED,
        p1__cancellint_toml="ignore = ['CAN201']",
        p2__a=LOCKED,
        p2__pyproject_toml="[tool.cancellint]\nseverity = {CAN201 = 'warning'}\n",
    )

    found = json.loads(command("check", "p1", "p2", "--output-format", "json").out)["findings"]

    assert [(each["path"], each["severity"]) for each in found] == [("p2/a.py", "warning")]


def test_what_is_in_no_project_is_read_together(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).touch()

    (project,) = projects([tmp_path / "b.py", tmp_path / "a.py"], SettingsFrom())

    assert project.paths == (tmp_path / "a.py", tmp_path / "b.py")


def test_a_folder_inside_of_a_project_says_what_is_shown_of_it(command: Command) -> None:
    tree(
        command.folder,
        a=LOCKED,
        inner__a=LOCKED,
        inner__deep__a=LOCKED.replace("Cache", "Deep"),
        inner__deep__cancellint_toml="exclude = ['/b.py']",
        inner__deep__b=LOCKED.replace("Cache", "Left"),
        inner__pyproject_toml="[tool.cancellint]\nignore = ['CAN201']\n",
        other__pyproject_toml="[broken\n",
        other__a=LOCKED.replace("Cache", "Other"),
    )

    outcome = command("check", "--output-format", "concise")

    assert told(outcome) == [f"{path}:11:13: CAN201" for path in ("a.py", "inner/deep/a.py", "other/a.py")]
    assert command("check", "inner/a.py", "--output-format", "concise").out == ""


def test_a_project_without_settings_has_those_of_its_repository(command: Command) -> None:
    (command.folder / "top" / ".git").mkdir(parents=True)
    tree(
        command.folder,
        cancellint_toml="select = ['CAN9']",
        top__cancellint_toml="per-file-ignores = {'/inner/a.py' = ['CAN201']}",
        top__inner__pyproject_toml="[project]\nname = 'inner'\n",
        top__inner__a=LOCKED,
        top__inner__b=LOCKED,
    )

    outcome = command("check", "top/inner", "--output-format", "concise")

    assert told(outcome) == ["top/inner/b.py:11:13: CAN201"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("assume-raced", "'public'"),
        ("target-version", "'3.11'"),
        ("unsafe-fixes", "true"),
        ("baseline", "'known.json'"),
        ("dropped-task-underscore", "true"),
    ],
)
def test_what_an_inner_folder_says_about_the_whole_project_is_told_to_be_in_vain(
    command: Command, key: str, value: str
) -> None:
    tree(command.folder, inner__cancellint_toml=f"{key} = {value}", inner__a="x = 1\n")

    told = f"inner/cancellint.toml: `{key}` counts only where the project as a whole says it"
    assert command("check").err == f"cancellint: warning: {told}\n"
    assert "counts only" not in command("check", "inner").err


# --------------------------------------------------------------------------- extend, --config, --isolated


def test_a_configuration_extends_another(command: Command) -> None:
    tree(
        command.folder,
        base__base_toml="extend = 'deep.toml'\nignore = ['CAN201']\n",
        base__deep_toml="select = ['CAN2', 'CAN0']\nignore = ['CAN1']\nknowledge = ['own.toml']\n",
        base__own_toml="",
        p__a=LOCKED,
        p__b="def f(:\n",
        p__cancellint_toml="extend = '../base/base.toml'\nper-file-ignores = {'/b.py' = ['CAN001']}\n",
    )

    assert command("check", "p", "--output-format", "concise").out == ""
    listed = json.loads(command("config", "p", "--output-format", "json").out)["settings"]
    said = {each["key"]: (each["value"], each["origin"]) for each in listed if each["origin"] != "default"}
    assert said["select"] == (["CAN2", "CAN0"], "../base/deep.toml")
    assert said["ignore"] == (["CAN201"], "../base/base.toml")
    assert said["knowledge"] == ([str(command.folder / "base" / "own.toml")], "../base/deep.toml")
    assert said["per-file-ignores"] == ({"/b.py": ["CAN001"]}, "cancellint.toml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("extend = 'gone.toml'", 'names "gone.toml", and there is no file'),
        ("extend = 'cancellint.toml'", "which extends this file itself"),
        ("extend = '../outside.toml'", "which lies outside of"),
        ("extend = 'a.py'", "which is no file"),
        ("extend = 3", "must be a string, not 3"),
        ("extend = 'base.toml'", "base.toml: `selekt` is not a setting; did you mean `select`?"),
    ],
)
def test_what_cannot_be_extended_is_told(command: Command, text: str, problem: str) -> None:
    (command.folder / "top" / ".git").mkdir(parents=True)
    tree(command.folder, outside_toml="", top__cancellint_toml=text, top__base_toml="selekt = []")

    outcome = command("check", "top")

    assert (outcome.code, outcome.out) == (2, "")
    assert problem in outcome.err


def test_settings_may_come_from_a_named_file_or_from_none(command: Command) -> None:
    tree(
        command.folder,
        a=LOCKED,
        inner__b=LOCKED.replace("Cache", "Inner"),
        inner__cancellint_toml="select = ['CAN201']",
        cancellint_toml="ignore = ['CAN201']",
        other_toml="severity = {CAN201 = 'warning'}",
    )

    def severities(*arguments: str) -> list[str]:
        found = json.loads(command("check", "--output-format", "json", *arguments).out)["findings"]
        return [each["severity"] for each in found]

    assert severities() == ["error"]
    assert severities("--config", "other.toml") == ["warning", "warning"]
    assert severities("--isolated") == ["error", "error"]
    assert command("check", "--isolated", "--config", "other.toml").code == 2
    assert "severity" in command("config", "--config", "other.toml").out


# --------------------------------------------------------------------------- what is wrong, and where


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("select = ['CAN9']", "select"),
        ("extend-select = ['CAN9']", "extend-select"),
        ("ignore = ['CAN9']", "ignore"),
        ("per-file-ignores = {'a' = ['CAN9']}", "per-file-ignores"),
        ("severity = {CAN9 = 'error'}", "severity"),
        ("noqa-aliases = {RUF006 = ['CAN9']}", "noqa-aliases"),
    ],
)
def test_a_rule_that_does_not_exist_is_told_with_the_file_that_names_it(
    command: Command, setting: str, name: str
) -> None:
    tree(command.folder, pyproject_toml=f"[tool.cancellint]\n{setting}\n")

    outcome = command("check")

    assert (outcome.code, outcome.out) == (2, "")
    file = command.folder / "pyproject.toml"
    assert outcome.err.startswith(f"cancellint: {file}: `tool.cancellint.{name}`: `CAN9` is no rule's code")


def test_codes_of_other_tools_count_where_the_configuration_says_so(command: Command) -> None:
    text = LOCKED.replace("sleep(1)", "sleep(1)  # noqa: RUF006, E501")
    tree(command.folder, a=text, b="x = 1  # noqa: RUF006\n")

    assert told(command("check", "--output-format", "concise")) == ["a.py:11:13: CAN201"]

    tree(command.folder, cancellint_toml="noqa-aliases = {ruf006 = ['CAN201']}")

    assert command("check", "--output-format", "concise").out == ""
