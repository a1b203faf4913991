"""Workflow commands, which GitHub shows as annotations beside the code."""

from collections.abc import Iterator

from cancellint.model.finding import Finding
from cancellint.model.report import Report
from cancellint.model.source import Place


def render(report: Report) -> str:
    """One `::error …::message` or `::warning …::message` per finding; the story is part of the message."""
    return "".join(f"{_command(finding)}\n" for finding in report.findings)


def _command(finding: Finding) -> str:
    title = f"{finding.code} {finding.name}"
    properties = {"file": finding.place.path, **_extent(finding.place), "title": title}
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{finding.severity.value} {listed}::{_data(chr(10).join(_message(finding)))}"


def _extent(place: Place) -> dict[str, str]:
    """Lines, and columns where the span is on one line: GitHub takes them only there."""
    span = place.span
    lines = {"line": str(span.line), "endLine": str(span.end_line)}
    if span.line != span.end_line:
        return lines
    return {**lines, "col": str(span.column), "endColumn": str(span.end_column)}


def _message(finding: Finding) -> Iterator[str]:
    yield finding.message
    for number, note in enumerate(finding.notes, 1):
        span = note.place.span
        where = f"{note.place.path}:{span.line}:{span.column} in {note.place.symbol}"
        yield f"{number}. {note.message} ({where})"
    if finding.help:
        yield f"help: {finding.help}"


def _data(text: str) -> str:
    """The text as a command's message: no line may end, and no escape begin, by chance."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """The text as the value of a command's property, where commas and colons have a meaning too."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
