"""Findings between the rules that yield them and the users who read them."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct

from cancellint.config import Config
from cancellint.frontend.discover import Source
from cancellint.frontend.guards import Refusal
from cancellint.frontend.notebook import Cell, cell_at
from cancellint.model.finding import (
    SAME_CAUSE,
    Confidence,
    Finding,
    Fix,
    Note,
    RawFinding,
    Severity,
    SiteNote,
)
from cancellint.model.source import Place, Site, Span
from cancellint.rules.rule import Rule
from cancellint.selection import UNREADABLE, Choice

STRENGTH = tuple(Confidence)
"""Strongest first."""


class Draft(Struct, frozen=True):
    """A finding with its rule, not yet placed."""

    code: str
    name: str
    severity: Severity
    raw: RawFinding
    confidence: Confidence
    is_shown: bool = True
    """whether it is firm enough; one that is not still shows that a suppression is of use"""

    def without_fix(self) -> "Draft":
        """The same with no fix."""
        if self.raw.fix is None:
            return self
        return msgspec.structs.replace(self, raw=msgspec.structs.replace(self.raw, fix=None))

    def sites(self) -> Iterator[Site]:
        """Every step that the finding or its story points at."""
        yield self.raw.at
        yield from (note.at for note in self.raw.notes)


def draft(
    rule: Rule, raw: RawFinding, sources: Mapping[str, Source], config: Config, choice: Choice
) -> Draft | None:
    """The finding, unless it is about a file that is not reported on, or in which its rule is ignored.

    In tests, what is not certain counts one confidence less.
    """
    source = sources[raw.at.module]
    if not source.is_reported or rule.code not in choice.codes_in(source.path):
        return None
    strength = raw.confidence.rank
    if source.is_test and strength > 0:
        strength = min(strength + 1, len(STRENGTH) - 1)
    return Draft(
        code=rule.code,
        name=rule.name,
        severity=choice.severity(rule.code, raw.severity or rule.severity),
        raw=raw,
        confidence=STRENGTH[strength],
        is_shown=strength <= config.weakest_shown.rank,
    )


def sites_by_module(drafts: Iterable[Draft]) -> Mapping[str, tuple[Site, ...]]:
    """The steps to be placed in each module."""
    return group_by_module(site for draft in drafts for site in draft.sites())


def group_by_module(sites: Iterable[Site]) -> Mapping[str, tuple[Site, ...]]:
    """The sites of each module, in order."""
    grouped: dict[str, set[Site]] = {}
    for site in sites:
        grouped.setdefault(site.module, set()).add(site)
    return {module: tuple(sorted(grouped[module])) for module in sorted(grouped)}


def fixes_by_module(drafts: Iterable[Draft]) -> Mapping[str, tuple[Fix, ...]]:
    """The fixes that are asked for, each in the file of its finding; what reaches beyond that is left out."""
    grouped: dict[str, dict[Fix, None]] = {}
    for each in drafts:
        fix, module = each.raw.fix, each.raw.at.module
        if fix is not None and {site.module for site in fix.sites} == {module}:
            grouped.setdefault(module, {})[fix] = None
    return {module: tuple(fixes) for module, fixes in grouped.items()}


def one_per_cause(drafts: Iterable[Draft], places: Mapping[Site, Place]) -> tuple[Draft, ...]:
    """The drafts, those of one rule with the same cause told at the firmest, with the others as notes.

    Whether they are errors is told by the worst of them. What a comment silences must be left out before.
    """
    by_cause: dict[tuple[str, str | None], list[Draft]] = {}
    for each in drafts:
        if each.raw.at in places:
            by_cause.setdefault((each.code, each.raw.cause), []).append(each)
    return tuple(_with_others(found, places) for found in by_cause.values())


def _with_others(found: list[Draft], places: Mapping[Site, Place]) -> Draft:
    first, *others = sorted(found, key=lambda each: (STRENGTH.index(each.confidence), places[each.raw.at]))
    notes = tuple(
        SiteNote(each.raw.at, SAME_CAUSE + each.raw.message)
        for each in others
        if places[each.raw.at] != places[first.raw.at] or each.raw.message != first.raw.message
    )
    worst = Severity.ERROR if any(each.severity is Severity.ERROR for each in found) else first.severity
    raw = msgspec.structs.replace(first.raw, notes=(*first.raw.notes, *notes))
    return msgspec.structs.replace(first, raw=raw, severity=worst)


def finish(drafts: Iterable[Draft], places: Mapping[Site, Place]) -> Iterator[Finding]:
    """The findings whose place is known, with the notes whose place is known."""
    for draft in drafts:
        if draft.raw.at in places:
            yield Finding(
                code=draft.code,
                name=draft.name,
                message=draft.raw.message,
                severity=draft.severity,
                confidence=draft.confidence,
                place=places[draft.raw.at],
                notes=placed_notes(draft.raw.notes, places),
                help=draft.raw.help,
                fix=draft.raw.fix,
                canceller=draft.raw.canceller,
            )


def placed_notes(notes: Iterable[SiteNote], places: Mapping[Site, Place]) -> tuple[Note, ...]:
    """The notes whose place is known."""
    return tuple(Note(note.message, places[note.at]) for note in notes if note.at in places)


def refused(path: str, refusal: Refusal, choice: Choice) -> Finding:
    """The finding that a file was not checked."""
    span = Span(refusal.line, refusal.column, refusal.line, refusal.column)
    return Finding(
        code=UNREADABLE.code,
        name=UNREADABLE.name,
        message=refusal.message,
        severity=choice.severity(UNREADABLE.code, UNREADABLE.severity),
        confidence=Confidence.CERTAIN,
        place=Place(path, span, "<module>"),
        help="Mend the file, or leave it out with `exclude` in the configuration.",
    )


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings by place and code; of those that say the same about the same place, the first."""
    distinct: dict[tuple[Place, str, str], Finding] = {}
    for finding in sorted(
        findings, key=lambda finding: (finding.place, finding.code, finding.message, finding.notes)
    ):
        distinct.setdefault((finding.place, finding.code, finding.message), finding)
    return tuple(distinct.values())


# --------------------------------------------------------------------------- notebooks


def told_by_cell(finding: Finding, notebooks: Mapping[str, tuple[Cell, ...]]) -> Finding:
    """The finding with the lines of notebooks counted in their cells."""
    if not notebooks:
        return finding
    notes = tuple(
        msgspec.structs.replace(note, place=_in_cell(note.place, notebooks)) for note in finding.notes
    )
    return msgspec.structs.replace(finding, place=_in_cell(finding.place, notebooks), notes=notes)


def _in_cell(place: Place, notebooks: Mapping[str, tuple[Cell, ...]]) -> Place:
    if place.path not in notebooks:
        return place
    cell = cell_at(notebooks[place.path], place.span.line)
    before = cell.line - 1
    span = Span(
        place.span.line - before, place.span.column, place.span.end_line - before, place.span.end_column
    )
    return Place(place.path, span, place.symbol, cell.number)


def by_cell(path: str, lines: tuple[str, ...], cells: tuple[Cell, ...]) -> Mapping[str, tuple[str, ...]]:
    """The lines of a file by what places call it: those of a notebook by its cells."""
    if not cells:
        return {path: lines}
    ends = (*(cell.line - 1 for cell in cells[1:]), len(lines))
    return {
        f"{path}:cell {cell.number}": lines[cell.line - 1 : end]
        for cell, end in zip(cells, ends, strict=True)
    }
