"""`--watch` checks again whenever a file changes that makes a difference."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cancellint.cli.watch import differences, look
from cancellint.projects import SettingsFrom
from tests.test_cli import LOCKED, Command

PATIENCE = 60


class Watching:
    """A run that goes on, and what it has said so far."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "cancellint",
                "check",
                "--watch",
                "--output-format",
                "concise",
                *options,
            ],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as told:
            for line in told:
                self.lines.append(line.rstrip("\n"))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def until(self, is_so: Callable[[list[str]], bool]) -> None:
        began = time.monotonic()
        while not is_so(self.lines):
            assert time.monotonic() - began < PATIENCE, self.lines
            time.sleep(0.02)

    def rounds(self, number: int) -> list[str]:
        """What the last of so many checks has said, once it is over."""
        self.until(lambda lines: sum("watching" in line for line in lines) == number)
        ends = [at for at, line in enumerate(self.lines) if "watching" in line]
        return self.lines[(ends[-2] + 1 if number > 1 else 0) : ends[-1]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "cancellint.toml").touch()
    (tmp_path / "app.py").write_text(LOCKED)
    return tmp_path


@pytest.fixture
def watching(project: Path) -> Iterator[Watching]:
    run = Watching(project)
    yield run
    run.end()


def put(path: Path, text: str) -> None:
    """Writes a file in one step, as editors do."""
    aside = path.with_suffix(".aside")
    aside.write_text(text)
    aside.replace(path)


def test_every_change_is_checked_until_an_interrupt(watching: Watching, project: Path) -> None:
    assert any("CAN201" in line for line in watching.rounds(1))
    put(project / "app.py", "x = 1\n")
    second = watching.rounds(2)
    assert "cancellint: changed: app.py" in second
    assert not any("CAN201" in line for line in second)
    put(project / "new.py", LOCKED)
    assert any("new.py:11" in line for line in watching.rounds(3))
    put(project / "cancellint.toml", "select = 1\n")
    assert any("`select`" in line for line in watching.rounds(4))
    put(project / "cancellint.toml", 'ignore = ["CAN2"]\n')
    assert not any("CAN201" in line for line in watching.rounds(5))

    watching.process.send_signal(signal.SIGINT)
    assert watching.process.wait(PATIENCE) == 0
    assert not any("Traceback" in line for line in watching.lines)


def test_what_makes_no_difference_is_not_waited_for(project: Path) -> None:
    settings = SettingsFrom()
    before = look((project,), settings)
    (project / "notes.txt").write_text("x")
    assert differences(before, look((project,), settings)) == ()
    (project / "sub").mkdir()
    (project / "sub" / "b.py").touch()
    os.utime(project / "app.py", ns=(0, 0))
    assert differences(before, look((project,), settings))[0] == project / "app.py"
    assert project / "sub" / "b.py" in differences(before, look((project,), settings))


@pytest.mark.parametrize(
    "options", [("--fix",), ("--diff",), ("--write-baseline", "x.json"), ("--statistics",), ("--show-files",)]
)
def test_what_watching_does_not_go_with_is_told(command: Command, options: tuple[str, ...]) -> None:
    done = command("check", "--watch", *options)

    assert done.code == 2
    assert f"does not go with {options[0]}" in done.err
