"""Hostile input, streams and surroundings: an answer or a plain message, never a traceback or a hang."""

import importlib
import json
import os
import pkgutil
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent
from typing import get_type_hints

import libcst
import msgspec
import pytest

import cancellint
from cancellint.config import AssumeRaced, Config, Profile
from cancellint.frontend.guards import MAX_PATTERN, Refusal, refusal
from cancellint.frontend.parse import parse
from cancellint.model.report import Report
from cancellint.pipeline import run

ASYNC = "async def f(queue):\n    return await queue.get()\n"
BROKEN = "async def f(:\n"


def checked(folder: Path, **files: str | bytes) -> Report:
    """The report on a project of these files, with everything that can be switched on."""
    (folder / "pyproject.toml").touch()
    for name, text in files.items():
        (folder / f"{name}.py").write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
    config = Config(root=folder, assume_raced=AssumeRaced.PUBLIC, profile=Profile.PEDANTIC)
    return run(config, [folder])


def complaints(report: Report) -> list[str]:
    """What was said of files that could not be read, and what failed."""
    said = [finding.message for finding in report.findings if finding.code == "CAN001"]
    return [*said, *(failure.error for failure in report.failures)]


# --------------------------------------------------------------------------- sources


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"# async",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf" + ASYNC.encode(),
        b'# coding: latin-1\nasync def f():\n    x = "\xe9"\n',
        '# coding: shift_jis\nasync def f(): x = "表"\n'.encode("shift_jis"),
        ASYNC.replace("\n", "\r\n").encode(),
        ASYNC.replace("\n", "\r").encode(),
        b"\f\nasync def f():\n\f    pass\n\f\n",
        ASYNC.rstrip().encode(),
        b"async def f(a: 'a[', b: '\\n', c: 'b\\0', d: '\\ud800', e: ''): await a.get()\n",
        b"import " + b".".join([b"a"] * 1500) + b"\nasync def f(): await a.get()\n",
        b"async def f(a: '" + b"a[" * 5000 + b"x" + b"]" * 5000 + b"'): await a.get()\n",
    ],
)
def test_odd_but_valid_files_are_read(tmp_path: Path, text: bytes) -> None:
    assert complaints(checked(tmp_path, odd=text)) == []


@pytest.mark.parametrize("cookie", ["rot13", "hex", "undefined", "klingon"])
def test_an_encoding_that_is_none_is_a_finding(tmp_path: Path, cookie: str) -> None:
    (complaint,) = complaints(checked(tmp_path, odd=f"# coding: {cookie}\n{ASYNC}"))

    assert "declares an encoding that" in complaint


@pytest.mark.parametrize(
    "text",
    [
        b"async def f(): x = 1\0\n",
        ASYNC.encode("utf-16"),
        b'async def f(): x = "\xff"\n',
        b"print 'async'\n",
    ],
)
def test_what_cannot_be_read_is_one_finding(tmp_path: Path, text: bytes) -> None:
    report = checked(tmp_path, odd=text, good=ASYNC)

    assert report.failures == ()
    assert len(complaints(report)) == 1


@pytest.mark.parametrize("brackets", [("[", "]"), ("(", ", 1)"), ("{1: ", "}"), ("Call(of=", ")")])
def test_patterns_are_refused_before_the_parser_needs_exponential_time(brackets: tuple[str, str]) -> None:
    def nested(depth: int) -> bytes:
        pattern = brackets[0] * depth + "x" + brackets[1] * depth
        return f"match v:\n    case {pattern} if x:\n        pass\n".encode()

    started = time.monotonic()

    assert isinstance(parse(nested(MAX_PATTERN)), libcst.Module)
    assert isinstance(parse(nested(MAX_PATTERN + 1)), Refusal)
    assert isinstance(parse(nested(MAX_PATTERN + 100)), Refusal)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "code",
    [
        "case" + "(" * 60 + "1" + ")" * 60 + "\n",
        "case = {1: " * 9 + "1" + "}" * 9 + "\n",
        '"""\n    case ' + "[" * 60 + "x" + "]" * 60 + ':\n"""\n',
        "match v:\n    case x if " + "(" * 60 + "x" + ")" * 60 + ":\n        pass\n",
        "match v:\n    case x:\n        " + "[" * 60 + "x" + "]" * 60 + "\n",
    ],
)
def test_only_patterns_are_taken_for_patterns(code: str) -> None:
    assert refusal(code.encode()) is None


