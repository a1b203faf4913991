"""Differences between Python versions: the newest supported one decides, older ones are told in notes."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from packaging.version import Version

from cancellint.analysis.library.knowledge import CallShape, load
from cancellint.config import Config
from cancellint.config import load as load_config
from cancellint.model.finding import Finding
from cancellint.model.knowledge import Cancel, Entry
from cancellint.pipeline import run

KNOWLEDGE = load()

IN_A_TASK = """\
import asyncio
async def serve(jobs: asyncio.Queue[str]) -> None:
    while True:
        try:
            print(await asyncio.wait_for({raced}, 1))
        except TimeoutError:
            print("none yet")
"""

HALVES = """\
import asyncio
async def read(reader: asyncio.StreamReader) -> bytes:
    size = await reader.readline()
    return await reader.readexactly(int(size))
async def serve(reader: asyncio.StreamReader) -> None:
    while True:
        try:
            print(await asyncio.wait_for(read(reader), 1))
        except TimeoutError:
            print("none yet")
"""


def findings(folder: Path, source: str, *, supports: str = "", target: str = "") -> tuple[Finding, ...]:
    """What is reported of a project that says which versions it supports."""
    project = f'[project]\nname = "example"\nrequires-python = "{supports}"\n' if supports else ""
    stated = f'target-version = "{target}"\n' if target else ""
    (folder / "pyproject.toml").write_text(f"{project}[tool.cancellint]\n{stated}")
    (folder / "main.py").write_text(source)
    return run(load_config(folder), [folder]).findings


def told_of_versions(finding: Finding) -> list[str]:
    return [note.message for note in finding.notes if note.message.startswith("on Python")]


# --------------------------------------------------------------------------- which versions are supported


@pytest.mark.parametrize(
    ("supports", "target", "newest", "older"),
    [
        ("", "", "3.14", []),
        ("", "3.11", "3.11", []),
        (">=3.11", "", "3.14", ["3.11", "3.12", "3.13"]),
        (">=3.9,<3.12", "", "3.11", ["3.9", "3.10"]),
        (">=3.9", "3.11", "3.11", ["3.9", "3.10"]),
        (">=3.12", "3.11", "3.11", []),
        ("nonsense", "", "3.14", []),
    ],
)
def test_older_versions_come_from_requires_python(
    supports: str, target: str, newest: str, older: list[str], tmp_path: Path
) -> None:
    findings(tmp_path, "", supports=supports, target=target)
    config = load_config(tmp_path)

    assert str(config.target_version) == newest
    assert [str(version) for version in config.older_versions] == older


# --------------------------------------------------------------------------- the newest one decides


@pytest.mark.parametrize("raced", ["asyncio.create_task(jobs.get())", "asyncio.ensure_future(jobs.get())"])
@pytest.mark.parametrize(
    ("target", "loses"), [("3.8", False), ("3.11", False), ("3.12", True), ("3.14", True)]
)
def test_wait_for_drops_what_a_task_has_done_from_python_3_12_on(
    raced: str, target: str, loses: bool, tmp_path: Path
) -> None:
    found = findings(tmp_path, IN_A_TASK.format(raced=raced), target=target)

    assert [finding.code for finding in found] == (["CAN101"] if loses else [])


@pytest.mark.parametrize("target", ["3.8", "3.11", "3.12"])
@pytest.mark.parametrize("raced", ["asyncio.shield(jobs.get())", "asyncio.gather(jobs.get(), jobs.get())"])
def test_shields_and_gatherings_drop_it_on_every_version(target: str, raced: str, tmp_path: Path) -> None:
    (found,) = findings(tmp_path, IN_A_TASK.format(raced=raced), target=target)

    assert found.code == "CAN101"


@pytest.mark.parametrize("target", ["3.8", "3.11", "3.12"])
def test_what_lies_on_the_stack_is_lost_on_every_version(target: str, tmp_path: Path) -> None:
    (found,) = findings(tmp_path, HALVES, target=target)

    assert found.code == "CAN101"


# --------------------------------------------------------------------------- older ones are told

HANDED_OVER = (
    "on Python 3.9 to 3.11 `asyncio.wait_for` differs: an outer cancellation that arrives together with the "
    "result is swallowed, and the result of a task that is done is handed over"
)


def test_an_older_version_that_differs_appears_as_a_note(tmp_path: Path) -> None:
    source = IN_A_TASK.format(raced="asyncio.create_task(jobs.get())")
    (found,) = findings(tmp_path, source, supports=">=3.9")

    assert told_of_versions(found) == [HANDED_OVER]
    assert found.notes[-1].place.span.line == 5


def test_each_kind_of_difference_has_a_note_of_its_own(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, HALVES, supports=">=3.7,<3.13")

    told = [message.partition(" `")[0] for message in told_of_versions(found)]
    assert told == ["on Python 3.7", "on Python 3.8", "on Python 3.9 to 3.11"]


@pytest.mark.parametrize(
    ("supports", "target"), [("", ""), (">=3.12", ""), (">=3.10,<3.12", ""), ("", "3.12"), (">=3.12", "3.14")]
)
def test_without_an_older_version_that_differs_there_is_no_note(
    supports: str, target: str, tmp_path: Path
) -> None:
    (found,) = findings(tmp_path, HALVES, supports=supports, target=target)

    assert told_of_versions(found) == []


def test_rules_that_are_not_about_cancellation_tell_of_no_versions(tmp_path: Path) -> None:
    source = """\
import asyncio, threading
lock = threading.Lock()
async def f(work: asyncio.Task[None]) -> None:
    with lock:
        await asyncio.wait_for(work, 1)
