"""Markdown for a comment on a pull request."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from cancellint.links import rule_url
from cancellint.model.finding import Confidence, Finding, Severity
from cancellint.model.report import Report
from cancellint.model.source import Place
from cancellint.printable import no_commands, printable
from cancellint.reporters.order import counted, worst_first

LONGEST = 60_000
"""How many characters a report may have: GitHub takes comments of 65,536."""

_SPECIAL = re.compile(r"([\\*_{}\[\]<>()#+!|~&@])")


def render(report: Report) -> str:
    """A heading, and each finding with its story folded away; the worst first, as many as a comment takes."""
    head = "".join(f"{line}\n" for line in _head(report))
    size, shown = len(head), [head]
    findings = worst_first(report.findings)
    for number, finding in enumerate(findings):
        text = "".join(f"{line}\n" for line in _finding(finding, report))
        size += len(text)
        if size > LONGEST:
            shown.append(f"\n{counted(len(findings) - number, 'finding')} more did not fit into a comment.\n")
            break
        shown.append(text)
    return no_commands("".join(shown))


def _head(report: Report) -> Iterator[str]:
    if not report.findings:
        yield "### cancellint: no findings" if not report.failures else "### cancellint"
    else:
        counts = Counter(finding.severity for finding in report.findings)
        kinds = ", ".join(counted(counts[kind], kind.value) for kind in Severity if counts[kind])
        yield f"### cancellint: {kinds}"
    yield ""
    for reason, count in report.left_out:
        yield f"{counted(count, 'finding')} not shown: {_plain(reason)}."
        yield ""
    for failure in report.failures:
        yield f"**not checked**: {_plain(failure.subject)}: {_plain(failure.error)}"
        yield ""


def _finding(finding: Finding, report: Report) -> Iterator[str]:
    """What is wrong and where, with the steps inside."""
    url = rule_url(finding.code, finding.name)
    rule = f"[{finding.code}]({url})" if url else finding.code
    certainty = "" if finding.confidence is Confidence.CERTAIN else f", {finding.confidence.value}"
    yield f"**{rule}** {finding.name} ({finding.severity.value}{certainty}): {_plain(finding.message)}"
    yield ""
    yield from _step("", finding.place, report)
    if finding.notes:
        yield f"<details><summary>How it comes about: {counted(len(finding.notes), 'step')}</summary>"
        yield ""
        for number, note in enumerate(finding.notes, 1):
            yield from _step(f"{number}. {_plain(note.message)}: ", note.place, report)
        yield "</details>"
        yield ""
    if finding.help:
        yield f"> {_plain(finding.help)}"
        yield ""


def _step(title: str, place: Place, report: Report) -> Iterator[str]:
    where = f"{printable(place.text)}:{place.span.line}"
    yield f"{title}{_code(where)} in {_code(printable(place.symbol))}"
    lines = report.sources.get(place.text, ())
    if 1 <= place.span.line <= len(lines):
        yield from ("", *_fenced([printable(lines[place.span.line - 1].replace("\t", "    ")).strip()]))
    yield ""


def _fenced(lines: Sequence[str]) -> Iterator[str]:
    """Lines of code, in a fence that none of them closes."""
    longest = max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}python"
    yield from lines
    yield fence


def _code(text: str) -> str:
    """The text as code in a line."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * (longest + 1)
    return f"{ticks} {text} {ticks}" if longest else f"`{text}`"


def _plain(text: str) -> str:
    """Prose, in which `…` is code as everywhere, and nothing else means anything."""
    parts = re.split(r"(`[^`]+`)", printable(text))
    return "".join(
        part if number % 2 else _SPECIAL.sub(r"\\\1", part).replace("`", "\\`")
        for number, part in enumerate(parts)
    )
