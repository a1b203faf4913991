"""The hostile repository, through every command and format: an answer, and never our obedience."""

import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import hostile

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its file names and pipes are those of Unix")

SECONDS = 10
"""How long a run may take; of a processor's time, so that a busy machine fails no test."""
PATIENCE = 60
"""How long one may take that only waits."""
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository for all commands that change nothing."""
    return hostile.build(tmp_path_factory.mktemp("hostile"))


DROP = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for capability in (1, 2):
    if libc.prctl(24, capability, 0, 0, 0) and os.geteuid() == 0:
        sys.exit(f"cannot drop a privilege: {os.strerror(ctypes.get_errno())}")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Goes on without the right to read and search whatever file there is (CAP_DAC_OVERRIDE and
CAP_DAC_READ_SEARCH leave the bounding set), which root has in most containers."""


def run(
    project: Path, *arguments: str, stdin: bytes = b"", unprivileged: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Runs the command in the repository; nobody may wait for its end for long."""
    dropping = ["-c", DROP] if unprivileged and sys.platform == "linux" else []
    home = project.parent / "home"
    home.mkdir(exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, *dropping, "-P", "-m", "cancellint", *arguments],
        cwd=project,
        env={**kept, "PYTHONPATH": str(ROOT), "HOME": str(home), "LC_ALL": "C.UTF-8"},
        input=stdin,
        capture_output=True,
        timeout=PATIENCE,
        preexec_fn=_limited,
    )


def _limited() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def assert_safe(
    done: subprocess.CompletedProcess[bytes], project: Path, commands: Sequence[str] = ()
) -> None:
    """Nothing was executed or obeyed, nothing is printed that would be, and a failure has its reason."""
    assert not (project.parent / "canary").exists()
    assert b"Traceback" not in done.stderr + done.stdout
    assert b"fault of cancellint" not in done.stderr, done.stderr
    assert done.returncode in (0, 1) or (done.returncode == 2 and done.stderr.strip()), done
    assert_harmless(done.stdout, commands)
    assert_harmless(done.stderr, ())


COLOURS = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;;(https://[\w./-]+/rules/[\w-]+/)?\x1b\\")
"""Colours, and links to the pages of our own rules."""


def assert_harmless(printed: bytes, commands: Sequence[str], *, colours: bool = False) -> None:
    shown = printed.decode("utf-8")
    if colours:
        shown = COLOURS.sub("", shown)
    for char in set(shown) - {"\n"}:
        assert unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp"), ascii(char)
        assert unicodedata.bidirectional(char) not in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI")
    assert "##[" not in shown
    for line in shown.split("\n"):
        assert not line.strip().startswith("::") or line.startswith(tuple(commands) or "?"), ascii(line)


CHECKS = {
    "text": [],
    "concise": ["--output-format", "concise"],
    "json": ["--output-format", "json"],
    "github": ["--output-format", "github"],
    "sarif": ["--output-format", "sarif"],
    "rdjson": ["--output-format", "rdjson"],
    "junit": ["--output-format", "junit"],
    "azure": ["--output-format", "azure"],
    "markdown": ["--output-format", "markdown"],
    "html": ["--output-format", "html"],
    "agent": ["--output-format", "agent"],
    "statistics": ["--statistics"],
    "statistics as json": ["--statistics", "--output-format", "json"],
    "pedantic": ["--pedantic", "--assume-raced", "public", "--output-format", "concise"],
    "one process": ["--jobs", "1", "--output-format", "concise"],
    "several processes": ["--jobs", "3", "--output-format", "concise"],
}


@pytest.mark.parametrize("name", CHECKS)
def test_every_format_tells_and_obeys_nothing(untouched: Path, name: str) -> None:
    before = dict(hostile.contents(untouched.parent / "outside"))

    done = run(untouched, "check", *CHECKS[name])

    ours = ("::error file=", "::warning file=", "::notice title=cancellint::")
    commands = ours if name == "github" else ()
    assert_safe(done, untouched, commands)
    assert done.returncode == 1
    assert dict(hostile.contents(untouched.parent / "outside")) == before
    assert done.stdout.count(b"##vso[") == (len(done.stdout.splitlines()) if name == "azure" else 0)
    if "json" in name or name == "sarif":
        assert done.stdout.isascii()
        json.loads(done.stdout)


def _elsewhere(finding: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The notes of a finding, which name the other places of the same cause, with its code."""
    yield from ({"path": note["path"], "code": finding["code"]} for note in finding["notes"])


def test_every_failure_is_told(untouched: Path) -> None:
    done = run(untouched, "check", "--output-format", "json")

    found = json.loads(done.stdout)["findings"]
    told = {(each["path"], each["code"]) for each in found}
    for name in hostile.NAMES:
        if name.endswith(b".py") and name != b"--output-file=concise=setup.py":
            assert (os.fsdecode(name), "CAN001") in told
    for name in ("brackets", "chain", "nul", "bidi", "error", "huge"):
        assert (f"{name}.py", "CAN001") in told
    assert ("special/.gitignore", "CAN001") in told
    assert any(path.endswith("d" * 200) and code == "CAN001" for path, code in told)
    places = {(each["path"], each["code"]) for one in found for each in (one, *_elsewhere(one))}
    assert ("fixable.py", "CAN109") in places
    assert ("comments.py", "CAN003") in told
    assert not any(path.startswith(("linked", "everything", "processes", "/", "..")) for path, _ in told)


def test_colours_are_our_own(untouched: Path) -> None:
    done = run(untouched, "check", "--color", "always")

    assert done.returncode == 1
    assert_harmless(done.stdout, (), colours=True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["config"],
        ["config", "--output-format", "json"],
        ["rules"],
        ["explain", "CAN101"],
        ["explain", "::error::\x1b[2J\n"],
        ["summary", "f"],
        ["summary", "f", "--output-format", "json"],
        ["summary", "Client.ask"],
        ["summary", "::error::\x1b[2J\n::error::"],
        ["check", "--diff"],
        ["check", "--diff", "--unsafe-fixes"],
        ["check", "--select", "::error::\x1b[2J"],
        ["check", "::error::\x1b[2J\nnowhere"],
        ["check", "--", *map(os.fsdecode, hostile.NAMES)],
        ["check", "--force-exclude", "--", *map(os.fsdecode, hostile.NAMES)],
        ["check", "--", *map(os.fsdecode, hostile.FOLDERS)],
        ["check", "pipe.py", "zero.py", "loop.py"],
        ["check", "special"],
        ["check", "--output-file", "pipe.txt"],
        ["check", "--output-file", "report.txt"],
        ["check", "--output-file", "reports/report.txt"],
        ["check", "--output-file", "x" * 5_000],
        ["check", "--output-file", "nowhere\n::error::/x"],
        ["check", "--output-file", "text=/dev/null"],
        ["check", "--stdin-filename", "::error::\n.py", "-"],
    ],
    ids=lambda arguments: ascii(" ".join(arguments))[:60],
)
def test_every_command_answers(untouched: Path, arguments: list[str]) -> None:
    before = dict(hostile.contents(untouched.parent / "outside"))

    done = run(untouched, *arguments, stdin=b"async def f(: \x1b[2J\n")

    assert_safe(done, untouched)
    assert dict(hostile.contents(untouched.parent / "outside")) == before
    assert not any((untouched / name).is_file() for name in ("setup.py.new", "x" * 200))


