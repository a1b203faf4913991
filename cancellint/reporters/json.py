"""A report and summaries as JSON, in a form that programs can rely on."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from cancellint.links import rule_url
from cancellint.model.finding import Finding, Fix, Note
from cancellint.model.report import Failure, Report, ReportedFact, SymbolSummary
from cancellint.model.source import Place
from cancellint.printable import json_without_commands
from cancellint.reporters.fingerprints import by_trace

VERSION = 1
"""Raised when a key is removed or changes its meaning; new keys do not raise it."""

Json: TypeAlias = str | int | Sequence["Json"] | Mapping[str, "Json"] | None


def render(report: Report) -> str:
    """The findings as one JSON object, and what this tool has failed on."""
    return dumped(
        {
            "version": VERSION,
            "findings": [
                finding_as_json(finding, print_)
                for finding, print_ in zip(report.findings, by_trace(report), strict=True)
            ],
            "failures": failures(report.failures),
        }
    )


def render_summaries(summaries: Sequence[SymbolSummary], failed: Sequence[Failure] = ()) -> str:
    """What is believed of functions as one JSON object."""
    return dumped(
        {
            "version": VERSION,
            "summaries": [_summary(summary) for summary in summaries],
            "failures": failures(failed),
        }
    )


def failures(failed: Sequence[Failure]) -> Sequence[Mapping[str, Json]]:
    """What was not checked, and why."""
    return [{"subject": each.subject, "error": each.error} for each in failed]


def dumped(value: Json) -> str:
    """ASCII alone, which survives every terminal, pipe and file name."""
    return json_without_commands(json.dumps(value, indent=2)) + "\n"


def finding_as_json(finding: Finding, fingerprint: str) -> Mapping[str, Json]:
    """A finding as an object."""
    span = finding.place.span
    return {
        "code": finding.code,
        "name": finding.name,
        "message": finding.message,
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "path": finding.place.path,
        **_cell(finding.place),
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
        "symbol": finding.place.symbol,
        "notes": [_note(note) for note in finding.notes],
        "fix": _fix(finding.fix) if finding.fix else None,
        "canceller": finding.canceller.value if finding.canceller else None,
        "help": finding.help,
        "url": rule_url(finding.code, finding.name),
        "fingerprint": fingerprint,
    }


def _fix(fix: Fix) -> Json:
    return {"edit": fix.edit.value, "applicability": "safe" if fix.safe else "unsafe"}


def _note(note: Note) -> Json:
    return {"message": note.message, **_place(note.place)}


def _cell(place: Place) -> Mapping[str, Json]:
    """Which cell of a notebook the lines count in."""
    return {"cell": place.cell} if place.cell else {}


def _place(place: Place) -> Mapping[str, Json]:
    return {
        "path": place.path,
        **_cell(place),
        "line": place.span.line,
        "column": place.span.column,
        "symbol": place.symbol,
    }


def _summary(summary: SymbolSummary) -> Json:
    place = _place(summary.at) if summary.at else {"path": None, "line": None, "column": None}
    return {**place, "symbol": summary.symbol, "facts": [_fact(fact) for fact in summary.facts]}


def _fact(fact: ReportedFact) -> Json:
    return {
        "text": fact.text,
        "at": _place(fact.at) if fact.at else None,
        "via": [_note(note) for note in fact.via],
    }
