"""Servers and a SOCKS proxy for httpcore, in memory. `down.example` is never to be had."""

import asyncio

import httpcore

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GREETING = b"\x05\x01\x00"
WELCOME, REFUSED, ACCEPTED = b"\x05\x00", b"\x05\x05\x00\x01" + bytes(6), b"\x05\x00\x00\x01" + bytes(6)
PATIENCE = {"timeout": {"pool": 60}}
"""How long a request waits for its place in the pool, in seconds."""


class Stream(httpcore.AsyncNetworkStream):
    """A connection to a proxy, which needs a second for each step, and then to a server, which needs none."""

    def __init__(self) -> None:
        self.sent = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self.sent[:1] != GREETING[:1]:
            return ANSWER
        await asyncio.sleep(1)
        if self.sent == GREETING:
            return WELCOME
        return REFUSED if b"down.example" in self.sent else ACCEPTED

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.sent = buffer

    async def aclose(self) -> None:
        """Nothing to close."""

    def get_extra_info(self, info: str) -> object:
        return None


class Backend(httpcore.AsyncNetworkBackend):
    """Gives such connections after a second."""

    async def connect_tcp(self, host: str, port: int, *_: object, **__: object) -> Stream:
        await asyncio.sleep(1)
        if host == "down.example":
            raise httpcore.ConnectError
        return Stream()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
