"""One line per finding."""

from collections.abc import Iterator

from cancellint.model.report import Report


def render(report: Report) -> str:
    """`path:line:column: code name: message` for every finding, nothing else."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    for finding in report.findings:
        span = finding.place.span
        place = f"{finding.place.path}:{span.line}:{span.column}"
        message = " ".join(finding.message.split())
        yield f"{place}: {finding.code} {finding.name}: {message}"
