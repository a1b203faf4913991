"""aioagi: music is stopped before its end, and the next two commands ask for something else."""

import asyncio
import contextlib

from aioagi.agi import AGI
from aioagi.exceptions import AGIConnectHangup
from aioagi.parser import AGICode, AGIMessage

from cancellint.testing import Injection

ANSWERS = {"STREAM": "8000", "GET": "4711", "DATABASE": "0"}


class Call:
    """What AGI sees of a call. Asterisk answers in the order of the commands."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.reader = self.writer = self.transport = self
        self.answers: asyncio.Queue[AGIMessage] = asyncio.Queue()
        self.closed = False

    async def write(self, command: str) -> None:
        if self.closed:
            raise ConnectionResetError
        await self.answers.put(AGIMessage(AGICode.OK, ANSWERS[command.split()[0]], ""))

    async def drain(self) -> None:
        await asyncio.sleep(0)

    async def read(self) -> AGIMessage:
        await asyncio.sleep(1)
        return await self.answers.get()

    def close(self) -> None:
        self.closed = True


async def scenario(injection: Injection) -> str:
    """What was typed and whether it is known; or that the call is over, which is no lie either."""
    agi = AGI(Call())
    with contextlib.suppress(AGIConnectHangup):
        await injection.attempt(lambda: agi.stream_file("please-wait"))
    with contextlib.suppress(AGIConnectHangup):
        pin = (await agi.get_data("enter-pin")).result
        known = (await agi.database_get("pins", pin)).result
        return f"typed {pin}, known {known}"
    return "over"


def check(told: str) -> bool:
    return told in ("typed 4711, known False", "over")
