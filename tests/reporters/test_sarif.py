"""SARIF logs: valid by the official schema, with the story, and with fingerprints that last."""

import email
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from cancellint import links
from cancellint.config import Config
from cancellint.model.finding import Confidence, Finding, Note, Severity
from cancellint.model.report import Failure, Report
from cancellint.model.source import Place, Span
from cancellint.pipeline import Request, examine, run
from cancellint.reporters import sarif
from cancellint.reporters.fingerprints import by_place, by_trace
from cancellint.reporters.sarif import Described, render
from cancellint.resources import rules_folder
from cancellint.selection import catalogue
from tests.fixes.test_fixes import COMPLETED, GUARDED

SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "sarif-2.1.0.schema.json").read_text("utf-8"))
RULES = [
    Described(
        rule.code,
        rule.name,
        rule.severity,
        rule.summary,
        (rules_folder() / f"{rule.name}.md").read_text("utf-8"),
        rule.pedantic,
    )
    for rule in catalogue()
]
ODD_NAME = "pkg/ä b#1%\udcff.py"

LOCKED = """\
import asyncio
import threading

lock = threading.Lock()


async def refresh() -> None:
    with lock:
        await asyncio.sleep(1)


async def renew() -> None:
    with lock:
        await asyncio.sleep(1)
    with lock:
        await asyncio.sleep(1)
"""


def finding(path: str, span: Span, *notes: Note) -> Finding:
    return Finding(
        "CAN101", "unsafe-await-in-race", "`head` is lost", Severity.ERROR, Confidence.LIKELY,
        Place(path, span, "Client.run"), notes, "keep it",
    )  # fmt: skip


REPORT = Report(
    (
        finding(
            "pkg/a.py",
            Span(3, 10, 4, 5),
            Note("taken here", Place("pkg/b.py", Span(2, 1, 2, 9), "Client.read")),
        ),
        finding(ODD_NAME, Span(1, 1, 1, 1)),
        finding("/elsewhere/a.py", Span(1, 1, 1, 2)),
    ),
    files=2,
    functions=3,
    seconds=0.1,
    failures=(Failure("pkg/c.py", "ZeroDivisionError: by zero"),),
)


def validated(report: Report) -> Mapping[str, object]:
    """The one run of the log, once the schema has approved of the whole."""
    log = json.loads(render(report, RULES))
    validator = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
    assert [error.message for error in validator.iter_errors(log)] == []
    (only,) = log["runs"]
    return only


def report_on(folder: Path, text: str) -> Report:
    (folder / "cancellint.toml").touch()
    (folder / "a.py").write_text(text)
    return run(Config(root=folder), [folder])


def test_logs_of_all_kinds_are_valid(tmp_path: Path) -> None:
    for report in (
        REPORT,
        Report((), 0, 0, 0.0),
        report_on(tmp_path, "def f(:\n"),
        report_on(tmp_path, LOCKED),
    ):
        assert len(validated(report)["results"]) == len(report.findings)


@pytest.mark.parametrize("broken", [{"ruleId": 1}, {"locations": [{"physicalLocation": {}}]}, {"madeUp": ""}])
def test_the_schema_refuses_what_is_wrong(broken: Mapping[str, object]) -> None:
    log = json.loads(render(REPORT, RULES))
    log["runs"][0]["results"][0] |= broken

    assert not Draft202012Validator(SCHEMA).is_valid(log)


