"""A report for people: code frames, the story of each finding, the cure."""

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text

from cancellint.links import rule_url
from cancellint.model.finding import SAME_CAUSE, Confidence, Finding, Note, Severity
from cancellint.model.report import Report, ReportedFact, SymbolSummary
from cancellint.model.source import Place, Span
from cancellint.printable import no_commands, printable

TAB = "    "

_SEVERITY = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow"}

Sources = Mapping[str, Sequence[str]]


MANY = 3
"""How many findings of a rule in one file are told with their story, and further places of a cause named."""


def render(
    report: Report,
    *,
    color: bool,
    unsafe_fixes: bool = False,
    in_full: bool = False,
    with_summary: bool = True,
) -> str:
    """The whole report. Without colour it holds no control codes; lines are never wrapped.

    What `--fix` would do is marked; with `unsafe_fixes`, what it would do with `--unsafe-fixes`.
    Of many findings of a rule in one file, only the first are told with their story, unless `in_full`.
    """
    told, brief = (report.findings, ()) if in_full else _first_ones(report.findings)
    lines = [
        line for each in told for line in (*_finding(each, report.sources, unsafe_fixes, in_full), Text())
    ]
    last = [*_in_brief(brief), *_not_checked(report)]
    if with_summary:
        last += [_last_line(report), *_left_out(report), *_fixable(report, unsafe_fixes)]
    return _to_string([*lines, *last], color)


def _first_ones(findings: Sequence[Finding]) -> tuple[Sequence[Finding], Sequence[Finding]]:
    """The findings to be told with their story, and those of a rule and file that has enough of them."""
    seen: Counter[tuple[str, str]] = Counter()
    told: list[Finding] = []
    brief: list[Finding] = []
    for finding in findings:
        key = (finding.place.path, finding.code)
        seen[key] += 1
        (told if seen[key] <= MANY else brief).append(finding)
    return told, brief


def _in_brief(findings: Sequence[Finding]) -> Iterator[Text]:
    """A line for each, and how to see more of it."""
    if not findings:
        return
    count = _counted(len(findings), "more finding")
    yield Text.assemble((f"{count} of the same rules in the same files", "bold"), ", in brief:")
    for finding in findings:
        where = f"{printable(finding.place.text)}:{finding.place.span.line}:{finding.place.span.column}"
        style = _SEVERITY[finding.severity]
        yield Text.assemble(
            "  ", (where, "blue"), ": ", (finding.code, style), f" {printable(finding.message)}"
        )
    yield Text("`cancellint show FILE:LINE` tells the story of one, --verbose those of all.")
    yield Text()


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
    return no_commands(_LINK_ID.sub("\x1b]8;;", capture.get()))


_LINK_ID = re.compile("\x1b]8;id=[0-9-]+;")
"""What tells links of one output apart, by chance: the same report shall be the same text."""


def _linked(style: str, finding: Finding) -> Style:
    """A style with the address of the rule's page, which terminals open."""
    return Style.parse(style) + Style(link=rule_url(finding.code, finding.name))


# --------------------------------------------------------------------------- one finding, step by step

AROUND = 3
"""How many lines before and after a step are shown with it."""


def render_story(finding: Finding, sources: Sources, *, color: bool) -> str:
    """A finding as a walk through the sources: each step with the lines around it and what happens there."""
    style = _SEVERITY[finding.severity]
    lines = [
        Text.assemble(
            (f"{finding.severity.value}[{finding.code}]", _linked(style, finding)),
            (f" {finding.name}", "bold"),
            f" ({finding.confidence.value})",
        ),
        Text(),
        *_scene(f"0. {finding.message}", finding.place, sources, style),
    ]
    for number, note in enumerate(finding.notes, 1):
        lines += _scene(f"{number}. {note.message}", note.place, sources, "cyan")
    if finding.help:
        lines += [Text.assemble(("help:", "bold green"), f" {printable(finding.help)}")]
    lines += [Text(f"`cancellint explain {finding.code}` tells more about the rule."), Text()]
    return _to_string(lines, color)


def _scene(title: str, place: Place, sources: Sources, style: str) -> Iterator[Text]:
    """One step: what happens, where, and the code around it with the step marked."""
    yield Text(printable(title), style="bold")
    yield Text.assemble(("  --> ", "blue"), f"{_shown(place)}", (f" in {printable(place.symbol)}", "dim"))
    lines, span = sources.get(place.text, ()), place.span
    first, last = max(1, span.line - AROUND), min(len(lines), span.line + AROUND)
    width = len(str(last))
    for number in range(first, last + 1):
        line = printable(lines[number - 1].replace("\t", TAB)).rstrip()
        yield Text.assemble((f"  {number:>{width}} |", "blue"), f" {line}" if line else "")
        if number == span.line:
            before, marked, _ = _split(lines[number - 1], span)
            carets = "^" * max(1, cell_len(marked.rstrip()))
            yield Text.assemble((f"  {'':>{width}} | ", "blue"), " " * cell_len(before), (carets, style))
    yield Text()


# --------------------------------------------------------------------------- findings


def _finding(finding: Finding, sources: Sources, unsafe_fixes: bool, in_full: bool) -> Iterator[Text]:
    style = _SEVERITY[finding.severity]
    yield Text.assemble(
        (f"{finding.severity.value}[{finding.code}]", _linked(style, finding)),
        (f" {finding.name}", "bold"),
        ": ",
        (printable(finding.message), "bold"),
    )
    certainty = "" if finding.confidence is Confidence.CERTAIN else f" ({finding.confidence.value})"
    yield from _frame(finding.place, sources, style, indent="  ", remark=certainty)
    story = finding.notes if in_full else finding.story
    for number, note in enumerate(story, 1):
        yield from _step(number, note, sources)
    yield from _others(finding.notes[len(story) :])
    fixable = "  [fixable]" if finding.fix is not None and (finding.fix.safe or unsafe_fixes) else ""
    if finding.help or fixable:
        yield Text.assemble("  ", ("help:", "bold green"), f" {printable(finding.help)}", (fixable, "cyan"))


def _others(notes: Sequence[Note]) -> Iterator[Text]:
    """The further places of a cause, a line each, as far as they are few."""
    for note in notes[:MANY]:
        where = f"{_shown(note.place)} in {printable(note.place.symbol)}"
        told = printable(note.message.removeprefix(SAME_CAUSE))
        yield Text.assemble("  ", ("also:", "bold cyan"), f" {told}", (f"  {where}", "dim"))
    if len(notes) > MANY:
        yield Text.assemble("  ", ("also:", "bold cyan"), f" {_counted(len(notes) - MANY, 'more place')}")


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


def _left_out(report: Report) -> Iterator[Text]:
    """How many findings are not shown, and why."""
    for reason, count in report.left_out:
        yield Text(f"{_counted(count, 'finding')} not shown: {reason}.")


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
