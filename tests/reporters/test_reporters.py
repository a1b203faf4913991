"""Reports as text, lines and JSON."""

import json
from textwrap import dedent

import msgspec
import pytest

from cancellint.links import rule_url
from cancellint.model.finding import Confidence, Edit, Finding, Fix, Note, Severity
from cancellint.model.report import Report, ReportedFact, SymbolSummary
from cancellint.model.source import Place, Site, Span
from cancellint.reporters import concise, fixed, github, sarif, statistics, text
from cancellint.reporters import json as json_reporter
from cancellint.reporters.fingerprints import by_trace

SOURCES = {
    "pkg/a.py": (
        "async def run(self):",
        "    while True:",
        "\tframe = await wait_for(self.read(), 5)",
        "    note = 'é漢字', await f(",
        "        1)",
    ),
    "pkg/b.py": ("async def read(self):", "    head = await self.reader.readexactly(4)"),
}


def finding(span: Span, confidence: Confidence = Confidence.LIKELY) -> Finding:
    return Finding(
        code="CAN101",
        name="unsafe-await-in-race",
        message="`head` is lost if this await is cancelled",
        severity=Severity.ERROR,
        confidence=confidence,
        place=Place("pkg/a.py", span, "Client.run"),
        notes=(Note("taken on here", Place("pkg/b.py", Span(2, 12, 2, 43), "Client.read")),),
        help="Keep what was read in `self`.",
    )


REPORT = Report((finding(Span(3, 10, 3, 40)),), files=2, functions=1234, seconds=0.123, sources=SOURCES)


def test_the_text_shows_frames_the_story_and_the_cure() -> None:
    assert text.render(REPORT, color=False) == dedent(
        """\
        error[CAN101] unsafe-await-in-race: `head` is lost if this await is cancelled
           --> pkg/a.py:3:10 in Client.run (likely)
            |
          3 |     frame = await wait_for(self.read(), 5)
            |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          1. taken on here
              --> pkg/b.py:2:12 in Client.read
               |
             2 |     head = await self.reader.readexactly(4)
               |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          help: Keep what was read in `self`.

        1 finding (1 error) in 2 files, 1,234 functions, 0.1 s.
        """
    )


def fixable(*, safe: bool) -> Finding:
    fix = Fix(Edit.WIDEN_HANDLER, (Site("pkg.a", 1, 2),), safe)
    return msgspec.structs.replace(finding(Span(3, 10, 3, 40)), fix=fix)


@pytest.mark.parametrize(
    ("safe", "unsafe_fixes", "is_marked", "last"),
    [
        (True, False, True, "1 fixable with `--fix`."),
        (True, True, True, "1 fixable with `--fix`."),
        (False, False, False, "1 fixable with `--fix --unsafe-fixes`."),
        (False, True, True, "1 fixable with `--fix --unsafe-fixes`."),
    ],
)
def test_findings_with_a_fix_are_marked_and_counted(
    safe: bool, unsafe_fixes: bool, is_marked: bool, last: str
) -> None:
    report = Report((fixable(safe=safe),), 1, 1, 0.0)

    lines = text.render(report, color=False, unsafe_fixes=unsafe_fixes).splitlines()

    assert ("  help: Keep what was read in `self`.  [fixable]" in lines) == is_marked
    assert lines[-1] == last


def test_safe_and_unsafe_fixes_are_counted_apart() -> None:
    report = Report((fixable(safe=True), fixable(safe=False), finding(Span(1, 1, 1, 2))), 1, 1, 0.0)

    apart = text.render(report, color=False)
    together = text.render(report, color=False, unsafe_fixes=True)

    assert apart.endswith("1 fixable with `--fix`, 1 more with `--fix --unsafe-fixes`.\n")
    assert together.endswith("2 fixable with `--fix --unsafe-fixes`.\n")


