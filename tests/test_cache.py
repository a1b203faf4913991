"""What is taken over from earlier runs is what a run without them finds; trouble with it is no error."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from cancellint import cache, memories, pipeline
from cancellint.cache import FILE, Store, key_of
from cancellint.config import ConfigError
from cancellint.model.report import Report
from cancellint.orders import Order, carry_out

LOCKED = """\
import asyncio
import threading


class Cache:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    async def refresh(self) -> None:
        with self.lock:
            await asyncio.sleep(1)
"""

CLEAN = "async def run():\n    pass\n"
OLD = 1_600_000_000


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "app").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("")
    (folder / "app" / "__init__.py").write_text("")
    _write(folder / "app" / "locked.py", LOCKED)
    _write(folder / "app" / "clean.py", CLEAN)
    os.utime(folder / "app" / "__init__.py", (OLD, OLD))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of files are believed at once."""
    monkeypatch.setattr("cancellint.recall._STALE_AFTER", -(10**18))


def _write(file: Path, text: str) -> None:
    file.write_text(text)
    os.utime(file, (OLD, OLD))


def _report(folder: Path, store: Store | None) -> Report:
    """The report on a folder, without what differs from run to run."""
    report = carry_out(Order((folder,), store=store)).mending.report
    return Report(report.findings, report.files, report.functions, 0, report.failures, report.sources)


