"""CPU time of `cancellint check` on a tree, against libcst's parser alone and against flake8-async.

    python benchmarks/speed.py TREE
    python benchmarks/speed.py TREE --repeat 3 --against "OTHER/bin/python -P -m cancellint check --jobs 1"

Every measurement is a fresh process over all Python files of the tree, one core, and counts the CPU
time (user and system) of that process. Start-up and reading the files are in every figure. With
`--against`, another command, such as an older version, takes turns with this one, and user time and peak
memory of both are compared: a machine that is busy with something else is so for both.
"""

import argparse
import os
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

PARSE = """
import gc, sys
from pathlib import Path
import libcst

gc.disable()
for name in sys.stdin.read().split("\\0"):
    try:
        libcst.parse_module(Path(name).read_bytes())
    except (libcst.ParserSyntaxError, SyntaxError, UnicodeError):
        pass
"""


def main() -> int:
    """Measures, prints a table, and returns the exit code."""
    parser = argparse.ArgumentParser(description="CPU time of cancellint against libcst and flake8-async")
    parser.add_argument("tree", type=Path)
    parser.add_argument("--repeat", type=int, default=1, help="take the best of so many runs")
    parser.add_argument("--against", metavar="COMMAND", help="compare with this command, given the tree too")
    options = parser.parse_args()
    files = sorted(path for path in options.tree.rglob("*.py") if path.is_file())
    if not files:
        print(f"no Python files in {options.tree}", file=sys.stderr)
        return 2
    size = sum(path.stat().st_size for path in files)
    print(f"{len(files):,} files, {size / 1e6:.1f} MB")
    command = [sys.executable, "-m", "cancellint", "check", "--jobs", "1", "--no-cache"]
    command += ["--output-format", "json", str(options.tree)]
    if options.against is not None:
        compare([*shlex.split(options.against), str(options.tree)], command, options.repeat)
        return 0
    names = "\0".join(map(str, files))
    parse = best(options.repeat, [sys.executable, "-c", PARSE], names)
    print(f"{'libcst.parse_module':<24}{parse:8.2f} s")
    check = best(options.repeat, command, "")
    print(f"{'cancellint check':<24}{check:8.2f} s   {check / parse:.2f} x the parse")
    peer = shutil.which("flake8-async", path=str(Path(sys.executable).parent)) or shutil.which("flake8-async")
    if peer is None:
        print("flake8-async is not installed")
        return 0
    try:
        peer_time = best(options.repeat, [peer, *map(str, files)], "")
    except RuntimeError as error:
        last = str(error).strip().splitlines()[-1]
        print(f"flake8-async did not get through these files: {last}")
        return 0
    print(f"{'flake8-async':<24}{peer_time:8.2f} s   {peer_time / check:.1f} x cancellint")
    return 0


def compare(other: list[str], command: list[str], repeat: int) -> None:
    """Runs both in turn, and prints the medians of what each takes, and their quotient."""
    theirs: list[Usage] = []
    ours: list[Usage] = []
    for _ in range(repeat):
        theirs.append(usage(other))
        ours.append(usage(command))
    for title, part in (("user time, s", 0), ("peak memory, MB", 1)):
        old, new = (statistics.median(run[part] for run in runs) for runs in (theirs, ours))
        print(f"{title:<24}{old:8.2f} {new:8.2f}   {new / old:.2f} x the other")


class Usage(NamedTuple):
    """What one process takes: user time in seconds, and peak memory in MB."""

    user: float
    peak: float


def usage(command: list[str]) -> Usage:
    """Runs a process to its end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise RuntimeError(f"{command[:6]} ended with {process.returncode}")
    return Usage(used.ru_utime, used.ru_maxrss / 1024)


def best(repeat: int, command: list[str], text: str) -> float:
    """The least CPU time of several runs, in seconds. Raises RuntimeError where a run fails."""
    return min(cpu_time(command, text) for _ in range(repeat))


def cpu_time(command: list[str], text: str) -> float:
    """The CPU time of one process. Exit code 1 is fine: linters use it for findings."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, input=text, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1) or "Traceback (most recent call last)" in done.stderr:
        raise RuntimeError(f"{command[:6]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


if __name__ == "__main__":
    sys.exit(main())
