"""ocpp: a call to a charge point is given up, and the next one needs the lock that it held."""

import asyncio
import json

from ocpp.v16 import ChargePoint, call

from cancellint.testing import Injection


class Socket:
    """Answers each heartbeat a second later."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[str] = asyncio.Queue()

    async def send(self, message: str) -> None:
        _, unique, *_ = json.loads(message)
        answer = json.dumps([3, unique, {"currentTime": "2026-11-30T12:00:00Z"}])
        asyncio.get_running_loop().call_later(1, self.answers.put_nowait, answer)

    async def recv(self) -> str:
        return await self.answers.get()


async def scenario(injection: Injection) -> str:
    point = ChargePoint("point", Socket())
    listening = asyncio.ensure_future(point.start())
    await injection.attempt(lambda: point.call(call.HeartbeatPayload()))
    answer = await point.call(call.HeartbeatPayload())
    listening.cancel()
    return answer.current_time
