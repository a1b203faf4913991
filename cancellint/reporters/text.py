"""A report for people: code frames, the story of each finding, the cure."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from cancellint.model.finding import Confidence, Finding, Note, Severity
from cancellint.model.report import Report, ReportedFact, SymbolSummary
from cancellint.model.source import Place, Span
from cancellint.printable import no_commands, printable

TAB = "    "

_SEVERITY = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow"}

Sources = Mapping[str, Sequence[str]]


def render(report: Report, *, color: bool, unsafe_fixes: bool = False) -> str:
    """The whole report. Without colour it holds no control codes; lines are never wrapped.

    What `--fix` would do is marked; with `unsafe_fixes`, what it would do with `--unsafe-fixes`.
    """
    blocks = [_finding(finding, report.sources, unsafe_fixes) for finding in report.findings]
    lines = [line for block in blocks for line in (*block, Text())]
    last = (*_not_checked(report), _last_line(report), *_fixable(report, unsafe_fixes))
    return _to_string([*lines, *last], color)


def render_summaries(summaries: Iterable[SymbolSummary], *, color: bool) -> str:
    """What is believed of functions, with the place of every step."""
    return _to_string([line for summary in summaries for line in _summary(summary)], color)


def _to_string(lines: Iterable[Text], color: bool) -> str:
    console = Console(
        file=io.StringIO(),
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        highlight=False,
        soft_wrap=True,
        width=200,
    )
    with console.capture() as capture:
        for line in lines:
            console.print(line, soft_wrap=True)
    return no_commands(capture.get())


# --------------------------------------------------------------------------- findings


def _finding(finding: Finding, sources: Sources, unsafe_fixes: bool) -> Iterator[Text]:
    style = _SEVERITY[finding.severity]
    yield Text.assemble(
        (f"{finding.severity.value}[{finding.code}]", style),
        (f" {finding.name}", "bold"),
        ": ",
        (printable(finding.message), "bold"),
    )
    certainty = "" if finding.confidence is Confidence.CERTAIN else f" ({finding.confidence.value})"
    yield from _frame(finding.place, sources, style, indent="  ", remark=certainty)
    for number, note in enumerate(finding.notes, 1):
        yield from _step(number, note, sources)
    fixable = "  [fixable]" if finding.fix is not None and (finding.fix.safe or unsafe_fixes) else ""
    if finding.help or fixable:
        yield Text.assemble("  ", ("help:", "bold green"), f" {printable(finding.help)}", (fixable, "cyan"))


def _step(number: int, note: Note, sources: Sources) -> Iterator[Text]:
    yield Text.assemble((f"  {number}. ", "bold cyan"), printable(note.message))
    yield from _frame(note.place, sources, "cyan", indent="     ", remark="")


def _frame(place: Place, sources: Sources, style: str, *, indent: str, remark: str) -> Iterator[Text]:
    """Where it is, the line, and carets under what is meant."""
    span = place.span
    lines = sources.get(place.text, ())
    number = str(span.line)
    gutter = indent + " " * len(number)
    yield Text.assemble(
        gutter,
        ("--> ", "blue"),
        f"{printable(place.text)}:{span.line}:{span.column}",
        (f" in {printable(place.symbol)}{remark}", "dim"),
    )
    if not 1 <= span.line <= len(lines):
        return
    before, marked, after = _split(lines[span.line - 1], span)
    yield Text.assemble((f"{gutter} |", "blue"))
    yield Text.assemble((f"{indent}{number} | ", "blue"), before, (marked, "bold"), after)
    more = " ..." if span.end_line > span.line else ""
    carets = "^" * max(1, cell_len(marked.rstrip()))
    yield Text.assemble((f"{gutter} | ", "blue"), " " * cell_len(before), (carets + more, style))


def _split(line: str, span: Span) -> tuple[str, str, str]:
    """The line before, inside and after the span, as it is printed; tabs become blanks."""
    first = span.column - 1
    last = len(line) if span.end_line > span.line else max(first, span.end_column - 1)
    parts = (line[:first], line[first:last], line[last:])
    before, marked, after = (printable(part.replace("\t", TAB)) for part in parts)
    return before, marked, after.rstrip()


def _not_checked(report: Report) -> Iterator[Text]:
    """What the report says nothing about, because this tool failed on it."""
    for failure in report.failures:
        yield Text.assemble(
            ("not checked", "bold red"), f": {printable(failure.subject)}: {printable(failure.error)}"
        )


def _last_line(report: Report) -> Text:
    counts = Counter(finding.severity for finding in report.findings)
    kinds = ", ".join(_counted(counts[kind], kind.value) for kind in Severity if counts[kind])
    where = f"in {_counted(report.files, 'file')}, {_counted(report.functions, 'function')}"
    took = f"{report.seconds:.1f} s"
    if report.failures:
        kinds = f"{kinds}; " if kinds else ""
        kinds += f"{_counted(len(report.failures), 'failure')} of cancellint, so not all was checked"
        return Text(f"{_counted(len(report.findings), 'finding')} ({kinds}) {where}, {took}.", style="bold")
    if not report.findings:
        return Text(f"No findings {where}, {took}.", style="bold green")
    return Text(f"{_counted(len(report.findings), 'finding')} ({kinds}) {where}, {took}.", style="bold")


def _fixable(report: Report, unsafe_fixes: bool) -> Iterator[Text]:
    """How many findings have a fix, if any has."""
    fixes = [finding.fix for finding in report.findings if finding.fix is not None]
    safe = sum(fix.safe for fix in fixes)
    unsafe = len(fixes) - safe
    if unsafe and (unsafe_fixes or not safe):
        yield Text(f"{len(fixes):,} fixable with `--fix --unsafe-fixes`.")
    elif fixes:
        more = f", {unsafe:,} more with `--fix --unsafe-fixes`" if unsafe else ""
        yield Text(f"{safe:,} fixable with `--fix`{more}.")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


# --------------------------------------------------------------------------- summaries


def _summary(summary: SymbolSummary) -> Iterator[Text]:
    place = f"  {_shown(summary.at)}" if summary.at else ""
    yield Text.assemble((printable(summary.symbol), "bold"), (place, "dim"))
    if not summary.facts:
        yield Text("  nothing that matters to a caller")
    for fact in summary.facts:
        yield from _fact(fact)
    yield Text()


def _fact(fact: ReportedFact) -> Iterator[Text]:
    place = f"  {_shown(fact.at)}" if fact.at else ""
    yield Text.assemble(("  - ", "cyan"), printable(fact.text), (place, "dim"))
    for note in fact.via:
        yield Text.assemble(f"      {printable(note.message)}", (f"  {_shown(note.place)}", "dim"))


def _shown(place: Place) -> str:
    return f"{printable(place.text)}:{place.span.line}:{place.span.column}"
