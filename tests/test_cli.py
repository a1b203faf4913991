"""The command line: what it prints where, and how it exits."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from cancellint import __version__, pipeline
from cancellint.cli import main
from cancellint.config import load
from cancellint.model import ir
from cancellint.model.finding import SAME_CAUSE
from cancellint.selection import catalogue

LOCKED = """\
import asyncio
import threading


class Cache:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    async def refresh(self) -> None:
        with self.lock:
            await asyncio.sleep(1)
"""


class Outcome(NamedTuple):
    code: int | str | None
    out: str
    err: str


class Command:
    """Runs the command line in this process, in a folder of its own."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._capture = capture
        self._patch = patch
        patch.chdir(folder)
        for name in ("NO_COLOR", "FORCE_COLOR"):
            patch.delenv(name, raising=False)

    def __call__(self, *arguments: str, stdin: bytes = b"", **environment: str) -> Outcome:
        for name, value in environment.items():
            self._patch.setenv(name, value)
        self._patch.setattr(sys, "argv", ["cancellint", *arguments])
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self._capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Outcome(ended.value.code, *self._capture.readouterr())

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / f"{name}.py").write_text(text)


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    (tmp_path / "pyproject.toml").touch()
    return Command(tmp_path, capsys, monkeypatch)


# --------------------------------------------------------------------------- check


def test_a_clean_project_exits_with_0(command: Command) -> None:
    command.write(a="async def f() -> None:\n    pass\n")

    outcome = command("check")

    assert outcome.code == 0
    assert outcome.out.startswith("No findings in 1 file, 1 function, ")
    assert outcome.err == ""


def test_findings_exit_with_1_and_are_told_with_their_story(command: Command) -> None:
    command.write(a=LOCKED)

    outcome = command("check")

    assert outcome.code == 1
    assert "error[CAN201] thread-lock-across-await: " in outcome.out
    assert "--> a.py:11:13 in Cache.refresh" in outcome.out
    assert "\n  1. " in outcome.out
    assert "\n  help: " in outcome.out
    assert outcome.err == ""


def test_findings_can_exit_with_0(command: Command) -> None:
    command.write(a=LOCKED)

    assert command("check", "--exit-zero").code == 0


def test_only_the_arguments_are_reported_on(command: Command) -> None:
    command.write(a=LOCKED, b=LOCKED)

    assert command("check", "b.py", "--output-format", "concise").out.splitlines() == [
        "b.py:11:13: CAN201 thread-lock-across-await: `self.lock` stays locked while this await is suspended"
    ]


