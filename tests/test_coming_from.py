"""The page for those who come from other linters: what it says to switch off is found at the same place."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cancellint.api import check
from cancellint.config import load

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "coming-from.md").read_text("utf-8")

TASK = """\
import asyncio


async def work() -> None:
    await asyncio.sleep(1)
    raise ValueError


async def main() -> None:
    asyncio.create_task(work())
    await asyncio.sleep(5)
"""
SCOPE = (
    'import asyncio\n\n\nasync def main() -> None:\n    async with asyncio.timeout(1):\n        print("x")\n'
)
BLOCKING = """\
import asyncio
import {module}


async def handle() -> None:
    {call}


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(handle())
        group.create_task(handle())
"""
HTTPX = "client = httpx.Client()\n    client.get('http://a')"
SAME = {
    "RUF006": (TASK, "CAN401", 10),
    "ASYNC100": (SCOPE, "CAN507", 5),
    "ASYNC210": (BLOCKING.format(module="requests", call="requests.get('http://a')"), "CAN801", 6),
    "ASYNC212": (BLOCKING.format(module="httpx", call=HTTPX), "CAN801", 7),
    "ASYNC221": (BLOCKING.format(module="subprocess", call="subprocess.run(['ls'])"), "CAN801", 6),
    "ASYNC222": (BLOCKING.format(module="os", call="os.wait()"), "CAN801", 6),
    "ASYNC251": (BLOCKING.format(module="time", call="time.sleep(1)"), "CAN801", 6),
}


def blocks(file: str) -> str:
    (text,) = re.findall(rf"(?ms)^```toml\n# {re.escape(file)}\n(.*?)^```$", PAGE)
    return str(text)


def test_what_is_switched_off_is_what_is_tried_here() -> None:
    settings = tomllib.loads(blocks("pyproject.toml"))["tool"]["ruff"]["lint"]

    assert settings["ignore"] == sorted(SAME, key=lambda code: (code.startswith("ASYNC"), code))


@pytest.mark.parametrize("code", SAME)
def test_what_is_switched_off_is_found_here_at_the_same_place(code: str, tmp_path: Path) -> None:
    text, own, line = SAME[code]
    (tmp_path / "app.py").write_text(text)
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--output-format", "concise"]
    done = subprocess.run([*ruff, "--select", code, "app.py"], cwd=tmp_path, capture_output=True, text=True)

    assert f"app.py:{line}:" in done.stdout
    assert [(each.code, each.place.span.line) for each in check([tmp_path], isolated=True).findings] == [
        (own, line)
    ]


def test_the_settings_of_the_page_are_settings(tmp_path: Path) -> None:
    (tmp_path / "cancellint.toml").write_text(blocks("cancellint.toml"))

    assert dict(load(tmp_path).noqa_aliases)["RUF006"] == ("CAN401", "CAN402")


def test_the_options_of_the_page_are_options() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cancellint", "check", "--help"], capture_output=True, text=True
    )
    table = PAGE[PAGE.index("## Options") :]
    options = {each for line in table.splitlines() for each in re.findall(r"`(--[a-z-]+)", line)}

    assert {each for each in options - {"--add-noqa"} if each not in done.stdout} == set()
