"""Reviewdog's diagnostic format: https://github.com/reviewdog/reviewdog/tree/master/proto/rdf"""

from collections.abc import Mapping, Sequence

from cancellint.links import rule_url
from cancellint.model.finding import Finding, TextEdit
from cancellint.model.report import Failure, Report
from cancellint.model.source import Place, Span
from cancellint.printable import printable
from cancellint.reporters.json import Json, dumped

Sources = Mapping[str, Sequence[str]]


def render(report: Report) -> str:
    """One result with all findings. Columns count in bytes, as reviewdog wants it."""
    findings = [_diagnostic(finding, report.sources) for finding in report.findings]
    return dumped(
        {
            "source": {"name": "cancellint"},
            "severity": "WARNING",
            "diagnostics": [*findings, *map(_failed, report.failures)],
        }
    )


def _diagnostic(finding: Finding, sources: Sources) -> Json:
    url = rule_url(finding.code, finding.name)
    cell = f" (cell {finding.place.cell})" if finding.place.cell else ""
    help_ = f"\nhelp: {printable(finding.help)}" if finding.help else ""
    diagnostic: dict[str, Json] = {
        "message": f"{printable(finding.message)}{cell}{help_}",
        "location": _location(finding.place, sources),
        "severity": finding.severity.value.upper(),
        "code": {"value": finding.code, **({"url": url} if url else {})},
    }
    if finding.notes:
        diagnostic["relatedLocations"] = [
            {"message": printable(note.message), "location": _location(note.place, sources)}
            for note in finding.notes
        ]
    if finding.edits:
        lines = sources.get(finding.place.text, ())
        diagnostic["suggestions"] = [_suggestion(edit, lines) for edit in finding.edits]
    return diagnostic


def _location(place: Place, sources: Sources) -> Json:
    return {"path": place.path, "range": _range(place.span, sources.get(place.text, ()))}


def _suggestion(edit: TextEdit, lines: Sequence[str]) -> Json:
    return {"range": _range(edit.span, lines), "text": edit.text}


def _range(span: Span, lines: Sequence[str]) -> Json:
    return {
        "start": {"line": span.line, "column": _bytes(span.line, span.column, lines)},
        "end": {"line": span.end_line, "column": _bytes(span.end_line, span.end_column, lines)},
    }


def _bytes(line: int, column: int, lines: Sequence[str]) -> int:
    """The column counted in the bytes of UTF-8."""
    text = lines[line - 1][: column - 1] if 1 <= line <= len(lines) else ""
    return column - len(text) + len(text.encode("utf-8", "replace"))


def _failed(failure: Failure) -> Json:
    return {
        "message": f"cancellint failed: not checked: {printable(failure.error)}",
        "location": {"path": failure.subject},
        "severity": "ERROR",
    }
