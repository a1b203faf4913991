"""Every ratio that docs/speed.md speaks of, measured in one run, and time and memory against size.

    python benchmarks/ratios.py TREE --edit leaf.py --edit core.py --small one.py --repeat 3
    python benchmarks/ratios.py TREE --only parse,peak --plot docs/speed.svg

Each figure is the median of some fresh processes, user and system time of one core; those that are compared
take turns, so that whatever else the machine does befalls both. `--only` names some of

    parse    a cold check of the tree, against libcst's parser over the same files
    peers    a cold check, against flake8-async; a warm one, against ruff without its cache (where installed)
    jobs     wall time of two jobs against one
    peak     peak memory of a cold check, in MB
    warm     a check of the file of `--small`, changed, with a store that knows the tree; and of it alone
    edits    the answer of a workspace after one function was added to each file of `--edit`
    sizes    cold checks of a 32nd, a 16th, … of the files, with the exponents of time and memory

`--plot` draws what `sizes` has measured. Nothing in the tree is changed.
"""

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from speed import PARSE

from cancellint.workspace import Workspace

KINDS = ("parse", "peers", "jobs", "peak", "warm", "edits", "sizes")
CHECK = (sys.executable, "-P", "-m", "cancellint", "check", "--exit-zero", "--output-format", "json")
RUFF = ("check", "--no-cache", "--select", "ASYNC,RUF006", "--exit-zero", "--quiet")
ADDED = b"\n\nasync def added_by_the_benchmark(given):\n    return await given\n"
ADDED_AGAIN = ADDED.replace(b"return await given", b"return [await given]")
FRACTIONS = (32, 16, 8, 4, 2, 1)


class Usage(NamedTuple):
    """What one process takes: seconds of CPU and by the clock, and its peak memory in MB."""

    cpu: float
    wall: float
    peak: float


class Size(NamedTuple):
    """What a check of so many lines takes."""

    lines: int
    usage: Usage


