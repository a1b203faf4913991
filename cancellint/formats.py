"""The forms of a report. Only the module of the form that is asked for is loaded."""

from collections.abc import Callable

from msgspec import Struct

from cancellint.model.report import Report
from cancellint.reporters.pages import short
from cancellint.resources import rules_folder

FORMATS = (
    "text", "concise", "json", "jsonl", "sarif", "github", "gitlab", "azure", "junit", "rdjson", "markdown",
    "html", "agent",
)  # fmt: skip
WITH_EDITS = ("sarif", "rdjson")
"""The formats that tell what fixes do to the text."""


class Look(Struct, frozen=True):
    """What a report for people looks like."""

    color: bool = False
    unsafe_fixes: bool = False
    """whether these are made too"""
    in_full: bool = False
    """whether each story is told, however many there are"""
    with_summary: bool = True


def page(name: str) -> str:
    """The page of the rule of this name, in Markdown."""
    return (rules_folder() / f"{name}.md").read_text("utf-8")


def rendered(report: Report, output_format: str, look: Look) -> str:
    """The report in one of the formats."""
    if output_format == "text":
        return _as_text(report, look)
    if output_format == "sarif":
        return _as_sarif(report)
    if output_format == "html":
        return _as_html(report)
    return _renderer(output_format)(report)


def _renderer(output_format: str) -> Callable[[Report], str]:
    """What writes a format that needs nothing but the report; only its own module is loaded."""
    match output_format:
        case "json":
            from cancellint.reporters.json import render
        case "jsonl":
            from cancellint.reporters.jsonl import render
        case "concise":
            from cancellint.reporters.concise import render
        case "github":
            from cancellint.reporters.github import render
        case "gitlab":
            from cancellint.reporters.gitlab import render
        case "junit":
            from cancellint.reporters.junit import render
        case "rdjson":
            from cancellint.reporters.rdjson import render
        case "azure":
            from cancellint.reporters.azure import render
        case "markdown":
            from cancellint.reporters.markdown import render
        case _:
            from cancellint.reporters.agent import render
    return render


def _as_text(report: Report, look: Look) -> str:
    from cancellint.reporters import text

    return text.render(
        report,
        color=look.color,
        unsafe_fixes=look.unsafe_fixes,
        in_full=look.in_full,
        with_summary=look.with_summary,
    )


def _as_html(report: Report) -> str:
    from cancellint.reporters import html

    own = {rule.code: rule.page for rule in report.own_rules}
    found = {(each.code, each.name) for each in report.findings}
    pages = {code: short(own[code] if code in own else page(name)) for code, name in found}
    return html.render(report, pages)


def _as_sarif(report: Report) -> str:
    from cancellint.reporters import sarif
    from cancellint.selection import catalogue

    return sarif.render(
        report,
        [
            sarif.Described(rule.code, rule.name, rule.severity, rule.summary, page(rule.name), rule.pedantic)
            for rule in catalogue()
        ]
        + [
            sarif.Described(rule.code, rule.name, rule.severity, rule.summary, rule.page, rule.pedantic)
            for rule in report.own_rules
        ],
    )