PROJECTS = {
    "a task that holds a shield of itself": """
        import asyncio

        class Keeper:
            def __init__(self):
                self.task = None

            async def keep(self):
                self.task = asyncio.ensure_future(asyncio.shield(self.task))
                await self.task
        """,
    "a function that passes itself to what it returns": """
        async def retry(call):
            return await call()

        def again():
            return retry(again)

        async def start():
            await retry(again)
        """,
    "a method that passes itself to what it returns": """
        class Adapter:
            def serialize(self, value, each):
                return {key: each(item) for key, item in value.items()}

        class Serializer:
            def __init__(self):
                self.adapter = Adapter()

            def serialize(self, value):
                return {"data": self.adapter.serialize(value, self.serialize)}

            async def send(self, value):
                await self.queue.put(self.serialize(value))
        """,
    "functions that pass all of one another on": """
        async def retry(*calls):
            for call in calls:
                await call()

        def a(): return retry(a, b, c, d, e, f, g)
        def b(): return retry(a, b, c, d, e, f, g)
        def c(): return retry(a, b, c, d, e, f, g)
        def d(): return retry(a, b, c, d, e, f, g)
        def e(): return retry(a, b, c, d, e, f, g)
        def f(): return retry(a, b, c, d, e, f, g)
        def g(): return retry(a, b, c, d, e, f, g)

        async def start():
            await retry(a, b, c, d, e, f, g)
        """,
    "a partial of a computed value, called elsewhere": """
        import functools
        import weakref

        def forget(reference, entry):
            pass

        class Cache:
            def __init__(self, on_remove):
                self.on_remove = on_remove

            async def remove(self, entry):
                self.on_remove(entry)

        class Connection:
            def __init__(self):
                first, second, third = open(1), open(2), open(3)
                self.cache = Cache(functools.partial(forget, weakref.ref(open(4))))
        """,
    "classes that inherit from one another": """
        class A(B):
            async def f(self): await self.g()

        class B(C): pass

        class C(A):
            async def g(self): await super().f()

        class D(D):
            async def f(self): await self.f()
        """,
    "names that stand for one another": """
        a = b
        b = c
        c = a
        d = d

        async def f(x: d, y: a):
            await a.get()
            await x.get()
            await y.get()
        """,
    "one of two containers that hold the same task": """
        import asyncio

        async def race(calls, more):
            tasks = set()
            tasks.add(asyncio.create_task(calls()))
            while tasks:
                done, tasks = await asyncio.wait((*tasks, more) if more else tasks)
        """,
    "a handler of the cancellation that ends the function": """
        import asyncio
        import contextlib

        class Fetcher:
            async def run(self):
                try:
                    while True:
                        if self.lost is None:
                            for task in self.pending:
                                with contextlib.suppress(asyncio.CancelledError):
                                    await task
                            self.pending.clear()
                except asyncio.CancelledError:
                    pass
                except Exception as error:
                    raise ValueError("lost") from error
        """,
    "types that grow": """
        def wrap(value):
            return [wrap(value)]

        async def f(reader):
            held = ()
            while True:
                held = (held, await reader.read(1))
                for each in wrap(held):
                    await each.read()
        """,
}


@pytest.mark.parametrize("name", PROJECTS)
def test_analysis_ends_on(tmp_path: Path, name: str) -> None:
    assert complaints(checked(tmp_path, project=PROJECTS[name])) == []


def test_what_is_ordered_holds_nothing_that_has_no_order() -> None:
    modules = [each.name for each in pkgutil.walk_packages(cancellint.__path__, "cancellint.")]
    kinds = {
        kind
        for name in modules
        if not name.endswith("__main__")
        for kind in vars(importlib.import_module(name)).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__struct_config__.order
    }
    unordered = {
        f"{kind.__name__}.{field}"
        for kind in kinds
        for field, hint in get_type_hints(kind).items()
        if re.search(r"None|frozenset|Mapping|Expr", str(hint))
    }

    assert kinds
    assert unordered == set()


def test_modules_that_import_one_another_and_themselves_are_read(tmp_path: Path) -> None:
    report = checked(
        tmp_path,
        a="from b import *\nasync def f(): await g()\n",
        b="from c import *\nfrom a import *\n",
        c="from a import *\nfrom c import *\nasync def g(): await f()\n",
        d="import d\nfrom d import x as x, y\nx = d.x\nasync def f(q: d.x): await x.get(); await y.f()\n",
    )

    assert complaints(report) == []


def test_methods_and_functions_by_the_thousand_are_read(tmp_path: Path) -> None:
    methods = "".join(f"    async def m{n}(self): return await self.m{n + 1}()\n" for n in range(1000))
    functions = "".join(f"async def f{n}(q): return await f{(n + 1) % 1000}(q)\n" for n in range(1000))

    report = checked(tmp_path, many=f"class Many:\n{methods}{functions}")

    assert complaints(report) == []
    assert report.functions == 2000


# --------------------------------------------------------------------------- files


def test_pipes_and_devices_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "endless.py").symlink_to("/dev/zero")

    outcome = command(tmp_path, "check", "--output-format", "concise", "pipe.py", "endless.py")

    refused = "CAN001 unreadable-file: this file cannot be read: it is not a regular file"
    assert outcome.stdout.decode().splitlines() == [f"endless.py:1:1: {refused}", f"pipe.py:1:1: {refused}"]
    assert (outcome.returncode, outcome.stderr) == (1, b"")


