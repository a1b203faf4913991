"""SARIF 2.1.0, the format in which code scanning services exchange results."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Final, TypeAlias
from urllib.parse import quote

from msgspec import Struct

from cancellint import __version__
from cancellint.links import rule_url
from cancellint.model.finding import Confidence, Finding, Fix, Severity
from cancellint.model.report import Failure, Report
from cancellint.model.source import Place, Span
from cancellint.printable import json_without_commands, printable
from cancellint.reporters.fingerprints import by_place, by_trace
from cancellint.reporters.order import worst_first
from cancellint.reporters.pages import sections

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
FINGERPRINT = "cancellintFinding/v1"
TRACE_FINGERPRINT = "cancellintTrace/v1"
"""Raised when fingerprints of the same finding change."""

MOST_RESULTS = 25_000
MOST_STEPS = 1_000
"""How many results GitHub takes of a run, and how many steps of a story it shows.

https://docs.github.com/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""

_RANK: Final = {Confidence.CERTAIN: 90.0, Confidence.LIKELY: 60.0, Confidence.POSSIBLE: 30.0}

HELP_SECTIONS = ("What it finds", "Why it matters", "How to fix")

Json: TypeAlias = str | int | float | bool | Sequence["Json"] | Mapping[str, "Json"]
Object: TypeAlias = Mapping[str, Json]


class Described(Struct, frozen=True):
    """A rule, with its page in Markdown."""

    code: str
    name: str
    severity: Severity
    summary: str
    page: str
    pedantic: bool = False


def render(report: Report, rules: Sequence[Described]) -> str:
    """The findings as a SARIF log. Paths are relative to the working folder, as everywhere."""
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report, rules)]}
    return json_without_commands(json.dumps(log, indent=2)) + "\n"


def _run(report: Report, rules: Sequence[Described]) -> Object:
    index = {rule.code: number for number, rule in enumerate(rules)}
    shown = _shown(report)
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
                "toolExecutionNotifications": [*map(_failure, report.failures), *_cut(report, shown)],
            }
        ],
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "The folder that cancellint was run in."}}},
        "results": [_result(finding, index[finding.code], prints) for finding, prints in shown],
    }


Printed: TypeAlias = tuple[Finding, tuple[str, str]]
"""A finding with its fingerprints."""


def _shown(report: Report) -> Sequence[Printed]:
    """The findings in their order; of more than GitHub takes, the worst."""
    prints = zip(by_place(report), by_trace(report), strict=True)
    printed = tuple(zip(report.findings, prints, strict=True))
    if len(printed) <= MOST_RESULTS:
        return printed
    kept = frozenset(worst_first(report.findings)[:MOST_RESULTS])
    return tuple(each for each in printed if each[0] in kept)[:MOST_RESULTS]


def _cut(report: Report, shown: Sequence[Printed]) -> Iterator[Object]:
    """What is told of what was left out for GitHub's limits."""
    if len(shown) < len(report.findings):
        text = f"{len(report.findings) - len(shown):,} results are left out: GitHub takes {MOST_RESULTS:,}"
        yield {"level": "warning", "message": {"text": text}}
    long = sum(len(finding.notes) >= MOST_STEPS for finding, _ in shown)
    if long:
        text = f"the stories of {long:,} results are cut: GitHub shows {MOST_STEPS:,} steps of each"
        yield {"level": "warning", "message": {"text": text}}


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
        **({"helpUri": url} if (url := rule_url(rule.code, rule.name)) else {}),
        "defaultConfiguration": {"level": rule.severity.value},
        "properties": {
            "tags": ["async", "cancellation"],
            "problem.severity": rule.severity.value,
            "precision": "medium" if rule.pedantic else "high",
        },
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
        "rank": _RANK[finding.confidence],
        "message": {"text": _text(finding.message) + help_},
        "locations": [_location(finding.place)],
        "partialFingerprints": dict(zip((FINGERPRINT, TRACE_FINGERPRINT), fingerprints, strict=True)),
        "properties": {
            "confidence": finding.confidence.value,
            **_fix(finding.fix),
            **({"canceller": finding.canceller.value} if finding.canceller else {}),
        },
    }
    fixes = {"fixes": [_fixed(finding)]} if finding.edits else {}
    flows = {"codeFlows": [_flow(finding)]} if finding.notes else {}
    return {**result, **flows, **fixes}


def _fixed(finding: Finding) -> Object:
    """The fix, as what it does to the text."""
    return {
        "description": {"text": _text(finding.help or "the fix that --fix would make")},
        "artifactChanges": [
            {
                "artifactLocation": _artifact(finding.place.path),
                "replacements": [
                    {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}}
                    for edit in finding.edits
                ],
            }
        ],
    }


def _fix(fix: Fix | None) -> Object:
    """What kind of fix there is."""
    if fix is None:
        return {}
    return {"fix": fix.edit.value, "fixApplicability": "safe" if fix.safe else "unsafe"}


def _flow(finding: Finding) -> Object:
    """The story: where the finding stands, then its steps in order."""
    story = ((note.place, note.message) for note in finding.notes[: MOST_STEPS - 1])
    steps = [(finding.place, finding.message), *story]
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
        **({"properties": {"cell": place.cell}} if place.cell else {}),
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
