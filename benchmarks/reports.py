"""Runs the linter on both releases of every public report, and counts what is found at the right place.

    python benchmarks/reports.py FOLDER [--series N] [--record]

Downloads what FOLDER does not hold yet, and prints a line per report and the table: how many reports of each
rule were found when they were first looked at and how many are now, and on how many of those found the mended
release is silent. By default counts what is shown by default; what is only *possible* is counted as missed.
With `--record`, writes what was found into `now` and `now_fixed` of `benchmarks/reports.toml`.
"""

import argparse
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import newest
from checking import Finding, check

LOG = Path(__file__).with_name("reports.toml")
MISSED, SILENT, REPORTED, NOTHING_TO_MEND = "missed", "silent", "reported", "-"
CONFIDENCES = ("certain", "likely", "possible")
SHOWN = CONFIDENCES[:2]
FOUND = (*CONFIDENCES, MISSED)
FIXED = (SILENT, REPORTED, NOTHING_TO_MEND)


@dataclass(frozen=True)
class Report:
    """What somebody reported, where, what the linter should say of it, and what it has said."""

    series: int
    address: str
    package: str
    buggy: str
    fixed: str
    hazard: str
    rule: str
    places: tuple[str, ...]
    first: str
    first_fixed: str
    now: str
    now_fixed: str
    missing: str
    python: str = newest.PYTHON


def main() -> int:
    """Checks, prints, and returns the exit code."""
    parser = argparse.ArgumentParser(description="recall by public reports")
    parser.add_argument("folder", type=Path, help="where the releases are, or are downloaded to")
    parser.add_argument("--series", type=int, help="only the reports of this series")
    parser.add_argument("--record", action="store_true", help=f"write into {LOG.name} what is found")
    options = parser.parse_args()
    asked = [each for each in reports() if options.series in (None, each.series)]
    seen: list[Report] = []
    for report in asked:
        seen.append(looked_at(options.folder, report))
        print(line(seen[-1]), flush=True)
    print("\n" + table(seen))
    if options.record:
        LOG.write_text(recorded(LOG.read_text("utf-8"), seen), "utf-8")
    return 0


def reports() -> tuple[Report, ...]:
    """The reports of the log, in its order."""
    rows = tomllib.loads(LOG.read_text("utf-8"))["report"]
    return tuple(Report(**{**row, "places": tuple(row["places"])}) for row in rows)


def looked_at(folder: Path, report: Report) -> Report:
    """The report with what is found in its two releases now."""
    now = found(report, findings(folder, report, report.buggy))
    if now == MISSED:
        return replace(report, now=now, now_fixed=NOTHING_TO_MEND)
    mended = found(report, findings(folder, report, report.fixed))
    return replace(report, now=now, now_fixed=SILENT if mended == MISSED else REPORTED)


def findings(folder: Path, report: Report, release: str) -> tuple[Finding, ...]:
    """What the linter finds in a release, downloaded unless it is there."""
    tree = folder / f"{report.package}-{release}"
    if not tree.exists():
        with tempfile.TemporaryDirectory() as downloads:
            ways = (*newest.WAYS, ("--only-binary=:all:", *platforms(), "--python-version", report.python))
            newest.unpack(newest.download(Path(downloads), f"{report.package}=={release}", ways), tree)
    checked = check(tree, ["--pedantic"])
    if checked.error:
        raise RuntimeError(f"{tree}: {checked.error}")
    return checked.findings


def platforms() -> Iterator[str]:
    """The platforms whose wheels hold the same Python code as those of this one."""
    for name in ("manylinux1_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64", "any"):
        yield from ("--platform", name)


def found(report: Report, findings: Iterable[Finding]) -> str:
    """The best confidence of the rule's findings at one of the places."""
    there = {
        str(finding["confidence"])
        for finding in findings
        if finding["code"] == report.rule and any(is_at(finding, place) for place in report.places)
    }
    return next((each for each in CONFIDENCES if each in there), MISSED)


def is_at(finding: Finding, place: str) -> bool:
    """Whether a finding lies in the function of a place, or in one that is nested in it."""
    file, _, function = place.partition(":")
    path, symbol = str(finding["path"]), str(finding["symbol"])
    return f"/{path}".endswith(f"/{file}") and f"{symbol}.".startswith(f"{function}.")


def line(report: Report) -> str:
    """One report in words."""
    name = f"{report.package} {report.buggy}"
    return f"{report.rule}  {name:<36} first {report.first:<9} now {report.now:<9} mended: {report.now_fixed}"


def table(seen: Iterable[Report]) -> str:
    """How many were found, per rule and in all."""
    every = list(seen)
    rules = sorted({each.rule for each in every})
    rows = [row(rule, [each for each in every if each.rule == rule]) for rule in rules]
    return "\n".join(["rule    reports  first  now  silent on the fix", *rows, row("all", every)])


def row(name: str, seen: list[Report]) -> str:
    """One line of the table."""
    first = sum(each.first in SHOWN for each in seen)
    now = [each for each in seen if each.now in SHOWN]
    silent = sum(each.now_fixed == SILENT for each in now)
    return f"{name:<7}{len(seen):>8}{first:>7}{len(now):>5}  {silent} of {len(now)}"


def recorded(log: str, seen: Iterable[Report]) -> str:
    """The log with what is found now."""
    for each in seen:
        entry = re.escape(f'address = "{each.address}"')
        for key, value in (("now", each.now), ("now_fixed", each.now_fixed)):
            log = re.sub(rf'({entry}\n(?:\w+ = .*\n)*?{key} = )".*"', rf'\g<1>"{value}"', log)
    return log


if __name__ == "__main__":
    sys.exit(main())
