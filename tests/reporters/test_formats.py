"""Reports for services, programs and people: each read by its own reader, or held to its own rules."""

import json
import re
from collections.abc import Callable, Iterator
from xml.etree import ElementTree

import msgspec
import pytest
from junitparser import Failure as FailedTest
from junitparser import JUnitXml
from markdown_it import MarkdownIt

from cancellint.links import rule_url
from cancellint.model.finding import Confidence, Finding, Note, Severity, TextEdit
from cancellint.model.report import Failure, Report
from cancellint.model.source import Place, Span
from cancellint.reporters import (
    agent,
    azure,
    concise,
    github,
    gitlab,
    html,
    jsonl,
    junit,
    markdown,
    rdjson,
    text,
)
from cancellint.reporters import json as json_reporter
from cancellint.reporters.order import worst_first
from cancellint.selection import catalogue
from tests.reporters.test_reporters import REPORT, finding
from tests.test_printable import assert_harmless

HOSTILE = "\x1b[31m\n::error::x ##[error]y ##vso[task.complete]z \u202e`|<b>&\"'"
EVIL = Finding(
    "CAN101",
    "unsafe-await-in-race",
    f"`head` is lost {HOSTILE}",
    Severity.ERROR,
    Confidence.LIKELY,
    Place(f"pkg/{HOSTILE}.py", Span(1, 1, 1, 5), HOSTILE),
    (Note(HOSTILE, Place(f"pkg/{HOSTILE}.py", Span(1, 1, 1, 5), HOSTILE)),),
    HOSTILE,
)
HOSTILE_REPORT = Report(
    (EVIL,), 1, 1, 0.1, (Failure(HOSTILE, HOSTILE),), {f"pkg/{HOSTILE}.py": (HOSTILE + "```", "</script>")}
)
RENDERERS: dict[str, Callable[[Report], str]] = {
    "text": lambda report: text.render(report, color=False),
    "concise": concise.render,
    "json": json_reporter.render,
    "jsonl": jsonl.render,
    "gitlab": gitlab.render,
    "junit": junit.render,
    "rdjson": rdjson.render,
    "markdown": markdown.render,
    "agent": agent.render,
    "html": lambda report: html.render(report, {"CAN101": "# unsafe-await-in-race (CAN101)\n"}),
}


def many(count: int, severity: Severity = Severity.WARNING) -> Iterator[Finding]:
    for number in range(1, count + 1):
        yield msgspec.structs.replace(finding(Span(number, 1, number, 2)), severity=severity)


@pytest.mark.parametrize("name", RENDERERS)
def test_nothing_of_the_repository_is_obeyed_where_it_is_shown(name: str) -> None:
    shown = RENDERERS[name](HOSTILE_REPORT)

    assert_harmless(shown)
    assert "##vso[" not in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("name", RENDERERS)
def test_a_failure_of_ours_is_told_in_every_format(name: str) -> None:
    shown = RENDERERS[name](Report((), 1, 1, 0.1, (Failure("pkg/c.py", "ZeroDivisionError: by zero"),)))

    assert "ZeroDivisionError: by zero" in shown
    assert "no findings" not in shown.lower().replace('"no findings."', "")


# --------------------------------------------------------------------------- for programs


def test_each_line_of_jsonl_is_an_object() -> None:
    rows = [json.loads(line) for line in jsonl.render(HOSTILE_REPORT).splitlines()]

    assert [row["kind"] for row in rows] == ["finding", "failure"]
    assert (rows[0]["message"], rows[0]["path"]) == (EVIL.message, EVIL.place.path)
    assert re.fullmatch("[0-9a-f]{64}", rows[0]["fingerprint"])
    assert rows[0]["help"] == HOSTILE


