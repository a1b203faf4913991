"""Draws the findings to judge: a sample by fixed seed per rule and confidence, over many packages.

    python benchmarks/density.py --cache FOLDER --findings found.jsonl -- --pedantic
    python benchmarks/sample.py found.jsonl FOLDER SHEETS [--most 40] [--again 20] [--seed 1] [--codes CAN105]

FOLDER holds the packages by name. Writes into SHEETS, where nothing may be that is there already:
    sheet.md       the findings as a judge gets them, in mixed order and without their confidence
    again.md       those for the second judge: the first `--again` of each rule and confidence
    first.toml     where the first judge writes verdicts, second.toml where the second one does
    drawn.toml     what was drawn; `benchmarks/judged.py SHEETS` puts the verdicts to it

Every finding has its own place in the draw, which depends on the seed and on the finding alone: when a rule
gets better and a finding goes away, the others of the sample stay in it, and their verdicts with them.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from checking import Finding

AROUND = 20
"""How many lines before and after a finding's first line are on the sheet."""
NEAR = 2
"""How many lines before and after the place of a note."""

INTRODUCTION = """\
# Findings to judge

Judge from the source alone, as a sceptical maintainer of the package would, without the code of the rule.
Follow the calls, also into other files of the package. Write into {verdicts}, for every number, one of

* `true`: what the message and the notes claim can happen in this code, and a maintainer would accept it as a
  hazard that is worth a change.
* `harmless`: it can happen as claimed, but nothing that anybody cares about comes of it.
* `false`: it cannot happen, or what is claimed (lost, kept, never given back) is not so.

A claim about a cancellation needs somebody who cancels: a race, a `cancel()`, a task group, or whoever calls
what the library offers, who may be expected to have a time limit. It is harmless if nobody but the final end
of the owner, or of the event loop, cancels there, or if what is left behind cannot live on: it was made for
this call alone, or whoever cancels clears it up.

Write in `canceller` who cancels (or `none`), and in `why` the lines that decide it, in a sentence or two. Do
not guess: open the file.
"""


def main() -> int:
    """Draws, writes the sheets, and returns the exit code."""
    parser = argparse.ArgumentParser(description="a sample of findings to judge")
    parser.add_argument("found", type=Path, help="findings that density.py kept")
    parser.add_argument("packages", type=Path, help="the folder that holds the packages by name")
    parser.add_argument("sheets", type=Path, help="the folder to write to")
    parser.add_argument("--most", type=int, default=40, help="findings per rule and confidence")
    parser.add_argument("--again", type=int, default=20, help="how many of them for the second judge")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--codes", nargs="*", help="only these rules")
    options = parser.parse_args()
    found = [json.loads(line) for line in options.found.read_text("utf-8").splitlines()]
    drawn = [
        each for each in draw(found, options.seed) if not options.codes or each[0]["code"] in options.codes
    ]
    once = [finding for finding, place in drawn if place < options.most]
    twice = [finding for finding, place in drawn if place < min(options.most, options.again)]
    options.sheets.mkdir(parents=True, exist_ok=True)
    for name, text in files(once, twice, options.packages):
        with (options.sheets / name).open("x", encoding="utf-8") as file:
            file.write(text)
    print(f"{len(once)} to judge, {len(twice)} of them twice", file=sys.stderr)
    return 0


def draw(found: Iterable[Finding], seed: int) -> Iterator[tuple[Finding, int]]:
    """Every finding with its place in the draw of its rule and confidence, 0 for the first one drawn.

    What a rule says more than once of one place counts once.
    """

    def group(finding: Finding) -> tuple[str, str]:
        return str(finding["code"]), str(finding["confidence"])

    def order(finding: Finding) -> tuple[tuple[str, str], str]:
        return group(finding), hashlib.sha256(f"{seed} {number(finding)}".encode()).hexdigest()

    once = {number(finding): finding for finding in found}.values()
    for _, members in groupby(sorted(once, key=order), group):
        yield from ((finding, place) for place, finding in enumerate(members))


def number(finding: Finding) -> str:
    """What a finding is called on the sheets. It gives away neither rule nor confidence."""
    parts = [str(finding[key]) for key in ("package", "path", "line", "column", "code")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]


def files(once: Sequence[Finding], twice: Sequence[Finding], packages: Path) -> Iterator[tuple[str, str]]:
    """The names and texts of all that is written."""
    yield "sheet.md", sheet(once, packages, "first.toml")
    yield "again.md", sheet(twice, packages, "second.toml")
    yield "first.toml", verdicts(once)
    yield "second.toml", verdicts(twice)
    yield "drawn.toml", "\n".join(map(record, once))


def mixed(findings: Iterable[Finding]) -> list[Finding]:
    """The findings in an order that says nothing."""
    return sorted(findings, key=number)


def sheet(findings: Sequence[Finding], packages: Path, verdicts: str) -> str:
    """What a judge reads."""
    parts = [INTRODUCTION.format(verdicts=f"`{verdicts}`")]
    parts += [entry(finding, packages / str(finding["package"])) for finding in mixed(findings)]
    return "\n".join(parts)


def entry(finding: Finding, tree: Path) -> str:
    """One finding with its notes and the source around them."""
    line = int(str(finding["line"]))
    rows = [
        f"## {number(finding)}: {finding['package']} {finding['version']}, {finding['path']}:{line}",
        "",
        f"In `{finding['symbol']}`: {finding['message']} ({finding['name']})",
        "",
        *excerpt(tree / str(finding["path"]), line, AROUND),
    ]
    notes = finding["notes"]
    for note in notes if isinstance(notes, list) else ():
        rows += ["", f"* {note['path']}:{note['line']} in `{note['symbol']}`: {note['message']}", ""]
        rows += excerpt(tree / note["path"], note["line"], NEAR)
    return "\n".join([*rows, ""])


def excerpt(file: Path, line: int, around: int) -> list[str]:
    """Some lines of a file, numbered, with a mark at the one that is meant, as a block of code."""
    lines = file.read_text("utf-8", "replace").split("\n")
    first = max(1, line - around)
    last = min(len(lines), line + around)
    shown = [f"{'>' if at == line else ' '}{at:>5}  {lines[at - 1]}" for at in range(first, last + 1)]
    return ["````text", *shown, "````"]


def verdicts(findings: Sequence[Finding]) -> str:
    """The file that a judge fills in, in the order of the sheet."""
    rows: list[str] = []
    for finding in mixed(findings):
        place = f"{finding['package']} {finding['path']}:{finding['line']}"
        rows += [f'["{number(finding)}"]  # {place}', 'verdict = ""', 'canceller = ""', 'why = ""', ""]
    return "\n".join(rows)


def record(finding: Finding) -> str:
    """What was drawn, as a TOML table."""
    keys = ("package", "version", "path", "line", "code", "confidence", "message")
    rows = [f"{key} = {json.dumps(finding[key], ensure_ascii=False)}" for key in keys]
    return "\n".join([f'["{number(finding)}"]', *rows, ""])


if __name__ == "__main__":
    sys.exit(main())
