"""What strangers have written is shown on one line, and obeyed by nobody."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cancellint.model.finding import Confidence, Finding, Note, Severity
from cancellint.model.report import Failure, Report
from cancellint.model.source import Place, Span
from cancellint.printable import no_commands, printable
from cancellint.reporters import concise, diff, github, sarif, settings, statistics, text
from cancellint.reporters import json as json_reporter

HOSTILE = (
    "a\nb", "a\r\nb", "::error::x", " ::stop-commands::x", "##[error]x", "a##[add-mask]b", "\x1b[31mred",
    "\x9b31mred", "\x1b]8;;http://x\x07link", "a\u202eb", "a\u2066b", "a\u200fb", "a\u2028::b", "a\x85b",
    "a\x00b", "a\udcffb", "[link](http://x)", "[bold]x[/bold]", "%0A::error::x", "a\x08b", "\ufeff::error::x",
)  # fmt: skip


def lines_as_github_sees_them(shown: str) -> list[str]:
    return [line.strip() for part in shown.split("\n") for line in part.split("\r")]


def assert_harmless(shown: str, *, commands: tuple[str, ...] = ()) -> None:
    """What is printed holds no control character and no mark of direction, and no line but ours commands."""
    for char in shown:
        category = unicodedata.category(char)
        assert char == "\n" or category not in ("Cc", "Cs", "Zl", "Zp"), ascii(shown)
        assert unicodedata.bidirectional(char) not in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI")
    assert "##[" not in shown
    for line in lines_as_github_sees_them(shown):
        assert not line.startswith("::") or line.startswith(commands or "?"), ascii(line)


@pytest.mark.parametrize("said", HOSTILE)
def test_what_is_printable_is_one_harmless_line(said: str) -> None:
    shown = no_commands(printable(said))

    assert_harmless(shown)
    assert "\n" not in shown


@pytest.mark.parametrize(
    "said", ["", "plain", "naïve 漢字", "a b\u3000c\xa0d", "क्\u200dष", "a::b", "x : y", "#[x]"]
)
def test_what_only_prints_stays(said: str) -> None:
    assert no_commands(printable(said)) == said


@given(st.text())
def test_any_text_becomes_harmless_once_and_for_all(said: str) -> None:
    shown = no_commands(printable(said))

    assert_harmless(shown)
    assert no_commands(printable(shown)) == shown


def hostile_report(said: str) -> Report:
    """A report in which every text that a repository can supply is this one."""
    place = Place(said, Span(1, 1, 1, 4), said)
    finding = Finding(
        "CAN101", "unsafe-await-in-race", said, Severity.ERROR, Confidence.LIKELY, place,
        notes=(Note(said, place),), help=said,
    )  # fmt: skip
    return Report(
        (finding,), 1, 1, 0.0, failures=(Failure(said, said, said),), sources={said: (said.strip("\n"), said)}
    )


RULE = sarif.Described("CAN101", "unsafe-await-in-race", Severity.ERROR, "summary", "page")


@pytest.mark.parametrize("said", HOSTILE)
def test_no_format_passes_on_what_a_repository_commands(said: str) -> None:
    report = hostile_report(said)

    assert_harmless(text.render(report, color=False))
    assert_harmless(concise.render(report))
    assert_harmless(github.render(report), commands=("::error ",))
    assert len(github.render(report).splitlines()) == 2
    assert_harmless(statistics.as_table(report))
    for structured in (
        json_reporter.render(report),
        statistics.as_json(report),
        sarif.render(report, [RULE]),
        settings.as_json([settings.Setting("select", (said,), said)]),
    ):
        assert structured.isascii()
        assert_harmless(structured)
        json.loads(structured)
    assert_harmless(settings.as_toml([settings.Setting("exclude", {said: (said,)}, said)]))


def test_the_message_of_a_result_holds_no_link() -> None:
    log = json.loads(sarif.render(hostile_report("[link](http://x)"), [RULE]))

    assert "](" not in log["runs"][0]["results"][0]["message"]["text"]


def test_the_settings_are_shown_in_the_escapes_of_toml_itself() -> None:
    import tomllib

    pattern = "a\x1b\x7f\u202e##[b"
    shown = settings.as_toml([settings.Setting("exclude", (pattern,), "default")])

    assert tomllib.loads(shown) == {"exclude": [pattern]}


def test_a_diff_is_exact_unless_it_would_be_obeyed() -> None:
    plain = diff.render("a.py", "x\n\fy = 'é'\t\r\n", "x\n\fy = 'é'\t\r\nz\n")
    hostile = diff.render(
        "a.py", "'''\n::stop-commands::x\n\x1b[2J'''\n", "'''\n::stop-commands::x\n\x1b[2J'''\n1\n"
    )

    assert plain.is_exact
    assert "\r\n" in plain.text
    assert not hostile.is_exact
    assert_harmless(hostile.text)


# --------------------------------------------------------------------------- our own failures

FAILED = Report((), 2, 3, 0.0, failures=(Failure("a.py", "ValueError: x", "Traceback\n  x"),))


def test_every_format_tells_what_was_not_checked() -> None:
    assert "No findings" not in text.render(FAILED, color=False)
    assert "not checked: a.py: ValueError: x" in text.render(FAILED, color=False)
    assert "a.py: not checked: ValueError: x" in concise.render(FAILED)
    assert github.render(FAILED) == "::error title=cancellint failed::a.py was not checked: ValueError: x\n"
    assert json.loads(json_reporter.render(FAILED))["failures"] == [
        {"subject": "a.py", "error": "ValueError: x"}
    ]
    assert json.loads(statistics.as_json(FAILED))["failures"] != []
    assert json.loads(json_reporter.render_summaries([], FAILED.failures))["failures"] != []
    assert "not checked: a.py" in statistics.as_table(FAILED)
    (invocation,) = json.loads(sarif.render(FAILED, [RULE]))["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == "a.py: ValueError: x"
