"""Continuous integration: the page about it, the workflow, the action and the hook do what they say."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from cancellint.config import load

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "ci.md").read_text("utf-8")
ADDRESS = "https://github.com/OWNER/cancellint"
INSTALL = f"pip install git+{ADDRESS}@v0.1.0"

CLIENT = """\
import asyncio

from app.server import lock


async def refresh() -> None:
    with lock:
        await asyncio.sleep(1)
"""
SERVER = "import threading\n\nlock = threading.Lock()\n"


class Fence(NamedTuple):
    """A code block of the page, with the line it begins on."""

    language: str
    line: int
    text: str

    @property
    def file(self) -> str:
        """The file that its first line names."""
        return self.text.split("\n")[0].removeprefix("# ")


def fences(language: str) -> Iterator[Fence]:
    for match in re.finditer(r"(?ms)^```(\w+)\n(.*?)^```$", PAGE):
        if match[1] == language:
            yield Fence(match[1], PAGE.count("\n", 0, match.start()) + 1, match[2])


FILES = {fence.file: fence for fence in fences("yaml")}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose client breaks a rule because of what its server says."""
    app = tmp_path / "project" / "app"
    app.mkdir(parents=True)
    (app / "__init__.py").touch()
    (app / "client.py").write_text(CLIENT)
    (app / "server.py").write_text(SERVER)
    (app.parent / "cancellint.toml").touch()
    return app.parent


def environment(folder: Path, **more: str) -> Mapping[str, str]:
    """An environment in which `cancellint` is this checkout's."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    command = programs / "cancellint"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -P -m cancellint "$@"\n')
    command.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "COV_"))}
    return {**kept, "PATH": f"{programs}{os.pathsep}{kept['PATH']}", **more}


def bash(script: str, folder: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=dict(variables),
        capture_output=True,
        text=True,
        check=False,
    )


def commit(folder: Path) -> None:
    """Makes the folder a repository in which nothing has changed."""
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "x")):
        subprocess.run(["git", *who, *words], cwd=folder, check=True)


# --------------------------------------------------------------------------- the page


COMMANDS = [line for fence in fences("sh") for line in fence.text.splitlines()]


def test_every_command_of_the_page_exits_as_it_says(project: Path) -> None:
    variables = environment(project.parent)
    commit(project)

    for line in COMMANDS:
        stated = re.search(r"# exits with (\d)$", line)
        done = bash(line, project, variables)
        assert (line, done.returncode) == (line, int(stated[1]) if stated else 0), done.stderr
        assert "Traceback" not in done.stderr

    written = {path.name for path in project.iterdir()}
    assert {"report.json", "report.sarif", "report.txt"} <= written


@pytest.mark.parametrize("file", [name for name in FILES if "pre-commit" not in name])
def test_every_command_in_a_workflow_of_the_page_finds_the_fault(file: str, project: Path) -> None:
    listed = yaml.safe_load(FILES[file].text)
    jobs = listed.get("jobs", listed)
    steps = jobs["cancellint"].get("steps", [{"run": line} for line in jobs["cancellint"].get("script", ())])
    commands = [step["run"] for step in steps if "run" in step]

    assert bool(commands) is not any(ADDRESS.endswith(step.get("uses", "-").split("@")[0]) for step in steps)
    for command in commands:
        if command != INSTALL:
            done = bash(command, project, environment(project.parent))
            assert (done.returncode, "CAN201" in done.stdout) == (1, True)


def test_the_settings_of_the_page_are_settings(project: Path) -> None:
    (fence,) = fences("toml")
    (project / fence.file).write_text(fence.text)

    config = load(project)

    assert config.per_file_ignores == (("tests/", ("CAN2",)),)
    assert config.exclude == ("vendor/",)


def schema_of(file: str) -> str:
    if "workflows" in file:
        return "vendor.github-workflows"
    return "vendor.github-actions" if file == "action.yml" else "vendor.gitlab-ci"


@pytest.mark.parametrize("file", [name for name in FILES if "pre-commit" not in name])
def test_every_workflow_of_the_page_is_valid(file: str, tmp_path: Path) -> None:
    (tmp_path / "file.yml").write_text(FILES[file].text)

    assert_valid(tmp_path / "file.yml", schema_of(file))


@pytest.mark.parametrize("file", ["action.yml", ".github/workflows/ci.yml"])
def test_our_own_workflow_and_action_are_valid(file: str) -> None:
    assert_valid(ROOT / file, schema_of(file))


def assert_valid(file: Path, schema: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_refuses_a_workflow_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file.yml").write_text("on: push\njobs: {a: {steps: 1}}\n")

    with pytest.raises(AssertionError, match="validation"):
        assert_valid(tmp_path / "file.yml", "vendor.github-workflows")


# --------------------------------------------------------------------------- the action


def action_steps(inputs: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The scripts of the action, with the variables that these inputs give them."""
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    given = {name: str(each.get("default", "")) for name, each in action["inputs"].items()} | dict(inputs)
    known = {f"inputs.{name}": value for name, value in given.items()}
    known["steps.python.outputs.python-path"] = sys.executable
    assert set(inputs) <= set(action["inputs"])
    for step in action["runs"]["steps"]:
        if "run" in step:
            yield (
                step["run"],
                {
                    name: re.sub(r"\$\{\{ (.+?) \}\}", lambda match: known[match[1]], value)
                    for name, value in step["env"].items()
                },
            )


