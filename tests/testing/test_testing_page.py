"""The worked examples of docs/testing.md fail as the page says, and their cures do not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text("utf-8")

EXAMPLES = {"thermometer": 0, "client": 1, "session": 2}
"""Where each is among the outputs that are shown."""

CURES = {
    "thermometer": (
        """
        await self.lock.acquire()
        answer = await self.exchange("TEMP?")
        self.lock.release()
        return float(answer)
""",
        """
        async with self.lock:
            return float(await self.exchange("TEMP?"))
""",
    ),
    "client": (
        """
        answer = await self.pending[number]
        await dispatching
        return answer
""",
        """
        try:
            return await self.pending[number]
        finally:
            dispatching.cancel()
            await asyncio.wait({dispatching})
""",
    ),
    "session": (
        """
            await self.say_goodbye()
""",
        """
            with anyio.CancelScope(shield=True):
                await self.say_goodbye()
""",
    ),
}


def files() -> dict[str, str]:
    """The files that the page shows."""
    fences = re.findall(r"(?ms)^```python\n# file: (\S+)\n(.*?)^```$", PAGE)
    return dict(fences)


def shown() -> list[str]:
    return re.findall(r"(?ms)^```text\n(.*?)^```$", PAGE)


def printed_by_pytest(name: str, folder: Path) -> str:
    """What pytest prints of an example."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"test_{name}.py"]
    quickly = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run(
        command, cwd=folder, env=quickly, capture_output=True, text=True, timeout=60, check=False
    )
    return run.stdout


def write(name: str, folder: Path, text: str) -> None:
    (folder / f"{name}.py").write_text(text, "utf-8")
    (folder / f"test_{name}.py").write_text(files()[f"test_{name}.py"], "utf-8")


def test_the_page_has_three_examples_with_their_tests() -> None:
    assert sorted(files()) == sorted(f"{prefix}{name}.py" for name in EXAMPLES for prefix in ("", "test_"))
    assert len(shown()) == len(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_fails_as_the_page_shows(name: str, tmp_path: Path) -> None:
    write(name, tmp_path, files()[f"{name}.py"])
    printed = " ".join(re.sub(r"(?m)^E +", "", printed_by_pytest(name, tmp_path)).split())

    assert " ".join(shown()[EXAMPLES[name]].split()) in printed


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_cure_passes(name: str, tmp_path: Path) -> None:
    text, (before, after) = files()[f"{name}.py"], CURES[name]
    assert text.count(before) == 1
    write(name, tmp_path, text.replace(before, after))

    assert "1 passed" in printed_by_pytest(name, tmp_path)
