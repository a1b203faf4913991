"""The server, driven by a client through open, edit, fix and close, as editors drive it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from lsprotocol.types import ClientCapabilities, DiagnosticSeverity, PositionEncodingKind

from tests.server.capabilities import EDITORS, LEAST, NEOVIM, VS_CODE
from tests.server.editor import Editor, editing

CLIENT = """\
import asyncio

from locks import lock


async def refresh() -> None:
    "naïve 😀 name"; await asyncio.sleep(0)
    with lock:
        await asyncio.sleep(1)
"""
LOCKS = "import threading\n\nlock = threading.Lock()\n"
HARMLESS = "import contextlib\n\nlock = contextlib.nullcontext()\n"

CLEANING = """\
import asyncio


class Jobs:
    def __init__(self) -> None:
        self.running: set[str] = set()

    async def run(self, name: str) -> None:
        self.running.add(name)
        try:
            await asyncio.sleep(1)
        except Exception:
            self.running.discard(name)
            raise
        self.running.discard(name)


async def serve(jobs: Jobs) -> None:
    while True:
        try:
            async with asyncio.timeout(1):
                await jobs.run("a")
        except TimeoutError:
            continue
"""
LOSING = """\
import asyncio


class Connection:
    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.reader = reader

    async def read_frame(self) -> bytes:
        size = await self.reader.readexactly(4)
        return await self.reader.readexactly(int(size))

    # cancellint: cancel-safe
    async def read_byte(self) -> bytes:
        return await self.reader.readexactly(1)


async def watch(connection: Connection) -> None:
    while True:
        try:
            async with asyncio.timeout(1):
                frame = await connection.read_frame()
        except TimeoutError:
            continue
        print(frame)