def test_the_action_installs_and_reports(project: Path) -> None:
    around = environment(
        project.parent, RUNNER_TEMP=str(project.parent / "a folder"), GITHUB_ACTION_PATH=str(ROOT)
    )
    inputs = {"paths": "app/client.py\n  app/server.py", "sarif-file": "out.sarif", "args": "--select CAN2"}
    (install, of_install), (check, of_check) = action_steps(inputs)
    canary = shadow(project, but=FAULTY)

    installed = bash(install, project, {**around, **of_install})
    checked = bash(check, project, {**around, **of_check})

    assert installed.returncode == 0, installed.stderr
    assert checked.returncode == 1
    assert checked.stdout.startswith("::error file=app/client.py,line=8,endLine=8,col=9,")
    assert checked.stderr == ""
    assert '"CAN201"' in (project / "out.sarif").read_text()
    assert not canary.exists()


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ("a.py", ["a.py"]),
        ("a.py b.py\n c\n\n\td.py\n", ["a.py", "b.py", "c", "d.py"]),
        ("--fix\n*", ["--fix", "*"]),
        ("", []),
    ],
)
def test_the_action_passes_all_lines_of_its_inputs_on(
    tmp_path: Path, paths: str, expected: list[str]
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    (_, _), (check, variables) = action_steps({"paths": paths, "args": "--select\nCAN1"})

    done = bash(
        check, tmp_path, {**environment(tmp_path), "RUNNER_TEMP": "x", **variables, "PYTHON": str(python)}
    )

    start = ["-P", "-m", "cancellint", "check", "--output-format", "github", "--select", "CAN1", "--"]
    assert done.stdout.splitlines() == [*start, *expected]


# --------------------------------------------------------------------------- whose code is run


def modules_that_are_imported() -> set[str]:
    """The modules, ours apart, that a run imports from anywhere but the interpreter itself."""
    program = """if True:
        import sys
        from cancellint import cli, mending, pipeline, suppressions
        from cancellint.reporters import concise, diff, github, html, json, junit, rdjson, sarif, text
        import libcst, rich.progress, rich.markdown, runpy, multiprocessing
        print(*{name.partition(".")[0] for name in sys.modules})
        """
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    dependencies = {"click", "libcst", "msgspec", "packaging", "pathspec", "rich", "pip"}
    assert dependencies - {"pip"} < set(done.stdout.split())
    return ({*done.stdout.split()} | dependencies) - set(sys.builtin_module_names) - {"__main__"}


def shadow(folder: Path, *, but: frozenset[str] = frozenset()) -> Path:
    """Puts a module of each of these names into the folder, and gives the file that they write when run."""
    canary = folder.parent / "run.txt"
    text = f"with open({str(canary)!r}, 'a') as file: file.write(__name__ + chr(10))\nraise SystemExit(77)\n"
    for name in modules_that_are_imported() - but:
        (folder / f"{name}.py").write_text(text)
    for name in {"cancellint", "pip"} - but:
        (folder / f"{name}.py").unlink(missing_ok=True)
        (folder / name).mkdir()
        for file in ("__init__.py", "__main__.py", "cli.py"):
            (folder / name / file).write_text(text)
    return canary


FAULTY = frozenset({"asyncio", "threading"})
"""What the project is at fault with: with modules of its own of these names it would not be."""


def installed_command() -> str:
    command = Path(sys.executable).parent / "cancellint"
    assert command.exists(), "the package is not installed"
    return str(command)


WAYS_IN = {
    "the command": lambda: [installed_command()],
    "the module": lambda: [sys.executable, "-P", "-m", "cancellint"],
}


@pytest.mark.parametrize("way", WAYS_IN)
@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("check", "--jobs", "2"),
        ("check", "--color", "always"),
        ("explain", "CAN101"),
        ("config",),
    ],
)
def test_no_code_of_the_checked_repository_is_run(
    project: Path, way: str, arguments: tuple[str, ...]
) -> None:
    canary = shadow(project)
    for number in range(60):
        (project / f"m{number}.py").write_text(CLIENT)

    done = subprocess.run(
        [*WAYS_IN[way](), *arguments], cwd=project, env=bare_environment(), capture_output=True, text=True
    )

    assert not canary.exists(), canary.read_text()
    assert (done.returncode, done.stderr) == (0, "")