"""
    (found,) = findings(tmp_path, source, supports=">=3.8")

    assert found.code == "CAN201"
    assert told_of_versions(found) == []


def test_older_versions_are_only_those_that_the_configuration_has(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HALVES)
    report = run(Config(root=tmp_path, older_versions=(Version("3.9"),)), [tmp_path])

    assert [told_of_versions(finding)[0].partition(" `")[0] for finding in report.findings] == [
        "on Python 3.9"
    ]


# --------------------------------------------------------------------------- libraries

STREAM = """\
import anyio
from anyio.streams.memory import MemoryObjectReceiveStream
async def serve(handle, items: MemoryObjectReceiveStream[str]) -> None:
    while True:
        with anyio.move_on_after(1):
            first = await items.receive()
            handle(first, await items.receive())
"""


def with_dependency(folder: Path, line: str) -> Finding:
    (folder / "pyproject.toml").write_text(f'[project]\nname = "example"\ndependencies = [{line}]\n')
    (folder / "main.py").write_text(STREAM)
    (found,) = run(load_config(folder), [folder]).findings
    return found


@pytest.mark.parametrize(
    "line", ['"anyio>=4.0"', '"anyio>=3.7,<5"', '"anyio[trio] ~= 4.2"', '"anyio"', '"AnyIO<5"']
)
def test_an_older_version_of_a_library_that_differs_appears_as_a_note(line: str, tmp_path: Path) -> None:
    dropped = "an item just handed over is dropped by any cancellation"
    name = "anyio.streams.memory.MemoryObjectReceiveStream.receive"
    told = [note.message for note in with_dependency(tmp_path, line).notes if note.message.startswith("with")]

    assert told == ([] if line == '"anyio"' else [f"with anyio >=4.0,<4.4 `{name}` differs: {dropped}"])


@pytest.mark.parametrize(
    "line", ['"anyio>=4.4"', '"anyio>=4.14,<5"', '"trio>=0.20"', '"not a requirement"', "1"]
)
def test_a_library_that_differs_in_no_supported_version_is_not_told_of(line: str, tmp_path: Path) -> None:
    notes = with_dependency(tmp_path, line).notes

    assert [note.message for note in notes if note.message.startswith("with")] == []


# --------------------------------------------------------------------------- the tables against this Python


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


Waiting = Callable[[asyncio.Queue[str]], Awaitable[str]]


async def _in_a_task(jobs: asyncio.Queue[str]) -> str:
    return await asyncio.wait_for(asyncio.ensure_future(jobs.get()), 1000)


async def _in_place(jobs: asyncio.Queue[str]) -> str:
    return await asyncio.wait_for(jobs.get(), 1000)


async def _cancelled_after(wait: Waiting, turns: int) -> tuple[bool, bool]:
    """Cancel a waiter some turns of the loop after its item has come: is the item gone, was it deaf?"""
    jobs: asyncio.Queue[str] = asyncio.Queue()

    async def run() -> str:
        return await wait(jobs)

    waiter = asyncio.ensure_future(run())
    await _settled()
    jobs.put_nowait("job")
    for _ in range(turns):
        await asyncio.sleep(0)
    accepted = waiter.cancel()
    await _settled()
    return waiter.cancelled() and jobs.empty(), accepted and not waiter.cancelled()


def _swept(wait: Waiting) -> tuple[bool, bool]:
    """Whether a cancellation at any turn loses the item, and whether one at any turn is swallowed."""
    seen = [asyncio.run(_cancelled_after(wait, turns)) for turns in range(6)]
    return any(lost for lost, _ in seen), any(deaf for _, deaf in seen)


def _wait_for(python: Version) -> Entry:
    entry = KNOWLEDGE.facts("asyncio.wait_for", CallShape(python=python))
    assert entry is not None
    return entry


def test_what_is_known_of_wait_for_holds_on_this_python() -> None:
    here = _wait_for(Version(f"{sys.version_info.major}.{sys.version_info.minor}"))

    assert _swept(_in_a_task)[0] is not here.delivers
    assert _swept(_in_place) == (False, "swallowed" in here.note)


async def _notified_and_cancelled(turns: int) -> bool:
    """Notify one of two waiters, and cancel it some turns later: does nobody wake up?"""
    condition = asyncio.Condition()
    woken: list[int] = []

    async def wait(number: int) -> None:
        async with condition:
            await condition.wait()
            woken.append(number)

    waiters = [asyncio.ensure_future(wait(number)) for number in range(2)]
    await _settled()
    async with condition:
        condition.notify(1)
    for _ in range(turns):
        await asyncio.sleep(0)
    waiters[0].cancel()
    await _settled()
    lost = waiters[0].cancelled() and not woken
    waiters[1].cancel()
    await asyncio.wait(waiters)
    return lost


def test_what_is_known_of_conditions_holds_on_this_python() -> None:
    here = Version(f"{sys.version_info.major}.{sys.version_info.minor}")
    entry = KNOWLEDGE.facts("asyncio.Condition.wait", CallShape(python=here))
    assert entry is not None

    lost = any(asyncio.run(_notified_and_cancelled(turns)) for turns in range(5))
    assert lost is (entry.cancel is Cancel.LOSES)


@pytest.mark.parametrize(
    ("python", "delivers"), [("3.7", False), ("3.8", True), ("3.11", True), ("3.12", False)]
)
def test_measured_versions_of_wait_for_are_in_the_table(python: str, delivers: bool) -> None:
    assert _wait_for(Version(python)).delivers is delivers
