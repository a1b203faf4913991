"""nats-py: a flush is given up before its answer comes, and messages are expected after it."""

import asyncio

import nats
import wire

from cancellint.testing import Injection


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As much NATS as the client needs; each answer to a PING takes a second."""
    writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"proto":1}\r\n')
    while line := await reader.readline():
        if line.startswith(b"PING"):
            await asyncio.sleep(1)
            writer.write(b"PONG\r\n")
        elif line.startswith(b"PUB"):
            writer.write(b"MSG topic 1 5\r\n" + await reader.readline())


async def scenario(injection: Injection) -> bytes:
    with wire.network(serve):
        client = await nats.connect("nats://127.0.0.1:4222", ping_interval=3600)
        subscription = await client.subscribe("topic")
        await injection.attempt(client.flush)
        await asyncio.sleep(5)
        await client.publish("topic", b"hello")
        message = await subscription.next_msg(timeout=60)
        return message.data