"""

Drive = Callable[[Editor], Awaitable[None]]


def drive(folder: Path, steps: Drive) -> None:
    """Do something with an editor on a folder."""

    async def driven() -> None:
        async with editing(folder) as editor:
            await steps(editor)

    asyncio.run(driven())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "cancellint.toml").touch()
    (tmp_path / "client.py").write_text(CLIENT, encoding="utf-8")
    (tmp_path / "locks.py").write_text(LOCKS)
    return tmp_path


# --------------------------------------------------------------------------- diagnostics


@pytest.mark.parametrize("name", EDITORS)
def test_a_session_of_open_edit_fix_and_close(name: str, tmp_path: Path) -> None:
    (tmp_path / "cancellint.toml").touch()
    (tmp_path / "jobs.py").write_text("x = 1\n")

    async def steps(editor: Editor) -> None:
        await editor.begin(EDITORS[name])
        editor.open("jobs.py")
        editor.change("jobs.py", CLEANING)
        found = await editor.codes("jobs.py", "CAN105")
        offered = await editor.actions("jobs.py", found)
        (fix,) = (each for title, each in offered.items() if title.startswith("Fix"))
        editor.change("jobs.py", editor.with_edit("jobs.py", fix))
        await editor.codes("jobs.py")
        assert "except BaseException" in editor.texts["jobs.py"]
        editor.change("jobs.py", CLEANING)
        await editor.codes("jobs.py", "CAN105")
        editor.close("jobs.py")  # what is on the disk has no fault
        await editor.codes("jobs.py")

    drive(tmp_path, steps)


def test_findings_are_told_with_their_stories_in_files_that_are_not_open(project: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.begin(VS_CODE)
        (found,) = await editor.codes("client.py", "CAN201")

        assert found.severity is DiagnosticSeverity.Error
        assert (found.source, found.range.start.line, found.range.start.character) == ("cancellint", 8, 8)
        (note, *_) = found.related_information or ()
        assert (note.location.uri, note.location.range.start.line) == (editor.uri("client.py"), 7)
        assert "taken here" in note.message

    drive(project, steps)


def test_an_edit_in_one_file_changes_what_is_told_of_another(project: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.begin(VS_CODE)
        await editor.codes("client.py", "CAN201")
        editor.open("locks.py")
        editor.change("locks.py", HARMLESS)
        await editor.codes("client.py")
        editor.close("locks.py")
        await editor.codes("client.py", "CAN201")

    drive(project, steps)


def test_files_that_others_change_are_read_again(project: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.begin(VS_CODE)
        await editor.codes("client.py", "CAN201")
        assert "workspace/didChangeWatchedFiles" in editor.registered
        editor.change_on_disk("locks.py", HARMLESS)
        await editor.codes("client.py")
        editor.change_on_disk("locks.py", LOCKS)
        await editor.codes("client.py", "CAN201")
        editor.change_on_disk("cancellint.toml", 'ignore = ["CAN201"]\n')
        await editor.codes("client.py")

    drive(project, steps)


def test_many_changes_at_once_end_in_what_stands_at_last(project: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.begin(VS_CODE)
        await editor.codes("client.py", "CAN201")
        editor.open("client.py")
        for length in range(0, len(CLIENT), 7):
            editor.change("client.py", CLIENT[:length])
            await asyncio.sleep(0.01)
        editor.change("client.py", CLIENT)
        found = await editor.codes("client.py", "CAN201")
        editor.change("client.py", "\n" + CLIENT)
        await editor.until(
            lambda: editor.told[editor.uri("client.py")].diagnostics[0].range != found[0].range
        )
        (moved,) = await editor.codes("client.py", "CAN201")
        assert moved.range.start.line == found[0].range.start.line + 1
        assert moved.data == found[0].data

    drive(project, steps)


@pytest.mark.parametrize(
    ("capabilities", "encoding", "before"),
    [
        (VS_CODE, PositionEncodingKind.Utf16, len('    "naïve 😀 name"; '.encode("utf-16-le")) // 2),
        (NEOVIM, PositionEncodingKind.Utf8, len('    "naïve 😀 name"; '.encode())),
    ],
)
def test_columns_count_as_the_editor_counts(
    project: Path, capabilities: ClientCapabilities, encoding: PositionEncodingKind, before: int
) -> None:
    text = CLIENT.replace(
        '    "naïve 😀 name"; await asyncio.sleep(0)\n    with lock:\n        await asyncio.sleep(1)\n',
        '    with lock:\n        "naïve 😀 name"; await asyncio.sleep(0)\n',
    )
    (project / "client.py").write_text(text, encoding="utf-8")

    async def steps(editor: Editor) -> None:
        result = await editor.begin(capabilities)
        (found,) = await editor.codes("client.py", "CAN201")
        assert result.capabilities.position_encoding == encoding
        assert found.range.start.character == 4 + before

    drive(project, steps)


def test_a_file_outside_of_all_folders_is_told_of_while_it_is_open(project: Path) -> None:
    (project / "inside").mkdir()

    async def steps(editor: Editor) -> None:
        await editor.begin(VS_CODE, folders=[project / "inside"])
        editor.open("client.py")
        await editor.codes("client.py", "CAN201")
        editor.close("client.py")
        await editor.codes("client.py")

    drive(project, steps)


# --------------------------------------------------------------------------- settings


def test_settings_of_the_editor_go_before_those_of_the_project(project: Path) -> None:
    (project / "cancellint.toml").write_text('ignore = ["CAN201"]\n')

    async def steps(editor: Editor) -> None:
        await editor.begin(VS_CODE, options={"isolated": True})
        await editor.codes("client.py", "CAN201")
        editor.configure({"cancellint": {"isolated": True, "select": ["CAN1"]}})
        await editor.codes("client.py")

    drive(project, steps)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"selct": ["CAN1"]}, "unknown field `selct`"),
        ({"minConfidence": "sure"}, "sure"),
        ({"select": ["CAN20x"]}, "`CAN20x` is no rule's code"),
    ],
)
def test_a_setting_without_meaning_is_told(project: Path, options: object, told: str) -> None:
    async def steps(editor: Editor) -> None:
        await editor.begin(VS_CODE, options=options)
        await editor.until(lambda: any(told in each for each in editor.messages))

    drive(project, steps)


def test_a_configuration_that_is_broken_and_mended_is_told_once(project: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.begin(VS_CODE)
        await editor.codes("client.py", "CAN201")
        editor.change_on_disk("cancellint.toml", "select = 1\n")
        await editor.until(lambda: len(editor.messages) == 1)
        editor.open("client.py")
        editor.change("client.py", CLIENT + "\n")
        editor.change_on_disk("cancellint.toml", 'ignore = ["CAN201"]\n')
        await editor.codes("client.py")
        assert len(editor.messages) == 1

    drive(project, steps)


# --------------------------------------------------------------------------- what can be done


def test_safe_and_unsafe_fixes_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(CLEANING)

    async def steps(editor: Editor) -> None:
        await editor.begin(VS_CODE)
        found = await editor.codes("jobs.py", "CAN105")
        editor.open("jobs.py")
        offered = await editor.actions("jobs.py", found)
        (title,) = (title for title in offered if title.startswith("Fix"))
        is_safe = "(safe)" in title
        assert is_safe or "(unsafe" in title
        assert offered[title].is_preferred is (True if is_safe else None)
        every = await editor.actions("jobs.py", [], "source.fixAll")
        assert bool(every) is is_safe

    drive(tmp_path, steps)


def test_a_finding_is_silenced_where_it_stands(project: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.begin(VS_CODE)
        editor.open("client.py")
        found = await editor.codes("client.py", "CAN201")
        offered = await editor.actions("client.py", found)
        editor.change("client.py", editor.with_edit("client.py", offered["Silence CAN201 here"]))
        await editor.codes("client.py")
        assert "# cancellint: ignore[CAN201]" in editor.texts["client.py"]

    drive(project, steps)


def test_nothing_is_offered_that_would_hit_another_place_of_a_newer_text(project: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.begin(VS_CODE)
        editor.open("client.py")
        found = await editor.codes("client.py", "CAN201")
        for lines in range(1, 6):
            editor.change("client.py", "\n" * lines + CLIENT)
            offered = await editor.actions("client.py", found)
            if offered:  # the analysis was faster than the question
                changed = editor.with_edit("client.py", offered["Silence CAN201 here"])
                assert "sleep(1)  # cancellint: ignore[CAN201]" in changed

    drive(project, steps)


def test_a_story_is_gone_through_step_by_step(project: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.begin(VS_CODE)
        editor.open("client.py")
        found = await editor.codes("client.py", "CAN201")
        offered = await editor.actions("client.py", found)
        (walk,) = (each for title, each in offered.items() if title.startswith("Go through"))
        editor.answers = ["Next", "Back", "Stop"]
        await editor.run(walk.command)

        assert [each.selection.start.line for each in editor.shown if each.selection] == [8, 7, 8]
        assert [each.split()[0] for each in editor.messages] == ["1/2", "2/2", "1/2"]

    drive(project, steps)


def test_an_editor_that_shows_no_documents_is_offered_no_walk(project: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.begin(LEAST)
        editor.open("client.py")
        found = await editor.codes("client.py", "CAN201")
        assert [*await editor.actions("client.py", found)] == ["Silence CAN201 here"]

    drive(project, steps)


# --------------------------------------------------------------------------- what is believed


def test_the_summary_of_a_function_is_shown_where_it_is_defined_and_called(tmp_path: Path) -> None:
    (tmp_path / "frames.py").write_text(LOSING)

    async def steps(editor: Editor) -> None:
        await editor.begin(VS_CODE)
        await editor.codes("frames.py", "CAN101")
        editor.open("frames.py")
        defined = await editor.hovered("frames.py", "read_frame", within="def ")
        called = await editor.hovered("frames.py", "connection.read_frame")
        await_ = await editor.hovered("frames.py", "self.reader.readexactly(int", within="return")
        nothing = await editor.hovered("frames.py", "import")

        assert "**not cancel-safe**" in defined
        assert "loses self.reader if cancelled" in defined
        assert defined in called
        assert "If it is cancelled here" in await_
        assert "`size` is gone" in await_
        assert nothing == ""
        safe = await editor.hovered("frames.py", "read_byte")
        assert "is cancel-safe: " in safe

    drive(tmp_path, steps)


def test_a_promise_says_what_has_come_of_it(tmp_path: Path) -> None:
    text = LOSING.replace(
        "    async def read_frame", "    # cancellint: cancel-safe\n    async def read_frame"
    )
    (tmp_path / "frames.py").write_text(text)

    async def steps(editor: Editor) -> None:
        await editor.begin(VS_CODE)
        await editor.codes("frames.py", "CAN112")
        editor.open("frames.py")
        broken, kept = await editor.lenses("frames.py")
        assert broken.command is not None
        assert kept.command is not None
        assert "but loses self.reader" in broken.command.title
        assert "nothing speaks against it" in kept.command.title
        assert "although it is declared not to" in str(await editor.run(broken.command))

    drive(tmp_path, steps)
