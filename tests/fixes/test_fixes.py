"""Fixes as users meet them: on every example of the pages, and on the command line.

Which rules have fixes is found out by what their findings carry.
"""

import ast
import json
import os
import re
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import libcst
import pytest

from cancellint.config import Config
from cancellint.fixes.files import CannotWrite, rewrite
from cancellint.frontend.positions import spans
from cancellint.mending import Mending, mend
from cancellint.model.finding import Finding
from cancellint.model.report import Report
from cancellint.own_pages import Example, fences
from cancellint.pipeline import Request, examine
from cancellint.resources import rule_pages
from cancellint.selection import catalogue
from tests.test_cli import Command

ROOT = Path(__file__).resolve().parents[2]

FIXABLE = {"CAN105", "CAN106", "CAN107", "CAN109", "CAN110"}
"""The rules whose findings a fix can remove, those of them that exist."""

LOUD = [
    (page.stem, example)
    for page in rule_pages()
    for example in fences(page)
    if any("# want CAN" in text for _, text in example.files)
]


class Outcome(NamedTuple):
    """An example before and after its fixes, and after those of a second run."""

    before: Report
    mending: Mending
    again: Mending
    texts: tuple[tuple[str, str], ...]
    """the fixed files, by the names that the example gives them"""
    touched: frozenset[str]
    """the lines, stripped, that the sites of the fixes stand on"""


@cache
def outcome(example: Example) -> Outcome:
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for file, text in (("cancellint.toml", ""), *example.files):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text, "utf-8")
        config = Config(root=folder, select=tuple(rule.code for rule in catalogue()))
        request = Request(config, (folder,))
        before = examine(request).report
        if all(finding.fix is None for finding in before.findings):
            return Outcome(before, Mending(before), Mending(before), example.files, frozenset())
        touched = frozenset(line for finding in before.findings for line in _lines_of_fix(finding))
        mending = mend(request, unsafe=True)
        for each in mending.files:
            rewrite(each.path, each.before, each.after)
        texts = tuple((file, (folder / file).read_text("utf-8")) for file, _ in example.files)
        return Outcome(before, mending, mend(request, unsafe=True), texts, touched)


def _lines_of_fix(finding: Finding) -> Iterator[str]:
    if finding.fix is not None:
        data = Path(finding.place.path).read_bytes()
        wanted = [(site.function, site.step) for site in finding.fix.sites]
        for span in spans(libcst.parse_module(data), wanted).values():
            yield data.decode().split("\n")[span.line - 1].strip()


def known(report: Report) -> Counter[tuple[str, str, str, str]]:
    """What is found where, but for the lines, which move."""
    return Counter((each.place.path, each.code, each.place.symbol, each.message) for each in report.findings)


@pytest.mark.parametrize("example", [example for _, example in LOUD], ids=lambda example: example.name)
def test_fixes_remove_their_findings_and_touch_nothing_else(example: Example) -> None:
    before, mending, again, texts, touched = outcome(example)
    fixed = dict(texts)

    assert {each.code for each in before.findings if each.fix is not None} <= FIXABLE
    assert bool(mending.fixed) == bool(mending.files)
    assert bool(mending.fixed) <= bool(known(before) - known(mending.report))
    assert by_function(mending.report) <= by_function(before)
    assert again.files == ()
    for name, text in example.files:
        if fixed[name] != text:
            ast.parse(fixed[name], name)
            assert Counter(COMMENT.findall(text)) == Counter(COMMENT.findall(fixed[name]))
            assert [line for line in gone(text, fixed[name]) if line not in touched] == []


def by_function(report: Report) -> Counter[tuple[str, str, str]]:
    """How often a rule is broken in each function."""
    return Counter((each.place.path, each.code, each.place.symbol) for each in report.findings)


COMMENT = re.compile(r"#.*")
SYNTAX = re.compile(r"(try|finally|raise|except\b.*)?:?")


def gone(before: str, after: str) -> Iterator[str]:
    """The lines that a text no longer has, however it is indented, but for the syntax of `try`."""
    left = Counter(map(str.strip, before.split("\n"))) - Counter(map(str.strip, after.split("\n")))
    yield from (line for line in left if not SYNTAX.fullmatch(line))


