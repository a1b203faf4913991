"""The distribution for production code: built, installed alone, and used without the linter."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from cancellint.api import check

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = ROOT / "runtime"


def built(folder: Path, *options: str) -> Path:
    """What hatchling builds, as pip has it done, without looking for anything on the network."""
    program = "import sys; from hatchling.build import *; print({call})"
    call = f"build_{options[0]}({str(folder)!r})"
    done = subprocess.run(
        [sys.executable, "-c", program.format(call=call)],
        cwd=options[1] if len(options) > 1 else RUNTIME,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("wheel"), "wheel")


def test_it_is_two_modules_and_needs_nothing(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as read:
        names = {name for name in read.namelist() if name.startswith("cancellint_runtime/")}
        (metadata,) = (name for name in read.namelist() if name.endswith("METADATA"))
        said = read.read(metadata).decode()
        texts = {name: read.read(name).decode() for name in names}

    linter = ROOT / "cancellint"
    shared = ("markers.py", *(f"testing/{file.name}" for file in (linter / "testing").glob("*.py")))
    assert names == {f"cancellint_runtime/{name}" for name in ("__init__.py", "py.typed", *shared)}
    for name in shared:
        text = (linter / name).read_text("utf-8")
        assert len(texts[f"cancellint_runtime/{name}"].splitlines()) == len(text.splitlines())
    assert not any(re.search(r"(?m)^\s*(?:from|import) cancellint\b", text) for text in texts.values())
    assert "Requires-Dist" not in said


def test_it_is_of_the_version_of_the_linter_and_under_its_license() -> None:
    def version(file: Path) -> str:
        return next(line for line in file.read_text().splitlines() if line.startswith("version = "))

    assert version(RUNTIME / "pyproject.toml") == version(ROOT / "pyproject.toml")
    assert (RUNTIME / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_it_works_where_nothing_else_is(wheel: Path, tmp_path: Path) -> None:
    program = """
import asyncio, sys
from cancellint_runtime import testing
from cancellint_runtime.markers import cancel_safe

@cancel_safe
async def number() -> int:
    await asyncio.sleep(0)
    return 1

async def scenario(injection):
    return await injection.retry(number)

assert testing.cancel_at_every_suspension(scenario).is_safe

assert asyncio.run(number()) == 1
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"cancellint", "click", "libcst", "msgspec", "rich"}, loaded
print("fine", testing.__name__)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(wheel)!r})\n{program}"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )

    assert done.stdout == "fine cancellint_runtime.testing\n", done.stderr


def test_a_source_distribution_builds_the_same(wheel: Path, tmp_path: Path) -> None:
    archive = built(tmp_path, "sdist")
    with tarfile.open(archive) as read:
        read.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    again = built(tmp_path, "wheel", str(source))

    with zipfile.ZipFile(again) as new, zipfile.ZipFile(wheel) as old:
        assert sorted(new.namelist()) == sorted(old.namelist())


@pytest.mark.parametrize("package", ["cancellint", "cancellint_runtime"])
def test_the_linter_knows_the_promise_under_both_names(package: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import asyncio\n"
        f"from {package}.markers import cancel_safe\n\n\n"
        "class Frames:\n"
        "    def __init__(self, reader: asyncio.StreamReader) -> None:\n"
        "        self.reader = reader\n\n"
        "    @cancel_safe\n"
        "    async def read(self) -> bytes:\n"
        "        size = await self.reader.readexactly(1)\n"
        "        return await self.reader.readexactly(size[0])\n"
    )

    assert [each.code for each in check([tmp_path], isolated=True).findings] == ["CAN112"]
