"""One line per finding."""

from collections.abc import Iterator

from cancellint.model.report import Report
from cancellint.printable import no_commands, printable


def render(report: Report) -> str:
    """`path:line:column: code name: message` for every finding, and a line for what was not checked."""
    return no_commands("".join(f"{line}\n" for line in _lines(report)))


def _lines(report: Report) -> Iterator[str]:
    for finding in report.findings:
        span = finding.place.span
        place = f"{printable(finding.place.text)}:{span.line}:{span.column}"
        message = printable(" ".join(finding.message.split()))
        yield f"{place}: {finding.code} {finding.name}: {message}"
    for failure in report.failures:
        yield f"{printable(failure.subject)}: not checked: {printable(failure.error)}"