def test_refused_outputs_have_a_reason(untouched: Path) -> None:
    for name in ("pipe.txt", "report.txt", "reports/report.txt", "x" * 5_000):
        done = run(untouched, "check", "rich.py", "--output-file", name)
        assert done.returncode == 2
        assert done.stderr.strip()


@pytest.mark.parametrize("command", [["check"], ["config"], ["summary", "f"]], ids=lambda command: command[0])
@pytest.mark.parametrize("name", hostile.CONFIGURATIONS)
def test_every_configuration_is_an_answer(tmp_path: Path, name: str, command: list[str]) -> None:
    for special in ("pipe.py",):
        os.mkfifo(tmp_path / special)
    (tmp_path / "zero.py").symlink_to("/dev/zero")
    (tmp_path / "a.py").write_text("async def f(q):\n    await q.get()\n")
    hostile.configured(tmp_path, hostile.CONFIGURATIONS[name])

    done = run(tmp_path, *command)

    assert_safe(done, tmp_path)
    assert done.returncode in (0, 2)
    if done.returncode == 0:
        assert name == "hostile patterns" or command == ["config"] or "rule" in name or "table" in name
    for line in done.stderr.decode().splitlines():
        assert line.startswith("cancellint: ")


@pytest.mark.parametrize("file", ["pyproject.toml", "cancellint.toml", ".gitignore"])
@pytest.mark.parametrize("kind", ["pipe", "zero", "folder"])
def test_what_stands_in_the_place_of_a_file_is_told(tmp_path: Path, file: str, kind: str) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / file).unlink(missing_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(tmp_path / file)
        case "zero":
            (tmp_path / file).symlink_to("/dev/zero")
        case _:
            (tmp_path / file).mkdir()
    (tmp_path / "a.py").write_text("async def f(q):\n    await q.get()\n")

    done = run(tmp_path, "check", "--output-format", "concise")

    assert_safe(done, tmp_path)
    if file == ".gitignore":
        assert done.returncode == 1
        assert b".gitignore:1:1: CAN001" in done.stdout
    else:
        assert done.returncode == 2
        assert file.encode() in done.stderr


@pytest.mark.parametrize("options", [[], ["--unsafe-fixes"]])
def test_fixes_stay_in_the_project(tmp_path: Path, options: list[str]) -> None:
    project = hostile.build(tmp_path)
    before = dict(hostile.contents(tmp_path / "outside"))
    links = {path.name for path in project.iterdir() if path.is_symlink()}

    done = run(project, "check", "--fix", *options)

    assert_safe(done, project)
    assert dict(hostile.contents(tmp_path / "outside")) == before
    assert {path.name for path in project.iterdir() if path.is_symlink()} == links
    assert "done()" in (project / "fixable.py").read_text()
    for name in hostile.FOLDERS:
        assert "done()" in (hostile.named(project, name) / "fixable.py").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"outside", "project", "home"}
    assert list((tmp_path / "home").iterdir()) == []


