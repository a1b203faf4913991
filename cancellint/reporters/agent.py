"""A report for programs that read text and pay for each word: short, stable, and never without its end."""

from collections import Counter
from collections.abc import Iterator

from cancellint.model.finding import Finding, Severity
from cancellint.model.report import Report
from cancellint.model.source import Place
from cancellint.printable import no_commands, printable
from cancellint.reporters.order import counted, worst_first

MOST = 20
"""How many findings are told with their steps."""


def render(report: Report) -> str:
    """The worst findings with steps and cure, then what was found in all, and how to see more.

    The form is the same from version to version: a line `CODE severity confidence place in function:
    message`, a line for each step that begins with its number, `cure:`, and an empty line. The last lines
    begin with `summary:` and `more:`.
    """
    findings = worst_first(report.findings)
    lines = [line for finding in findings[:MOST] for line in (*_finding(finding, report), "")]
    return no_commands("".join(f"{line}\n" for line in (*lines, *_end(report, findings[MOST:]))))


def _finding(finding: Finding, report: Report) -> Iterator[str]:
    where = f"{_at(finding.place)} in {printable(finding.place.symbol)}"
    firm = f"{finding.severity.value} {finding.confidence.value}"
    yield f"{finding.code} {firm} {where}: {printable(finding.message)}"
    yield f"0 {_at(finding.place)}{_line(finding.place, report)}"
    for number, note in enumerate(finding.story, 1):
        yield f"{number} {_at(note.place)} {printable(note.message)}{_line(note.place, report)}"
    others = len(finding.notes) - len(finding.story)
    if others:
        yield f"also at: {counted(others, 'more place')}"
    if finding.help:
        yield f"cure: {printable(finding.help)}"
    if finding.fix is not None:
        yield f"fix: {'--fix' if finding.fix.safe else '--fix --unsafe-fixes'}"


def _at(place: Place) -> str:
    return f"{printable(place.text)}:{place.span.line}:{place.span.column}"


def _line(place: Place, report: Report) -> str:
    lines = report.sources.get(place.text, ())
    return f" | {printable(lines[place.span.line - 1].strip())}" if 1 <= place.span.line <= len(lines) else ""


def _end(report: Report, rest: tuple[Finding, ...]) -> Iterator[str]:
    """What the run as a whole has come to; always there."""
    for failure in report.failures:
        yield f"not checked: {printable(failure.subject)}: {printable(failure.error)}"
    counts = Counter(finding.severity for finding in report.findings)
    kinds = ", ".join(counted(counts[kind], kind.value) for kind in Severity)
    left_out = sum(count for _, count in report.left_out)
    parts = [
        f"{counted(len(report.findings), 'finding')} ({kinds})",
        f"in {counted(report.files, 'file')}",
        *([f"{left_out:,} known or untouched and not shown"] if left_out else []),
        *([f"{len(report.failures):,} not checked"] if report.failures else []),
    ]
    yield f"summary: {', '.join(parts)}"
    if rest:
        codes = ", ".join(f"{code} {count}" for code, count in Counter(each.code for each in rest).items())
        yield f"not told above: {codes}"
    yield (
        "more: `cancellint show FILE:LINE` one finding, `cancellint explain CODE` the rule, "
        "`--output-format jsonl` all findings"
    )
