"""Tries what cancellint offers around its rules with four other tools: the table of docs/compare.md.

    python benchmarks/compare.py --tools FOLDER [--write]

FOLDER holds the programs `ruff`, `zizmor`, `pyrefly` and `ty` (`pip install ruff zizmor pyrefly ty` into an
environment of their own). A cell is what came of running a command, never what somebody remembers: what a
tool does not offer is tried as well, by a command that fails, or by a help or an output that lacks it.
"""

import argparse
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "compare.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"
TOOLS = ("cancellint", "ruff", "zizmor", "pyrefly", "ty")
PATIENCE = 60

FILES: Mapping[str, str] = {
    "app.py": (
        "import asyncio\nimport threading\n\nlock = threading.Lock()\n\n\n"
        "async def work() -> None:\n    with lock:\n        await asyncio.sleep(1)\n"
        "    raise ValueError\n\n\n"
        "async def main() -> None:\n    asyncio.create_task(work())\n    await asyncio.sleep(5)\n\n\n"
        "def number() -> int:\n    return 'x'\n"
    ),
    ".github/workflows/a.yml": (
        "on: push\npermissions: {}\njobs:\n  a:\n    name: a\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: echo ${{ github.event.head_commit.message }}\n"
    ),
    "pyproject.toml": (
        "[tool.ruff.lint]\nselect = ['RUF', 'ASYNC']\n[tool.pyrefly]\n[tool.ty]\n[tool.cancellint]\n"
    ),
    "n.ipynb": json.dumps(
        {
            "cells": [
                {
                    "cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [],
                    "source": "import asyncio\nimport threading\n\nlock = threading.Lock()\n\n"
                    "async def work():\n    with lock:\n        await asyncio.sleep(1)\n\n"
                    "async def main() -> int:\n    asyncio.create_task(work())\n    return 'x'\n",
                }
            ],
            "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
        }
    ),
}  # fmt: skip


class Done(NamedTuple):
    """What a command has done, and where."""

    code: int
    text: str
    folder: Path


Check: TypeAlias = Callable[[Done], bool]


class Cell(NamedTuple):
    """Commands, the last of which counts, what must have come of it, and what the cell says then."""

    command: str
    holds: Check
    says: str = "yes"
    message: str = ""
    """what goes to its input"""
    until: str = ""
    """a command that does not end by itself is ended once it has said this"""


def shows(pattern: str) -> Check:
    return lambda done: re.search(pattern, done.text) is not None


def lacks(*words: str) -> Check:
    return lambda done: bool(done.text) and not any(word in done.text for word in words)


def fails(done: Done) -> bool:
    return done.code not in (0, 1)


def writes(name: str, pattern: str) -> Check:
    def is_written(done: Done) -> bool:
        file = done.folder / name
        return file.exists() and re.search(pattern, file.read_text("utf-8")) is not None

    return is_written


def no(command: str, *words: str) -> Cell:
    """A command that fails, or one whose text has none of these words."""
    return Cell(command, lacks(*words) if words else fails, "no")


PLAIN = {
    "cancellint": "cancellint check",
    "ruff": "ruff check",
    "zizmor": "zizmor --offline --no-progress",
    "pyrefly": "pyrefly check",
    "ty": "ty check",
}
OPTION = dict.fromkeys(TOOLS, "--output-format") | {"zizmor": "--format"}
HELP = {tool: "zizmor --help" if tool == "zizmor" else f"{command} --help" for tool, command in PLAIN.items()}


def formatted(tool: str, name: str) -> str:
    return f"{PLAIN[tool]} {OPTION[tool]} {name}{' .' if tool == 'zizmor' else ''}"


def as_format(pattern: str, absent: str, **names: str) -> Mapping[str, Cell]:
    """Each tool with its own name of a format; those that have none are asked for one by a usual name."""
    return {
        tool: Cell(formatted(tool, names[tool]), shows(pattern))
        if tool in names
        else no(formatted(tool, absent))
        for tool in TOOLS
    }


def by_help(word: str, **cells: Cell) -> Mapping[str, Cell]:
    """Some tools with a cell of their own; the help of the others does not have the word."""
    return {tool: cells[tool] if tool in cells else no(HELP[tool], word) for tool in TOOLS}


LSP = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None,
     "capabilities": {"general": {"positionEncodings": ["utf-16"]}}}}
)  # fmt: skip


def served(command: str, pattern: str) -> Cell:
    """An editor's first message, and whether the answer has this."""
    return Cell(command, shows(pattern), "yes", f"Content-Length: {len(LSP)}\r\n\r\n{LSP}", "capabilities.*")


