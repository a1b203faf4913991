"""redis-py: a transaction is given up, and the next one needs the only connection of the pool."""

import asyncio

import redis.asyncio
import wire

from cancellint.testing import Injection


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that finds everything OK, and has one value for every key."""
    while (line := await reader.readline()).startswith(b"*"):
        words = []
        for _ in range(int(line[1:])):
            await reader.readline()
            words.append((await reader.readline()).strip().upper())
        writer.write(b"$5\r\nvalue\r\n" if words[0] == b"GET" else b"+OK\r\n")
    writer.close()


async def transaction(client: "redis.asyncio.Redis") -> bytes:
    async with client.pipeline() as pipe:
        await pipe.watch("key")
        return await pipe.get("key")


async def scenario(injection: Injection) -> bytes:
    with wire.network(serve):
        pool = redis.asyncio.BlockingConnectionPool(max_connections=1, timeout=60, protocol=2)
        client = redis.asyncio.Redis(connection_pool=pool)
        await injection.attempt(lambda: transaction(client))
        return await transaction(client)
