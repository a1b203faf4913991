"""What `cancellint summary` says of a function: each belief in a sentence, with the step it rests on."""

from pathlib import Path
from textwrap import dedent

import pytest

from cancellint.config import Config
from cancellint.model.report import ReportedFact
from cancellint.pipeline import summaries

CLIENT = """\
import asyncio
import threading
from cancellint.markers import cancel_safe

class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.lock = asyncio.Lock()
        self.guard = threading.Lock()
        self.busy = False
        self.waiting = {}
        self.count = 0

    async def f(self, name: str, work):
"""


def described(folder: Path, body: str, name: str = "f") -> tuple[ReportedFact, ...]:
    """The beliefs about a method of a client with this body."""
    text = CLIENT + "".join(f"        {line}\n" for line in dedent(body).strip().splitlines())
    (folder / "main.py").write_text(text)
    ((one,), failures, _) = summaries(Config(root=folder), [folder], f"Client.{name}")
    assert failures == ()
    return one.facts


def told(facts: tuple[ReportedFact, ...]) -> list[tuple[str, int | None]]:
    """The texts, each with its line counted from the first one of the body."""
    first = CLIENT.count("\n")
    return [(fact.text, fact.at.span.line - first if fact.at else None) for fact in facts]


BELIEFS = {
    "it takes": (
        "line = await self.reader.readline()\nreturn line",
        ("takes self.reader into its result (asyncio.StreamReader.readline)", 1),
    ),
    "it loses": (
        "size = await self.reader.readline()\nreturn await self.reader.readexactly(int(size))",
        ("loses self.reader if cancelled (held, asyncio.StreamReader.readline)", 2),
    ),
    "it closes": ("await asyncio.sleep(0)\nself.writer.close()", ("closes self.writer", 2)),
    "it leaves a thread's lock held": (
        "await asyncio.sleep(0)\nself.guard.acquire()",
        ("holds on return self.guard", 2),
    ),
    "it acquires": ("await self.lock.acquire()", ("acquires self.lock", 1)),
    "it releases": ("await asyncio.sleep(0)\nself.lock.release()", ("releases self.lock", 2)),
    "it sets a flag": ("await asyncio.sleep(0)\nself.busy = True", ("sets self.busy", 2)),
    "it resets a flag": ("await asyncio.sleep(0)\nself.busy = False", ("resets self.busy", 2)),
    "it raises a counter": ("await asyncio.sleep(0)\nself.count += 1", ("raises self.count", 2)),
    "it lowers a counter": ("await asyncio.sleep(0)\nself.count -= 1", ("lowers self.count", 2)),
    "it registers": ("await asyncio.sleep(0)\nself.waiting[name] = 1", ("adds to self.waiting", 2)),
    "it deregisters": ("await asyncio.sleep(0)\ndel self.waiting[name]", ("removes from self.waiting", 2)),
    "it sends": ("self.writer.write(b'x')\nawait self.writer.drain()", ("sends on self.writer", 1)),
    "it keeps a lock when cancelled": (
        "await self.lock.acquire()\nawait asyncio.sleep(1)\nself.lock.release()",
        ("self.lock is never released if cancelled", 2),
    ),
    "it leaves a race open": (
        """
        async def pair():
            return await self.reader.readline() + await self.reader.readline()
        return await asyncio.wait_for(pair(), 1)
        """,
        ("drops self.reader in a race and raises: the caller must not read on", 3),
    ),
    "it calls what it is given": ("await asyncio.sleep(0)\nwork()", ("calls work", None)),
}


@pytest.mark.parametrize("belief", BELIEFS)
def test_a_belief_is_told_where_it_rests(belief: str, tmp_path: Path) -> None:
    body, expected = BELIEFS[belief]

    assert expected in told(described(tmp_path, body))


def test_what_is_left_undone_makes_a_function_unsafe(tmp_path: Path) -> None:
    facts = described(tmp_path, BELIEFS["it keeps a lock when cancelled"][0])

    assert "not cancel-safe" in [fact.text for fact in facts]
    assert [note.message for note in facts[-1].via] == ["it is acquired here"]


def test_a_loss_is_told_with_its_story(tmp_path: Path) -> None:
    facts = described(tmp_path, BELIEFS["it loses"][0])
    (loss,) = (fact for fact in facts if fact.text.startswith("loses"))

    assert [note.message for note in loss.via] == [
        "data is taken from `self.reader` here",
        "cancelled here, `size` is gone",
    ]


def test_a_function_without_cancellation_faults_is_safe(tmp_path: Path) -> None:
    facts = described(tmp_path, "async with self.lock:\n    return await self.reader.readline()")

    assert "cancel-safe" in [fact.text for fact in facts]


@pytest.mark.parametrize(
    ("body", "safe", "denied"),
    [
        ("return await self.reader.readline()", "cancel-safe", []),
        (
            "size = await self.reader.readline()\nreturn await self.reader.readexactly(int(size))",
            "cancel-safe",
            [
                "loses self.reader if cancelled (held, asyncio.StreamReader.readline), although it is"
                " declared not to"
            ],
        ),
    ],
)
def test_a_promise_is_told_and_what_denies_it(
    body: str, safe: str, denied: list[str], tmp_path: Path
) -> None:
    method = "async def g(self):  # cancellint: cancel-safe\n"
    text = f"pass\n\n{method}" + "".join(f"    {line}\n" for line in body.splitlines())
    outdented = CLIENT.replace("    async def f(self, name: str, work):\n", "")
    source = outdented + "".join(f"    {line}\n" for line in text.removeprefix("pass\n\n").splitlines())
    (tmp_path / "main.py").write_text(source)
    ((one,), _, _) = summaries(Config(root=tmp_path), [tmp_path], "Client.g")

    texts = [fact.text for fact in one.facts]
    assert texts[1:3] == ["declared cancel-safe", safe]
    assert [text for text in texts if "although" in text] == denied


def test_a_reply_that_stays_unread_is_told(tmp_path: Path) -> None:
    facts = described(
        tmp_path,
        """
        self.writer.write(b"get")
        await self.writer.drain()
        return await self.reader.readline()
        """,
    )
    (torn,) = (fact for fact in facts if fact.text.startswith("the reply stays unread"))

    assert torn.text.endswith("if cancelled")
    assert [note.message for note in torn.via] == ["the request is sent here"]