def unserved(command: str, word: str) -> Cell:
    return served(command, "")._replace(holds=lacks_in_answer(word), says="no")


def watched(command: str, pattern: str, says: str = "yes") -> Cell:
    return Cell(command, shows(pattern), says, "", pattern)


def lacks_in_answer(word: str) -> Check:
    return lambda done: "capabilities" in done.text and word not in done.text


SERVERS = {
    "cancellint": "cancellint server",
    "ruff": "ruff server",
    "zizmor": "zizmor --lsp",
    "pyrefly": "pyrefly lsp",
    "ty": "ty server",
}


def in_editor(word: str, *tools: str) -> Mapping[str, Cell]:
    return {
        tool: served(command, word) if tool in tools else unserved(command, word)
        for tool, command in SERVERS.items()
    }


def as_baseline(change: str, kind: str) -> Mapping[str, Cell]:
    """What is known before a change, and whether it is still known after it."""
    holds = {"shifts": ("cancellint", "pyrefly", "ty"), "moves": ("cancellint",)}[kind]
    commands = {
        "cancellint": "cancellint check --write-baseline a.json; {}; cancellint check --baseline a.json",
        "pyrefly": "pyrefly check --baseline a.json --update-baseline; {}; pyrefly check --baseline a.json",
        "ty": "ty check --baseline a.json --update-baseline; {}; ty check --baseline a.json",
    }
    cells = {
        tool: Cell(f"{command.format(change)} && echo it is clean", shows("it is clean"))
        if tool in holds
        else Cell(f"{command.format(change)} || echo it is dirty", shows("it is dirty"), "no")
        for tool, command in commands.items()
    }
    return by_help("baseline", **cells)


