"""Shows with the injector of `cancellint.testing` that faults of real packages are what they are said to be.

    python benchmarks/confirm.py FOLDER [NAME ...]

Each scenario of `benchmarks/scenarios` runs on a release that has the fault and on one without it: a later
one, or, of what docs/found.md tells of today's newest, the same with the change that is shown there. Every
suspension is cancelled once, at each of some moments; counted is after how many of these the scenario ends
otherwise than undisturbed. Needs pip and its index for what FOLDER does not hold yet. The exit code is 1 if a
fault does not show, or shows where it should be gone.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
SCENARIOS = Path(__file__).with_name("scenarios")
FOUND = CHECKOUT / "docs" / "found.md"
SECONDS = 120
"""How long one scenario may take; the slowest takes about a second."""


@dataclass(frozen=True)
class Case:
    """A scenario, what has the fault, and what has not: other requirements, or a section of docs/found.md."""

    scenario: str
    faulty: tuple[str, ...]
    sound: tuple[str, ...] = ()
    section: str = ""
    left: int = 0
    """how many cancellations still break it, for another reason that stands beside the case"""


@dataclass(frozen=True)
class Ran:
    """What the injector found on one release."""

    release: str
    cases: int
    broken: int
    first: str
    seconds: float


CASES = (
    Case("redis_reply", ("redis==4.5.1",), ("redis==4.5.5",)),
    Case("redis_pipeline", ("redis==8.0.0",), ("redis==8.0.1",)),
    Case("async_lru_shared", ("async-lru==0.0.6",), ("async-lru==1.0.3",)),
    Case("ocpp_lock", ("ocpp==0.4.1",), ("ocpp==0.4.3",)),
    Case("httpcore_connect", ("httpcore[asyncio]==1.0.2",), ("httpcore[asyncio]==1.0.3",)),
    # Since 1.7.0 an answer that meets the stream of a request given up just then ends the session.
    Case("mcp_streams", ("mcp==1.6.0", "pydantic<2.11"), ("mcp==1.7.0", "pydantic<2.11"), left=1),
    Case(
        "psycopg_waiter",
        ("psycopg-pool==3.1.6", "psycopg[binary]"),
        ("psycopg-pool==3.1.7", "psycopg[binary]"),
    ),
    # The change does not reach the wait for the lock before the `try`.
    Case("httpcore_socks", ("httpcore[asyncio,socks]==1.0.9",), section="httpcore 1.0.9", left=2),
    Case("nats_flush", ("nats-py==2.16.0",), section="nats-py 2.16.0"),
    Case("engineio_wait", ("python-engineio==4.15.1", "aiohttp==3.14.5"), section="python-engineio 4.15.1"),
    Case("agi_answers", ("aioagi-ik==1.3.1", "aiohttp==3.14.5"), section="aioagi-ik 1.3.1"),
    Case("penguiflow_place", ("penguiflow==3.11.2",), section="penguiflow 3.11.2"),
)


class Unusable(Exception):
    """A release cannot be installed, changed or run."""


def main() -> int:
    """Installs, runs, prints, and returns the exit code."""
    parser = argparse.ArgumentParser(description="faults of real packages under the injector")
    parser.add_argument("folder", type=Path, help="where the releases are, or are installed to")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these scenarios")
    options = parser.parse_args()
    unknown = set(options.names) - {case.scenario for case in CASES}
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    wrong = 0
    print("| scenario | release | cancellations that break it | release | cancellations that break it |")
    print("|---|---|---:|---|---:|", flush=True)
    for case in CASES:
        if not options.names or case.scenario in options.names:
            try:
                faulty, sound = (run(tree, case.scenario) for tree in trees(options.folder.resolve(), case))
            except Unusable as reason:
                print(f"{case.scenario}: {reason}", file=sys.stderr)
                wrong += 1
                continue
            wrong += not faulty.broken or sound.broken != case.left
            print(f"| {case.scenario} {told(faulty)} {told(sound)} |", flush=True)
            print(f"{case.scenario}: {(faulty.first or 'nothing broke')[:200]}", file=sys.stderr)
    return 1 if wrong else 0


def told(ran: Ran) -> str:
    return f"| {ran.release} | {ran.broken} of {ran.cases}"


def trees(folder: Path, case: Case) -> Iterator[Path]:
    """The folders of the release with the fault and of the one without, installed unless they are there."""
    faulty = installed(folder, case.faulty)
    yield faulty
    yield changed(faulty, case.section) if case.section else installed(folder, case.sound)


def installed(folder: Path, requirements: Iterable[str]) -> Path:
    """A folder with these requirements and what they need in turn. Raises Unusable."""
    first, *others = requirements
    tree = folder / re.sub(r"\[.*\]|==", lambda found: "-" if found[0] == "==" else "", first)
    if not tree.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        partial = tree.with_name(f"{tree.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        done = subprocess.run(
            [*command, "--target", str(partial), first, *others], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Unusable(done.stderr.strip()[-300:])
        partial.rename(tree)
    return tree


def changed(tree: Path, section: str) -> Path:
    """A copy of a release with the change that a section of docs/found.md shows. Raises Unusable."""
    copy = tree.with_name(f"{tree.name}-changed")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(tree, copy)
    for name, old, new in hunks(FOUND.read_text("utf-8"), section):
        path = copy / name
        text = path.read_text("utf-8") if path.exists() else ""
        if text.count(old) != 1:
            raise Unusable(f"{name} is not as docs/found.md shows it")
        path.write_text(text.replace(old, new), "utf-8")
    return copy


def hunks(page: str, section: str) -> Iterator[tuple[str, str, str]]:
    """The file, the old and the new text of each hunk of the diff in a section. Raises Unusable."""
    found = re.search(rf"^## {re.escape(section)}.*?^```diff\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    if found is None:
        raise Unusable(f"docs/found.md shows no change for {section}")
    name = ""
    for part in re.split(r"^(?=@@|--- )", found[1], flags=re.MULTILINE):
        head, *lines = part.splitlines(keepends=True) or [""]
        if head.startswith("--- "):
            name = head.removeprefix("--- ").strip()
        elif head.startswith("@@"):
            # An empty line of context may have lost the space that it begins with.
            lines = [" \n" if line == "\n" else line for line in lines]
            old = "".join(line[1:] for line in lines if line[0] in " -")
            new = "".join(line[1:] for line in lines if line[0] in " +")
            yield name, old, new


def run(tree: Path, scenario: str) -> Ran:
    """What the injector finds with this release. Raises Unusable."""
    paths = os.pathsep.join(map(str, (tree, CHECKOUT)))
    try:
        done = subprocess.run(
            [sys.executable, str(SCENARIOS / "run.py"), scenario],
            env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unusable(f"{tree.name}: not done after {SECONDS} s") from None
    if done.returncode:
        raise Unusable(f"{tree.name}: {done.stderr.strip()[-300:]}")
    return Ran(tree.name, **json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    sys.exit(main())