@pytest.mark.parametrize("code", sorted(FIXABLE.intersection(rule.code for rule in catalogue())))
def test_the_page_of_a_rule_with_fixes_shows_one(code: str) -> None:
    name = next(rule.name for rule in catalogue() if rule.code == code)

    assert any(
        known(outcome(example).mending.report)[key] < count
        for page, example in LOUD
        if page == name
        for key, count in known(outcome(example).before).items()
        if key[1] == code
    )


def test_the_lines_that_are_gone_are_told() -> None:
    assert list(gone("try:\n    a\n    b\n", "a\nc\n")) == ["b"]


# --------------------------------------------------------------------------- on the command line

COMPLETED = """\
import asyncio


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.pending: dict[bytes, asyncio.Future[bytes]] = {}

    async def request(self, key: bytes) -> bytes:
        reply = asyncio.get_running_loop().create_future()
        self.pending[key] = reply
        self.writer.write(key)
        return await asyncio.wait_for(reply, 5)

    async def dispatch(self) -> None:
        while line := await self.reader.readline():
            key, _, value = line.partition(b" ")
            reply = self.pending.pop(key)
            reply.set_result(value)
"""
GUARDED = COMPLETED.replace(
    "            reply.set_result(value)\n",
    "            if not reply.done():\n                reply.set_result(value)\n",
)
LOCKED = """\
import threading


class Cache:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    async def refresh(self) -> None:
        with self.lock:
            await self.load()

    async def load(self) -> None:
        await self.reader.read()
"""


BUSY = """\
import asyncio


class Pool:
    def __init__(self) -> None:
        self.busy = False

    async def refresh(self) -> None:
        if self.busy:
            return
        self.busy = True
        await asyncio.sleep(1)
        self.busy = False

    def is_ready(self) -> bool:
        return not self.busy
"""
FREE = BUSY.replace(
    "        await asyncio.sleep(1)\n        self.busy = False\n",
    "        try:\n            await asyncio.sleep(1)\n        finally:\n            self.busy = False\n",
)


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    (tmp_path / "pyproject.toml").touch()
    return Command(tmp_path, capsys, monkeypatch)


def text_of(command: Command, name: str) -> str:
    return (command.folder / f"{name}.py").read_text()


def test_a_safe_fix_is_made_on_demand(command: Command) -> None:
    command.write(a=COMPLETED)

    shown = command("check")

    assert (shown.code, text_of(command, "a")) == (1, COMPLETED)
    assert "help: complete it only `if not reply.done()`  [fixable]\n" in shown.out
    assert shown.out.endswith("1 fixable with `--fix`.\n")

    fixed = command("check", "--fix")

    assert (fixed.code, text_of(command, "a")) == (0, GUARDED)
    assert fixed.err == "cancellint: fixed 1 finding in 1 file\n"
    assert fixed.out.startswith("No findings in ")


def test_an_unsafe_fix_is_made_only_where_that_is_asked_for(command: Command) -> None:
    command.write(a=BUSY)

    shown = command("check", "--fix")

    assert (shown.code, text_of(command, "a")) == (1, BUSY)
    assert shown.err == "cancellint: nothing fixed; 1 finding fixable with --unsafe-fixes\n"
    assert "[fixable]" not in shown.out
    assert shown.out.endswith("1 fixable with `--fix --unsafe-fixes`.\n")
    assert "[fixable]" in command("check", "--unsafe-fixes").out

    fixed = command("check", "--fix", "--unsafe-fixes")

    assert (fixed.code, text_of(command, "a")) == (0, FREE)


def test_the_configuration_can_ask_for_unsafe_fixes(command: Command) -> None:
    (command.folder / "pyproject.toml").write_text("[tool.cancellint]\nunsafe-fixes = true\n")
    command.write(a=BUSY)

    assert command("check", "--fix", "--no-unsafe-fixes").code == 1
    assert command("check", "--fix").code == 0
    assert text_of(command, "a") == FREE


def test_findings_without_a_fix_are_left_and_counted(command: Command) -> None:
    command.write(a=COMPLETED, b=LOCKED)

    outcome = command("check", "--fix")

    assert (outcome.code, text_of(command, "a"), text_of(command, "b")) == (1, GUARDED, LOCKED)
    assert outcome.err == "cancellint: fixed 1 finding in 1 file; 1 finding left without an automatic fix\n"
    assert "CAN201" in outcome.out
    assert command("check", "--fix", "--exit-zero").code == 0


