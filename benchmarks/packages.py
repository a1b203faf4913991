"""Downloads the releases of `benchmarks/packages.toml` and unpacks the Python code of each.

    python benchmarks/packages.py FOLDER [NAME ...]

Needs pip and its index. A wheel is kept in FOLDER/.wheels, its code in FOLDER/NAME, beside a pyproject.toml
that says what the wheel's metadata say: name, version and which Pythons it runs on. What is there already
in the pinned version is not fetched again. Prints the folders.
"""

import argparse
import email.message
import email.parser
import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

PINNED = Path(__file__).with_name("packages.toml")
PYTHON = "3.13"
"""Whose wheels are taken, whatever Python runs this: a release for older ones may be an older release."""
CODE = (".py", ".pyi")


@dataclass(frozen=True)
class Package:
    """A pinned release. `without` are glob patterns of files in its wheel that are not its own code."""

    name: str
    version: str
    kind: str
    seen: bool
    without: tuple[str, ...]


def main() -> int:
    """Downloads, unpacks, prints, and returns the exit code."""
    parser = argparse.ArgumentParser(description="the packages that findings are counted in")
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="only these packages")
    options = parser.parse_args()
    unknown = set(options.names) - {package.name for package in pinned()}
    if unknown:
        parser.error(f"not in {PINNED.name}: {', '.join(sorted(unknown))}")
    for tree in fetch(
        options.folder, [each for each in pinned() if not options.names or each.name in options.names]
    ):
        print(tree)
    return 0


def pinned() -> tuple[Package, ...]:
    """The packages of the list, in its order."""
    rows = tomllib.loads(PINNED.read_text("utf-8"))["package"]
    return tuple(
        Package(row["name"], row["version"], row["kind"], row["seen"], tuple(row.get("without", ())))
        for row in rows
    )


def fetch(folder: Path, packages: Iterable[Package]) -> list[Path]:
    """The folders of the packages' code, unpacked as far as needed. Raises CalledProcessError from pip."""
    trees: list[Path] = []
    for package in packages:
        tree = folder / package.name
        if version(tree) != package.version:
            unpack(download(folder / ".wheels", package), tree, package)
        trees.append(tree)
    return trees


def version(tree: Path) -> str | None:
    """The version that a tree says it has."""
    try:
        project = tomllib.loads((tree / "pyproject.toml").read_text("utf-8")).get("project", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    stated = project.get("version")
    return stated if isinstance(stated, str) else None


def download(wheels: Path, package: Package) -> Path:
    """The package's wheel, in a folder of its own."""
    folder = wheels / f"{package.name}-{package.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version", PYTHON, "--dest", str(folder)]
    subprocess.run([*command, f"{package.name}=={package.version}"], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def unpack(wheel: Path, tree: Path, package: Package) -> None:
    """Fills the tree with the wheel's Python files, and says last what they are."""
    shutil.rmtree(tree, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (
            name for name in names if name.endswith(".dist-info/METADATA") and name.count("/") == 1
        )
        for name in names:
            if name.endswith(CODE) and not any(fnmatch(name, pattern) for pattern in package.without):
                archive.extract(name, tree)
        stated = email.parser.Parser().parsestr(archive.read(metadata).decode("utf-8"))
    say(tree, package.name, package.version, stated)


def say(tree: Path, name: str, release: str, stated: email.message.Message) -> None:
    """Writes what a tree is: its name, its version, and the Pythons that its metadata state."""
    rows = {"name": name, "version": release}
    if requires := stated["Requires-Python"]:
        rows["requires-python"] = str(requires)
    lines = [f"{key} = {json.dumps(value)}" for key, value in rows.items()]
    (tree / "pyproject.toml").write_text("\n".join(["[project]", *lines, ""]), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