def test_a_pipe_among_the_files_of_a_folder_is_passed_by(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")

    assert complaints(checked(tmp_path, good=ASYNC)) == []


def test_a_file_too_large_to_hold_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.py").open("wb") as file:
        file.truncate(1 << 40)

    assert complaints(checked(tmp_path)) == ["this file cannot be read: it is larger than 10 MB"]


def test_a_file_that_vanishes_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def vanishing(path: Path, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("gone.py"):
            path.unlink()
        return opened(path, flags, mode)

    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "gone.py").write_text(ASYNC)
    monkeypatch.setattr(os, "open", vanishing)

    assert complaints(run(Config(root=tmp_path), [tmp_path])) == [
        "this file cannot be read: No such file or directory"
    ]


def test_file_names_of_any_bytes_are_shown_on_one_line(tmp_path: Path) -> None:
    for name in (b"a\xff.py", b"b\n\x1b[31m.py", "ü.py".encode(), b"-.py", b"s p.py"):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_text(BROKEN)

    concise = command(tmp_path, "check", "--output-format", "concise", "--jobs", "1")
    structured = command(tmp_path, "check", "--output-format", "json", PYTHONIOENCODING="ascii")

    shown = [line.split(":")[0] for line in concise.stdout.decode().splitlines()]
    assert shown == ["-.py", "a\\udcff.py", "b\\n\\x1b[31m.py", "s p.py", "ü.py"]
    paths = [finding["path"] for finding in json.loads(structured.stdout)["findings"]]
    assert paths == ["-.py", "a\udcff.py", "b\n\x1b[31m.py", "s p.py", "ü.py"]
    assert (concise.stderr, structured.stderr) == (b"", b"")


# --------------------------------------------------------------------------- surroundings


def command(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Runs the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "cancellint", *arguments],
        cwd=folder,
        env=_environment(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[bytes]:
    """Runs a line of shell in which `cancellint` is the command line."""
    script = f'cancellint() {{ "{sys.executable}" -m cancellint "$@"; }}\n{line}'
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=_environment({}), capture_output=True, timeout=60
    )


def _environment(extra: dict[str, str]) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONIOENCODING": "", **extra}


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("cancellint check a.py >&-", 1, ""),
        ("cancellint check a.py 2>&-", 1, ""),
        ("cancellint check a.py >&- 2>&- <&-", 1, ""),
        ("cancellint check nowhere.py 2>&-", 2, ""),
        ("cancellint check - <&-", 2, "standard input, which is closed"),
        ("cancellint check a.py >/dev/full", 2, "No space left on device"),
        ("cancellint explain CAN101 >/dev/full", 2, "No space left on device"),
        ("cancellint check nowhere.py 2>/dev/full", 2, ""),
        ("cancellint check a.py | true; exit ${PIPESTATUS[0]}", 1, ""),
        ("cancellint check nowhere.py 2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}", 2, ""),
        ('mkdir gone; cd gone; rmdir "$PWD"; cancellint check ..', 2, "working folder cannot be used"),
    ],
)
def test_broken_streams_and_folders_end_with_a_code_and_at_most_a_message(
    tmp_path: Path, line: str, code: int, said: str
) -> None:
    (tmp_path / "a.py").write_text(BROKEN)

    outcome = shell(tmp_path, line)

    assert outcome.returncode == code
    assert "Traceback" not in outcome.stderr.decode()
    assert said in outcome.stderr.decode()
    assert bool(said) == bool(outcome.stderr)


@pytest.mark.parametrize("pattern", ["!", "\\\\", "[z-a]"])
def test_a_pattern_without_meaning_is_an_error_in_the_configuration_and_nothing_to_git(
    tmp_path: Path, pattern: str
) -> None:
    (tmp_path / "a.py").write_text(BROKEN)
    (tmp_path / ".gitignore").write_text(f"{pattern}\n".replace("\\\\", "\\"))
    (tmp_path / "pyproject.toml").touch()
    ignored = command(tmp_path, "check")
    (tmp_path / "pyproject.toml").write_text(f'[tool.cancellint]\nexclude = ["{pattern}"]\n')
    configured = command(tmp_path, "check")

    assert (ignored.returncode, ignored.stderr) == (1, b"")
    assert configured.returncode == 2
    assert "which is no pattern as in .gitignore" in configured.stderr.decode()


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("delay", [0.1, 1.0])
def test_an_interrupted_run_says_so_and_leaves_nobody_behind(tmp_path: Path, jobs: str, delay: float) -> None:
    for number in range(60):
        (tmp_path / f"m{number}.py").write_text(ASYNC * 1500)
    running = subprocess.Popen(
        [sys.executable, "-m", "cancellint", "check", "--jobs", jobs],
        cwd=tmp_path,
        env=_environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    time.sleep(delay)

    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=30)

    assert running.returncode in (130, -signal.SIGINT)  # the latter before the first line of ours has run
    assert out == b""
    assert running.returncode < 0 or err.split() == [b"Interrupted."]
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)
