"""engineio: somebody waits for the end of the connection and stops waiting; somebody else asks a question."""

import asyncio
import contextlib
from types import SimpleNamespace

import aiohttp
import engineio

from cancellint.testing import Injection

OPEN = '0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}'
CLOSE = SimpleNamespace(data=None, type=aiohttp.WSMsgType.CLOSE)


class Socket:
    """A connection to a server that says everything back, and in the end that it is closed."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[object] = asyncio.Queue()
        self.received.put_nowait(SimpleNamespace(data=OPEN))

    async def receive(self) -> object:
        return await self.received.get()

    async def send_str(self, text: str) -> None:
        self.received.put_nowait(SimpleNamespace(data=text))

    async def close(self) -> None:
        """Nothing to close."""


class Http:
    """As much of aiohttp's session as the client uses."""

    closed = False

    def __init__(self, socket: Socket) -> None:
        self.socket = socket

    async def ws_connect(self, *_: object, **__: object) -> Socket:
        return self.socket

    async def close(self) -> None:
        self.closed = True


async def scenario(injection: Injection) -> bool:
    socket = Socket()
    client = engineio.AsyncClient(http_session=Http(socket), handle_sigint=False)
    answered = asyncio.Event()
    client.on("message", lambda text: answered.set())
    await client.connect("http://server.example", transports=["websocket"])

    async def ask() -> bool:
        await asyncio.sleep(3)
        await client.send("question")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(answered.wait(), 1)
        return answered.is_set()

    asking = asyncio.ensure_future(ask())
    asyncio.get_running_loop().call_later(5, socket.received.put_nowait, CLOSE)
    await injection.attempt(client.wait)
    return await asking
