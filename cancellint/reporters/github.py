"""Workflow commands, which GitHub shows as annotations beside the code."""

import re
from collections import Counter
from collections.abc import Iterator

from cancellint.model.finding import Finding, Severity
from cancellint.model.report import Failure, Report
from cancellint.model.source import Place
from cancellint.printable import printable
from cancellint.reporters.order import counted, worst_first

SHOWN = 10
"""How many annotations of a kind GitHub shows in a step."""

_LINE = re.compile(r"[^\r\n]+")


def render(report: Report) -> str:
    """One `::error …::message` or `::warning …::message` per finding; the story is part of the message.

    What was not checked by a fault of ours is an error too. GitHub shows the first ten of each kind in a
    step, so the worst come first, and a notice tells how many there are beyond.
    """
    failed = [_failed(failure) for failure in report.failures]
    commands = [*failed, *map(_command, worst_first(report.findings)), *_beyond(report)]
    return "".join(f"{command}\n" for command in commands)


def _beyond(report: Report) -> Iterator[str]:
    """A notice of what GitHub does not show beside the code."""
    counts = Counter(finding.severity for finding in report.findings)
    counts[Severity.ERROR] += len(report.failures)
    beyond = [counted(counts[kind] - SHOWN, kind.value) for kind in Severity if counts[kind] > SHOWN]
    if beyond:
        told = f"{' and '.join(beyond)} more are in the log of this step; GitHub shows {SHOWN} of a kind"
        yield f"::notice title=cancellint::{_data(told)}"


def _command(finding: Finding) -> str:
    cell = f" in cell {finding.place.cell}" if finding.place.cell else ""
    title = f"{finding.code} {finding.name}{cell}"
    properties = {"file": finding.place.path, **_extent(finding.place), "title": title}
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{finding.severity.value} {listed}::{'%0A'.join(map(_data, _message(finding)))}"


def _failed(failure: Failure) -> str:
    return f"::error title=cancellint failed::{_data(f'{failure.subject} was not checked: {failure.error}')}"


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
        where = f"{note.place.text}:{span.line}:{span.column} in {note.place.symbol}"
        yield f"{number}. {note.message} ({where})"
    if finding.help:
        yield f"help: {finding.help}"


def _data(text: str) -> str:
    """The text as a command's message: no line may end, and no escape begin, by chance."""
    shown = _LINE.sub(lambda line: printable(line[0]), text)
    return shown.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """The text as the value of a command's property, where commas and colons have a meaning too."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
