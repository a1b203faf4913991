"""Downloads the newest releases of packages and unpacks their code, a batch for a first look.

    python benchmarks/newest.py FOLDER NAME ...
    python benchmarks/density.py FOLDER/* --findings found.jsonl
    python benchmarks/sample.py found.jsonl FOLDER SHEETS
    python benchmarks/judged.py SHEETS --precision --batch NAME >> benchmarks/precision.toml

Takes a wheel where there is one, a source archive otherwise. A package without an async function, or of more
than `MOST_LINES` lines, is left out. Prints the folders, and on the standard error what was left out and why.
"""

import argparse
import email.parser
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from checking import ASYNC_FUNCTION
from packages import CODE, PYTHON, say

MOST_LINES = 150_000
SECONDS = 180
"""How long one download may take."""
WAYS = (("--only-binary=:all:", "--python-version", PYTHON), ("--no-binary=:all:", "--no-build-isolation"))
"""What pip is told in turn, until it finds something."""


class LeftOut(Exception):
    """Why a package is not part of the batch."""


def main() -> int:
    """Downloads, unpacks, prints, and returns the exit code."""
    parser = argparse.ArgumentParser(description="the newest releases of packages")
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    for name in options.names:
        try:
            print(fetched(options.folder, name), flush=True)
        except LeftOut as reason:
            print(f"{name}: {reason}", file=sys.stderr, flush=True)
    return 0


def fetched(folder: Path, name: str) -> Path:
    """The tree of a package, unpacked unless it is there. Raises LeftOut."""
    tree = folder / name
    if not tree.exists():
        with tempfile.TemporaryDirectory() as downloads:
            archive = download(Path(downloads), name)
            unpack(archive, tree)
        try:
            check(tree)
        except LeftOut:
            shutil.rmtree(tree)
            raise
    return tree


def download(folder: Path, name: str, ways: Iterable[Sequence[str]] = WAYS) -> Path:
    """The archive of a package's newest release, or of the one that is named. Raises LeftOut."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    for way in ways:
        try:
            subprocess.run(
                [*command, *way, "--dest", str(folder), name],
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            continue
        if found := sorted(folder.iterdir()):
            return found[0]
    raise LeftOut("no release can be downloaded")


def unpack(archive: Path, tree: Path) -> None:
    """Fills a tree with the Python files of an archive, and says what they are. Raises LeftOut."""
    tree.mkdir(parents=True, exist_ok=True)
    metadata = b""
    for name, content in members(archive):
        file = (tree / name).resolve()
        if name.endswith(CODE) and file.is_relative_to(tree.resolve()):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        elif is_metadata(name):
            metadata = metadata or content
    stated = email.parser.Parser().parsestr(metadata.decode("utf-8", "replace"))
    say(tree, str(stated["Name"] or tree.name), str(stated["Version"] or "0"), stated)


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The files of an archive with their contents, without a source archive's own folder. Raises LeftOut."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                if not name.endswith("/"):
                    yield name, wheel.read(name)
    elif archive.name.endswith((".tar.gz", ".tar.bz2", ".tgz")):
        with tarfile.open(archive) as source:
            for member in source:
                file = source.extractfile(member) if member.isfile() else None
                if file is not None:
                    yield member.name.partition("/")[2], file.read()
    else:
        raise LeftOut(f"{archive.name} is no archive that can be read")


def is_metadata(name: str) -> bool:
    """Whether a file of an archive holds its metadata."""
    return name == "PKG-INFO" or (name.endswith(".dist-info/METADATA") and name.count("/") == 1)


def check(tree: Path) -> None:
    """Raises LeftOut where a tree is too large, or has no async function."""
    sources = [file.read_bytes() for file in tree.rglob("*.py")]
    lines = sum(source.count(b"\n") for source in sources)
    if lines > MOST_LINES:
        raise LeftOut(f"{lines:,} lines")
    if not any(ASYNC_FUNCTION.search(source) for source in sources):
        raise LeftOut("no async function")


if __name__ == "__main__":
    sys.exit(main())
