"""cancellint from Python."""

import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from cancellint import api
from cancellint.api import Confidence, Mistake, Report, check
from tests.test_cli import LOCKED

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cancellint.toml").touch()
    (tmp_path / "a.py").write_text(LOCKED)
    (tmp_path / "b.py").write_text("x = 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_check_returns_what_reports_are_made_of(project: Path) -> None:
    report = check()

    (finding,) = report.findings
    assert (finding.code, finding.place.path, finding.place.span.line) == ("CAN201", "a.py", 11)
    assert (report.files, report.failures) == (2, ())
    assert check([project / "b.py"]).findings == check(["b.py"]).findings == ()
    assert len(api.fingerprints(report)[0]) == 64


def test_the_settings_are_those_of_the_command_line(project: Path) -> None:
    (project / "cancellint.toml").write_text("ignore = ['CAN201']")
    (project / "other.toml").write_text("severity = {CAN201 = 'warning'}")

    assert check().findings == ()
    assert [each.severity for each in check(config="other.toml").findings] == ["warning"]
    assert len(check(isolated=True).findings) == 1
    assert check(isolated=True, select=["CAN1"]).findings == ()
    assert check(isolated=True, ignore=["CAN201"]).findings == ()
    assert len(check(isolated=True, min_confidence=Confidence.CERTAIN).findings) == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"paths": ["nowhere"]}, "there is no file or folder nowhere"),
        ({"select": ["CAN9"]}, "`CAN9` is no rule's code"),
        ({"config": "other.toml", "isolated": True}, "contradict"),
        ({"config": "nowhere.toml"}, "there is no such file"),
        ({"baseline": "nowhere.json"}, "the baseline nowhere.json cannot be read"),
    ],
)
def test_what_callers_have_to_put_right_is_a_mistake(
    project: Path, arguments: dict[str, typing.Any], problem: str
) -> None:
    with pytest.raises(Mistake, match=re.escape(problem)):
        check(**arguments)


@pytest.mark.parametrize("name", api.FORMATS)
def test_a_report_can_be_written_in_every_format(project: Path, name: str) -> None:
    assert "self.lock" in api.render(check(), name)


def test_an_unknown_format_is_a_mistake() -> None:
    with pytest.raises(Mistake, match="`yaml` is no format"):
        api.render(Report((), 0, 0, 0.0), "yaml")


def test_everything_that_is_promised_is_there_typed_and_on_the_page() -> None:
    for name in api.__all__:
        assert hasattr(api, name)
        assert f"`{name}`" in PAGE or f"{name}(" in PAGE, name
    for function in (api.check, api.render, api.fingerprints):
        hints = typing.get_type_hints(function)
        assert set(inspect.signature(function).parameters) | {"return"} == set(hints)
    for parameter in inspect.signature(api.check).parameters:
        assert f"`{parameter}`" in PAGE, parameter


def test_the_program_on_the_page_runs(project: Path) -> None:
    (program,) = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE)

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=project,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("a.py:11 CAN201 `self.lock` stays locked")