def test_json_has_paths_relative_to_the_working_folder(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.write(a=LOCKED)
    (command.folder / "deep").mkdir()
    monkeypatch.chdir(command.folder / "deep")

    outcome = command("check", "..", "--output-format", "json")

    report = json.loads(outcome.out)
    assert report["version"] == 1
    (finding,) = report["findings"]
    assert (finding["path"], finding["line"], finding["column"]) == ("../a.py", 11, 13)
    assert (finding["end_line"], finding["end_column"]) == (11, 35)
    assert (finding["symbol"], finding["severity"], finding["confidence"]) == (
        "Cache.refresh",
        "error",
        "certain",
    )
    assert [note["path"] for note in finding["notes"]] == ["../a.py"] * len(finding["notes"])


def test_the_order_of_findings_is_that_of_places(command: Command) -> None:
    command.write(b=LOCKED + "\n" + LOCKED.replace("Cache", "Other"), a=LOCKED)

    lines = command("check", "--output-format", "concise").out.splitlines()

    assert [line.split(": ")[0] for line in lines] == ["a.py:11:13", "b.py:11:13", "b.py:23:13"]


def test_one_broken_file_does_not_hide_the_others(command: Command) -> None:
    command.write(a="async def f(:\n", b=LOCKED)
    (command.folder / "c.py").write_bytes(b"async def f(): x = '\xff'\n")

    lines = command("check", "--output-format", "concise").out.splitlines()

    assert [line.split(" ")[:2] for line in lines] == [
        ["a.py:1:13:", "CAN001"],
        ["b.py:11:13:", "CAN201"],
        ["c.py:1:21:", "CAN001"],
    ]


def test_a_file_without_any_async_is_still_told_when_broken(command: Command) -> None:
    command.write(a="def f(:\n")

    assert "a.py:1:7: CAN001" in command("check", "--output-format", "concise").out


def test_a_file_that_cannot_be_read_is_a_finding(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refuses(path: str, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("a.py"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, mode)

    command.write(a="x = 1\n")
    monkeypatch.setattr(os, "open", refuses)

    outcome = command("check", "--output-format", "concise")

    assert outcome.code == 1
    assert outcome.out.endswith(
        "a.py:1:1: CAN001 unreadable-file: this file cannot be read: Permission denied\n"
    )


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_files_the_parser_would_not_survive_are_findings_in_any_process(command: Command, jobs: str) -> None:
    files = {f"ok_{number}": "async def f():\n    pass\n" for number in range(60)}
    command.write(
        **files,
        deep="async def f(): x = " + "(" * 3000 + ")" * 3000,
        long="async def f(): x = " + "1+" * 30000 + "1",
    )

    outcome = command("check", "--jobs", jobs, "--output-format", "concise")

    assert [line.split(" ")[:2] for line in outcome.out.splitlines()] == [
        ["deep.py:1:220:", "CAN001"],
        ["long.py:1:4019:", "CAN001"],
    ]
    assert (outcome.code, outcome.err) == (1, "")


def test_the_number_of_jobs_does_not_change_the_report(command: Command) -> None:
    command.write(
        **{f"m{number}": LOCKED if number % 7 == 0 else "async def f(): pass\n" for number in range(60)}
    )

    reports = [command("check", "--jobs", jobs, "--output-format", "json").out for jobs in ("1", "3")]

    assert reports[0] == reports[1]
    assert len(json.loads(reports[0])["findings"]) == 9


def test_suppressions_silence_what_they_name(command: Command) -> None:
    command.write(
        a=LOCKED.replace("sleep(1)", "sleep(1)  # cancellint: ignore[CAN201] only at start-up"),
        b=LOCKED.replace(
            "            await",
            "            # cancellint: ignore[thread-lock-across-await]\n            await",
        ),
        c=LOCKED.replace("sleep(1)", "sleep(1)  # cancellint: ignore[CAN101]"),
    )

    outcome = command("check", "--output-format", "concise")

    assert [tuple(line.split(" ")[:2]) for line in outcome.out.splitlines()] == [
        ("c.py:11:13:", "CAN201"),
        ("c.py:11:37:", "CAN002"),
    ]


@pytest.mark.parametrize("silenced", [(), ("one",), ("two",), ("one", "two")])
def test_copies_under_two_roots_are_one_finding_that_lists_the_places_no_comment_silences(
    command: Command, silenced: tuple[str, ...]
) -> None:
    for root in ("one", "two"):
        (command.folder / root).mkdir()
        comment = "  # cancellint: ignore[CAN201]" if root in silenced else ""
        (command.folder / root / "cache.py").write_text(LOCKED.replace("sleep(1)", f"sleep(1){comment}"))

    found = json.loads(command("check", "--output-format", "json").out)["findings"]

    places = [
        (each["path"], *(note["path"] for note in each["notes"] if note["message"].startswith(SAME_CAUSE)))
        for each in found
    ]
    left = tuple(f"{root}/cache.py" for root in ("one", "two") if root not in silenced)
    assert places == ([left] if left else [])


# --------------------------------------------------------------------------- choosing rules


@pytest.mark.parametrize(
    ("arguments", "codes"),
    [
        ((), {"CAN001", "CAN201"}),
        (("--select", "CAN201"), {"CAN201"}),
        (("--select", "CAN2,CAN0"), {"CAN001", "CAN201"}),
        (("--select", "can2"), {"CAN201"}),
        (("--select", "unreadable-file"), {"CAN001"}),
        (("--ignore", "CAN2"), {"CAN001"}),
        (("--select", "CAN2", "--select", "CAN001", "--ignore", "CAN201"), {"CAN001"}),
        (("--ignore", "thread-lock-across-await", "--ignore", "CAN001"), set()),
    ],
)
def test_rules_are_chosen_by_code_prefix_and_name(
    command: Command, arguments: tuple[str, ...], codes: set[str]
) -> None:
    command.write(a=LOCKED, b="async def f(:\n")

    outcome = command("check", "--output-format", "json", *arguments)

    assert {finding["code"] for finding in json.loads(outcome.out)["findings"]} == codes


@pytest.mark.parametrize(
    ("word", "suggestion"),
    [("CAN20x", "`CAN201`"), ("thread-lock", "`thread-lock-across-await`"), ("XYZ", "`XYZ` is no rule")],
)
def test_an_unknown_rule_is_an_error_that_names_the_nearest(
    command: Command, word: str, suggestion: str
) -> None:
    outcome = command("check", "--select", word)

    assert outcome.code == 2
    assert outcome.out == ""
    assert suggestion in outcome.err


def test_options_go_before_the_configuration(command: Command) -> None:
    command.write(a=LOCKED, b="async def f(:\n")
    (command.folder / "pyproject.toml").write_text("[tool.cancellint]\nselect = ['CAN001']\n")

    assert command("check", "--output-format", "concise").out.startswith("b.py")
    assert command("check", "--output-format", "concise", "--select", "CAN2").out.startswith("a.py")


def test_configured_exclusions_are_honoured(command: Command) -> None:
    command.write(a=LOCKED)
    (command.folder / "cancellint.toml").write_text("exclude = ['a.py']\n")

    assert command("check").out.startswith("No findings in 0 files")


@pytest.mark.parametrize(
    "text", ["[tool.cancellint]\nselekt = []\n", "[tool.cancellint]\nselect = ['CAN9']\n", "[tool\n"]
)
def test_a_broken_configuration_exits_with_2(command: Command, text: str) -> None:
    (command.folder / "pyproject.toml").write_text(text)

    outcome = command("check")

    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("cancellint: ")


def test_a_broken_knowledge_table_exits_with_2(command: Command) -> None:
    (command.folder / "mine.toml").write_text("['my.lib.read']\nroles = ['eats']\n")
    (command.folder / "cancellint.toml").write_text("knowledge = ['mine.toml']\n")

    outcome = command("check")

    assert (outcome.code, outcome.out) == (2, "")
    assert "mine.toml" in outcome.err


CONFIGURED = """\
extend-select = ["CAN2"]
per-file-ignores = {"tests/" = ["CAN201"], "/b.py" = ["CAN0"]}
severity = {"CAN2" = "warning", "unreadable-file" = "warning", "CAN20" = "error"}
"""


def test_rules_are_chosen_per_file_and_have_configured_severities(command: Command) -> None:
    command.write(a=LOCKED, b="def f(:\n", c="def f(:\n")
    (command.folder / "tests").mkdir()
    (command.folder / "tests" / "t.py").write_text(LOCKED)
    (command.folder / "cancellint.toml").write_text(CONFIGURED)

    findings = json.loads(command("check", "--output-format", "json").out)["findings"]

    assert [(each["path"], each["code"], each["severity"]) for each in findings] == [
        ("a.py", "CAN201", "error"),
        ("c.py", "CAN001", "warning"),
    ]


@pytest.mark.parametrize(
    "setting",
    ["extend-select = ['CAN9']", "per-file-ignores = {'a' = ['CAN9']}", "severity = {CAN9 = 'error'}"],
)
def test_unknown_rules_in_any_setting_are_errors(command: Command, setting: str) -> None:
    (command.folder / "cancellint.toml").write_text(setting)

    outcome = command("check")

    assert (outcome.code, outcome.out) == (2, "")
    assert "`CAN9` is no rule's code, prefix or name" in outcome.err


def test_rules_can_be_added_to_those_of_the_configuration(command: Command) -> None:
    command.write(a=LOCKED, b="def f(:\n")
    (command.folder / "cancellint.toml").write_text("select = ['CAN001']\n")

    lines = command("check", "--extend-select", "CAN201", "--output-format", "concise").out.splitlines()

    assert [line.split(":")[0] for line in lines] == ["a.py", "b.py"]


def test_the_effective_configuration_is_one(command: Command) -> None:
    (command.folder / "pyproject.toml").write_text(
        "[project]\nrequires-python = '>=3.9,<3.13'\n[tool.cancellint]\nignore = ['CAN003']\n"
        "per-file-ignores = {'te\"st/' = ['CAN2']}\nseverity = {CAN2 = 'warning'}\n"
    )
    (command.folder / "other").mkdir()

    outcome = command("config", "--pedantic", "--ignore", "CAN001")

    (command.folder / "other" / "cancellint.toml").write_text(outcome.out)
    stated, again = load(command.folder), load(command.folder / "other")
    assert again.ignore == ("CAN003", "CAN001")
    assert (again.per_file_ignores, again.severity) == (stated.per_file_ignores, stated.severity)
    assert (again.target_version, again.profile) == (stated.target_version, "pedantic")
    assert again.weakest_shown == "possible"


def test_the_configuration_says_where_each_value_comes_from(command: Command) -> None:
    (command.folder / "pyproject.toml").write_text(
        "[project]\nrequires-python = '<3.13'\n[tool.cancellint]\nselect = ['CAN2']\nprofile = 'pedantic'\n"
    )

    listed = json.loads(command("config", "--output-format", "json", "--assume-raced", "public").out)

    assert {each["key"]: each["origin"] for each in listed["settings"] if each["origin"] != "default"} == {
        "select": "pyproject.toml",
        "target-version": "requires-python in pyproject.toml",
        "assume-raced": "--assume-raced",
        "min-confidence": "pyproject.toml",
        "profile": "pyproject.toml",
    }


# --------------------------------------------------------------------------- reports in files, statistics


def test_reports_are_written_to_files_too(command: Command) -> None:
    command.write(a=LOCKED)
    names = ("out.sarif", "out.JSON", "out.txt", "github=notes", "other")
    options = [word for name in names for word in ("--output-file", name)]

    outcome = command("check", "--output-format", "concise", "--color", "always", *options)

    def written(name: str) -> str:
        return (command.folder / name).read_text()

    assert outcome.code == 1
    assert outcome.out == written("other")
    assert json.loads(written("out.sarif"))["version"] == "2.1.0"
    assert json.loads(written("out.JSON"))["version"] == 1
    assert written("out.txt").startswith("error[CAN201]")
    assert written("notes").startswith("::error file=a.py,line=11,")


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("nowhere/out.json", "there is no folder nowhere"),
        (".", "needs the name of a file"),
        ("json=", "needs the name of a file"),
        ("jsn=x.json", "`jsn` is no format; did you mean `json`? (a file of this name is `./jsn=x.json`)"),
    ],
)
def test_a_report_that_has_no_place_is_told_before_the_work(
    command: Command, word: str, problem: str
) -> None:
    outcome = command("check", "--output-file", word)

    assert (outcome.code, outcome.out) == (2, "")
    assert problem in outcome.err


def test_a_report_that_cannot_be_written_exits_with_2(command: Command) -> None:
    outcome = command("check", "--output-file", "/dev/full")

    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "cancellint: /dev/full cannot be written: it is not a regular file\n"


def test_statistics_stand_in_for_the_findings(command: Command) -> None:
    command.write(a=LOCKED, b=LOCKED, c="def f(:\n")

    outcome = command("check", "--statistics")

    assert outcome.out == "2  CAN201  thread-lock-across-await\n1  CAN001  unreadable-file\n"
    assert outcome.code == 1
    assert command("check", "--statistics", "--output-format", "sarif").code == 2


# --------------------------------------------------------------------------- comments, named files


def test_a_comment_for_a_finding_that_is_not_shown_is_of_use(command: Command) -> None:
    comment = "  # cancellint: ignore[CAN101]"
    text = "import asyncio\n\nasync def f(reader):\n    head = await reader.readexactly(4)\n"
    text += "    return head + await reader.readexactly(4)\n\nasync def g(reader):\n    while True:\n"
    text += f"        await asyncio.wait_for(f(reader), 1){comment}\n"
    command.write(a=text.replace(comment, ""), b=text)

    report = json.loads(command("check", "--pedantic", "--ignore", "CAN113", "--output-format", "json").out)

    (shown,) = report["findings"]
    assert (shown["path"], shown["code"]) == ("a.py", "CAN101")
    assert shown["confidence"] != "certain"
    assert command("check", "--min-confidence", "certain", "--output-format", "concise").out == ""


def test_comments_are_judged_only_where_all_they_mean_is_checked(command: Command) -> None:
    command.write(a="x = 1  # cancellint: ignore[CAN2]\ny = 1  # cancellint: ignore\n")

    def told(*arguments: str) -> list[str]:
        lines = command("check", "--output-format", "concise", *arguments).out.splitlines()
        return [line.split(" ")[0] for line in lines]

    assert told() == ["a.py:1:8:", "a.py:2:8:"]
    assert told("--select", "CAN0") == []
    assert told("--select", "CAN0,CAN2") == ["a.py:1:8:"]
    assert told("--ignore", "CAN002") == []


def test_no_comment_is_judged_after_a_fault_of_ours(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    command.write(a=LOCKED.replace("sleep(1)", "sleep(1)  # cancellint: ignore[CAN201]"))
    monkeypatch.setattr(pipeline, "analyse", fails)

    assert "CAN" not in command("check", "--output-format", "concise").out


def test_a_file_that_is_named_is_read_unless_exclusions_are_forced(command: Command) -> None:
    command.write(a=LOCKED, b=LOCKED)
    (command.folder / "cancellint.toml").write_text("exclude = ['a.py']\n")

    def files(*options: str) -> list[str]:
        lines = command("check", "a.py", "b.py", "--output-format", "concise", *options).out.splitlines()
        return [line.split(":")[0] for line in lines]

    assert files() == ["a.py", "b.py"]
    assert files("--force-exclude") == ["b.py"]


def test_an_argument_without_files_is_told(command: Command) -> None:
    command.write(a="x = 1\n")
    (command.folder / "docs").mkdir()

    outcome = command("check", "a.py", "docs")

    assert (outcome.code, outcome.err) == (
        0,
        "cancellint: warning: there is no Python file to check in docs\n",
    )
    assert command("check", "a.py", ".").err == ""


# --------------------------------------------------------------------------- standard input, colour, trouble


def test_standard_input_is_checked(command: Command) -> None:
    outcome = command("check", "-", "--output-format", "concise", stdin=LOCKED.encode())

    assert outcome.code == 1
    assert outcome.out.startswith("stdin.py:11:13: CAN201 ")


def test_standard_input_may_stand_for_a_file_of_the_project(command: Command) -> None:
    command.write(a="old = 1\n", b="import threading\n\nlock = threading.Lock()\n")
    text = "import asyncio\nfrom b import lock\n\nasync def f():\n"
    text += "    with lock:\n        await asyncio.sleep(1)\n"

    outcome = command(
        "check", "-", "--stdin-filename", "a.py", "--output-format", "concise", stdin=text.encode()
    )

    assert outcome.out.startswith("a.py:6:9: CAN201 ")


@pytest.mark.parametrize(
    "arguments", [("--stdin-filename", "a.py"), ("-", "."), ("nowhere",), ("--jobs", "0")]
)
def test_wrong_use_exits_with_2(command: Command, arguments: tuple[str, ...]) -> None:
    outcome = command("check", *arguments)

    assert (outcome.code, outcome.out) == (2, "")
    assert "Error: " in outcome.err


@pytest.mark.parametrize(
    ("option", "environment", "colored"),
    [
        ("auto", {}, False),
        ("auto", {"FORCE_COLOR": "1"}, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("always", {"NO_COLOR": "1"}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_is_decided_by_option_then_environment(
    command: Command, option: str, environment: dict[str, str], colored: bool
) -> None:
    command.write(a=LOCKED)

    outcome = command("check", "--color", option, **environment)

    assert ("\x1b[" in outcome.out) is colored


def test_a_fault_of_ours_in_one_file_is_told_and_the_others_go_on(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.write(a=LOCKED, b=LOCKED)
    original = pipeline.read_module
    failed: list[bytes] = []

    def fails_once(data: bytes) -> object:
        if not failed:
            failed.append(data)
            raise ZeroDivisionError("by zero")
        return original(data)

    monkeypatch.setattr(pipeline, "read_module", fails_once)

    outcome = command("check", "--output-format", "concise")

    assert outcome.code == 2
    assert outcome.out.startswith("b.py:11:13: CAN201")
    assert outcome.err.startswith("cancellint: a.py: ZeroDivisionError: by zero (")
    assert "please report it" in outcome.err


def test_a_fault_of_ours_in_the_analysis_is_told_without_a_traceback(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RecursionError("too deep")

    command.write(a=LOCKED, b="async def f(:\n")
    monkeypatch.setattr(pipeline, "analyse", fails)

    outcome = command("check", "--output-format", "concise")

    assert outcome.code == 2
    assert outcome.out.startswith("b.py:1:13: CAN001")
    assert outcome.err.startswith("cancellint: the project as a whole: RecursionError: too deep (")
    assert "Traceback" not in outcome.err


def test_an_outcome_survives_the_way_between_processes() -> None:
    lowered = pipeline.read_file(LOCKED.encode())

    assert isinstance(lowered.module, ir.Module)
    assert pipeline.decoded(pipeline.read_encoded(LOCKED.encode())) == lowered
    assert pipeline.decoded(pipeline.read_encoded(b"def f(:")) == pipeline.read_file(b"def f(:")


# --------------------------------------------------------------------------- explain, rules, summary


@pytest.mark.parametrize("word", ["CAN201", "can201", "thread-lock-across-await"])
def test_explain_prints_the_page(command: Command, word: str) -> None:
    outcome = command("explain", word)

    assert outcome.code == 0
    assert outcome.out.startswith("# thread-lock-across-await (CAN201)\n")


def test_explain_fits_on_a_screen_and_says_how_to_see_more(command: Command) -> None:
    outcome = command("explain", "CAN101")

    titles = [line for line in outcome.out.splitlines() if line.startswith("## ")]
    assert titles == ["## What it finds", "## Why it matters", "## Bad", "## Good", "## How to fix"]
    assert outcome.out.count("```python") == 2
    assert outcome.out.endswith("`cancellint explain CAN101 --full`\n")
    assert len(outcome.out.splitlines()) <= 50


def test_the_whole_page_is_shown_without_the_marks_of_its_tests(command: Command) -> None:
    outcome = command("explain", "CAN101", "--full")

    assert "## Known limits" in outcome.out
    assert "# want" not in outcome.out
    assert len(outcome.out.splitlines()) > 1_000


def test_a_prefix_is_told_which_rules_it_means(command: Command) -> None:
    outcome = command("explain", "CAN00")

    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "cancellint: `CAN00` is a prefix and means 3 rules: CAN001 unreadable-file, "
        "CAN002 unused-suppression, CAN003 invalid-suppression; name one\n"
    )


def test_explain_renders_the_page_in_colour(command: Command) -> None:
    outcome = command("explain", "CAN201", "--color", "always")

    assert "\x1b[" in outcome.out
    assert "What it finds" in outcome.out


def test_explain_of_an_unknown_rule_names_the_nearest(command: Command) -> None:
    outcome = command("explain", "thread-lock-accross-await")

    assert (outcome.code, outcome.out) == (2, "")
    assert "did you mean `thread-lock-across-await`?" in outcome.err


def test_rules_are_listed(command: Command) -> None:
    lines = command("rules").out.splitlines()
    listed = json.loads(command("rules", "--output-format", "json").out)

    assert [line.split()[0] for line in lines] == [rule.code for rule in catalogue()]
    assert [rule["code"] for rule in listed["rules"]] == [rule.code for rule in catalogue()]
    assert listed["version"] == 1


def test_summary_tells_what_is_believed(command: Command) -> None:
    command.write(a=LOCKED)

    outcome = command("summary", "Cache.refresh")

    assert outcome.code == 0
    assert outcome.out.splitlines()[0].startswith("a.Cache.refresh  a.py:9:")
    (described,) = json.loads(command("summary", "refresh", ".", "--output-format", "json").out)["summaries"]
    assert (described["symbol"], described["path"], described["line"]) == ("a.Cache.refresh", "a.py", 9)


def test_summary_of_an_unknown_function_names_the_nearest(command: Command) -> None:
    command.write(a=LOCKED)

    outcome = command("summary", "Cache.refersh")

    assert (outcome.code, outcome.out) == (2, "")
    assert "did you mean `Cache.refresh`?" in outcome.err


# --------------------------------------------------------------------------- as a process


def process(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cancellint", *arguments]


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(process("--version"), capture_output=True, text=True, check=True)

    assert done.stdout == f"cancellint, version {__version__}\n"


def test_a_fault_of_ours_outside_of_all_files_is_no_finding(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(LOCKED)
    program = "from cancellint.cli import check, main; check.rendered = lambda *_: 1 / 0; main()"

    done = subprocess.run(
        [sys.executable, "-c", program, "check", "a.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("cancellint: the run: ZeroDivisionError: division by zero\n")
    assert "Traceback" not in done.stderr
    assert "please report it with the file, if you can share it" in done.stderr


def test_a_fault_of_ours_is_told_with_its_traceback_on_demand(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("by\x1b[31m\n::error::zero")

    command.write(a=LOCKED)
    monkeypatch.setattr(pipeline, "analyse", fails)

    brief, full = command("check"), command("check", "--debug")

    assert (brief.code, full.code) == (2, 2)
    assert "No findings" not in brief.out
    assert "--debug shows the traceback" in brief.err
    assert "Traceback" not in brief.err
    assert "Traceback (most recent call last):" in full.err
    assert "issue in the repository of cancellint" in full.err
    for outcome in (brief, full):
        assert "\x1b" not in outcome.err + outcome.out
        assert not any(line.strip().startswith("::") for line in (outcome.err + outcome.out).splitlines())


def test_an_interrupt_before_the_command_line_is_read_is_told_too(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cancellint.cli.app._look_at_working_folder", interrupted)

    assert command("check") == (130, "", "Interrupted.\n")


def test_a_reader_who_goes_away_is_no_trouble(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"m{number}.py").write_text(LOCKED)
    child = subprocess.Popen(process("check", str(tmp_path)), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.close()

    errors = child.stderr.read()
    child.stderr.close()

    assert child.wait() == 1
    assert errors == b""


def test_an_ascii_terminal_gets_escapes_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 'é漢'; async def f(:\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}

    done = subprocess.run(process("check", str(tmp_path)), capture_output=True, env=environment, check=False)

    assert done.returncode == 1
    assert b"\\xe9" in done.stdout
    assert done.stderr == b""


def test_an_interrupt_ends_it_at_once_and_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    for number in range(300):
        (tmp_path / f"m{number}.py").write_text(LOCKED * 40)
    child = subprocess.Popen(
        process("check", str(tmp_path), "--jobs", "2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    time.sleep(1.5)
    os.killpg(child.pid, signal.SIGINT)

    out, errors = child.communicate(timeout=20)

    assert child.returncode == 130
    assert (out, errors.strip()) == (b"", b"Interrupted.")
