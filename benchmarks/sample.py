"""Draws the findings to judge: a sample by fixed seed per rule and confidence, over many source trees.

    python benchmarks/sample.py TREE [TREE ...] [--most 40] [--seed 1] [-- CHECK OPTIONS]

Each tree is checked by itself. Prints one TOML table per drawn finding, as `benchmarks/findings.toml`
holds them, with the verdict still open. What was drawn depends on the findings and the seed alone.
"""

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path

Finding = dict[str, object]


def main() -> int:
    """Checks the trees, draws, prints, and returns the exit code."""
    own, _, passed_on = " ".join(sys.argv[1:]).partition(" -- ")
    parser = argparse.ArgumentParser(description="a sample of findings to judge")
    parser.add_argument("trees", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=40, help="findings per rule and confidence")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(own.split())
    groups: dict[tuple[str, str], list[Finding]] = {}
    for tree in options.trees:
        for finding in findings(tree, passed_on.split()):
            groups.setdefault((str(finding["code"]), str(finding["confidence"])), []).append(finding)
    for group in sorted(groups):
        drawn = groups[group]
        print(f"# {group[0]} {group[1]}: {min(len(drawn), options.most)} of {len(drawn)}\n")
        for finding in random.Random(options.seed).sample(drawn, min(len(drawn), options.most)):
            print(table(finding))
    return 0


def findings(tree: Path, options: list[str]) -> list[Finding]:
    """All findings in a tree, each with the tree's name as its package."""
    command = [sys.executable, "-m", "cancellint", "check", "--output-format", "json", *options, "."]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        print(f"{tree}: exit {done.returncode}: {done.stderr.strip()}", file=sys.stderr)
        return []
    found: list[Finding] = json.loads(done.stdout)["findings"]
    return [{"package": tree.name, **finding} for finding in found]


def table(finding: Finding) -> str:
    """The finding as a TOML table that waits for its verdict."""
    keys = ("package", "path", "line", "code", "confidence", "message")
    rows = [f"{key} = {json.dumps(finding[key])}" for key in keys]
    return "\n".join(["[[finding]]", *rows, 'verdict = ""', 'why = ""', ""])


if __name__ == "__main__":
    raise SystemExit(main())