GIT = "git init -q . && git add -A && git -c user.name=a -c user.email=a@b commit -qm a"
ROWS: Mapping[str, Mapping[str, Cell]] = {
    "a line for each finding": as_format(
        r"(?m)^\S*:\d+:\d+", "concise", cancellint="concise", ruff="concise", ty="concise"
    )
    | {"pyrefly": Cell(formatted("pyrefly", "min-text"), shows(r"app\.py:\d+:\d+"))},
    "JSON": as_format(r"(?m)^[\[{]", "json", cancellint="json", ruff="json", zizmor="json", pyrefly="json"),
    "JSON, an object a line": as_format(r'(?m)^\{.*\}$', "jsonl", cancellint="jsonl", ruff="json-lines"),
    "SARIF": as_format(r"2\.1\.0", "sarif", **dict.fromkeys(TOOLS, "sarif")),
    "SARIF with stories (`codeFlows`)": {
        tool: Cell(formatted(tool, "sarif"), shows("codeFlows"))
        if tool in ("cancellint", "zizmor")
        else no(formatted(tool, "sarif"), "codeFlows")
        for tool in TOOLS
    },
    "GitHub annotations": as_format(r"(?m)^::(?:error|warning)", "github", **dict.fromkeys(TOOLS, "github")),
    "GitLab code quality": as_format(
        "fingerprint", "gitlab", cancellint="gitlab", ruff="gitlab", pyrefly="code-climate", ty="gitlab"
    ),
    "JUnit": as_format(
        "<testsuite", "junit", cancellint="junit", ruff="junit", pyrefly="junit-xml", ty="junit"
    ),
    "Azure Pipelines": as_format(r"##vso\[", "azure", cancellint="azure", ruff="azure"),
    "reviewdog (rdjson)": as_format("diagnostics", "rdjson", cancellint="rdjson", ruff="rdjson"),
    "a comment for a pull request (Markdown)": as_format("### ", "markdown", cancellint="markdown"),
    "a page for a browser": as_format("<!doctype html>", "html", cancellint="html"),
    "a short form for agents": as_format("(?m)^summary: ", "agent", cancellint="agent"),
    "several reports in one run": by_help(
        "--output-file",
        cancellint=Cell(
            "cancellint check --output-file a.json --output-file b.html; cat a.json b.html",
            shows("(?s)CAN.*html"),
        ),
        ruff=Cell("ruff check -o a.txt -o b.txt", shows("cannot be used multiple times"), "one"),
        pyrefly=Cell(
            "pyrefly check -o json:a.json -o sarif:b.sarif; cat a.json b.sarif", shows(r"(?s)errors.*2\.1\.0")
        ),
    ),
    "baseline": by_help(
        "baseline",
        cancellint=Cell(
            "cancellint check --write-baseline a.json; cancellint check --baseline a.json && echo clean",
            shows("clean"),
        ),
        pyrefly=Cell(
            "pyrefly check --baseline a.json --update-baseline;"
            " pyrefly check --baseline a.json && echo clean",
            shows("clean"),
        ),
        ty=Cell(
            "ty check --baseline a.json --update-baseline; ty check --baseline a.json && echo clean",
            shows("clean"),
            "preview",
        ),
    ),
    "a baseline that shifted lines leave alone": as_baseline(
        "(echo; cat app.py) > b.py; mv b.py app.py", "shifts"
    ),
    "a baseline that a file's new name leaves alone": as_baseline("mv app.py b.py", "moves"),
    "only what a change touches or causes": by_help(
        "since",
        cancellint=Cell(f"{GIT}; cancellint check --changed-since HEAD && echo clean", shows("clean")),
    ),
    "comments that silence all there is, with a reason": by_help(
        "ignore=",
        cancellint=Cell("cancellint check --add-ignore old; cat app.py", shows(r"ignore\[CAN401\] old")),
        ruff=Cell("ruff check --add-noqa=old; cat app.py", shows(r"noqa: RUF006 old")),
        pyrefly=Cell(
            "pyrefly suppress; cat app.py", shows(r"pyrefly: ignore"), "without a reason"
        ),
        ty=Cell("ty check --add-ignore; cat app.py", shows(r"ty: ?ignore"), "without a reason"),
    ),
    "a comment that silences nothing is told": {
        "cancellint": Cell(
            "echo 'x = 1  # cancellint: ignore[CAN401]' > b.py; cancellint check b.py", shows("CAN002")
        ),
        "ruff": Cell(
            "echo 'x = 1  # noqa: RUF006' > b.py; ruff check --select RUF100,RUF006 b.py", shows("RUF100")
        ),
        "zizmor": Cell(
            "sed -i 's/on: push/on: push # zizmor: ignore[artipacked]/' .github/workflows/a.yml;"
            " zizmor --offline --no-progress .",
            lacks("unused"),
            "no",
        ),
        "pyrefly": Cell(
            "echo 'x = 1  # pyrefly: ignore[bad-return]' > b.py; pyrefly check --error unused-ignore b.py",
            shows("unused"),
            "on demand",
        ),
        "ty": Cell(
            "echo 'x = 1  # ty: ignore[invalid-return-type]' > b.py;"
            " ty check --warn unused-ignore-comment b.py",
            shows("unused"),
            "yes",
        ),
    },
    "fixes, safe and unsafe told apart": by_help(
        "--fix",
        cancellint=Cell("cancellint check --help", shows("(?s)fixes that are safe.*unsafe-fixes")),
        ruff=Cell("ruff check --help", shows("(?s)--fix.*--unsafe-fixes")),
        zizmor=Cell("zizmor --help", shows("(?s)safe: .*unsafe-only"), "experimental"),
        ty=Cell("ty check --help", lacks("unsafe"), "`--fix` alone"),
    ),
    "what a fix would change": by_help(
        "--diff",
        cancellint=Cell("cancellint check --diff", shows("nothing to fix|would fix")),
        ruff=Cell("echo 'x = 1  # noqa: RUF006' > b.py; ruff check --diff b.py", shows(r"-x = 1  # noqa")),
    ),
    "a rule explained in the terminal": {
        "cancellint": Cell("cancellint explain CAN401", shows("How to fix"), "with its cure"),
        "ruff": Cell("ruff rule RUF006", shows("What it does"), "with its cure"),
        "zizmor": no("zizmor --help", "explain"),
        "pyrefly": no("pyrefly --help", "explain"),
        "ty": Cell("ty explain rule invalid-return-type", shows("(?i)what it does"), "yes"),
    },
    "a finding shown step by step in the terminal": {
        "cancellint": Cell("cancellint show app.py", shows("(?s)CAN201.*1\\. the threading lock")),
        "ruff": no("ruff --help", "show "),
        "zizmor": Cell("zizmor --offline --no-progress show app.py", shows("no audit"), "no"),
        "pyrefly": no("pyrefly --help", " show "),
        "ty": no("ty --help", "show"),
    },
    "editor server": in_editor("capabilities", *TOOLS),
    "editor: fixes": in_editor("codeActionProvider", "cancellint", "ruff", "pyrefly", "ty"),
    "editor: what is known of a function, on its name": in_editor(
        "hoverProvider", "cancellint", "ruff", "pyrefly", "ty"
    ),
    "editor: lenses": in_editor("codeLensProvider", "cancellint", "pyrefly"),
    "checks again on change": by_help(
        "--watch",
        cancellint=watched("cancellint check --watch", "watching"),
        ruff=watched("ruff check --watch", "(?i)watching"),
        pyrefly=watched("pyrefly check --watch", "(?i)watching", "experimental"),
        ty=watched("ty check --watch", "invalid-explicit-return"),
    ),
    "which files are checked, which settings hold": by_help(
        "show-",
        cancellint=Cell("cancellint check --show-files && cancellint config", shows("(?s)app.py.*select")),
        ruff=Cell(
            "ruff check --show-files && ruff check --show-settings app.py", shows("(?s)app.py.*linter")
        ),
        pyrefly=Cell("pyrefly dump-config", shows("app.py|Covered files|project")),
        zizmor=no("zizmor --help", "show-files", "show-settings"),
    ),
    "JSON schema of the settings from the tool": {
        "cancellint": Cell("cancellint config --schema", shows("json-schema.org")),
        "ruff": no("ruff config --schema"),
        "zizmor": no("zizmor --schema"),
        "pyrefly": no("pyrefly --help", "schema"),
        "ty": no("ty --help", "schema"),
    },
    "a misspelt rule in the settings": {
        "cancellint": Cell(
            "printf 'ignore = [\"CAN40x\"]' > cancellint.toml; cancellint check",
            lambda done: done.code == 2 and "did you mean" in done.text,
            "refused, the nearest named",
        ),
        "ruff": Cell("ruff check --select RUF0x6", lambda done: done.code == 2, "refused"),
        "zizmor": Cell(
            "mkdir x; printf 'rules:\\n  artipaked:\\n    disable: true\\n' > zizmor.yml;"
            " zizmor --offline --no-progress --config zizmor.yml .",
            lambda done: "template-injection" in done.text and "artipaked" not in done.text,
            "accepted",
        ),
        "pyrefly": Cell(
            "printf '[errors]\\nbad-retrun = false\\n' > pyrefly.toml; pyrefly check",
            shows("bad-retrun"),
            "told",
        ),
        "ty": Cell(
            "printf '[rules]\\ninvalid-retrun = \"warn\"\\n' > ty.toml; ty check",
            shows("invalid-retrun"),
            "told",
        ),
    },
    "notebooks": {
        "cancellint": Cell("cancellint check n.ipynb", shows("cell 1:8")),
        "ruff": Cell("ruff check n.ipynb", shows("cell 1:11")),
        "zizmor": Cell("true; echo none", shows("none"), "none there"),
        "pyrefly": Cell("pyrefly check n.ipynb", shows(r"n\.ipynb.*9:|n\.ipynb#1|ipynb")),
        "ty": Cell("ty check n.ipynb", shows("n.ipynb")),
    },
    "links to the rule's page in the terminal": {
        "cancellint": Cell("cancellint check --color always app.py", shows("\x1b]8;;https://")),
        "ruff": Cell("FORCE_HYPERLINK=1 ruff check --color always app.py", shows("\x1b]8;;https://")),
        "zizmor": Cell("zizmor --offline --render-links always --color always .", shows("\x1b]8;;https://")),
        "pyrefly": no("FORCE_HYPERLINK=1 pyrefly check --color always", "\x1b]8;"),
        "ty": Cell("FORCE_HYPERLINK=1 ty check --color always", shows("\x1b]8;;https://")),
    },
    "completion for shells": {
        "cancellint": Cell("_CANCELLINT_COMPLETE=bash_source cancellint", shows("complete ")),
        "ruff": Cell("ruff generate-shell-completion bash", shows("_ruff")),
        "zizmor": Cell("zizmor --completions bash", shows("_zizmor")),
        "pyrefly": Cell("pyrefly completion --shell bash", shows("_pyrefly")),
        "ty": Cell("ty generate-shell-completion bash", shows("_ty")),
    },
    "from Python": {
        "cancellint": Cell(
            "python -c 'from cancellint.api import check; print(check([\".\"]).files)'", shows(r"\d")
        ),
        "ruff": no("python -c 'from ruff.api import check' || exit 9"),
        "zizmor": no("python -c 'from zizmor.api import check' || exit 9"),
        "pyrefly": no("python -c 'from pyrefly.api import check' || exit 9"),
        "ty": no("python -c 'from ty.api import check' || exit 9"),
    },
    "rules of one's own": {
        "cancellint": Cell("cancellint check --help", shows("--own-rules")),
        **{tool: no(HELP[tool], "plugin", "custom rule") for tool in TOOLS[1:]},
    },
    "one setting on the command line, whatever it is": {
        "cancellint": no("cancellint check --config 'exclude = []' app.py"),
        "ruff": Cell("ruff check --config 'line-length = 99' app.py", shows("RUF006")),
        "zizmor": no("zizmor --offline --no-progress --config 'rules = {}' . || exit 9"),
        "pyrefly": no("pyrefly check --config 'project-excludes = []' || exit 9"),
        "ty": Cell("ty check --config 'rules.invalid-return-type = \"warn\"' app.py", shows("number|return")),
    },
    "settings of other tools taken over": {
        **{tool: no(f"{tool} init || exit 9") for tool in ("cancellint", "ruff", "ty")},
        "zizmor": Cell("zizmor --offline --no-progress init", shows("no audit"), "no"),
        "pyrefly": Cell(
            "echo '[tool.mypy]' > pyproject.toml; pyrefly init --non-interactive; cat pyproject.toml",
            shows(r"tool\.pyrefly"),
        ),
    },
    "text on standard input": {
        "cancellint": Cell("cat app.py | cancellint check -", shows("CAN401")),
        "ruff": Cell("cat app.py | ruff check -", shows("RUF006")),
        "zizmor": Cell(
            "cat .github/workflows/a.yml | zizmor --offline --no-progress -", shows("template-injection")
        ),
        "pyrefly": Cell("pyrefly snippet \"$(cat app.py)\"", shows("bad-return"), "as an argument"),
        "ty": no("cat app.py | ty check - || exit 9"),
    },
}  # fmt: skip