def test_what_lies_outside_is_fixed_where_it_is_named(tmp_path: Path) -> None:
    project = hostile.build(tmp_path)

    done = run(project, "check", "--fix", "linked/fixable.py")

    assert_safe(done, project)
    assert "done()" in (tmp_path / "outside" / "fixable.py").read_text()


@pytest.mark.parametrize("limits", ["-n 6", "-n 8", "-n 11", "-v 90000", "-v 200000", "-u 5"])
def test_limits_are_told_or_made_do_with(tmp_path: Path, limits: str) -> None:
    for number in range(60):
        (tmp_path / f"m{number}.py").write_text("async def f(q):\n    await q.get()\n")
    (tmp_path / "pyproject.toml").touch()

    done = subprocess.run(
        ["bash", "-c", f'ulimit {limits}; exec "{sys.executable}" -P -m cancellint check --jobs 4'],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
    )

    assert done.returncode in (0, 2)
    assert done.returncode == 0 or done.stderr.strip()
    assert done.returncode == 2 or b"No findings in 60 files" in done.stdout


def test_a_folder_that_may_not_be_entered_is_told(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "a.py").write_text("async def f(q):\n    await q.get()\n")
    for name, mode in (("closed", 0o000), ("unlisted", 0o300), ("unentered", 0o600)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "b.py").write_text("async def f(:\n")
        (tmp_path / name).chmod(mode)

    done = run(tmp_path, "check", "--output-format", "concise", unprivileged=True)

    shutil.copymode(tmp_path, tmp_path / "closed")
    assert_safe(done, tmp_path)
    assert done.returncode == 1
    assert {line.split(":")[0] for line in done.stdout.decode().splitlines()} == {
        "closed", "unlisted", "unentered/b.py",
    }  # fmt: skip
