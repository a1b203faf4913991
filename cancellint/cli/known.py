"""What is done with findings that are to stay: a baseline, or a comment at each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cancellint.bounded import Unusable, read_bytes
from cancellint.cli.formats import leads_out
from cancellint.cli.terminal import CLEAN, TROUBLE, complain, tell, tell_failures
from cancellint.frontend.guards import MAX_BYTES
from cancellint.model.finding import SAME_CAUSE
from cancellint.model.report import Report
from cancellint.printable import shortened

if TYPE_CHECKING:
    from cancellint.baseline import Baseline, Entry

TOLD = 10
"""How many entries of a baseline that are out of date are named."""


def record(report: Report, file: Path) -> int:
    """Writes a baseline of all findings."""
    from cancellint.baseline import made_of, write

    if leads_out(file):
        raise click.UsageError(f"--write-baseline: {file} is a link that leads out of the project")
    tell_failures(report.failures, debug=False)
    if report.failures:
        complain("no baseline is written, because not all was checked")
        return TROUBLE
    baseline = made_of(report, file)
    write(baseline)
    tell(f"{len(baseline.entries):,} findings are recorded in {file}; check with --baseline {file}, or say")
    tell(f'  baseline = "{file}" in the configuration')
    return CLEAN


def tell_or_prune(
    stale: "Sequence[tuple[Baseline, tuple[Entry, ...]]]", *, prunes: bool, is_quiet: bool
) -> None:
    """Tells of entries that nothing matches any more, or removes them."""
    from cancellint.baseline import pruned, write

    for baseline, entries in stale:
        if prunes:
            write(pruned(baseline, entries))
            tell(f"{len(entries):,} entries are removed from {baseline.file}")
        elif not is_quiet:
            tell(f"warning: {len(entries):,} entries of {baseline.file} match nothing any more:")
            for entry in entries[:TOLD]:
                tell(f"  {entry.path}: {entry.code} in {entry.symbol}: {shortened(entry.message)}")
            tell("  --prune-baseline removes them")


def silence_all(report: Report, reason: str) -> int:
    """Writes a comment for each finding."""
    from cancellint.fixes.files import CannotWrite, rewrite
    from cancellint.fixes.ignore import ignored

    tell_failures(report.failures, debug=False)
    written, is_all = 0, not report.failures
    for path, codes in _codes_by_line(report).items():
        try:
            before = read_bytes(Path(path), MAX_BYTES)
            after = None if path.endswith(".ipynb") else ignored(before, codes, _on_one_line(reason))
            if after is None:
                raise CannotWrite("its findings have to be silenced by hand")
            rewrite(Path(path), before, after)
            written += len(codes)
        except OSError as error:
            is_all = False
            complain(f"{path} cannot be read: {error.strerror}")
        except (CannotWrite, Unusable) as problem:
            is_all = False
            complain(f"{path}: {problem}")
    tell(f"comments are written at {written:,} places; check again to see that nothing is left")
    return CLEAN if is_all else TROUBLE


def _on_one_line(reason: str) -> str:
    return " ".join(reason.replace("#", " ").split())


def _codes_by_line(report: Report) -> Mapping[str, Mapping[int, set[str]]]:
    """The rules to be silenced at each line of each file; findings with further places, at all of them."""
    from cancellint.selection import OWN_RULES

    own = {rule.code for rule in OWN_RULES}
    wanted: dict[str, dict[int, set[str]]] = {}
    for finding in report.findings:
        others = (note.place for note in finding.notes if note.message.startswith(SAME_CAUSE))
        for place in (finding.place, *others) if finding.code not in own else ():
            wanted.setdefault(place.path, {}).setdefault(place.span.line, set()).add(finding.code)
    return wanted
