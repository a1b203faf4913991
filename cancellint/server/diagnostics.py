"""Findings as diagnostics, with the steps of their stories as related places."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from lsprotocol.types import (
    CodeDescription,
    Diagnostic,
    DiagnosticRelatedInformation,
    DiagnosticSeverity,
)
from msgspec import Struct
from pygls.workspace import PositionCodec

from cancellint.links import rule_url
from cancellint.model.finding import Finding, Severity
from cancellint.model.report import Report
from cancellint.model.source import Place
from cancellint.printable import printable
from cancellint.reporters.fingerprints import by_trace
from cancellint.server.places import file_of, location_of, range_of

SOURCE = "cancellint"


class Told(Struct, frozen=True):
    """A finding, what it is known by, and the report that it is of."""

    finding: Finding
    fingerprint: str
    report: Report

    def lines(self, place: Place) -> Sequence[str]:
        """The text that a place of the finding lies in."""
        return self.report.sources.get(place.text, ())


def by_file(reports: Sequence[Report]) -> Mapping[Path, tuple[Told, ...]]:
    """The findings of each file. Those in notebooks are left to other ways: a cell is a document there."""
    found: dict[Path, list[Told]] = defaultdict(list)
    for report in reports:
        for finding, fingerprint in zip(report.findings, by_trace(report), strict=True):
            if not finding.place.cell:
                found[file_of(finding.place)].append(Told(finding, fingerprint, report))
    return {path: tuple(told) for path, told in found.items()}


def diagnostic(told: Told, codec: PositionCodec) -> Diagnostic:
    """A finding as a diagnostic. Its data is what the finding is known by."""
    finding = told.finding
    address = rule_url(finding.code, finding.name)
    cure = f"\nhelp: {printable(finding.help)}" if finding.help else ""
    return Diagnostic(
        range=range_of(finding.place.span, told.lines(finding.place), codec),
        message=f"{printable(finding.message)}{cure}",
        severity=_severity(finding),
        code=finding.code,
        code_description=CodeDescription(address) if address else None,
        source=SOURCE,
        related_information=[
            DiagnosticRelatedInformation(
                location_of(note.place, told.lines(note.place), codec), printable(note.message)
            )
            for note in finding.notes
            if not note.place.cell
        ],
        data=told.fingerprint,
    )


def _severity(finding: Finding) -> DiagnosticSeverity:
    return DiagnosticSeverity.Error if finding.severity is Severity.ERROR else DiagnosticSeverity.Warning
