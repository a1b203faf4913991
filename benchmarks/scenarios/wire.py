"""Connections in memory, for scenarios whose loop has no sockets."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


class End(asyncio.Transport):
    """One end of a connection; what is written arrives at the other end one turn of the loop later."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.reader = asyncio.StreamReader()
        self.protocol = asyncio.StreamReaderProtocol(self.reader)
        self.closing = False
        self.other: End | None = None

    def connect(self, other: "End") -> Streams:
        self.other = other
        self.protocol.connection_made(self)
        return self.reader, asyncio.StreamWriter(self, self.protocol, self.reader, self.loop)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closing and self.other is not None:
            self.loop.call_soon(self.other.receive, bytes(data))

    def writelines(self, parts: "list[bytes]") -> None:
        self.write(b"".join(parts))

    def receive(self, data: bytes) -> None:
        if not self.closing:
            self.protocol.data_received(data)

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self.loop.call_soon(self.protocol.connection_lost, None)
            if self.other is not None:
                self.loop.call_soon(self.other.end)

    def end(self) -> None:
        """The other end has closed."""
        if not self.closing:
            self.protocol.eof_received()
            self.close()

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        """Nobody sends that much here."""

    def resume_reading(self) -> None:
        """See above."""

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("in memory", 0) if name == "peername" else default


def pair() -> tuple[Streams, Streams]:
    """The streams of the two ends of one connection."""
    here, there = End(), End()
    return here.connect(there), there.connect(here)


@contextmanager
def network(serve: Serve) -> Iterator[None]:
    """Lets `asyncio.open_connection`, wherever it leads, lead to this server."""
    serving: set[asyncio.Future[object]] = set()

    async def open_connection(*_: object, **__: object) -> Streams:
        here, there = pair()
        serving.add(asyncio.ensure_future(serve(*there)))
        return here

    with patch("asyncio.open_connection", open_connection):
        yield