def test_a_diff_shows_the_changes_and_makes_none(command: Command) -> None:
    command.write(a=COMPLETED)

    for options in (["--diff"], ["--diff", "--fix"]):
        outcome = command("check", *options)

        assert (outcome.code, text_of(command, "a")) == (1, COMPLETED)
        assert outcome.err == "cancellint: would fix 1 finding in 1 file\n"
        assert outcome.out == (
            "--- a.py\n+++ a.py\n@@ -17,4 +17,5 @@\n"
            "         while line := await self.reader.readline():\n"
            '             key, _, value = line.partition(b" ")\n'
            "             reply = self.pending.pop(key)\n"
            "-            reply.set_result(value)\n"
            "+            if not reply.done():\n"
            "+                reply.set_result(value)\n"
        )
    assert command("check", "--diff", "--exit-zero").code == 0


def test_a_diff_is_empty_where_nothing_would_change(command: Command) -> None:
    command.write(a=LOCKED, b=BUSY)

    outcome = command("check", "--diff")

    assert (outcome.code, outcome.out, outcome.err) == (0, "", "cancellint: nothing to fix\n")


def test_a_diff_of_a_file_without_a_last_line_end_says_so(command: Command) -> None:
    command.write(a=COMPLETED.removesuffix("\n"))

    lines = command("check", "--diff").out.split("\n")

    assert lines[-6:] == [
        "-            reply.set_result(value)",
        "\\ No newline at end of file",
        "+            if not reply.done():",
        "+                reply.set_result(value)",
        "\\ No newline at end of file",
        "",
    ]


@pytest.mark.parametrize("option", [["--statistics"], ["--output-file", "a.json"]])
def test_a_diff_and_a_report_exclude_each_other(command: Command, option: list[str]) -> None:
    outcome = command("check", "--diff", *option)

    assert (outcome.code, outcome.out) == (2, "")
    assert "--diff prints changes and no report" in outcome.err


def test_standard_input_is_fixed_to_standard_output(command: Command) -> None:
    outcome = command("check", "--fix", "-", stdin=COMPLETED.encode())

    assert (outcome.code, outcome.out) == (0, GUARDED)
    assert "fixed 1 finding in 1 file" in outcome.err
    assert "No findings in 1 file" in outcome.err


@pytest.mark.parametrize("text", [LOCKED, "x = 1\n", "def f(:\n", ""])
def test_standard_input_with_nothing_to_fix_is_given_back(command: Command, text: str) -> None:
    assert command("check", "--fix", "-", stdin=text.encode()).out == text


def test_standard_input_stands_for_a_file_and_leaves_it_alone(command: Command) -> None:
    command.write(a="x = 1\n")

    outcome = command("check", "--fix", "-", "--stdin-filename", "a.py", stdin=COMPLETED.encode())

    assert (outcome.out, text_of(command, "a")) == (GUARDED, "x = 1\n")
    diff = command("check", "--diff", "-", "--stdin-filename", "a.py", stdin=COMPLETED.encode())
    assert (diff.code, diff.out.split("\n")[:2]) == (1, ["--- a.py", "+++ a.py"])


def test_only_files_that_are_reported_on_are_fixed(command: Command) -> None:
    command.write(a=COMPLETED, b=COMPLETED)

    assert command("check", "--fix", "b.py").code == 0
    assert (text_of(command, "a"), text_of(command, "b")) == (COMPLETED, GUARDED)


def test_what_is_suppressed_is_not_fixed(command: Command) -> None:
    text = COMPLETED.replace(
        "set_result(value)", "set_result(value)  # cancellint: ignore[CAN109] never late"
    )
    command.write(a=text)

    assert command("check", "--fix").code == 0
    assert text_of(command, "a") == text


def test_what_is_not_selected_is_not_fixed(command: Command) -> None:
    command.write(a=COMPLETED)

    assert command("check", "--fix", "--select", "CAN2").code == 0
    assert text_of(command, "a") == COMPLETED