def bare_environment() -> Mapping[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def test_the_module_imports_nothing_from_the_working_folder_once_it_runs(project: Path) -> None:
    canary = project.parent / "run.txt"
    for name in (
        "click",
        "msgspec",
        "libcst",
        "rich",
        "pathspec",
        "packaging",
        "queue",
        "tomllib",
        "difflib",
    ):
        (project / f"{name}.py").write_text(f"open({str(canary)!r}, 'w')\nraise SystemExit(77)\n")

    done = subprocess.run(
        [sys.executable, "-m", "cancellint", "check"],
        cwd=project,
        env={**bare_environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert not canary.exists()
    assert (done.returncode, done.stderr) == (1, "")


def test_every_documented_way_in_is_safe() -> None:
    texts = {
        path: path.read_text("utf-8")
        for path in (
            ROOT / "README.md",
            ROOT / "action.yml",
            *ROOT.glob("docs/*.md"),
            *ROOT.glob("rules/**/*.md"),
        )
    }
    called = re.compile(r"(?:python3?|\$PYTHON\"?)((?: -\w+)*) -m (cancellint|pip)\b")

    found = {
        (path.name, match[0]): match[1] for path, text in texts.items() for match in called.finditer(text)
    }

    assert ("action.yml", '$PYTHON" -P -m cancellint') in found
    assert {place for place, options in found.items() if options not in (" -P", " -I")} == set()


# --------------------------------------------------------------------------- pre-commit


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def committed(folder: Path) -> str:
    """Makes the folder a repository and gives the name of its commit."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all")
    return git(folder, "rev-parse", "HEAD")


def hook_repository(folder: Path) -> str:
    """A repository with what an installation of this checkout needs."""
    folder.mkdir()
    for name in ("cancellint", "rules"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, folder / name)
    return committed(folder)


def test_pre_commit_reports_on_changed_files_and_reads_the_project(project: Path) -> None:
    hooks = project.parent / "hooks"
    revision = hook_repository(hooks)
    fence = FILES[".pre-commit-config.yaml"].text.replace(ADDRESS, str(hooks)).replace("v0.1.0", revision)
    (project / ".pre-commit-config.yaml").write_text(fence)
    (project / "app" / "other.py").write_text(CLIENT)
    (project / "app" / "left_out.py").write_text(CLIENT)
    (project / "cancellint.toml").write_text('exclude = ["left_out.py"]\n')
    committed(project)
    for name in ("client.py", "left_out.py"):
        (project / "app" / name).write_text("X = 1\n" + CLIENT)
    for name in ("--exit-zero", "--output-file=concise=setup.py", "--fix"):
        (project / name).write_text("#!/usr/bin/env python3\n")
        (project / name).chmod(0o755)
    canary = shadow(project, but=FAULTY)
    git(project, "add", "--all")

    done = subprocess.run(
        [sys.executable, "-P", "-m", "pre_commit", "run", "--color", "never"],
        cwd=project,
        env={**environment(project.parent), "PRE_COMMIT_HOME": str(project.parent / "home")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert re.findall(r"^  +--> (\S+) in \w+$", done.stdout, re.MULTILINE)[0] == "app/client.py:9:9"
    assert "1 finding (1 error) in " in done.stdout
    assert not (project / "setup.py").exists()
    assert not canary.exists()
    assert "other.py" not in done.stdout
    assert "left_out.py" not in done.stdout
