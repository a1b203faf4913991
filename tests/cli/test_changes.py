"""What changes since a revision have caused."""

import subprocess

import pytest

from tests.cli.test_projects import tree
from tests.test_cli import LOCKED, Command

RACE = "import asyncio\nfrom reading import frame\n\n\nasync def watch(reader):\n    while True:\n"
RACE += "        try:\n            await asyncio.wait_for(frame(reader), 1)\n"
RACE += "        except TimeoutError:\n            pass\n"
READING = "import asyncio\n\n\nasync def frame(reader: asyncio.StreamReader):\n"
READING += "    body = await reader.readexactly(4)\n    return body\n"
TORN = READING.replace("    return", "    body += await reader.readexactly(4)\n    return")
CAUGHT = "        except BaseException:\n            self.lock.release()\n            raise\n"
CLEANED = f"""\
import asyncio


class Pool:
    def __init__(self):
        self.lock = asyncio.Lock()

    async def use(self):
        await self.lock.acquire()
        try:
            await asyncio.sleep(1)
        except OSError:
            pass
{CAUGHT}        self.lock.release()


async def use(pool: Pool):
    while True:
        await asyncio.wait_for(pool.use(), 1)
"""


def git(command: Command, *arguments: str) -> str:
    options = (
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "init.defaultBranch=main",
    )
    done = subprocess.run(
        ["git", *options, *arguments], cwd=command.folder, capture_output=True, text=True, check=True
    )
    return done.stdout


def commit(command: Command) -> None:
    git(command, "add", "-A")
    git(command, "commit", "-qm", "x")


@pytest.fixture
def repository(command: Command) -> Command:
    git(command, "init", "-q")
    tree(command.folder, old=LOCKED, race=RACE, reading=READING, pool=CLEANED)
    commit(command)
    return command


def told(command: Command, revision: str = "main") -> list[str]:
    outcome = command("check", "--changed-since", revision, "--output-format", "concise")
    assert outcome.err == ""
    return [":".join(line.split(":")[:2]) for line in outcome.out.splitlines()]


def test_what_was_there_before_is_not_told(repository: Command) -> None:
    outcome = repository("check", "--changed-since", "main")

    assert outcome.code == 0
    assert "1 finding not shown: no change since main causes them." in outcome.out


def test_a_finding_on_changed_lines_is_told(repository: Command) -> None:
    text = (repository.folder / "old.py").read_text().replace("sleep(1)", "sleep(2)")
    repository.write(old="import os\n" + text)

    assert told(repository) == ["old.py:12"]


def test_lines_above_do_not_make_a_finding_new(repository: Command) -> None:
    repository.write(old="import os\n\n\n" + LOCKED)

    assert told(repository) == []


def test_a_finding_whose_story_passes_through_changed_lines_is_told(repository: Command) -> None:
    git(repository, "checkout", "-qb", "change")
    repository.write(reading=TORN)
    commit(repository)

    assert told(repository) == ["race.py:8"]
    assert told(repository, "HEAD") == []


def test_a_finding_that_lines_which_are_gone_have_prevented_is_told(repository: Command) -> None:
    repository.write(pool=CLEANED.replace(CAUGHT, ""))

    assert told(repository) == ["pool.py:11"]


def test_a_finding_is_told_that_a_change_has_caused_wherever_it_stands(repository: Command) -> None:
    repository.write(pool=CLEANED.replace("except BaseException", "except OSError"))

    assert told(repository) == ["pool.py:11"]


def test_a_finding_is_told_that_comes_with_the_end_of_a_promise_elsewhere(repository: Command) -> None:
    lock = "import threading\n\nlock = threading.Lock()\n"
    use = "import asyncio\nfrom lock import lock\n\n\nasync def f():\n    with lock:\n"
    use += "        await asyncio.sleep(1)\n"
    repository.write(lock="import contextlib\n\nlock = contextlib.nullcontext()\n", use=use)
    commit(repository)
    repository.write(lock=lock)

    assert told(repository, "HEAD") == ["use.py:7"]


def test_each_project_is_compared_in_its_own_repository(
    repository: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = repository.folder / "old.py"
    monkeypatch.chdir(repository.folder.parent)

    clean = repository("check", "--changed-since", "main", "-q", str(old))
    old.write_text(LOCKED.replace("sleep(1)", "sleep(2)"))
    changed = repository("check", "--changed-since", "main", "-q", str(old))

    assert (clean.code, clean.out, clean.err) == (0, "", "")
    assert (changed.code, changed.err) == (1, "")


def test_new_files_have_changed_as_a_whole_and_names_may_be_strange(repository: Command) -> None:
    name = 'a "strange"\té name.py'
    (repository.folder / name).write_text(LOCKED.replace("Cache", "New"))
    assert len(told(repository)) == 1
    commit(repository)
    assert len(told(repository, "HEAD~1")) == 1


def test_what_changed_on_the_other_branch_is_no_matter(repository: Command) -> None:
    git(repository, "checkout", "-qb", "change")
    git(repository, "checkout", "-q", "main")
    repository.write(old=LOCKED.replace("sleep(1)", "sleep(3)"))
    commit(repository)
    git(repository, "checkout", "-q", "change")

    assert told(repository) == []


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", "-h"])
def test_a_revision_that_does_not_exist_is_told(repository: Command, revision: str) -> None:
    outcome = repository("check", f"--changed-since={revision}")

    assert (outcome.code, outcome.out) == (2, "")
    assert f"git knows no revision `{revision}` here" in outcome.err


def test_without_a_repository_it_is_told(command: Command) -> None:
    outcome = command("check", "--changed-since", "main")

    assert (outcome.code, outcome.out) == (2, "")
    assert "git cannot tell what has changed: fatal: not a git repository" in outcome.err


def test_nothing_that_the_repository_configures_is_run(repository: Command) -> None:
    canary = repository.folder / "canary"
    for key in ("core.fsmonitor", "diff.external", "diff.x.textconv", "diff.x.command", "core.pager"):
        git(repository, "config", key, f"touch {canary}; cat")
    (repository.folder / ".gitattributes").write_text("*.py diff=x\n")
    repository.write(old=LOCKED.replace("sleep(1)", "sleep(2)"))

    assert told(repository) == ["old.py:11"]
    assert not canary.exists()
