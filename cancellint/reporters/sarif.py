"""SARIF 2.1.0, the format in which code scanning services exchange results."""

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TypeAlias
from urllib.parse import quote

from msgspec import Struct

from cancellint import __version__
from cancellint.model.finding import Finding, Fix, Severity
from cancellint.model.report import Failure, Report
from cancellint.model.source import Place, Span
from cancellint.printable import json_without_commands, printable
from cancellint.reporters.fingerprints import by_place, by_trace
from cancellint.reporters.pages import sections

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
FINGERPRINT = "cancellintFinding/v1"
TRACE_FINGERPRINT = "cancellintTrace/v1"
"""Raised when fingerprints of the same finding change."""

HELP_SECTIONS = ("What it finds", "Why it matters", "How to fix")

Json: TypeAlias = str | int | bool | Sequence["Json"] | Mapping[str, "Json"]
Object: TypeAlias = Mapping[str, Json]


class Described(Struct, frozen=True):
    """A rule, with its page in Markdown."""

    code: str
    name: str
    severity: Severity
    summary: str
    page: str


def render(report: Report, rules: Sequence[Described]) -> str:
    """The findings as a SARIF log. Paths are relative to the working folder, as everywhere."""
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report, rules)]}
    return json_without_commands(json.dumps(log, indent=2)) + "\n"


def _run(report: Report, rules: Sequence[Described]) -> Object:
    index = {rule.code: number for number, rule in enumerate(rules)}
    prints = zip(by_place(report), by_trace(report), strict=True)
    return {
        "tool": {
            "driver": {
                "name": "cancellint",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "invocations": [
            {
                "executionSuccessful": not report.failures,
                "toolExecutionNotifications": [_failure(failure) for failure in report.failures],
            }
        ],
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "The folder that cancellint was run in."}}},
        "results": [
            _result(finding, index[finding.code], print_)
            for finding, print_ in zip(report.findings, prints, strict=True)
        ],
    }


def _failure(failure: Failure) -> Object:
    return {"level": "error", "message": {"text": _text(f"{failure.subject}: {failure.error}")}}


def _text(text: str) -> str:
    """The text of a message, which viewers show: nothing in it is a link."""
    return printable(text).replace("](", "] (")


# --------------------------------------------------------------------------- rules


def _rule(rule: Described) -> Object:
    told = sections(rule.page)
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {
            "text": " ".join(told.get("What it finds", rule.summary).split("\n\n")[0].split())
        },
        "help": {"text": _help(told, ""), "markdown": _help(told, "## ")},
        "defaultConfiguration": {"level": rule.severity.value},
        "properties": {"tags": ["async", "cancellation"], "problem.severity": rule.severity.value},
    }


def _help(told: Mapping[str, str], mark: str) -> str:
    return "\n\n".join(f"{mark}{title}\n\n{told[title]}" for title in HELP_SECTIONS if title in told)


# --------------------------------------------------------------------------- results


def _result(finding: Finding, rule: int, fingerprints: tuple[str, str]) -> Object:
    help_ = f"\nhelp: {_text(finding.help)}" if finding.help else ""
    result: Object = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity.value,
        "message": {"text": _text(finding.message) + help_},
        "locations": [_location(finding.place)],
        "partialFingerprints": dict(zip((FINGERPRINT, TRACE_FINGERPRINT), fingerprints, strict=True)),
        "properties": {
            "confidence": finding.confidence.value,
            **_fix(finding.fix),
            **({"canceller": finding.canceller.value} if finding.canceller else {}),
        },
    }
    return {**result, "codeFlows": [_flow(finding)]} if finding.notes else result


def _fix(fix: Fix | None) -> Object:
    """What a fix would do; SARIF's own `fixes` are texts, which are made only on demand."""
    if fix is None:
        return {}
    return {"fix": fix.edit.value, "fixApplicability": "safe" if fix.safe else "unsafe"}


def _flow(finding: Finding) -> Object:
    """The story: where the finding stands, then its steps in order."""
    steps = [(finding.place, finding.message), *((note.place, note.message) for note in finding.notes)]
    return {
        "threadFlows": [
            {
                "locations": [
                    {"location": {**_location(place), "message": {"text": _text(message)}}}
                    for place, message in steps
                ]
            }
        ]
    }


def _location(place: Place) -> Object:
    return {
        "physicalLocation": {"artifactLocation": _artifact(place.path), "region": _region(place.span)},
        "logicalLocations": [
            {
                "fullyQualifiedName": printable(place.symbol),
                "kind": "module" if place.symbol == "<module>" else "function",
            }
        ],
    }


def _artifact(path: str) -> Object:
    if PurePath(path).is_absolute():
        return {"uri": "file://" + quote("/" + path.lstrip("/"), safe="/:", errors="surrogateescape")}
    return {"uri": quote(path, safe="/", errors="surrogateescape"), "uriBaseId": ROOT}


def _region(span: Span) -> Object:
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }
