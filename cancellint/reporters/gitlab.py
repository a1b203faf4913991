"""A report for GitLab's code quality widget: https://docs.gitlab.com/ci/testing/code_quality/"""

from cancellint.model.finding import Finding, Severity
from cancellint.model.report import Failure, Report
from cancellint.model.source import Place
from cancellint.printable import printable
from cancellint.reporters.fingerprints import by_trace_and_file
from cancellint.reporters.json import Json, dumped

_SEVERITY = {Severity.ERROR: "major", Severity.WARNING: "minor"}


def render(report: Report) -> str:
    """A list of issues; what was not checked by a fault of ours is one too."""
    prints = by_trace_and_file(report)
    issues = [_issue(finding, print_) for finding, print_ in zip(report.findings, prints, strict=True)]
    return dumped([*issues, *map(_failed, report.failures)])


def _issue(finding: Finding, fingerprint: str) -> Json:
    cell = f" (cell {finding.place.cell})" if finding.place.cell else ""
    span = finding.place.span
    return {
        "type": "issue",
        "check_name": finding.code,
        "description": f"{finding.name}: {printable(finding.message)}{cell}",
        "content": {"body": _story(finding)},
        "categories": ["Bug Risk"],
        "severity": _SEVERITY[finding.severity],
        "fingerprint": fingerprint,
        "location": {
            "path": finding.place.path,
            "lines": {"begin": span.line, "end": span.end_line},
        },
    }


def _story(finding: Finding) -> str:
    """The steps, and the cure, in Markdown."""
    steps = (
        f"{number}. {printable(note.message)} ({_where(note.place)})"
        for number, note in enumerate(finding.notes, 1)
    )
    return "\n".join((*steps, *([printable(finding.help)] if finding.help else [])))


def _where(place: Place) -> str:
    return f"{printable(place.text)}:{place.span.line}"


def _failed(failure: Failure) -> Json:
    return {
        "type": "issue",
        "check_name": "cancellint",
        "description": f"{printable(failure.subject)} was not checked: {printable(failure.error)}",
        "categories": ["Bug Risk"],
        "severity": "blocker",
        "fingerprint": f"failure:{printable(failure.subject)}",
        "location": {"path": failure.subject, "lines": {"begin": 1}},
    }
