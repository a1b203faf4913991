"""Connections, made where a cancellation may leave one behind that nobody has."""

import asyncio
import socket
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
import trio

from tests.knowledge.trials import Trial
from tests.knowledge.worlds import Injection, World

Address = tuple[str, int] | str
Connected = socket.socket | asyncio.BaseTransport | anyio.abc.AsyncResource | trio.abc.AsyncResource


async def connecting(
    injection: Injection, connect: Callable[[Address], Awaitable[object]], unix: bool = False
) -> int:
    """How many open connections the other side sees."""
    with tempfile.TemporaryDirectory() as folder, _listener(Path(folder), unix) as listener:
        connected = await injection.retry(lambda: connect(listener.getsockname()))
        await anyio.sleep(1)
        still_open = _open_ones(listener)
        await _close(connected)
    return still_open


def _listener(folder: Path, unix: bool) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    listener.bind(str(folder / "socket") if unix else ("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    return listener


def _open_ones(listener: socket.socket) -> int:
    number = 0
    with suppress(BlockingIOError):
        while True:
            accepted, _ = listener.accept()
            with accepted:
                accepted.setblocking(False)
                try:
                    accepted.recv(1)
                except BlockingIOError:
                    number += 1
    return number


async def _close(connected: object) -> None:
    match connected:
        case (_, asyncio.StreamWriter() as writer):
            writer.close()
            await asyncio.sleep(0)
        case (asyncio.BaseTransport() as transport, _):
            transport.close()
            await asyncio.sleep(0)
        case anyio.abc.AsyncResource() | trio.abc.AsyncResource():
            await connected.aclose()
        case _:
            """The scenario closes it itself."""


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def in_asyncio(name: str, connect: Callable[[Address], Awaitable[object]], unix: bool = False) -> Trial:
    return Trial(name, partial(connecting, connect=connect, unix=unix), world=World.ASYNCIO_SOCKETS)


TRIALS: list[Trial] = [
    in_asyncio("asyncio.open_connection", lambda address: asyncio.open_connection(*address)),  # type: ignore[misc]
    in_asyncio("asyncio.open_unix_connection", lambda path: asyncio.open_unix_connection(path), unix=True),  # type: ignore[arg-type]
    in_asyncio(
        "asyncio.AbstractEventLoop.create_connection",
        lambda address: _loop().create_connection(asyncio.Protocol, *address),  # type: ignore[misc]
    ),
    in_asyncio(
        "asyncio.AbstractEventLoop.create_unix_connection",
        lambda path: _loop().create_unix_connection(asyncio.Protocol, path),  # type: ignore[arg-type]
        unix=True,
    ),
    *(
        Trial(name, partial(connecting, connect=connect, unix=unix), world=world)
        for world in (World.ANYIO_ON_ASYNCIO, World.ANYIO_ON_TRIO)
        for name, connect, unix in (
            ("anyio.connect_tcp", lambda address: anyio.connect_tcp(*address), False),
            ("anyio.connect_unix", anyio.connect_unix, True),
        )
    ),
    Trial(
        "trio.open_tcp_stream",
        partial(connecting, connect=lambda address: trio.open_tcp_stream(*address)),
        world=World.TRIO,
    ),
    Trial(
        "trio.open_unix_socket",
        partial(connecting, connect=trio.open_unix_socket, unix=True),
        world=World.TRIO,
    ),
]
