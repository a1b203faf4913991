"""How many findings there are per 1,000 async functions, per package, rule and confidence.

    python benchmarks/density.py [TREE ...] [--cache FOLDER] [--findings FILE] [-- CHECK OPTIONS]

Each tree is the folder of one package, checked by itself; its pyproject.toml may tell the version. With
`--cache` the releases of `benchmarks/packages.toml` are measured too: pip downloads them into that folder;
`--only NAME,NAME` picks some of them. `--findings` keeps every finding as a line of JSON, from which
`benchmarks/sample.py` draws. Options after `--` go to `cancellint check`.

Async functions are the lines that begin with `async def`. Time is CPU time of one process, start-up included.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from checking import Checked, check
from packages import fetch, pinned

CONFIDENCES = ("certain", "likely", "possible")
SHOWN = 2
"""How many of the confidences are shown by default; only they count in the densities."""


def main() -> int:
    """Checks the trees, prints both tables, and returns 1 where a run failed."""
    own, passed_on = split(sys.argv[1:])
    parser = argparse.ArgumentParser(description="findings per 1,000 async functions")
    parser.add_argument("trees", nargs="*", type=Path)
    parser.add_argument("--cache", type=Path, help="measure the pinned packages, kept in this folder")
    parser.add_argument("--only", type=lambda text: text.split(","), help="these of the pinned packages")
    parser.add_argument("--findings", type=Path, help="keep the findings in this file")
    options = parser.parse_args(own)
    chosen = [each for each in pinned() if options.only is None or each.name in options.only]
    trees = [*options.trees, *(fetch(options.cache, chosen) if options.cache else ())]
    if not trees:
        parser.error("nothing to measure: name trees, or a folder with --cache")
    measured = [tell(check(tree, passed_on)) for tree in trees]
    if options.findings:
        options.findings.write_text("".join(records(measured)), "utf-8")
    print("\n".join([*by_package(measured), "", *by_rule(measured)]))
    return int(any(each.error for each in measured))


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments before the first `--`, and those after it."""
    if "--" not in arguments:
        return list(arguments), []
    at = arguments.index("--")
    return list(arguments[:at]), list(arguments[at + 1 :])


def tell(checked: Checked) -> Checked:
    """The same, once it has said on the standard error how it went."""
    print(f"{checked.package}: {checked.error or f'{checked.seconds:.1f} s'}", file=sys.stderr)
    return checked


def records(measured: Sequence[Checked]) -> Iterator[str]:
    """All findings, a line of JSON each."""
    return (json.dumps(finding) + "\n" for each in measured for finding in each.findings)


def by_package(measured: Sequence[Checked]) -> Iterator[str]:
    """The table with a line per package and a last line for all."""
    head = f"{'package':<24}{'version':>12}{'files':>7}{'async':>7}"
    yield head + f"{'certain':>9}{'likely':>8}{'possible':>10}{'per 1,000':>11}{'seconds':>9}  rules"
    for each in measured:
        yield line(each.package, each.version, [each])
    yield line("all", f"{len(measured)} packages", measured)


def line(name: str, release: str, measured: Sequence[Checked]) -> str:
    """A line of the first table. Rules are told as `CAN105 2/1/0`: certain, likely, possible."""
    functions = sum(each.async_functions for each in measured)
    counts = counted(measured)
    total = [sum(counts[code, confidence] for code in codes(counts)) for confidence in CONFIDENCES]
    rules = (f"{code} {'/'.join(str(counts[code, each]) for each in CONFIDENCES)}" for code in codes(counts))
    failed = "FAILED  " if any(each.error for each in measured) else ""
    return (
        f"{name:<24}{release:>12}{sum(each.files for each in measured):>7,}{functions:>7,}"
        f"{total[0]:>9}{total[1]:>8}{total[2]:>10}{density(sum(total[:SHOWN]), functions):>11}"
        f"{sum(each.seconds for each in measured):>9.1f}  {failed}{', '.join(rules)}"
    )


def by_rule(measured: Sequence[Checked]) -> Iterator[str]:
    """The table with a line per rule over all packages."""
    functions = sum(each.async_functions for each in measured)
    counts = counted(measured)
    yield f"{'rule':<10}{'certain':>9}{'likely':>8}{'possible':>10}{'per 1,000':>11}{'packages':>10}"
    for code in codes(counts):
        shown = sum(counts[code, confidence] for confidence in CONFIDENCES[:SHOWN])
        cells = "".join(
            f"{counts[code, each]:>{width}}" for each, width in zip(CONFIDENCES, (9, 8, 10), strict=True)
        )
        among = sum(any(finding["code"] == code for finding in each.findings) for each in measured)
        yield f"{code:<10}{cells}{density(shown, functions):>11}{among:>10}"


def counted(measured: Sequence[Checked]) -> Counter[tuple[str, str]]:
    """How many findings there are per rule and confidence."""
    return Counter(
        (str(finding["code"]), str(finding["confidence"])) for each in measured for finding in each.findings
    )


def codes(counts: Counter[tuple[str, str]]) -> list[str]:
    """The rules that found something, ordered."""
    return sorted({code for code, _ in counts})


def density(findings: int, functions: int) -> str:
    """Findings per 1,000 async functions."""
    return f"{1000 * findings / functions:.1f}" if functions else "-"


if __name__ == "__main__":
    sys.exit(main())
