"""A report on some files says of them what a report on the whole project says."""

from pathlib import Path

import pytest

from cancellint.api import check

READING = """
import asyncio


async def _message(reader):
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head))


async def message_soon(reader: asyncio.StreamReader):
    return await asyncio.wait_for(_message(reader), 1)
"""

SERVING = """
import asyncio

from reading import message_soon


async def serve(reader: asyncio.StreamReader):
    while True:
        try:
            print(await message_soon(reader))
        except TimeoutError:
            continue
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cancellint.toml").touch()
    (tmp_path / "reading.py").write_text(READING)
    (tmp_path / "serving.py").write_text(SERVING)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_caller_elsewhere_shows_is_told_of_the_file_that_was_asked_for(project: Path) -> None:
    whole = check(pedantic=True)

    asked = check([project / "reading.py"], pedantic=True)
    assert [each.code for each in asked.findings] == ["CAN101", "CAN113"]
    assert asked.findings == whole.findings
    assert (asked.failures, check([project / "serving.py"]).findings) == ((), ())
