"""One page with all findings, for a browser, that needs nothing else: no network, no other file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from cancellint import __version__
from cancellint.links import rule_url
from cancellint.model.finding import Finding
from cancellint.model.report import Report
from cancellint.model.source import Place
from cancellint.printable import json_without_commands, printable
from cancellint.reporters.fingerprints import by_trace
from cancellint.reporters.json import Json

AROUND = 8
"""How many lines before and after a step are shown with it."""

_TEMPLATE = Path(__file__).with_name("report.html")
_DATA = "__DATA__"

HARM = {
    "CAN0": "not checked",
    "CAN1": "lost, leaked or left half done",
    "CAN2": "a lock keeps others waiting",
    "CAN3": "grows without a bound",
    "CAN4": "a task nobody looks after",
    "CAN5": "a cancellation or a scope that does not do what it should",
    "CAN6": "messages and threads out of step",
    "CAN7": "shared state that changes meanwhile",
    "CAN8": "the event loop is held up",
}
"""What a rule is about, by the beginning of its code."""


def render(report: Report, pages: Mapping[str, str]) -> str:
    """The page, given the short page of each rule that found something, by its code."""
    prints = by_trace(report)
    data: Json = {
        "version": __version__,
        "files": report.files,
        "functions": report.functions,
        "leftOut": [{"reason": reason, "count": count} for reason, count in report.left_out],
        "failures": [
            {"subject": printable(each.subject), "error": printable(each.error)} for each in report.failures
        ],
        "rules": {
            code: {"page": text, "url": rule_url(code, _title(text)) or ""}
            for code, text in sorted(pages.items())
        },
        "findings": [
            _finding(finding, print_, report) for finding, print_ in zip(report.findings, prints, strict=True)
        ],
    }
    text = json_without_commands(json.dumps(data)).replace("<", "\\u003c")
    before, _, after = _TEMPLATE.read_text("utf-8").partition(_DATA)
    return f"{before}{text}{after}"


def _title(page: str) -> str:
    """The name of the rule that a page is about."""
    return page.partition("\n")[0].removeprefix("# ").partition(" ")[0]


def _finding(finding: Finding, fingerprint: str, report: Report) -> Json:
    steps = ((finding.place, finding.message), *((note.place, note.message) for note in finding.notes))
    return {
        "code": finding.code,
        "name": finding.name,
        "message": printable(finding.message),
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "harm": HARM.get(finding.code[:4], "other"),
        "path": printable(finding.place.text),
        "line": finding.place.span.line,
        "symbol": printable(finding.place.symbol),
        "help": printable(finding.help),
        "fix": "" if finding.fix is None else "safe" if finding.fix.safe else "unsafe",
        "id": fingerprint[:12],
        "steps": [_step(place, message, report.sources.get(place.text, ())) for place, message in steps],
    }


def _step(place: Place, message: str, lines: Sequence[str]) -> Json:
    """What happens, where, and the lines around it."""
    span = place.span
    first = max(1, span.line - AROUND)
    shown = [printable(line.replace("\t", "    ")) for line in lines[first - 1 : span.line + AROUND]]
    return {
        "message": printable(message),
        "path": printable(place.text),
        "symbol": printable(place.symbol),
        "line": span.line,
        "endLine": span.end_line,
        "first": first,
        "lines": shown,
    }
