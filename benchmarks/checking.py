"""One run of `cancellint check` on the tree of a package, and what it found. Shared by the scripts here."""

import json
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packages import version

Finding = dict[str, object]
"""A finding as the JSON report holds it, with the name and the version of its package."""

ASYNC_FUNCTION = re.compile(rb"^[ \t]*async[ \t]+def[ \t]", re.MULTILINE)


@dataclass(frozen=True)
class Checked:
    """What a tree holds, what was found in it and what that took. `error` is empty unless the run failed."""

    package: str
    version: str
    files: int
    async_functions: int
    findings: tuple[Finding, ...]
    seconds: float
    error: str


def check(tree: Path, options: Sequence[str] = ()) -> Checked:
    """Checks a tree in one process; the seconds are CPU time."""
    sources = [path.read_bytes() for path in sorted(tree.rglob("*.py"))]
    command = [sys.executable, "-m", "cancellint", "check", "--output-format", "json", "--jobs", "1"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*command, "--no-cache", *options, "."], cwd=tree, capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    failed = done.returncode not in (0, 1)
    release = version(tree) or "?"
    name = tree.resolve().name
    found: list[Finding] = [] if failed else json.loads(done.stdout)["findings"]
    return Checked(
        package=name,
        version=release,
        files=len(sources),
        async_functions=sum(len(ASYNC_FUNCTION.findall(source)) for source in sources),
        findings=tuple({"package": name, "version": release, **finding} for finding in found),
        seconds=after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime,
        error=f"exit {done.returncode}: {done.stderr.strip()}" if failed else "",
    )
