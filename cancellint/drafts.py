"""Findings between the rules that yield them and the users who read them."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct

from cancellint.config import Config
from cancellint.frontend.discover import Source
from cancellint.frontend.guards import Refusal
from cancellint.model.finding import Confidence, Finding, Fix, Note, RawFinding, Severity, SiteNote
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