@pytest.mark.parametrize(
    ("done", "left", "unsafe_fixes", "line"),
    [
        ((1, 1), [], False, "fixed 1 finding in 1 file"),
        ((200, 2), [None], False, "fixed 200 findings in 2 files; 1 finding left without an automatic fix"),
        ((0, 0), [False, False], False, "nothing fixed; 2 findings fixable with --unsafe-fixes"),
        ((0, 0), [False, None], True, "nothing fixed; 1 finding left without an automatic fix; "
         "1 finding left because its fix does not help"),
        ((0, 0), [True], False, "nothing fixed; 1 finding left because its fix does not help"),
    ],
)  # fmt: skip
def test_what_is_fixed_and_what_is_left_is_one_line(
    done: tuple[int, int], left: list[bool | None], unsafe_fixes: bool, line: str
) -> None:
    findings = [finding(Span(1, 1, 1, 2)) if safe is None else fixable(safe=safe) for safe in left]

    assert fixed.render(*done, findings, unsafe_fixes=unsafe_fixes) == line


def test_json_and_sarif_say_what_a_fix_would_do() -> None:
    report = Report((fixable(safe=False),), 1, 1, 0.0)
    rule = sarif.Described("CAN101", "unsafe-await-in-race", Severity.ERROR, "", "")

    (as_json,) = json.loads(json_reporter.render(report))["findings"]
    (as_sarif,) = json.loads(sarif.render(report, [rule]))["runs"][0]["results"]

    assert as_json["fix"] == {"edit": "widen-handler", "applicability": "unsafe"}
    assert as_sarif["properties"] == {
        "confidence": "likely",
        "fix": "widen-handler",
        "fixApplicability": "unsafe",
    }


def test_carets_stand_under_wide_characters_and_open_ends_are_marked() -> None:
    report = Report((finding(Span(4, 19, 5, 11), Confidence.CERTAIN),), 1, 1, 0.0, sources=SOURCES)

    lines = text.render(report, color=False).splitlines()

    assert lines[3] == "  4 |     note = 'é漢字', await f("
    assert lines[4] == "    |                     ^^^^^^^^ ..."
    assert "(likely)" not in lines[1]


def test_a_place_outside_the_file_has_no_frame() -> None:
    report = Report((finding(Span(99, 1, 99, 2)),), 1, 1, 0.0, sources=SOURCES)

    assert text.render(report, color=False).splitlines()[2] == "  1. taken on here"


def test_colour_is_there_only_when_asked_for() -> None:
    assert "\x1b[" in text.render(REPORT, color=True)
    assert "\x1b" not in text.render(REPORT, color=False)


def test_control_characters_of_the_source_do_not_reach_the_terminal() -> None:
    report = Report((finding(Span(1, 1, 1, 2)),), 1, 1, 0.0, sources={"pkg/a.py": ("x\x1b[31m\x07y",)})

    assert "\x1b" not in text.render(report, color=False)
    assert "\x07" not in text.render(report, color=False)


def test_square_brackets_in_a_message_are_not_markup() -> None:
    one = msgspec.structs.replace(finding(Span(1, 1, 1, 2)), message="[bold]x[/]")

    assert "[bold]x[/]" in text.render(Report((one,), 1, 1, 0.0), color=False)


def test_long_lines_are_not_wrapped() -> None:
    report = Report((finding(Span(1, 1, 1, 2)),), 1, 1, 0.0, sources={"pkg/a.py": ("x = " + "y" * 500,)})

    assert "    1 | x = " + "y" * 500 in [
        "  " + line for line in text.render(report, color=False).splitlines()
    ]


@pytest.mark.parametrize(
    ("files", "functions", "line"),
    [
        (1, 1, "No findings in 1 file, 1 function, 0.0 s.\n"),
        (0, 0, "No findings in 0 files, 0 functions, 0.0 s.\n"),
    ],
)
def test_a_clean_report_is_one_line(files: int, functions: int, line: str) -> None:
    assert text.render(Report((), files, functions, 0.0), color=False) == line


def test_the_concise_form_has_one_line_per_finding() -> None:
    assert concise.render(REPORT) == (
        "pkg/a.py:3:10: CAN101 unsafe-await-in-race: `head` is lost if this await is cancelled\n"
    )
    assert concise.render(Report((), 1, 1, 0.0)) == ""


