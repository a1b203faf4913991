"""The command line in a folder of its own."""

from pathlib import Path

import pytest

from tests.test_cli import Command


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    (tmp_path / "pyproject.toml").touch()
    return Command(tmp_path, capsys, monkeypatch)