def test_a_result_names_its_rule_its_place_and_how_sure_it_is() -> None:
    made = validated(REPORT)
    result = made["results"][0]

    assert made["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "CAN101"
    assert result["message"]["text"] == "`head` is lost\nhelp: keep it"
    assert (result["level"], result["properties"]) == ("error", {"confidence": "likely"})
    assert result["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 3,
        "startColumn": 10,
        "endLine": 4,
        "endColumn": 5,
    }
    assert made["columnKind"] == "unicodeCodePoints"


def test_the_story_is_a_code_flow_that_begins_at_the_finding() -> None:
    told, untold, _ = validated(REPORT)["results"]
    (flow,) = told["codeFlows"]
    (thread,) = flow["threadFlows"]

    assert [step["location"]["message"]["text"] for step in thread["locations"]] == [
        "`head` is lost",
        "taken here",
    ]
    assert "codeFlows" not in untold


def test_paths_are_uris() -> None:
    artifacts = [
        result["locations"][0]["physicalLocation"]["artifactLocation"]
        for result in validated(REPORT)["results"]
    ]

    assert artifacts == [
        {"uri": "pkg/a.py", "uriBaseId": "%SRCROOT%"},
        {"uri": "pkg/%C3%A4%20b%231%25%FF.py", "uriBaseId": "%SRCROOT%"},
        {"uri": "file:///elsewhere/a.py"},
    ]


def test_every_rule_has_the_help_of_its_page() -> None:
    rules = validated(REPORT)["tool"]["driver"]["rules"]

    assert [rule["id"] for rule in rules] == [rule.code for rule in catalogue()]
    for rule in rules:
        assert "## How to fix" in rule["help"]["markdown"]
        assert "# want" not in rule["help"]["markdown"]
        assert len(rule["fullDescription"]["text"]) > 40


def test_a_fault_of_ours_is_told_and_the_run_called_unsuccessful() -> None:
    (invocation,) = validated(REPORT)["invocations"]

    assert not invocation["executionSuccessful"]
    assert invocation["toolExecutionNotifications"][0]["message"]["text"].startswith("pkg/c.py: Zero")


# --------------------------------------------------------------------------- fixes, precision, limits


def test_fixes_are_what_fix_would_make(tmp_path: Path) -> None:
    (tmp_path / "cancellint.toml").touch()
    (tmp_path / "a.py").write_text(COMPLETED)
    request = Request(Config(root=tmp_path), (tmp_path,), with_edits=True)

    run_ = validated(examine(request).report)

    (result,) = run_["results"]
    (fix,) = result["fixes"]
    (change,) = fix["artifactChanges"]
    lines = COMPLETED.splitlines(keepends=True)
    for replacement in reversed(change["replacements"]):
        region, text = replacement["deletedRegion"], replacement["insertedContent"]["text"]
        assert (region["startColumn"], region["endColumn"]) == (1, 1)
        lines[region["startLine"] - 1 : region["endLine"] - 1] = [text]
    assert "".join(lines) == GUARDED
    assert change["artifactLocation"] == result["locations"][0]["physicalLocation"]["artifactLocation"]


def test_edits_are_made_on_demand_alone(tmp_path: Path) -> None:
    (found,) = report_on(tmp_path, COMPLETED).findings

    assert (found.fix is not None, found.edits) == (True, ())


def test_rules_and_results_say_how_far_they_are_to_be_trusted() -> None:
    run_ = validated(REPORT)

    precisions = {rule["id"]: rule["properties"]["precision"] for rule in run_["tool"]["driver"]["rules"]}
    assert (precisions["CAN101"], precisions["CAN113"]) == ("high", "medium")
    assert {result["rank"] for result in run_["results"]} == {60.0}


def test_rules_have_an_address_where_the_distribution_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "metadata", lambda _: email.message_from_string(""))
    links._documentation.cache_clear()
    assert not any("helpUri" in rule for rule in validated(REPORT)["tool"]["driver"]["rules"])
    links._documentation.cache_clear()

    stated = email.message_from_string(
        "Project-URL: Source, https://a\nProject-URL: Documentation, https://b/c/\n"
    )
    monkeypatch.setattr(links, "metadata", lambda _: stated)
    links._documentation.cache_clear()

    (rule,) = [rule for rule in validated(REPORT)["tool"]["driver"]["rules"] if rule["id"] == "CAN101"]
    links._documentation.cache_clear()
    assert rule["helpUri"] == "https://b/c/rules/unsafe-await-in-race/"


def test_the_limits_of_github_are_kept_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST_RESULTS", 3)
    monkeypatch.setattr(sarif, "MOST_STEPS", 4)
    place = Place("pkg/a.py", Span(1, 1, 1, 2), "f")
    notes = tuple(Note(f"step {number}", place) for number in range(9))
    weak = [finding(f"pkg/{number}.py", Span(1, 1, 1, 2)) for number in range(4)]
    long = finding("pkg/z.py", Span(1, 1, 1, 2), *notes)
    firm = msgspec.structs.replace(long, confidence=Confidence.CERTAIN)

    run_ = validated(Report((*weak, firm), 1, 1, 0.1))

    paths = [each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in run_["results"]]
    assert paths == ["pkg/0.py", "pkg/1.py", "pkg/z.py"]
    (flow,) = run_["results"][-1]["codeFlows"]
    assert len(flow["threadFlows"][0]["locations"]) == 4
    told = [each["message"]["text"] for each in run_["invocations"][0]["toolExecutionNotifications"]]
    assert told == [
        "2 results are left out: GitHub takes 3",
        "the stories of 1 results are cut: GitHub shows 4 steps of each",
    ]


# --------------------------------------------------------------------------- fingerprints

Kind = Callable[[Report], tuple[str, ...]]
KINDS = [by_place, by_trace]


def edits() -> Sequence[tuple[str, str]]:
    """Changes of the file that have nothing to do with its findings."""
    return [
        ("lines above", "import os\n\n\n" + LOCKED),
        (
            "a function above",
            LOCKED.replace("async def refresh", "async def new():\n    pass\n\n\nasync def refresh"),
        ),
        (
            "deeper",
            LOCKED.replace("    with lock:\n        await", "    if True:\n      with lock:\n        await"),
        ),
        ("a comment behind", LOCKED.replace("sleep(1)\n", "sleep(1)  # slow\n")),
        ("lines below", LOCKED + "\n\nX = 1\n"),
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "text"), edits(), ids=[name for name, _ in edits()])
def test_fingerprints_survive_unrelated_edits(name: str, text: str, tmp_path: Path, kind: Kind) -> None:
    before = kind(report_on(tmp_path, LOCKED))

    assert len(set(before)) == 3
    assert kind(report_on(tmp_path, text)) == before


@pytest.mark.parametrize("kind", KINDS)
def test_fingerprints_change_with_what_they_are_about(kind: Kind, tmp_path: Path) -> None:
    before = kind(report_on(tmp_path, LOCKED))
    renamed = kind(report_on(tmp_path, LOCKED.replace("refresh", "reload")))
    changed = kind(report_on(tmp_path, LOCKED.replace("sleep(1)", "sleep(2)", 1)))
    gone = kind(
        report_on(
            tmp_path,
            LOCKED.replace("        await asyncio.sleep(1)", "        pass", 1),
        )
    )

    assert renamed[1:] == changed[1:] == before[1:] == gone
    assert renamed[0] != before[0] != changed[0]


def test_fingerprints_need_no_source() -> None:
    same = msgspec.structs.replace(REPORT, findings=REPORT.findings[:1] * 2)

    assert len(set(by_place(same))) == 2
