"""What is believed of functions, as an editor shows it: beside the name, and over a promise."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from cancellint.frontend.discover import shown_path
from cancellint.model.report import ReportedFact, SymbolSummary
from cancellint.model.source import Span
from cancellint.pipeline import Examined, beliefs
from cancellint.printable import printable
from cancellint.server.lookup import File, function_at, promised, steps_at
from cancellint.server.places import holds, uri_of

MOST_FUNCTIONS = 3
"""How many functions that a call may reach are told of."""

_SAFE, _SAFE_IN_SCOPES, _UNSAFE = "cancel-safe", "cancel-safe in scopes", "not cancel-safe"
_VERDICTS = (_SAFE, _SAFE_IN_SCOPES, _UNSAFE)
_TOLD_OTHERWISE = (*_VERDICTS, "suspends", "never suspends", "declared cancel-safe")
_LOSS = "if cancelled"
_DECLARED = "although it is declared not to"


class Hovered(Struct, frozen=True):
    """A text in Markdown, and what it is about."""

    text: str
    span: Span


class Promise(Struct, frozen=True):
    """A function that is declared cancel-safe, and what has come of it."""

    span: Span
    symbol: str
    verdict: str


def hovered(examined: Sequence[Examined], file: File, line: int, column: int) -> Hovered | None:
    """What is to be said about a place: of the function that is defined or called there, or of an await."""
    reading = _examined(examined, file)
    found = function_at(file, line, column)
    here = _cancelled_here(reading, file, line, column)
    if found is None:
        return here
    summaries, _ = beliefs(file.project, reading.reading, found.functions[:MOST_FUNCTIONS])
    texts = [_text(each) for each in summaries]
    if not texts:
        return here
    return Hovered("\n\n---\n\n".join([*([here.text] if here else []), *texts]), found.span)


def promises(examined: Sequence[Examined], file: File) -> Iterator[Promise]:
    """What has come of each promise that is made in a file."""
    reading = _examined(examined, file).reading
    for key, span in promised(file):
        summaries, _ = beliefs(file.project, reading, [key])
        for each in summaries:
            yield Promise(span, each.symbol, _kept(each))


def told_of(examined: Sequence[Examined], symbol: str) -> str:
    """All that is believed of the functions of a name, as text."""
    return "\n".join(_plain(each) for each in _summaries(examined, symbol))


def _summaries(examined: Sequence[Examined], symbol: str) -> Iterator[SymbolSummary]:
    for each in examined:
        if each.project is not None:
            program = each.project.program
            keys = [key for key in program.all_functions() if program.symbol(key) == symbol]
            yield from beliefs(each.project, each.reading, keys)[0]


def _examined(examined: Sequence[Examined], file: File) -> Examined:
    return next(each for each in examined if each.project is file.project)


def _cancelled_here(examined: Examined, file: File, line: int, column: int) -> Hovered | None:
    """What the function round an await leaves behind if it is cancelled just there."""
    here = steps_at(file, line, column)
    if here is None:
        return None
    site, span = here
    summaries, _ = beliefs(file.project, examined.reading, [file.key(site.function)])
    own = shown_path(file.source.path)
    lost = [
        fact
        for each in summaries
        for fact in each.facts
        if _LOSS in fact.text
        and fact.at is not None
        and fact.at.path == own
        and holds(fact.at.span, line, column)
    ]
    if not lost:
        return None
    return Hovered("\n".join(["**If it is cancelled here:**\n", *map(_line, lost)]), span)


def _text(summary: SymbolSummary) -> str:
    facts = [fact for fact in summary.facts if fact.text not in _TOLD_OTHERWISE]
    head = f"**`{printable(summary.symbol)}`** {_verdict(summary)}"
    return "\n".join([head, "", *map(_line, facts)])


def _verdict(summary: SymbolSummary) -> str:
    """Whether the function is cancel-safe, and why."""
    texts = [fact.text for fact in summary.facts]
    if "never suspends" in texts:
        return "never suspends, so no cancellation arrives in it"
    verdict = _UNSAFE if _breaks_promise(summary) else next((text for text in texts if text in _VERDICTS), "")
    takes = any(text.startswith("takes ") for text in texts)
    match verdict:
        case "cancel-safe" if takes:
            return "is cancel-safe: what it has taken is out of danger before each of its awaits"
        case "cancel-safe":
            return "is cancel-safe: at none of its awaits has it taken or begun what would be lost"
        case "cancel-safe in scopes":
            return "is cancel-safe in cancel scopes, but not where its task is cancelled"
        case "not cancel-safe":
            return "is **not cancel-safe**"
    return ""


def _kept(summary: SymbolSummary) -> str:
    texts = [fact.text for fact in summary.facts]
    if _UNSAFE not in texts and not _breaks_promise(summary):
        return "declared cancel-safe, and nothing speaks against it"
    losses = [text for text in texts if _LOSS in text]
    return f"declared cancel-safe, but {losses[0]}" if losses else "declared cancel-safe, but it is not"


def _breaks_promise(summary: SymbolSummary) -> bool:
    return any(_DECLARED in fact.text for fact in summary.facts)


def _line(fact: ReportedFact) -> str:
    steps = [f"    - {printable(note.message)}{_link(note.place.path, note.place.span)}" for note in fact.via]
    at = _link(fact.at.path, fact.at.span) if fact.at is not None else ""
    return "\n".join([f"- {printable(fact.text)}{at}", *steps])


def _link(path: str, span: Span) -> str:
    shown = printable(f"{Path(path).name}:{span.line}").replace("[", "(").replace("]", ")")
    return f" [{shown}]({uri_of(Path(path).absolute())}#L{span.line})"


def _plain(summary: SymbolSummary) -> str:
    return "\n".join([summary.symbol, *(f"- {fact.text}" for fact in summary.facts)])
