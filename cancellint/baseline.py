"""Findings that are known and not told again: a file that is checked in, and what matches it."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from cancellint.bounded import Unusable, read_bytes, write_text
from cancellint.mistakes import Mistake
from cancellint.model.finding import Finding
from cancellint.model.report import Report
from cancellint.printable import json_without_commands
from cancellint.reporters.fingerprints import by_trace
from cancellint.selection import UNREADABLE

VERSION = 1
MAX_BYTES = 50_000_000
KNOWN = "they are in the baseline"


class BaselineError(Mistake):
    """A baseline cannot be read or written."""


class Entry(Struct, frozen=True, order=True):
    """A known finding. What people read of it does not count when findings are compared."""

    path: str
    """relative to the folder of the baseline"""
    code: str
    symbol: str
    message: str
    fingerprint: str


class _File(Struct, frozen=True):
    version: int
    findings: tuple[Entry, ...]


class Baseline(Struct, frozen=True):
    """The entries of a file."""

    file: Path
    entries: tuple[Entry, ...]


class Compared(Struct, frozen=True):
    """What a baseline makes of a report."""

    report: Report
    stale: tuple[Entry, ...] = ()
    """entries of files that were looked at, or are gone, and that nothing matches any more"""


def read(file: Path) -> Baseline:
    """The baseline in a file. Raises BaselineError."""
    try:
        found = msgspec.json.decode(read_bytes(file, MAX_BYTES), type=_File)
    except OSError as error:
        raise BaselineError(f"the baseline {file} cannot be read: {error.strerror}") from None
    except (Unusable, msgspec.DecodeError, RecursionError) as problem:
        raise BaselineError(f"{file} is no baseline: {problem}") from None
    if found.version != VERSION:
        raise BaselineError(
            f"the baseline {file} is of version {found.version}, which this version cannot read"
        )
    return Baseline(file, found.findings)


def made_of(report: Report, file: Path) -> Baseline:
    """The baseline that holds the findings of a report; files that cannot be read are no matter of it."""
    prints = by_trace(report)
    entries = (
        _entry(finding, print_, file)
        for finding, print_ in zip(report.findings, prints, strict=True)
        if finding.code != UNREADABLE.code
    )
    return Baseline(file, tuple(sorted(entries)))


def _entry(finding: Finding, fingerprint: str, file: Path) -> Entry:
    path = os.path.relpath(finding.place.path, file.parent).replace(os.sep, "/")
    return Entry(path, finding.code, finding.place.symbol, finding.message, fingerprint)


def write(baseline: Baseline) -> None:
    """Writes the file: a line for each entry, so that changes of it can be read. Raises BaselineError."""
    lines = ",\n".join(f"  {json.dumps(msgspec.to_builtins(entry))}" for entry in baseline.entries)
    listed = f"[\n{lines}\n]" if lines else "[]"
    text = json_without_commands(f'{{"version": {VERSION}, "findings": {listed}}}\n')
    try:
        write_text(baseline.file, text)
    except OSError as error:
        raise BaselineError(f"the baseline {baseline.file} cannot be written: {error.strerror}") from None
    except Unusable as problem:
        raise BaselineError(f"the baseline {baseline.file} cannot be written: {problem}") from None


def compared(report: Report, baseline: Baseline, *, is_whole: bool) -> Compared:
    """The report without what is known, and the entries that are out of date.

    Where the run was told to look for less than the configuration says (not `is_whole`), or something
    failed, nothing can be said of the entries.
    """
    known = Counter(entry.fingerprint for entry in baseline.entries)
    kept: list[Finding] = []
    for finding, print_ in zip(report.findings, by_trace(report), strict=True):
        if known[print_] > 0:
            known[print_] -= 1
        else:
            kept.append(finding)
    left_out = len(report.findings) - len(kept)
    shown = without(report, kept, KNOWN) if left_out else report
    if not is_whole or report.failures:
        return Compared(shown)
    return Compared(shown, tuple(_stale(baseline, known, report.reported)))


def without(report: Report, kept: Sequence[Finding], reason: str) -> Report:
    """The report with these of its findings, and why the others are not shown."""
    count = len(report.findings) - len(kept)
    return msgspec.structs.replace(report, findings=tuple(kept), left_out=(*report.left_out, (reason, count)))


def _stale(baseline: Baseline, unmatched: Counter[str], reported: Iterable[str]) -> list[Entry]:
    looked_at = {os.path.abspath(path) for path in reported}
    stale: list[Entry] = []
    for entry in baseline.entries:
        path = os.path.abspath(baseline.file.parent / entry.path)
        is_judged = path in looked_at or not os.path.lexists(path)
        if is_judged and unmatched[entry.fingerprint] > 0:
            unmatched[entry.fingerprint] -= 1
            stale.append(entry)
    return stale


def pruned(baseline: Baseline, stale: Iterable[Entry]) -> Baseline:
    """The baseline without these entries."""
    gone = Counter(stale)
    kept: list[Entry] = []
    for entry in baseline.entries:
        if gone[entry] > 0:
            gone[entry] -= 1
        else:
            kept.append(entry)
    return Baseline(baseline.file, tuple(kept))