def test_gitlab_gets_what_it_asks_for() -> None:
    report = msgspec.structs.replace(REPORT, findings=REPORT.findings * 2)

    issues = json.loads(gitlab.render(report))

    for issue in issues:
        assert {"description", "check_name", "fingerprint", "severity", "location"} <= issue.keys()
        assert issue["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert issue["location"] == {"path": "pkg/a.py", "lines": {"begin": 3, "end": 3}}
    assert len({issue["fingerprint"] for issue in issues}) == 2
    assert "1. taken on here (pkg/b.py:2)" in issues[0]["content"]["body"]


def test_junit_is_read_by_a_reader_of_it() -> None:
    read = JUnitXml.fromstring(junit.render(HOSTILE_REPORT).encode())
    suites = list(read)

    assert (read.tests, read.failures, read.errors) == (2, 1, 1)
    (case,) = suites[0]
    (result,) = case.result
    assert isinstance(result, FailedTest)
    assert case.name == "CAN101 unsafe-await-in-race at 1:1"
    assert "1. " in (result.text or "")


def test_junit_of_no_findings_is_one_test_that_passes() -> None:
    read = JUnitXml.fromstring(junit.render(Report((), 2, 3, 0.5)).encode())

    assert (read.tests, read.failures, read.errors) == (1, 0, 0)
    assert ElementTree.fromstring(junit.render(Report((), 2, 3, 0.5))).tag == "testsuites"


def test_reviewdog_gets_columns_in_bytes_relations_and_suggestions() -> None:
    wide = msgspec.structs.replace(finding(Span(4, 21, 4, 32)), edits=(TextEdit(Span(4, 1, 5, 1), "new\n"),))
    report = msgspec.structs.replace(REPORT, findings=(wide,))

    (diagnostic,) = json.loads(rdjson.render(report))["diagnostics"]

    assert diagnostic["location"] == {
        "path": "pkg/a.py",
        "range": {"start": {"line": 4, "column": 26}, "end": {"line": 4, "column": 37}},
    }
    assert diagnostic["severity"] == "ERROR"
    assert diagnostic["relatedLocations"][0]["message"] == "taken on here"
    assert diagnostic["suggestions"] == [
        {"range": {"start": {"line": 4, "column": 1}, "end": {"line": 5, "column": 1}}, "text": "new\n"}
    ]


# --------------------------------------------------------------------------- for services


def test_azure_gets_one_command_per_finding() -> None:
    lines = azure.render(msgspec.structs.replace(HOSTILE_REPORT, findings=(*many(1), EVIL))).splitlines()

    assert lines[1] == (
        "##vso[task.logissue type=warning;sourcepath=pkg/a.py;linenumber=1;columnnumber=1;code=CAN101;]"
        "unsafe-await-in-race: `head` is lost if this await is cancelled%3B 1. taken on here (pkg/b.py:2)"
    )
    for line in lines:
        command, _, message = line.removeprefix("##vso[").partition("]")
        assert "##vso[" not in message
        assert re.fullmatch(r"task\.logissue (?:\w+=[^;\]]*;)+", command)
        assert "]" not in message


def test_github_gets_the_worst_first_and_is_told_what_it_does_not_show() -> None:
    report = msgspec.structs.replace(
        REPORT, findings=(*many(12), *many(11, Severity.ERROR)), failures=(Failure("c.py", "x"),)
    )

    lines = github.render(report).splitlines()

    kinds = [line.split(" ")[0] for line in lines]
    assert kinds == ["::error"] * 12 + ["::warning"] * 12 + ["::notice"]
    assert lines[-1] == (
        "::notice title=cancellint::2 errors and 2 warnings more are in the log of this step; "
        "GitHub shows 10 of a kind"
    )
    assert "::notice" not in github.render(REPORT)


def test_the_worst_are_errors_that_are_certain() -> None:
    found = [
        msgspec.structs.replace(finding(Span(1, 1, 1, 2), confidence), severity=severity)
        for severity in reversed(Severity)
        for confidence in reversed(Confidence)
    ]

    assert [(each.severity, each.confidence) for each in worst_first(found)] == [
        (severity, confidence) for severity in Severity for confidence in Confidence
    ]


def test_markdown_tells_the_worst_and_fits_into_a_comment() -> None:
    report = msgspec.structs.replace(REPORT, findings=(*many(500), *many(1, Severity.ERROR)))

    shown = markdown.render(report)

    assert shown.startswith("### cancellint: 1 error, 500 warnings\n")
    assert shown.index("(error, likely)") < shown.index("(warning, likely)")
    assert len(shown) < 65_536
    assert re.search(r"\n\d+ findings more did not fit into a comment\.\n$", shown)


PAGE = rule_url("CAN101", "unsafe-await-in-race")
"""The only address that a report leads to, if somebody asks it to."""


def test_markdown_is_prose_whatever_the_repository_says() -> None:
    read = MarkdownIt("commonmark", {"html": True}).render(markdown.render(HOSTILE_REPORT))

    assert set(re.findall(r"<(\w+)", read)) == {
        "h3", "p", "strong", "code", "pre", "details", "summary", "ol", "li", "blockquote", "a"
    }  # fmt: skip
    assert set(re.findall(r"<a ([^>]*)>", read)) == {f'href="{PAGE}"'}
    assert read.count("<pre>") == 2
    assert "```" in read


# --------------------------------------------------------------------------- for agents


def test_agents_get_few_words_and_always_an_end() -> None:
    assert agent.render(REPORT) == (
        "CAN101 error likely pkg/a.py:3:10 in Client.run: `head` is lost if this await is cancelled\n"
        "0 pkg/a.py:3:10 | frame = await wait_for(self.read(), 5)\n"
        "1 pkg/b.py:2:12 taken on here | head = await self.reader.readexactly(4)\n"
        "cure: Keep what was read in `self`.\n"
        "\n"
        "summary: 1 finding (1 error, 0 warnings), in 2 files\n"
        "more: `cancellint show FILE:LINE` one finding, `cancellint explain CODE` the rule, "
        "`--output-format jsonl` all findings\n"
    )
    assert agent.render(Report((), 1, 1, 0.1)).startswith("summary: 0 findings (0 errors, 0 warnings)")


def test_agents_are_told_what_was_not_told() -> None:
    report = msgspec.structs.replace(REPORT, findings=tuple(many(30)), left_out=(("known", 4),))

    lines = agent.render(report).splitlines()

    assert sum(line.startswith("CAN101 ") for line in lines) == agent.MOST
    assert lines[-3] == (
        "summary: 30 findings (0 errors, 30 warnings), in 2 files, 4 known or untouched and not shown"
    )
    assert lines[-2] == "not told above: CAN101 10"


# --------------------------------------------------------------------------- the page


def test_the_page_is_whole_and_asks_nobody() -> None:
    shown = html.render(HOSTILE_REPORT, {"CAN101": "# unsafe-await-in-race (CAN101)\n</script>"})

    (data,) = re.findall(r'(?s)<script type="application/json" id="data">(.*?)</script>', shown)
    assert json.loads(data)["findings"][0]["steps"][0]["lines"][1] == "</script>"
    assert shown.count("</script>") == 2
    assert not re.search(r"(?:src|href)=|https?:|@import|url\(", shown.replace(f'"url": "{PAGE}"', "", 1))
    assert "default-src 'none'" in shown


def test_every_rule_belongs_to_a_harm() -> None:
    assert [rule.code for rule in catalogue() if rule.code[:4] not in html.HARM] == []