def _forbid(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError(f"{name} is called")

    monkeypatch.setattr(pipeline, name, forbidden)


# --------------------------------------------------------------------------- nothing, or little, has changed


def test_nothing_is_analysed_or_read_again_where_nothing_has_changed(
    project: Path, store: Store, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _report(project, store)
    _forbid(monkeypatch, "examine")
    monkeypatch.setattr(memories, "read_listed", None)

    assert first.findings
    assert _report(project, store) == first


def test_a_file_with_another_time_and_the_same_content_has_not_changed(
    project: Path, store: Store, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _report(project, store)
    os.utime(project / "app" / "locked.py", (OLD + 1, OLD + 1))
    _forbid(monkeypatch, "examine")

    assert _report(project, store) == first


def test_the_time_of_a_file_that_was_changed_just_now_is_not_believed(project: Path, store: Store) -> None:
    first = _report(project, store)
    _write(project / "app" / "locked.py", LOCKED.replace("with self.lock", "if self.lock   "))

    assert _report(project, store).findings != first.findings


def test_only_what_has_changed_is_parsed_again(
    project: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _report(project, store)
    _write(project / "app" / "clean.py", CLEAN + "\n\n" + CLEAN)
    parsed: list[bytes] = []
    original = pipeline.read_file
    monkeypatch.setattr(pipeline, "read_file", lambda data: parsed.append(data) or original(data))

    report = _report(project, store)

    assert parsed == [(CLEAN + "\n\n" + CLEAN).encode()]
    assert report == _report(project, None)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "app" / "locked.py").unlink(),
        lambda root: (root / "app" / "locked.py").rename(root / "app" / "other.py"),
        lambda root: (root / "app" / "more.py").write_text(LOCKED),
        lambda root: (root / "app" / "locked.py").write_text("def f(:"),
        lambda root: (root / ".gitignore").write_text("locked.py\n"),
        lambda root: (root / "pyproject.toml").write_text('[tool.cancellint]\nignore = ["CAN201"]\n'),
        lambda root: (root / "pyproject.toml").write_text('[tool.cancellint]\nexclude = ["app"]\n'),
        lambda root: (root / "app" / "cancellint.toml").write_text('ignore = ["CAN201"]\n'),
        lambda root: (root / "app" / "cancellint.toml").write_text('exclude = ["locked.py"]\n'),
    ],
    ids=[
        "deleted",
        "renamed",
        "added",
        "broken",
        "ignored",
        "rule off",
        "excluded",
        "off inside",
        "out inside",
    ],
)
def test_a_change_of_any_kind_counts(
    project: Path, store: Store, settled: None, change: Callable[[Path], object]
) -> None:
    first = _report(project, store)
    change(project)
    again = _report(project, store)

    assert again == _report(project, None)
    assert again != first


def test_what_a_configuration_says_wrong_is_told_as_ever(project: Path, store: Store, settled: None) -> None:
    _report(project, store)
    (project / "app" / "cancellint.toml").write_text('ignore = ["CAN999"]\n')

    with pytest.raises(ConfigError):
        _report(project, store)


def test_what_a_folder_says_in_vain_is_told_every_time(project: Path, store: Store, settled: None) -> None:
    (project / "app" / "cancellint.toml").write_text('assume-raced = "public"\n')
    warned = [carry_out(Order((project,), store=store)).mending.report.warnings for _ in range(2)]

    assert len(warned[0]) == 1
    assert warned[0] == warned[1]


def test_a_change_of_an_own_table_counts(project: Path, store: Store, settled: None) -> None:
    (project / "pyproject.toml").write_text('[tool.cancellint]\nknowledge = ["own.toml"]\n')
    _write(project / "own.toml", '["other.Lock"]\nsources = ["here"]\n')
    first = _report(project, store)
    _write(project / "own.toml", '["asyncio.sleep"]\nsuspends = "never"\nsources = ["here"]\n')

    assert first.findings
    assert _report(project, store) == _report(project, None)


def test_another_question_has_another_answer(project: Path, store: Store, settled: None) -> None:
    _report(project, store)
    clean = carry_out(Order((project / "app" / "clean.py",), store=store)).mending.report

    assert clean.findings == ()
    assert clean.files == 1


def test_a_run_that_has_failed_is_not_kept(
    project: Path, store: Store, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        _forbid(patched, "read_module")
        broken = _report(project, store)

    assert broken.failures
    assert not _report(project, store).failures


# --------------------------------------------------------------------------- random edits


EDITS = 8 * max(1, int(os.environ.get("CANCELLINT_FUZZ", "100")) // 100)


def _edit(root: Path, chance: random.Random) -> None:
    """One change of the kinds that people make."""
    files = sorted(root.rglob("*.py"))
    file = chance.choice(files)
    lines = file.read_text().splitlines()
    awaits = [number for number, line in enumerate(lines) if "await " in line]
    match chance.randrange(7):
        case 0 if awaits:
            del lines[chance.choice(awaits)]
        case 1 if awaits:
            at = chance.choice(awaits)
            lines.insert(at, lines[at])
        case 2:
            lines += ["", "async def added(lock, reader):", "    await lock.acquire()", "    await reader()"]
        case 3 if len(files) > 5:
            file.unlink()
            return
        case 4:
            (root / f"new_{chance.randrange(1000)}.py").write_text(LOCKED)
            return
        case 5:
            chosen = chance.choice(["default", "pedantic"])
            (root / "cancellint.toml").write_text(f'profile = "{chosen}"\n')
            return
        case _:
            lines = [line.replace("Exception", "ValueError") for line in lines]
    file.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("seed", range(2))
def test_after_random_edits_the_report_is_that_of_a_cold_run(tmp_path: Path, store: Store, seed: int) -> None:
    chance = random.Random(seed)
    root = tmp_path / "streams"
    shutil.copytree(Path(anyio.__file__).parent / "streams", root)
    (root / "cancellint.toml").write_text("")
    _report(root, store)
    for _ in range(EDITS):
        _edit(root, chance)
        assert _report(root, store) == _report(root, None)


# --------------------------------------------------------------------------- trouble


def _truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def _scrambled(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[200::7] = bytes(len(data[200::7]))
    file.write_bytes(data)


def _foreign(file: Path) -> None:
    file.unlink()
    other = sqlite3.connect(file)
    other.execute("CREATE TABLE entries (name TEXT)")
    other.commit()
    other.close()


def _wrong_entries(file: Path) -> None:
    other = sqlite3.connect(file)
    other.execute("UPDATE entries SET value = value || x'00'")
    other.commit()
    other.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"no store" * 1000),
        _truncated,
        _scrambled,
        _foreign,
        _wrong_entries,
    ],
    ids=["empty", "no store", "truncated", "scrambled", "foreign", "wrong entries"],
)
def test_a_spoilt_store_is_a_miss(project: Path, store: Store, spoil: Callable[[Path], object]) -> None:
    expected = _report(project, store)
    store.close()
    spoil(store.file)

    assert _report(project, Store(store.file.parent)) == expected
    assert _report(project, Store(store.file.parent)) == expected


def test_entries_that_somebody_has_made_up_are_a_miss(project: Path, store: Store) -> None:
    expected = _report(project, store)
    keys = [key for (key,) in sqlite3.connect(store.file).execute("SELECT key FROM entries")]
    store.keep(dict.fromkeys(keys, b"\x93"))

    assert _report(project, store) == expected


def test_a_folder_that_cannot_be_made_is_no_error(project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert _report(project, Store(tmp_path / "file" / "cache")) == _report(project, None)


def test_what_may_only_be_read_is_read(
    project: Path, store: Store, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _report(project, store)
    store.close()
    connect = sqlite3.connect
    monkeypatch.setattr(cache.sqlite3, "connect", lambda file, **_: connect(f"file:{file}?mode=ro", uri=True))
    _forbid(monkeypatch, "examine")

    assert _report(project, Store(store.file.parent)) == expected


def test_a_full_disk_is_no_error(project: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.keep({b"key": b"value"})
    store._connection().execute("PRAGMA max_page_count = 4")
    store.keep({key_of(b"%d" % number): bytes(10_000) for number in range(10)})
    store.close()

    assert Store(store.file.parent).find([b"key"]) == {b"key": b"value"}


def test_a_store_that_another_run_writes_to_is_not_waited_for(
    project: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_PATIENCE", 0.05)
    expected = _report(project, store)
    other = sqlite3.connect(store.file)
    other.execute("BEGIN EXCLUSIVE")

    assert _report(project, Store(store.file.parent)) == expected
    other.close()


def test_a_killed_run_leaves_the_store_whole(store: Store) -> None:
    store.keep({b"before": b"value"})
    store.close()
    script = (
        "import os, signal, sqlite3, sys; store = sqlite3.connect(sys.argv[1]); "
        "store.execute('PRAGMA cache_size = 1'); put = 'INSERT INTO entries VALUES (?, ?, 1)'; "
        "[store.execute(put, (b'%d' % number, bytes(9999))) for number in range(200)]; "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", script, store.file], check=False)

    assert ended.returncode == -signal.SIGKILL
    assert Store(store.file.parent).find([b"before", b"1"]) == {b"before": b"value"}


def test_two_runs_at_the_same_time_give_the_same(project: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "cancellint", "check", "--jobs", "1", "--output-format", "json"]
    command += ["--cache-dir", str(tmp_path / "shared"), str(project)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    told = [run.communicate() for run in runs]

    assert {out for out, _ in told} == {told[0][0]}
    assert {err for _, err in told} == {b""}
    assert b"CAN201" in told[0][0]


# --------------------------------------------------------------------------- the command line


def _run(*arguments: object, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", *options, "-m", "cancellint", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_run_without_changes_loads_neither_parser_nor_analysis(project: Path, tmp_path: Path) -> None:
    arguments = ("check", "--cache-dir", tmp_path / "kept", "--output-format", "json", project)
    first = _run(*arguments)
    again = _run(*arguments, options=("-X", "importtime"))

    assert (again.returncode, again.stdout) == (first.returncode, first.stdout)
    loaded = {line.rpartition("|")[2].strip() for line in again.stderr.splitlines()}
    assert "cancellint.cache" in loaded
    assert not loaded & {"libcst", "rich", "cancellint.pipeline", "cancellint.analysis", "cancellint.rules"}


def test_the_cache_can_be_looked_after(project: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    _run("check", "--no-cache", "--cache-dir", kept, project)
    assert not kept.exists()

    _run("check", "--cache-dir", kept, project)
    assert " in 0 entries" not in _run("cache", "size", "--cache-dir", kept).stdout
    assert _run("cache", "prune", "--cache-dir", kept).stdout == "0 entries dropped\n"
    assert _run("cache", "clear", "--cache-dir", kept).returncode == 0
    assert "0.0 MB in 0 entries" in _run("cache", "size", "--cache-dir", kept).stdout


# --------------------------------------------------------------------------- the store


def test_a_store_does_not_outgrow_its_bound(tmp_path: Path) -> None:
    store = Store(tmp_path, most=200_000)
    for number in range(100):
        store.keep({b"%d" % number: bytes(10_000)})

    assert store.size().size < 300_000
    assert store.find([b"99", b"0"]) == {b"99": bytes(10_000)}


def test_what_is_used_outlives_what_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    monkeypatch.setattr(cache, "_today", lambda: 100)
    store.keep({b"used": b"1", b"idle": b"2"})
    monkeypatch.setattr(cache, "_today", lambda: 120)
    store.use([b"used"])
    monkeypatch.setattr(cache, "_today", lambda: 140)

    assert store.prune() == 1
    assert store.find([b"used", b"idle"]) == {b"used": b"1"}


def test_keys_tell_where_their_parts_end() -> None:
    assert key_of(b"ab", b"c") != key_of(b"a", b"bc")


def test_nothing_is_made_by_asking_an_empty_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")

    assert store.find([b"key"]) == {}
    assert store.size() == cache.Size(0, 0)
    assert store.prune() == 0
    store.clear()
    assert not (tmp_path / "none").exists()


def test_a_store_can_be_cleared(store: Store) -> None:
    store.keep({b"key": b"value"})
    store.clear()

    assert not (store.file.parent / FILE).exists()
    store.keep({b"key": b"value"})
    assert store.find([b"key"]) == {b"key": b"value"}
