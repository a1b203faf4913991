"""What helps to set it up and to report faults: doctor, the schema, completion."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from cancellint import __version__
from cancellint.config import EXTEND, KEYS
from tests.test_cli import Command

ROOT = Path(__file__).resolve().parents[2]


def test_the_doctor_tells_versions_platform_and_settings(command: Command) -> None:
    (command.folder / "cancellint.toml").write_text("select = ['CAN1']\n")

    outcome = command("doctor", TERM="xterm")

    assert outcome.code == 0
    assert outcome.out.startswith(f"cancellint {__version__} in ")
    for line in (
        r"libcst \d+\..+",
        r"Python 3\.\d+.+",
        r"project .+",
        "select from cancellint.toml",
        "TERM=xterm",
    ):
        assert re.search(f"(?m)^{line}$", outcome.out), line
    assert outcome.out.endswith("no problems\n")


def test_the_doctor_tells_what_is_wrong(command: Command) -> None:
    (command.folder / "cancellint.toml").write_text("selekt = ['CAN1']\n")

    outcome = command("doctor")

    assert outcome.code == 2
    assert re.search("(?m)^problem: .*`selekt` is not a setting; did you mean `select`", outcome.out)
    assert command("doctor", "--isolated").code == 0


@pytest.fixture
def schema(command: Command) -> Draft7Validator:
    read = json.loads(command("config", "--schema").out)
    Draft7Validator.check_schema(read)
    return Draft7Validator(read)


def test_the_schema_knows_every_setting(schema: Draft7Validator) -> None:
    assert set(schema.schema["properties"]) == {*KEYS, EXTEND}
    assert all(each["description"] for each in schema.schema["properties"].values())


def test_the_schema_takes_what_the_readme_shows_and_what_is_in_effect(
    schema: Draft7Validator, command: Command
) -> None:
    (shown,) = re.findall(r"(?ms)^```toml\n(\[tool\.cancellint\].*?)^```$", (ROOT / "README.md").read_text())
    settings = tomllib.loads(shown)["tool"]["cancellint"]

    assert [error.message for error in schema.iter_errors(settings)] == []
    assert set(settings) == {*KEYS, EXTEND}
    effective = tomllib.loads(command("config").out)
    assert [error.message for error in schema.iter_errors(effective)] == []


@pytest.mark.parametrize(
    "text",
    [
        "selekt = []",
        "select = ['CAN9']",
        "select = 'CAN1'",
        "severity = {CAN1 = 'bad'}",
        "severity = {CAN9 = 'error'}",
        "target-version = '2.7'",
        "noqa-aliases = {CAN101 = ['CAN1']}",
        "unsafe-fixes = 1",
        "profile = 'strict'",
    ],
)
def test_the_schema_and_the_program_refuse_the_same(
    schema: Draft7Validator, command: Command, text: str
) -> None:
    (command.folder / "cancellint.toml").write_text(text)

    assert not schema.is_valid(tomllib.loads(text))
    assert command("check").code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_readme_says_how_shells_complete(shell: str) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert f"_CANCELLINT_COMPLETE={shell}_source cancellint" in text

    program = Path(sys.executable).parent / "cancellint"
    environment = {**os.environ, "_CANCELLINT_COMPLETE": f"{shell}_source"}
    script = subprocess.run([program], env=environment, capture_output=True, text=True, check=False)
    assert "cancellint" in script.stdout
    if shutil.which(shell):
        done = subprocess.run([shell, "-n"], input=script.stdout, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_commands_and_options_are_completed() -> None:
    program = Path(sys.executable).parent / "cancellint"
    environment = {
        **os.environ,
        "_CANCELLINT_COMPLETE": "bash_complete",
        "COMP_WORDS": "cancellint check --ba",
        "COMP_CWORD": "2",
    }

    done = subprocess.run([program], env=environment, capture_output=True, text=True, check=False)

    assert done.stdout == "plain,--baseline\n"


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["explain", "CAN101"], ["explain", "CAN101", "--full"]]
)
def test_what_needs_no_analysis_loads_none(arguments: list[str]) -> None:
    program = "import sys; from cancellint.cli import cli; cli(standalone_mode=False); print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments], capture_output=True, text=True, check=True
    )

    loaded = set(done.stdout.splitlines()[-1].split())
    assert "cancellint.cli.check" in loaded
    slow = {"libcst", "cancellint.analysis", "cancellint.pipeline", "cancellint.rules", "importlib.metadata"}
    assert loaded & slow == set()
