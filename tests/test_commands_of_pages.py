"""Every command on every page is run by a test, or is one of the few that prepare a machine."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cancellint.server.settings import ClientSettings
from tests.test_ci import bash, commit, environment

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
RUN_ELSEWHERE = {
    "ci.md": "tests/test_ci.py",
    "reports.md": "tests/test_reports_page.py",
    "own-rules.md": "tests/test_own_rules.py",
}
"""Pages whose commands have a project of their own in which they are run."""

CLIENT = "\n" * 29 + (
    "import asyncio\n\n\n"
    "class Client:\n"
    "    def __init__(self, reader: asyncio.StreamReader) -> None:\n"
    "        self.reader = reader\n\n"
    "    async def read_frame(self) -> bytes:\n"
    "        size = await self.reader.readexactly(1)\n"
    "        return await self.reader.readexactly(size[0])\n\n\n"
    "async def watch(client: Client) -> None:\n"
    "    while True:\n"
    "        try:\n"
    "            async with asyncio.timeout(1):\n"
    "                print(await client.read_frame())\n"
    "        except TimeoutError:\n"
    "            continue\n"
)
ENDLESS = {"cancellint server": "", "cancellint check --watch": "watching"}


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", re.sub(r"(?ms)^````\w+\n.*?^````$", "", text))


def commands(page: Path) -> list[str]:
    """The commands of a page, without what is said beside them."""
    lines = [line for text in fenced(page.read_text("utf-8"), "sh") for line in text.splitlines()]
    return [re.sub(r"\s+# .*$", "", line) for line in lines if line and not line.startswith("#")]


def is_of_the_tool(command: str) -> bool:
    return re.search(r"(?:^|\| )cancellint\b", command) is not None


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a finding at the place that the README speaks of."""
    folder = tmp_path / "project"
    (folder / "src" / "app").mkdir(parents=True)
    (folder / "cancellint.toml").touch()
    (folder / "src" / "app" / "client.py").write_text(CLIENT)
    (folder / "a.py").write_text("x = 1\n")
    commit(folder)
    return folder


README = [command for command in commands(ROOT / "README.md") if is_of_the_tool(command)]


@pytest.mark.parametrize("command", [command for command in README if command not in ENDLESS])
def test_a_command_of_the_readme_runs(command: str, project: Path) -> None:
    done = bash(command, project, environment(project.parent))

    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout or done.stderr


def test_the_commands_of_the_readme_find_what_it_says(project: Path) -> None:
    variables = environment(project.parent)

    assert CLIENT.splitlines()[44] == "            async with asyncio.timeout(1):"
    assert "CAN101" in bash("cancellint show src/app/client.py:45", project, variables).stdout
    assert "not cancel-safe" in bash("cancellint summary Client.read_frame", project, variables).stdout


def test_what_does_not_end_by_itself_is_told_apart() -> None:
    assert ENDLESS.keys() <= {*README}  # tests/server and tests/cli/test_watch.py run these


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_run_or_prepares_a_machine(page: Path) -> None:
    elsewhere = RUN_ELSEWHERE.get(page.name)
    if elsewhere is not None:
        assert f'"docs" / "{page.name}"' in (ROOT / elsewhere).read_text("utf-8")
    for command in commands(page):
        if page.name == "README.md" and is_of_the_tool(command):
            continue
        assert (is_of_the_tool(command) and elsewhere is not None) or prepares(command), command


def prepares(command: str) -> bool:
    """Whether a command installs what exists, or runs a script that does."""
    words = shlex.split(command)
    if words[:2] == ["pip", "install"]:
        return all(is_there(word) for word in words[2:])
    if words[0] == "python":
        return (ROOT / words[1]).is_file()
    steps = (ROOT / ".ci" / "run").read_text("utf-8")
    return "-m venv" in command and "-m venv" in steps and "pip install" in steps


def is_there(requirement: str) -> bool:
    """Whether a requirement is pinned, or is a distribution of this repository with extras that it has."""
    if "==" in requirement:
        return True
    name, _, extras = requirement.rstrip("]").partition("[")
    folder = {"cancellint": ROOT, "cancellint-runtime": ROOT / "runtime"}[name]
    declared = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return declared["name"] == name and {*filter(None, extras.split(","))} <= {
        *declared.get("optional-dependencies", {})
    }


# --------------------------------------------------------------------------- settings of editors

EDITORS = (ROOT / "docs" / "editors.md").read_text("utf-8")


def test_the_settings_of_editors_start_the_server() -> None:
    (helix,) = fenced(EDITORS, "toml")
    (vs_code,) = fenced(EDITORS, "json")
    (neovim,) = fenced(EDITORS, "lua")
    server = tomllib.loads(helix)["language-server"]["cancellint"]
    settings = json.loads(vs_code)

    started = [
        [server["command"], *server["args"]],
        [settings["glspc.server.command"], *settings["glspc.server.commandArguments"]],
        re.findall(r'"(\w+)"', re.findall(r"cmd = \{(.*?)\}", neovim)[0]),
    ]
    assert started == [["cancellint", "server"]] * 3
    assert server["config"].keys() <= {*fields()}


def test_every_setting_of_the_server_is_on_the_page_and_no_other() -> None:
    table = EDITORS[EDITORS.index("## Settings") : EDITORS.index("## Neovim")]
    named = [name for row in re.findall(r"(?m)^\| (`.*?) \|", table) for name in re.findall(r"`(\w+)`", row)]

    assert sorted(named) == sorted(fields())


def fields() -> tuple[str, ...]:
    return tuple(ClientSettings.__struct_encode_fields__)


# --------------------------------------------------------------------------- completion

COMPLETION = re.findall(r"_CANCELLINT_COMPLETE=(\w+)_source", (ROOT / "README.md").read_text("utf-8"))


def installed() -> dict[str, str]:
    """An environment with the installed command: completion goes by its name."""
    program = Path(sys.executable).parent / "cancellint"
    assert program.exists(), "the package is not installed"
    return {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}


def test_the_readme_tells_of_three_shells() -> None:
    assert COMPLETION == ["bash", "zsh", "fish"]


@pytest.mark.parametrize("shell", COMPLETION)
def test_a_shell_gets_its_script(shell: str, project: Path) -> None:
    script = bash(f"_CANCELLINT_COMPLETE={shell}_source cancellint", project, installed())

    assert script.returncode == 0
    assert f"_CANCELLINT_COMPLETE={shell}_complete" in script.stdout


def test_bash_completes_commands_and_options(project: Path) -> None:
    program = """
    eval "$(_CANCELLINT_COMPLETE=bash_source cancellint)"
    complete -p cancellint
    COMP_WORDS=(cancellint che) COMP_CWORD=1; _cancellint_completion cancellint; echo "${COMPREPLY[@]}"
    COMPREPLY=()
    COMP_WORDS=(cancellint check --wa) COMP_CWORD=2; _cancellint_completion cancellint; echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", program], cwd=project, env=installed(), capture_output=True, text=True
    )

    assert done.stdout.splitlines()[-2:] == ["check", "--watch"], done.stderr