def main() -> int:
    """Measures what was asked for, and prints one line for each figure."""
    parser = argparse.ArgumentParser(description="All speed ratios in one run")
    parser.add_argument("tree", type=Path)
    parser.add_argument("--only", default=",".join(KINDS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--small", type=Path, help="a file of the tree")
    parser.add_argument("--edit", type=Path, action="append", default=[], help="a file of the tree")
    parser.add_argument("--plot", type=Path, help="where to draw time and memory against size")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := sorted(set(chosen) - set(KINDS)):
        parser.error(f"{', '.join(unknown)}: not one of {', '.join(KINDS)}")
    bench = Bench(options.tree.resolve(), options.repeat)
    figures: dict[str, Callable[[], Iterator[str]]] = {
        "parse": bench.parse,
        "peers": bench.peers,
        "jobs": bench.jobs,
        "peak": bench.peak,
        "warm": lambda: bench.warm(options.small),
        "edits": lambda: bench.edits(options.edit),
        "sizes": lambda: bench.sizes(options.plot),
    }
    print(f"{len(bench.files):,} files, {bench.lines:,} lines, {bench.bytes / 1e6:.1f} MB")
    for kind in KINDS:
        for line in figures[kind]() if kind in chosen else ():
            print(line, flush=True)
    return 0


class Bench:
    """The measurements on one tree."""

    def __init__(self, tree: Path, repeat: int) -> None:
        self._tree = tree
        self._repeat = repeat
        self.files = sorted(path for path in tree.rglob("*.py") if path.is_file())
        contents = [path.read_bytes() for path in self.files]
        self.lines = sum(data.count(b"\n") for data in contents)
        self.bytes = sum(map(len, contents))

    def parse(self) -> Iterator[str]:
        """A cold check against the parser."""
        parse, check = self._turns((sys.executable, "-c", PARSE), _cold(self._tree))
        yield f"cold check ÷ parse: {_cpu(check) / _cpu(parse):.2f} ({_cpu(check):.2f} ÷ {_cpu(parse):.2f} s)"

    def peers(self) -> Iterator[str]:
        """Cold against flake8-async, warm against ruff."""
        flake8, ruff = _installed("flake8-async"), _installed("ruff")
        if flake8 is not None:
            peer, check = self._turns((flake8, *map(str, self.files)), _cold(self._tree))
            yield f"flake8-async ÷ cold check: {_cpu(peer) / _cpu(check):.1f}"
        if ruff is not None:
            with tempfile.TemporaryDirectory() as store:
                warm = (*CHECK, "--cache-dir", store, str(self._tree))
                _run(warm)
                time.sleep(2.5)  # times of files count only when they are not of just now
                _run(warm)
                peer, check = self._turns((ruff, *RUFF, str(self._tree)), warm)
            took = f"{_cpu(check):.2f} ÷ {_cpu(peer):.2f} s"
            yield f"warm check ÷ ruff: {_cpu(check) / _cpu(peer):.2f} ({took})"

    def jobs(self) -> Iterator[str]:
        """Two jobs against one, by the clock: on a machine with two free cores only."""
        one, two = self._turns(_cold(self._tree), _cold(self._tree, jobs=2))
        walls = [median(each.wall for each in runs) for runs in (one, two)]
        yield f"one job ÷ two jobs, by the clock: {walls[0] / walls[1]:.2f}"

    def peak(self) -> Iterator[str]:
        """Peak memory of one job."""
        (runs,) = self._turns(_cold(self._tree))
        yield f"peak of a cold check: {median(each.peak for each in runs):.0f} MB"

    def warm(self, small: Path | None) -> Iterator[str]:
        """One file, in the tree with all else known, and in a folder of its own."""
        if small is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            copy, store = Path(folder) / "tree", Path(folder) / "store"
            shutil.copytree(self._tree, copy, ignore=shutil.ignore_patterns(".git"))
            asked = copy / small.resolve().relative_to(self._tree)
            _run((*CHECK, "--cache-dir", str(store), str(copy)))
            runs: list[Usage] = []
            for number in range(self._repeat):
                asked.write_bytes(small.read_bytes() + b"# changed %d\n" % number)
                runs.append(_run((*CHECK, "--cache-dir", str(store), str(asked))))
            alone = Path(folder) / "alone" / small.name
            alone.parent.mkdir()
            shutil.copy(small, alone)
            (single,) = self._turns((*CHECK, "--no-cache", str(alone)))
        yield f"one changed file of a warm tree: {_cpu(runs):.2f} s; alone and cold: {_cpu(single):.2f} s"

    def edits(self, edited: Sequence[Path]) -> Iterator[str]:
        """A workspace after an edit: the whole project again, the edited file alone, and without an edit."""
        if not edited:
            return
        workspace = Workspace([self._tree])
        begun = time.process_time()
        workspace.findings()
        yield f"workspace, first answer: {time.process_time() - begun:.2f} s"
        for path in map(Path.resolve, edited):
            text = path.read_bytes()
            whole, alone = [], []
            for _ in range(self._repeat):
                whole.append(_answer(workspace, path, text + ADDED, ()))
                alone.append(_answer(workspace, path, text + ADDED_AGAIN, (path,)))
            same = _answer(workspace, path, text + ADDED_AGAIN, (path,))
            workspace.update(path, None)
            yield (
                f"workspace, {path.relative_to(self._tree)} edited: all files {median(whole):.2f} s, "
                f"it alone {median(alone):.2f} s, asked again {same:.2f} s"
            )

    def sizes(self, plot: Path | None) -> Iterator[str]:
        """Time and memory against lines, and their exponents between the smallest and the largest."""
        found: list[Size] = []
        for fraction in FRACTIONS:
            with tempfile.TemporaryDirectory() as folder:
                lines = self._part(Path(folder), fraction)
                (runs,) = self._turns(_cold(Path(folder)))
            usage = Usage(_cpu(runs), 0.0, median(each.peak for each in runs))
            found.append(Size(lines, usage))
            yield f"{lines:>10,} lines: {usage.cpu:7.2f} s, {usage.peak:6.0f} MB"
        first, last = found[0], found[-1]
        growth = math.log(last.lines / first.lines)
        of_time = math.log(last.usage.cpu / first.usage.cpu) / growth
        of_memory = math.log(last.usage.peak / first.usage.peak) / growth
        yield f"exponents: time {of_time:.2f}, memory {of_memory:.2f}"
        if plot is not None:
            plot.write_text(drawn(found), "utf-8")

    def _part(self, folder: Path, fraction: int) -> int:
        """Copies every so many files into a folder, and returns how many lines they have."""
        lines = 0
        (folder / "cancellint.toml").touch()
        for path in self.files[::fraction]:
            target = folder / path.relative_to(self._tree)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
            lines += path.read_bytes().count(b"\n")
        return lines

    def _turns(self, *commands: Sequence[str]) -> tuple[list[Usage], ...]:
        """What each command takes, several times, in turn."""
        found: tuple[list[Usage], ...] = tuple([] for _ in commands)
        names = "\0".join(map(str, self.files))
        for _ in range(self._repeat):
            for command, runs in zip(commands, found, strict=True):
                runs.append(_run(command, names))
        return found


WIDTH, HEIGHT, MARGIN = 640, 420, 56


def drawn(sizes: Sequence[Size]) -> str:
    """Time and memory against lines, as an SVG picture: how many times the smallest, both axes logarithmic.

    The dashed line is what grows as the lines do.
    """
    span = math.log(sizes[-1].lines / sizes[0].lines)

    def place(times_lines: float, times_value: float) -> tuple[float, float]:
        across = MARGIN + math.log(times_lines) / span * (WIDTH - 2 * MARGIN)
        return across, HEIGHT - MARGIN - math.log(times_value) / span * (HEIGHT - 2 * MARGIN)

    def text(across: float, down: float, anchor: str, colour: str, said: str) -> str:
        return f'<text x="{across:.0f}" y="{down:.0f}" text-anchor="{anchor}" fill="{colour}">{said}</text>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<path d="M{MARGIN} {HEIGHT - MARGIN}L{WIDTH - MARGIN} {MARGIN}" stroke="#999" '
        'stroke-dasharray="4"/>',
        text(WIDTH / 2, HEIGHT - 8, "middle", "black", "lines"),
    ]
    for name, colour, at, below, values in (
        ("CPU time, s", "#0b62a4", 20, -8, [each.usage.cpu for each in sizes]),
        ("peak memory, MB", "#b4460f", 38, 18, [each.usage.peak for each in sizes]),
    ):
        points = [
            place(each.lines / sizes[0].lines, value / values[0])
            for each, value in zip(sizes, values, strict=True)
        ]
        line = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(text(MARGIN, at, "start", colour, name))
        for (x, y), value in zip(points, values, strict=True):
            parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3" fill="{colour}"/>')
            parts.append(text(x, y + below, "middle", colour, f"{value:.3g}"))
    for each in sizes:
        across, _ = place(each.lines / sizes[0].lines, 1)
        parts.append(text(across, HEIGHT - 24, "middle", "black", f"{each.lines:,}"))
    return "\n".join((*parts, "</svg>")) + "\n"


def _cold(tree: Path, jobs: int = 1) -> tuple[str, ...]:
    return (*CHECK, "--no-cache", "--jobs", str(jobs), str(tree))


def _answer(workspace: Workspace, path: Path, text: bytes, asked: Sequence[Path]) -> float:
    begun = time.process_time()
    workspace.update(path, text)
    workspace.findings(asked)
    return time.process_time() - begun


def _installed(name: str) -> str | None:
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def _cpu(runs: Sequence[Usage]) -> float:
    return median(each.cpu for each in runs)


MEASURED = """
import json, os, subprocess, sys, time

begun = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
seconds = time.perf_counter() - begun
print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, seconds, used.ru_maxrss]))
"""
"""Run by a small process in between: a process starts with the peak of the one that starts it."""


def _run(command: Sequence[str], given: str = "") -> Usage:
    """What a process takes. Raises RuntimeError where it fails."""
    between = [sys.executable, "-I", "-S", "-c", MEASURED, *command]
    done = subprocess.run(between, input=given, text=True, capture_output=True, check=True)
    code, cpu, wall, peak = json.loads(done.stdout)
    if code not in (0, 1):
        raise RuntimeError(f"{' '.join(command[:6])} ended with {code}")
    return Usage(cpu, wall, peak / 1024)


if __name__ == "__main__":
    sys.exit(main())