def test_the_json_form_has_exactly_the_promised_keys() -> None:
    assert json.loads(json_reporter.render(REPORT)) == {
        "version": 1,
        "findings": [
            {
                "code": "CAN101",
                "name": "unsafe-await-in-race",
                "message": "`head` is lost if this await is cancelled",
                "severity": "error",
                "confidence": "likely",
                "path": "pkg/a.py",
                "line": 3,
                "column": 10,
                "end_line": 3,
                "end_column": 40,
                "symbol": "Client.run",
                "notes": [
                    {
                        "message": "taken on here",
                        "path": "pkg/b.py",
                        "line": 2,
                        "column": 12,
                        "symbol": "Client.read",
                    }
                ],
                "fix": None,
                "canceller": None,
                "help": "Keep what was read in `self`.",
                "url": rule_url("CAN101", "unsafe-await-in-race"),
                "fingerprint": by_trace(REPORT)[0],
            }
        ],
        "failures": [],
    }


def test_annotations_carry_the_story_and_the_cure() -> None:
    assert github.render(REPORT) == (
        "::error file=pkg/a.py,line=3,endLine=3,col=10,endColumn=40,title=CAN101 unsafe-await-in-race"
        "::`head` is lost if this await is cancelled"
        "%0A1. taken on here (pkg/b.py:2:12 in Client.read)%0Ahelp: Keep what was read in `self`.\n"
    )


def test_annotations_name_columns_on_one_line_only() -> None:
    line = github.render(Report((finding(Span(3, 10, 4, 2)),), 1, 1, 0.0))

    assert line.startswith("::error file=pkg/a.py,line=3,endLine=4,title=")


def test_annotations_of_warnings_are_warnings() -> None:
    one = msgspec.structs.replace(finding(Span(1, 1, 1, 2)), severity=Severity.WARNING)

    assert github.render(Report((one,), 1, 1, 0.0)).startswith("::warning file=")


def test_nothing_in_an_annotation_ends_it_or_begins_another() -> None:
    place = Place("a,b:c%\n::error::.py", Span(1, 1, 1, 2), "f")
    one = msgspec.structs.replace(
        finding(Span(1, 1, 1, 2)), place=place, message="100%0A\r\n::stop::x, y: z", notes=(), help=""
    )

    (line,) = github.render(Report((one,), 1, 1, 0.0)).splitlines()

    assert line == (
        "::error file=a%2Cb%3Ac%25%0A%3A%3Aerror%3A%3A.py,line=1,endLine=1,col=1,endColumn=2,"
        "title=CAN101 unsafe-await-in-race::100%250A%0D%0A::stop::x, y: z"
    )


def test_statistics_count_the_most_frequent_first() -> None:
    other = msgspec.structs.replace(finding(Span(1, 1, 1, 2)), code="CAN102", name="b")
    report = Report((finding(Span(1, 1, 1, 2)), *[other] * 10), 1, 1, 0.0)

    assert statistics.as_table(report) == "10  CAN102  b\n 1  CAN101  unsafe-await-in-race\n"
    assert json.loads(statistics.as_json(report))["statistics"][0] == {
        "code": "CAN102",
        "name": "b",
        "count": 10,
    }
    assert statistics.as_table(Report((), 1, 1, 0.0)) == ""


def test_summaries_tell_facts_with_their_places() -> None:
    place = Place("pkg/b.py", Span(2, 12, 2, 43), "Client.read")
    summary = SymbolSummary(
        "pkg.b.Client.read", place, (ReportedFact("takes self.reader", place, (Note("here", place),)),)
    )

    assert text.render_summaries([summary], color=False).splitlines()[:3] == [
        "pkg.b.Client.read  pkg/b.py:2:12",
        "  - takes self.reader  pkg/b.py:2:12",
        "      here  pkg/b.py:2:12",
    ]
    (only,) = json.loads(json_reporter.render_summaries([summary]))["summaries"]
    assert only["symbol"] == "pkg.b.Client.read"
    assert only["facts"][0]["via"][0]["line"] == 2


def test_a_terminal_is_told_where_the_page_of_the_rule_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "rule_url", lambda code, name: f"https://docs/{code}/{name}/")

    shown = text.render(REPORT, color=True)

    assert "\x1b]8;;https://docs/CAN101/unsafe-await-in-race/\x1b\\" in shown
    assert shown == text.render(REPORT, color=True)
    assert "\x1b" not in text.render(REPORT, color=False)
