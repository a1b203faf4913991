"""What a cancellation breaks of redis-py, on connections to mini_redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from fixtures.mini_redis.connection import Connection
from fixtures.mini_redis.db import Database
from fixtures.mini_redis.handler import Handler
from tests.knowledge.trials import Trial
from tests.knowledge.worlds import Injection, World


class Published(Database):
    """A database that remembers what was published."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[bytes] = []

    def publish(self, topic: bytes, payload: bytes) -> int:
        self.messages.append(payload)
        return super().publish(topic, payload)


@asynccontextmanager
async def serving(database: Database, connections: int = 8) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of a server of this process, and the pool of so many connections behind it."""
    handlers: set[asyncio.Task[None]] = set()

    async def serve(connection: Connection) -> None:
        try:
            await Handler(connection, database, asyncio.Event()).run()
        except ConnectionError:
            return
        finally:
            connection.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.create_task(serve(Connection(reader, writer))))

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = listener.sockets[0].getsockname()
    pool = redis.asyncio.ConnectionPool(
        host=host,
        port=port,
        protocol=2,
        max_connections=connections,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
    )
    async with listener:
        yield redis.asyncio.Redis(connection_pool=pool)
        await pool.disconnect()
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


Receive = Callable[[Injection, "redis.asyncio.client.PubSub"], Awaitable[object]]


async def subscribed(injection: Injection, receive: Receive) -> object:
    """What a subscriber receives of three messages."""
    database = Database()
    async with serving(database) as client, client.pubsub() as subscriber:
        await subscriber.subscribe("topic")
        await subscriber.get_message(timeout=None)
        injection.then(partial(database.publish, b"topic", payload) for payload in (b"1", b"2", b"3"))
        return await receive(injection, subscriber)


async def by_get_message(injection: Injection, subscriber: "redis.asyncio.client.PubSub") -> object:
    messages = [await injection.retry(partial(subscriber.get_message, timeout=None)) for _ in range(3)]
    return [message["data"] for message in messages if isinstance(message, dict)]


async def by_listen(injection: Injection, subscriber: "redis.asyncio.client.PubSub") -> object:
    messages = subscriber.listen()
    received = [await injection.retry(messages.__anext__) for _ in range(3)]
    return [message["data"] for message in received if isinstance(message, dict)]


async def by_listening_again(injection: Injection, subscriber: "redis.asyncio.client.PubSub") -> object:
    """A new iterator for every attempt."""
    received = [await injection.retry(lambda: subscriber.listen().__anext__()) for _ in range(3)]
    return [message["data"] for message in received if isinstance(message, dict)]


async def checked_out(injection: Injection) -> object:
    """Whether the only connection of a pool can be taken out again."""
    async with serving(Database(), connections=1) as client:
        pool = client.connection_pool
        for _ in range(2):
            connection = await injection.retry(pool.get_connection)
            assert isinstance(connection, redis.asyncio.Connection)
            await pool.release(connection)
        return await client.ping()


async def commanded(injection: Injection) -> object:
    """How often a message is published that is sent once more when its sending was cancelled."""
    database = Published()
    async with serving(database) as client:
        await injection.retry(partial(client.execute_command, "PUBLISH", "topic", "message"))
        return database.messages


async def asked_by_two(injection: Injection) -> object:
    """The replies to two questions that follow one that may have been given up."""
    database = Database()
    for name in (b"alice", b"bob", b"carol"):
        database.set(name, b"the value of " + name, None)
    async with serving(database, connections=1) as client:
        await injection.attempt(partial(client.get, "alice"))
        return [await client.get("bob"), await client.get("carol")]


def trial(name: str, scenario: Callable[[Injection], Awaitable[object]]) -> Trial:
    return Trial(f"redis.asyncio.{name}", scenario, world=World.ASYNCIO_SOCKETS)  # type: ignore[arg-type]


TRIALS = [
    trial("client.PubSub.get_message", partial(subscribed, receive=by_get_message)),
    trial("client.PubSub.listen", partial(subscribed, receive=by_listen)),
    trial("ConnectionPool.get_connection", checked_out),
    trial("Redis.execute_command", commanded),
]