# --------------------------------------------------------------------------- trying


def tried(cell: Cell, path: str) -> Done:
    """What comes of a command in a project of its own."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, text in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        variables = {"PATH": path, "HOME": place, "LC_ALL": "C.UTF-8"}
        with subprocess.Popen(
            ["bash", "-c", f"exec 2>&1; {'exec ' if cell.until else ''}{cell.command}"],
            cwd=folder,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as running:
            text = _said(running, cell)
            return Done(running.wait(), text, folder)


def _said(running: "subprocess.Popen[bytes]", cell: Cell) -> str:
    """All that a command says; of one that would not end, what it says until it has said enough."""
    late = threading.Timer(PATIENCE, running.kill)
    late.start()
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(cell.message.encode())
    running.stdin.flush()
    if not cell.until:
        running.stdin.close()
    said = b""
    while part := os.read(running.stdout.fileno(), 65_536):
        said += part
        if cell.until and re.search(cell.until, said.decode("utf-8", "replace")):
            time.sleep(0.2)
            said += (
                os.read(running.stdout.fileno(), 65_536)
                if select.select([running.stdout], [], [], 0)[0]
                else b""
            )
            running.kill()
            break
    late.cancel()
    return said.decode("utf-8", "replace")


class Wrong(NamedTuple):
    """A cell that does not hold."""

    row: str
    tool: str
    command: str
    done: Done

    def __str__(self) -> str:
        return (
            f"{self.row}, {self.tool}: not so\n$ {self.command}\n[{self.done.code}] {self.done.text[:1500]}\n"
        )


def problem(row: str, tool: str, cell: Cell, path: str) -> Wrong | None:
    """What is wrong with a cell."""
    done = tried(cell, path)
    return None if cell.holds(done) else Wrong(row, tool, cell.command, done)


def versions(path: str) -> Iterator[str]:
    for tool in TOOLS:
        yield tried(Cell(f"{tool} --version", bool), path).text.split()[-1]


def table(path: str) -> Iterator[str]:
    """The lines of the table."""
    named = [f"{tool} {version}" for tool, version in zip(TOOLS, versions(path), strict=True)]
    yield f"| | {' | '.join(named)} |\n"
    yield f"{'|---' * (len(TOOLS) + 1)}|\n"
    for row, cells in ROWS.items():
        yield f"| {row} | {' | '.join(cells[tool].says for tool in TOOLS)} |\n"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--tools", type=Path, required=True, help="where the other programs are")
    asked.add_argument("--write", action="store_true", help="put the table into docs/compare.md")
    given = asked.parse_args()
    path = ":".join([str(Path(sys.executable).parent), str(given.tools.absolute()), "/usr/bin", "/bin"])
    every = [(row, tool, cells[tool]) for row, cells in ROWS.items() for tool in TOOLS]
    wrong = [each for row, tool, cell in every if (each := problem(row, tool, cell, path)) is not None]
    if wrong:
        sys.exit("\n".join(map(str, wrong)))
    lines = "".join(table(path))
    if not given.write:
        print(lines)
        return
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{lines}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
