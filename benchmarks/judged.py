"""Puts the verdicts of one or two judges to the findings that `benchmarks/sample.py` drew.

    python benchmarks/judged.py SHEETS [--records [--mode default]]
    python benchmarks/judged.py SHEETS --precision --batch NAME --commit REVISION

Prints how many of the judged findings are true per rule and confidence, and how often the judges disagree.
Where SHEETS holds settled.toml, of the same form as first.toml, it decides on what it names. With `--records`
prints the tables for `benchmarks/findings.toml` instead, with `--precision` the rows of a first look for
`benchmarks/precision.toml`, with Wilson's interval of 95 %.
"""

import argparse
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

WORDS = ("true", "harmless", "false")
MOST_DISAGREEMENT = 0.1
"""Above this part of what was judged twice, the definition is not clear enough."""

Rows = Mapping[str, Mapping[str, object]]
"""The tables of a TOML file by their names, here the numbers of findings."""


class VerdictError(Exception):
    """A judge's file that cannot be used."""


@dataclass(frozen=True)
class Judged:
    """A finding that was drawn, and what was said of it; empty where nobody has judged yet."""

    finding: Mapping[str, object]
    first: str
    second: str
    verdict: str
    """the one that counts"""
    why: str

    @property
    def group(self) -> tuple[str, str]:
        return str(self.finding["code"]), str(self.finding["confidence"])

    @property
    def disputed(self) -> bool:
        return bool(self.first and self.second) and self.first != self.second


def main() -> int:
    """Reads, prints, and returns the exit code."""
    parser = argparse.ArgumentParser(description="precision and disagreement of judged findings")
    parser.add_argument("sheets", type=Path)
    parser.add_argument("--records", action="store_true", help="print the tables for findings.toml")
    parser.add_argument("--mode", default="default", help="the mode to write into the records")
    parser.add_argument("--precision", action="store_true", help="print the rows for precision.toml")
    parser.add_argument("--batch", default="", help="the batch's name, to write into the rows")
    parser.add_argument("--commit", default="", help="the revision that was run, to write into the rows")
    options = parser.parse_args()
    try:
        judged = read(options.sheets)
    except VerdictError as error:
        print(error, file=sys.stderr)
        return 2
    if options.precision:
        print("\n".join(precision(judged, options.batch, options.commit)))
    else:
        print("\n".join(records(judged, options.mode) if options.records else table(judged)))
    return 0


def precision(judged: Sequence[Judged], batch: str, commit: str) -> Iterator[str]:
    """A TOML table per rule and confidence: how many were judged, and how many of them are true."""
    for group in sorted({each.group for each in judged}):
        words = Counter(each.verdict for each in judged if each.group == group and each.verdict)
        low, high = wilson(words["true"], words.total())
        yield "[[look]]"
        yield from (row(key, value) for key, value in (("batch", batch), ("commit", commit)))
        yield from (row(key, value) for key, value in zip(("code", "confidence"), group, strict=True))
        yield from (row(word, words[word]) for word in WORDS)
        yield row("interval", [round(low, 2), round(high, 2)])
        yield ""


def wilson(some: int, all_of_them: int) -> tuple[float, float]:
    """The interval of 95 % of a part, by Wilson's score: good for few trials too. E. B. Wilson, 1927."""
    if not all_of_them:
        return 0.0, 1.0
    z, part_ = 1.96, some / all_of_them
    middle = part_ + z * z / (2 * all_of_them)
    spread = z * (part_ * (1 - part_) / all_of_them + z * z / (4 * all_of_them * all_of_them)) ** 0.5
    scale = 1 + z * z / all_of_them
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def read(sheets: Path) -> tuple[Judged, ...]:
    """All findings that were drawn, with their verdicts. Raises VerdictError."""
    drawn = load(sheets / "drawn.toml")
    first = opinions(sheets / "first.toml", drawn)
    second = opinions(sheets / "second.toml", drawn)
    settled = opinions(sheets / "settled.toml", drawn)
    return tuple(judge(number, finding, first, second, settled) for number, finding in drawn.items())


def judge(number: str, finding: Mapping[str, object], first: Rows, second: Rows, settled: Rows) -> Judged:
    """A finding with all that was said of it; the first judge's word counts unless it was settled."""
    counts = settled.get(number) or first.get(number) or {}
    one, two = (str(rows.get(number, {}).get("verdict", "")) for rows in (first, second))
    return Judged(finding, one, two, str(counts.get("verdict", "")), str(counts.get("why", "")))


def load(file: Path) -> Rows:
    """The tables of a file; none where it does not exist. Raises VerdictError."""
    try:
        rows = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise VerdictError(f"{file}: {error}") from None
    return {number: row for number, row in rows.items() if isinstance(row, dict)}


def opinions(file: Path, drawn: Rows) -> Rows:
    """What a judge wrote, without what is still open. Raises VerdictError where it fits nothing."""
    given = {number: row for number, row in load(file).items() if row.get("verdict")}
    for number, row in given.items():
        if number not in drawn:
            raise VerdictError(f"{file}: {number} was not drawn")
        if row["verdict"] not in WORDS:
            raise VerdictError(f"{file}: {number}: {row['verdict']!r} must be one of {', '.join(WORDS)}")
    return given


def table(judged: Sequence[Judged]) -> Iterator[str]:
    """A line per rule and confidence, and one for all."""
    head = f"{'rule':<10}{'confidence':<12}{'drawn':>6}{'judged':>8}{'true':>6}{'harmless':>10}{'false':>7}"
    yield head + f"{'precision':>11}{'twice':>7}{'disagree':>10}"
    for group in sorted({each.group for each in judged}):
        yield line(group, [each for each in judged if each.group == group])
    yield line(("all", ""), judged)


def line(group: tuple[str, str], judged: Sequence[Judged]) -> str:
    """A line of the table. Precision is the part of the judged ones that is true, the harmless ones not."""
    words = Counter(each.verdict for each in judged if each.verdict)
    twice = [each for each in judged if each.first and each.second]
    disputed = sum(each.disputed for each in twice)
    text = (
        f"{group[0]:<10}{group[1]:<12}{len(judged):>6}{words.total():>8}"
        f"{words['true']:>6}{words['harmless']:>10}{words['false']:>7}"
        f"{part(words['true'], words.total()):>11}{len(twice):>7}{part(disputed, len(twice)):>10}"
    )
    return text + ("  judge again" if disputed > MOST_DISAGREEMENT * len(twice) else "")


def part(some: int, all_of_them: int) -> str:
    """A part in per cent."""
    return f"{some / all_of_them:.0%}" if all_of_them else "-"


def records(judged: Iterable[Judged], mode: str) -> Iterator[str]:
    """The judged findings as tables of `benchmarks/findings.toml`."""
    for each in judged:
        if not each.verdict:
            continue
        rows = {"package": "package", "version": "version", "file": "path", "line": "line"}
        rows |= {"code": "code", "confidence": "confidence"}
        yield "[[finding]]"
        yield from (row(key, each.finding[source]) for key, source in rows.items())
        yield row("mode", mode)
        yield row("verdict", each.verdict)
        if each.disputed:
            yield row("judges", [each.first, each.second])
        yield row("why", each.why)
        yield ""


def row(key: str, value: object) -> str:
    """A line of TOML."""
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"


if __name__ == "__main__":
    sys.exit(main())
