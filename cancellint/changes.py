"""Which lines have changed since a revision, as git knows it, and which findings they touch."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from cancellint.frontend.notebook import SUFFIX as NOTEBOOK
from cancellint.mistakes import Mistake
from cancellint.model.finding import Finding
from cancellint.model.source import Place

_SAFE: Final = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=", "-c", "core.quotePath=true")
"""Nothing that the repository configures is run."""
_HUNK: Final = re.compile(rb"@@ -\d+(?:,\d+)? \+(?P<line>\d+)(?:,(?P<count>\d+))? @@")
_ESCAPE: Final = re.compile(rb"\\([0-7]{3}|.)")
_ESCAPED: Final = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}


class ChangesError(Mistake):
    """Git cannot tell what has changed."""


class Changed(Struct, frozen=True):
    """Lines of a file, from one to another; none where the last is before the first."""

    first: int
    last: int

    def touches(self, first: int, last: int) -> bool:
        """Whether any of these lines is among those of the change."""
        return self.first <= self.last and self.first <= last and first <= self.last


EVERYTHING = (Changed(1, 2**31),)


class Changes(Struct, frozen=True):
    """What has changed, by the real path of the file."""

    revision: str
    root: Path
    """the top of the working tree"""
    base: str
    """the commit at which its history parted from the revision's"""
    lines: Mapping[str, tuple[Changed, ...]]

    def concern(self, file: Path) -> bool:
        """Whether anything in a file has changed."""
        return os.path.realpath(file) in self.lines

    def text_before(self, file: Path) -> bytes:
        """What stood in a file before; nothing where there was none."""
        name = os.path.relpath(os.path.realpath(file), os.path.realpath(self.root)).replace(os.sep, "/")
        try:
            return _git(self.root, "cat-file", "blob", f"{self.base}:{name}")
        except ChangesError:
            return b""

    def touch(self, finding: Finding) -> bool:
        """Whether a finding, or any step of its story, stands on lines that have changed."""
        return any(map(self._has, (finding.place, *(note.place for note in finding.notes))))

    def _has(self, place: Place) -> bool:
        changed = self.lines.get(os.path.realpath(place.path), ())
        if changed and place.path.endswith(NOTEBOOK):
            return True
        return any(each.touches(place.span.line, place.span.end_line) for each in changed)


def since(revision: str, folder: Path) -> Changes:
    """What has changed in the working tree since it parted from a revision. Raises ChangesError."""
    root = Path(os.fsdecode(_git(folder, "rev-parse", "--show-toplevel").rstrip(b"\n")))
    base = _parted(revision, folder)
    options = ("--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all")
    prefixes = ("--src-prefix=a/", "--dst-prefix=b/")
    diff = _git(root, "diff", *options, *prefixes, base, "--")
    lines = {os.path.realpath(root / name): tuple(changed) for name, changed in _by_file(diff)}
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    lines |= {os.path.realpath(root / os.fsdecode(name)): EVERYTHING for name in new.split(b"\0") if name}
    return Changes(revision, root, base, lines)


def _parted(revision: str, folder: Path) -> str:
    """The commit at which the history of the working tree parted from that of a revision."""
    try:
        commit = _git(
            folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
        )
    except ChangesError:
        raise ChangesError(
            f"git knows no revision `{revision}` here; it may have to be fetched first"
        ) from None
    try:
        base = _git(folder, "merge-base", os.fsdecode(commit.strip()), "HEAD")
    except ChangesError:
        raise ChangesError(
            f"git knows no common ancestor of `{revision}` and this; fetch more of the history"
        ) from None
    return os.fsdecode(base.strip())


def _git(folder: Path, *arguments: str) -> bytes:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "--no-pager", *_SAFE, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise ChangesError(f"git cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it failed"]
        raise ChangesError(f"git cannot tell what has changed: {lines[0]}")
    return done.stdout


def _by_file(diff: bytes) -> Iterator[tuple[str, Sequence[Changed]]]:
    """The changed lines of each file of a diff, as they are now; none where lines are only gone."""
    name: str | None = None
    found: list[Changed] = []
    is_head = True
    for line in diff.split(b"\n"):
        if line.startswith(b"diff --git "):
            if name is not None:
                yield name, found
            name, found, is_head = None, [], True
        elif is_head and line.startswith(b"+++ "):
            name = _name(line[4:])
        elif (hunk := _HUNK.match(line)) is not None:
            is_head = False
            first, count = int(hunk["line"]), int(hunk["count"] or b"1")
            found.append(Changed(first, first + count - 1))
    if name is not None:
        yield name, found


def _name(written: bytes) -> str | None:
    """The name of a file in a diff, None for one that is gone."""
    text = written.rstrip(b"\t")
    if text.startswith(b'"'):
        text = _ESCAPE.sub(_unescaped, text[1:-1])
    return os.fsdecode(text.removeprefix(b"b/")) if text.startswith(b"b/") else None


def _unescaped(match: re.Match[bytes]) -> bytes:
    escape = match[1]
    return bytes([int(escape, 8)]) if len(escape) == 3 else _ESCAPED.get(escape, escape)
