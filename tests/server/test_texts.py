"""Texts of editors as bytes of files, and a workspace whose answers are called off."""

import contextlib
from pathlib import Path

import pytest

from cancellint.api import check
from cancellint.server.state import known, with_files
from cancellint.server.texts import encoded
from cancellint.workspace import Workspace
from tests.server.test_session import CLIENT, HARMLESS, LOCKS


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "cancellint.toml").touch()
    (tmp_path / "client.py").write_text(CLIENT, encoding="utf-8")
    (tmp_path / "locks.py").write_text(LOCKS)
    return tmp_path


def test_a_change_during_an_analysis_counts_the_next_time(project: Path) -> None:
    asked = []

    def checkpoint() -> None:
        if not asked:
            asked.append(1)
            held.update(project / "locks.py", encoded(HARMLESS))

    held = Workspace((project,), checkpoint=checkpoint)
    (first,) = held.examined()
    (second,) = held.examined()

    assert [each.code for each in first.report.findings] == ["CAN201"]
    assert second.report.findings == ()


@pytest.mark.parametrize("passed", [0, 1, 3, 5, 8, 13, 21])
def test_an_answer_that_is_called_off_leaves_nothing_behind(project: Path, passed: int) -> None:
    class Enough(BaseException):
        pass

    left = [10**9]

    def checkpoint() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Enough

    held = Workspace((project,), checkpoint=checkpoint)
    held.examined()
    for text, codes in ((HARMLESS, []), (LOCKS, ["CAN201"]), (HARMLESS, [])):
        held.update(project / "locks.py", encoded(text))
        left[0] = passed
        with contextlib.suppress(Enough):
            held.examined()
        left[0] = 10**9
        (after,) = held.examined()
        assert [each.code for each in after.report.findings] == codes
        assert after.report.failures == ()


def test_what_is_held_is_what_a_run_of_its_own_finds(project: Path) -> None:
    held = Workspace((project,))
    held.update(project / "locks.py", encoded(HARMLESS))
    held.examined()
    held.update(project / "locks.py", None)
    (last,) = held.examined()

    assert last.report.findings == check([project]).findings
    assert last.project is not None


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


def test_looking_at_some_files_leaves_what_is_known_of_others(project: Path) -> None:
    (project / "other.py").write_text(CLIENT, encoding="utf-8")
    held = Workspace((project,))
    before = known(held.examined())
    client, other = project / "client.py", project / "other.py"

    held.update(client, b"x = 1\n")
    after = with_files(before, [client], held.examined([client]))

    assert [len(before.of(path)) for path in (client, other)] == [1, 1]
    assert [len(after.of(path)) for path in (client, other)] == [0, 1]
    assert after.is_of(client, "x = 1\n")
    assert after.is_of(other, CLIENT)
    assert len(after.examined) == 1
    assert known(held.examined()).told.keys() == after.told.keys()
