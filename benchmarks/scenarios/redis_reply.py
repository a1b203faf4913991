"""redis-py: Alice stops waiting for a reply, and Bob, over the same connection, asks for something else."""

import asyncio
import inspect

import redis.asyncio
import wire

from cancellint.testing import Injection
from fixtures.mini_redis.connection import Connection
from fixtures.mini_redis.db import Database
from fixtures.mini_redis.handler import Handler

RESP2 = {"protocol": 2} if "protocol" in inspect.signature(redis.asyncio.Redis).parameters else {}
"""The server speaks nothing newer, and old releases have no choice."""


async def scenario(injection: Injection) -> bytes | None:
    database = Database()
    database.set(b"alice", b"what Alice asked for", None)
    database.set(b"bob", b"what Bob asked for", None)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Handler(Connection(reader, writer), database, asyncio.Event()).run()

    with wire.network(serve):
        client = redis.asyncio.Redis(max_connections=1, **RESP2)
        await client.ping()
        await injection.attempt(lambda: client.get("alice"))
        return await client.get("bob")