def test_json_says_what_a_fix_would_do(command: Command) -> None:
    command.write(a=COMPLETED, b=LOCKED, c=BUSY)

    found = json.loads(command("check", "--output-format", "json").out)["findings"]

    assert {each["code"]: each["fix"] for each in found} == {
        "CAN107": {"edit": "undo-in-finally", "applicability": "unsafe"},
        "CAN109": {"edit": "guard-completion", "applicability": "safe"},
        "CAN201": None,
    }


def test_fixes_in_one_place_are_made_one_after_the_other(command: Command) -> None:
    nested = BUSY.replace("self.busy = False\n\n    async", "self.busy = self.late = False\n\n    async")
    nested = nested.replace(
        "        self.busy = True\n", "        self.busy = True\n        self.late = True\n"
    )
    nested = nested.replace(
        "        self.busy = False\n\n    def",
        "        self.late = False\n        self.busy = False\n\n    def",
    ).replace("if self.busy", "if self.busy or self.late")
    command.write(a=nested)

    outcome = command("check", "--fix", "--unsafe-fixes")

    assert outcome.err == "cancellint: fixed 2 findings in 1 file\n"
    assert (
        "        self.busy = True\n        try:\n            self.late = True\n            try:\n"
        in text_of(command, "a")
    )


# --------------------------------------------------------------------------- writing


def test_a_fixed_file_keeps_its_mode_and_its_links(command: Command) -> None:
    command.write(real=COMPLETED)
    (command.folder / "real.py").chmod(0o750)
    (command.folder / "a.py").symlink_to("real.py")

    assert command("check", "--fix", "a.py").code == 0
    assert (command.folder / "a.py").is_symlink()
    assert text_of(command, "real") == GUARDED
    assert stat.S_IMODE((command.folder / "real.py").stat().st_mode) == 0o750
    assert {each.name for each in command.folder.iterdir()} == {"a.py", "pyproject.toml", "real.py"}


def test_two_names_of_one_file_are_fixed_once(command: Command) -> None:
    command.write(real=COMPLETED)
    (command.folder / "a.py").symlink_to("real.py")

    assert command("check", "--fix", "a.py", "real.py").code == 0
    assert text_of(command, "a") == text_of(command, "real") == GUARDED


def test_a_check_that_finds_nothing_to_fix_does_not_load_the_fixes(command: Command) -> None:
    command.write(a=LOCKED)
    code = "import sys; from cancellint.cli import cli; cli(standalone_mode=False); print(*sys.modules)"

    ended = subprocess.run(
        [sys.executable, "-c", code, "check"],
        cwd=command.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "CAN201" in ended.stdout
    assert "cancellint.pipeline" in ended.stdout.split()
    assert "cancellint.fixes" not in ended.stdout.split()


def test_a_file_that_has_changed_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(b"now")

    with pytest.raises(CannotWrite, match="has changed since it was read"):
        rewrite(file, b"then", b"fixed")

    assert file.read_bytes() == b"now"


def test_an_interrupt_just_after_a_file_was_replaced_is_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(b"then")
    replace = os.replace

    def interrupted(source: str, target: Path) -> None:
        replace(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)

    with pytest.raises(KeyboardInterrupt):
        rewrite(file, b"then", b"fixed")

    assert file.read_bytes() == b"fixed"
    assert [path.name for path in tmp_path.iterdir()] == ["a.py"]


def test_a_file_with_the_longest_of_names_is_fixed(tmp_path: Path) -> None:
    file = tmp_path / ("a" * 252 + ".py")
    file.write_bytes(b"then")

    rewrite(file, b"then", b"fixed")

    assert file.read_bytes() == b"fixed"


def test_a_pipe_that_has_taken_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.py")

    with pytest.raises(CannotWrite, match="not a regular file"):
        rewrite(tmp_path / "a.py", b"then", b"fixed")


def test_a_file_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="No such file"):
        rewrite(tmp_path / "a.py", b"then", b"fixed")

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_told_and_the_others_are_fixed(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.write(a=COMPLETED, b=COMPLETED)
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "a.py" and may(path, mode))

    outcome = command("check", "--fix")

    assert (outcome.code, text_of(command, "a"), text_of(command, "b")) == (2, COMPLETED, GUARDED)
    assert outcome.err == "cancellint: a.py cannot be fixed: it is write-protected\n"
