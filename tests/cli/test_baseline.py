"""Findings that are known: in a baseline, or silenced where they stand."""

import json

import pytest

from tests.cli.test_projects import tree
from tests.test_cli import LOCKED, Command

OTHER = LOCKED.replace("Cache", "Other").replace("sleep(1)", "sleep(2)")
EDITED = {
    "lines above": "import os\n\n\n" + LOCKED,
    "another function": LOCKED + "\n    async def other(self):\n        pass\n",
    "laid out anew": LOCKED.replace("asyncio.sleep(1)", "asyncio.sleep(\n                1\n            )"),
    "another finding's place": LOCKED,
}


def recorded(command: Command) -> None:
    outcome = command("check", "--write-baseline", "known.json")
    assert (outcome.code, outcome.out) == (0, "")
    assert "findings are recorded in known.json; check with --baseline known.json" in outcome.err


def codes(command: Command, *arguments: str) -> list[str]:
    return [
        line.split(":")[0]
        for line in command("check", "-q", "--output-format", "concise", *arguments).out.splitlines()
    ]


def test_what_is_recorded_is_not_told_again(command: Command) -> None:
    command.write(a=LOCKED)
    recorded(command)
    command.write(b=OTHER)

    outcome = command("check", "--baseline", "known.json")

    assert outcome.code == 1
    assert "b.py:11:13" in outcome.out
    assert "a.py" not in outcome.out
    assert "1 finding not shown: they are in the baseline.\n" in outcome.out
    assert outcome.err == ""
    assert codes(command) == ["a.py", "b.py"]


@pytest.mark.parametrize("edit", EDITED)
def test_edits_elsewhere_do_not_stir_the_baseline(command: Command, edit: str) -> None:
    command.write(a=LOCKED)
    recorded(command)

    command.write(a=EDITED[edit])

    outcome = command("check", "--baseline", "known.json")
    assert (outcome.code, outcome.err) == (0, "")


def test_a_file_that_is_moved_takes_its_known_findings_along(command: Command) -> None:
    command.write(a=LOCKED)
    recorded(command)

    (command.folder / "a.py").rename(command.folder / "b.py")

    assert codes(command, "--baseline", "known.json") == []


def test_as_many_are_known_as_there_were(command: Command) -> None:
    idle = "x = 1  # cancellint: ignore[CAN201]\n"
    command.write(a=idle * 2)
    recorded(command)

    command.write(a=idle * 3)

    assert command("check", "--baseline", "known.json", "--output-format", "concise").out.startswith(
        "a.py:3:8"
    )


def test_entries_out_of_date_are_told_and_pruned(command: Command) -> None:
    command.write(a=LOCKED, b=OTHER)
    recorded(command)
    command.write(a="x = 1\n")

    told = command("check", "--baseline", "known.json")
    elsewhere = command("check", "b.py", "--baseline", "known.json")
    less = command("check", "--baseline", "known.json", "--select", "CAN1")
    pruned = command("check", "--baseline", "known.json", "--prune-baseline")

    assert told.code == 0
    assert told.err.startswith("cancellint: warning: 1 entries of known.json match nothing any more:\n")
    assert "a.py: CAN201 in Cache.refresh: `self.lock` stays locked" in told.err
    assert (elsewhere.err, less.err) == ("", "")
    assert pruned.err == "cancellint: 1 entries are removed from known.json\n"
    left = json.loads((command.folder / "known.json").read_text())["findings"]
    assert [(each["path"], each["code"], each["symbol"]) for each in left] == [
        ("b.py", "CAN201", "Other.refresh")
    ]
    assert command("check", "--baseline", "known.json").err == ""


def test_a_baseline_may_be_configured(command: Command) -> None:
    tree(command.folder, p__a=LOCKED, q__b=OTHER, q__cancellint_toml="")
    command("check", "--write-baseline", "p/known.json", "p")
    tree(command.folder, p__cancellint_toml="baseline = 'known.json'")

    assert codes(command, "p") == []
    assert codes(command, "p", "q") == ["q/b.py"]
    tree(command.folder, p__c=OTHER)
    assert command("check", "--write-baseline", "p/known.json", "p").err.startswith("cancellint: 2 findings")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "cannot be read: No such file"),
        ("{", "known.json is no baseline"),
        ('{"version": 2, "findings": []}', "is of version 2"),
    ],
)
def test_a_baseline_that_cannot_be_used_is_told(command: Command, text: str | None, problem: str) -> None:
    if text is not None:
        (command.folder / "known.json").write_text(text)

    outcome = command("check", "--baseline", "known.json")

    assert (outcome.code, outcome.out) == (2, "")
    assert problem in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--write-baseline", "x.json", "--fix"),
        ("--add-ignore", "why", "--diff"),
        ("--changed-since", "HEAD", "--fix"),
        ("--changed-since", "HEAD", "--write-baseline", "x.json"),
    ],
)
def test_what_does_not_go_together_is_told(command: Command, arguments: tuple[str, ...]) -> None:
    assert command("check", *arguments).code == 2


# --------------------------------------------------------------------------- comments


LONG = LOCKED.replace("await asyncio.sleep(1)", "await asyncio.sleep(1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1)")
TEXT = LOCKED.replace("asyncio.sleep(1)", 'asyncio.sleep(len("""\nx\n"""))')
CONTINUED = LOCKED.replace("asyncio.sleep(1)", "\\\n                asyncio.sleep(1)")


@pytest.mark.parametrize("text", [LOCKED, LONG, TEXT, CONTINUED, LOCKED.replace("\n", "\r\n")])
def test_findings_are_silenced_with_a_reason(command: Command, text: str) -> None:
    (command.folder / "a.py").write_bytes(text.encode())
    assert command("check").code == 1

    outcome = command("check", "--add-ignore", "nobody else # takes\nit")

    after = (command.folder / "a.py").read_bytes().decode()
    assert (outcome.code, outcome.out) == (0, "")
    assert "comments are written at 1 places" in outcome.err
    assert "# cancellint: ignore[CAN201] nobody else takes it" in after
    assert len(after.splitlines()) <= len(text.splitlines()) + 1
    assert (command("check").code, command("check").err) == (0, "")


def test_all_places_of_a_cause_are_silenced(command: Command) -> None:
    tree(command.folder, one__a=LOCKED, two__a=LOCKED)

    command("check", "--add-ignore", "known")

    assert command("check").code == 0


def test_comments_stand_beside_others(command: Command) -> None:
    command.write(a=LOCKED.replace("sleep(1)", "sleep(1)  # noqa: E501"))

    command("check", "--add-ignore", "known")

    text = (command.folder / "a.py").read_text()
    assert "sleep(1)  # noqa: E501  # cancellint: ignore[CAN201] known\n" in text
    assert command("check").code == 0
