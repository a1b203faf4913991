"""One line per finding."""

from collections.abc import Iterator

from cancellint.model.report import Report


def render(report: Report) -> str:
    """`path:line:column: code name: message` for every finding, nothing else."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    for finding in report.findings:
        span = finding.place.span
        place = f"{_on_one_line(finding.place.path)}:{span.line}:{span.column}"
        message = " ".join(finding.message.split())
        yield f"{place}: {finding.code} {finding.name}: {message}"


def _on_one_line(path: str) -> str:
    """The path with control characters, which a file's name may hold, written as Python would."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in path)
