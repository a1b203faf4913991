"""Projects in memory find what a run on the disk would find."""

from pathlib import Path

import pytest

from cancellint.api import check
from cancellint.projects import SettingsFrom
from cancellint.server.workspace import ProjectsInMemory, encoded
from tests.server.test_session import CLIENT, HARMLESS, LOCKS


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "cancellint.toml").touch()
    (tmp_path / "client.py").write_text(CLIENT, encoding="utf-8")
    (tmp_path / "locks.py").write_text(LOCKS)
    return tmp_path


def workspace(*paths: Path) -> ProjectsInMemory:
    return ProjectsInMemory(paths, SettingsFrom())


def test_texts_in_memory_stand_for_those_on_the_disk(project: Path) -> None:
    held = workspace(project)
    (first,) = held.findings()
    held.update(project / "locks.py", HARMLESS)
    (second,) = held.findings()
    held.update(project / "locks.py", None)
    (third,) = held.findings()

    assert [each.code for each in first.report.findings] == ["CAN201"]
    assert second.report.findings == ()
    assert third.report.findings == first.report.findings == check([project]).findings


def test_only_the_project_that_has_changed_is_analysed_again(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    one = project / "one"
    one.mkdir()
    for folder in (one, other):
        (folder / "pyproject.toml").touch()
        (folder / "app.py").write_text(CLIENT, encoding="utf-8")
        (folder / "locks.py").write_text(LOCKS)
    held = workspace(one, other)
    before = held.findings()
    held.update(one / "locks.py", HARMLESS)
    after = held.findings()

    assert len(before) == len(after) == 2
    assert [new is old for new, old in zip(after, before, strict=True)] == [False, True]
    assert held.findings()[0] is after[0]


def test_a_change_during_an_analysis_is_not_lost(project: Path) -> None:
    asked = []

    def checkpoint() -> None:
        if not asked:
            asked.append(1)
            held.update(project / "locks.py", HARMLESS)

    held = ProjectsInMemory((project,), SettingsFrom(), checkpoint)
    (first,) = held.findings()
    (second,) = held.findings()

    assert [each.code for each in first.report.findings] == ["CAN201"]
    assert second.report.findings == ()


def test_what_a_checkpoint_raises_leaves_the_workspace_as_it_was(project: Path) -> None:
    class Enough(BaseException):
        pass

    is_enough = False

    def checkpoint() -> None:
        if is_enough:
            raise Enough

    held = ProjectsInMemory((project,), SettingsFrom(), checkpoint)
    held.findings()
    held.update(project / "locks.py", HARMLESS)
    is_enough = True
    with pytest.raises(Enough):
        held.findings()
    is_enough = False
    (after,) = held.findings()

    assert after.report.findings == ()
    assert after.report.failures == ()


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("x = 'é'\n", "x = 'é'\n".encode()),
        ("# coding: latin-1\nx = 'é'\n", "# coding: latin-1\nx = 'é'\n".encode("latin-1")),
        ("# coding: latin-1\nx = '€'\n", "# coding: latin-1\nx = '€'\n".encode()),
        ("# coding: nonsense\n", b"# coding: nonsense\n"),
    ],
)
def test_a_text_is_encoded_as_it_says_of_itself(text: str, data: bytes) -> None:
    assert encoded(text) == data
