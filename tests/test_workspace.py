"""What a workspace answers after edits is what a run of its own finds."""

import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from msgspec.structs import replace

from cancellint.api import check
from cancellint.config import Config
from cancellint.held import Held
from cancellint.model.finding import RawFinding
from cancellint.pipeline import Request, examine
from cancellint.rules.rule import Rule, Subject
from cancellint.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
edits = import_module("edits")

LOCKED = """\
import asyncio
import threading

LOCK = threading.Lock()


async def refresh() -> None:
    with LOCK:
        await asyncio.sleep(1)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cancellint.toml").touch()
    (tmp_path / "locked.py").write_text(LOCKED)
    (tmp_path / "other.py").write_text("async def run():\n    pass\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("seed", [1, 2])
def test_random_edits_are_answered_as_by_a_run_of_its_own(tmp_path: Path, seed: int) -> None:
    for path in sorted((ROOT / "fixtures" / "broken").glob("*.py"))[seed::3]:
        shutil.copy(path, tmp_path)
    (tmp_path / "cancellint.toml").write_text('min-confidence = "possible"')

    assert list(edits.differences(tmp_path, 14, seed)) == []


def test_texts_of_an_editor_stand_for_what_is_on_the_disk(project: Path) -> None:
    workspace = Workspace([project])
    path = project / "locked.py"

    def codes() -> list[str]:
        return [each.code for each in workspace.findings().findings]

    assert codes() == ["CAN201"]
    workspace.update(
        path, LOCKED.replace("threading.Lock", "asyncio.Lock").replace("with", "async with").encode()
    )
    assert codes() == []
    workspace.update(path, None)
    assert codes() == ["CAN201"]
    path.write_text(LOCKED.replace("with LOCK:\n        await", "await").replace("    await", "await"))
    workspace.update(path, None)
    assert workspace.findings().findings == check([project]).findings


def test_an_answer_about_some_files_says_nothing_of_others(project: Path) -> None:
    workspace = Workspace([project])

    assert workspace.findings([project / "other.py"]).findings == ()
    assert [each.code for each in workspace.findings([project / "locked.py"]).findings] == ["CAN201"]
    assert workspace.findings().findings == check([project]).findings


def test_settings_and_tables_count_from_when_they_are_changed(project: Path) -> None:
    workspace = Workspace([project])
    (project / "other.py").write_text("from library import wait\n\n\nasync def run():\n    wait()\n")
    table = '["library.wait"]\nkind = "function"\nroles = ["blocks"]\nstalls = true\nsources = ["https://example.org"]\n'

    (project / "own.toml").write_text(table)
    assert [each.code for each in workspace.findings().findings] == ["CAN201"]
    (project / "cancellint.toml").write_text('knowledge = ["own.toml"]\nmin-confidence = "possible"')
    assert workspace.findings().findings == check([project]).findings
    assert len(workspace.findings().findings) == 2
    (project / "own.toml").write_text(table.replace("library.wait", "library.sleep"))
    assert [each.code for each in workspace.findings().findings] == ["CAN201"]
    (project / "cancellint.toml").write_text('ignore = ["CAN201"]')
    assert workspace.findings().findings == ()


def test_what_a_fault_has_left_is_not_believed_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(rule: Rule, subject: Subject) -> Iterator[RawFinding]:
        raise ZeroDivisionError

    request, held = Request(Config(root=project), (project,)), Held()
    with monkeypatch.context() as faulty:
        faulty.setattr("cancellint.held.findings", fails)
        assert len(examine(replace(request, held=held)).report.failures) == 2

    answer = examine(replace(request, held=held)).report
    assert (answer.findings, answer.failures, held.analyses) == (check([project]).findings, (), 2)
    examine(replace(request, held=held))
    assert held.analyses == 2
