"""psycopg-pool: a client stops waiting for a connection, and another one needs it."""

import asyncio

import psycopg
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool

from cancellint.testing import Injection


class Server:
    """As much of libpq's connection as a pool looks at."""

    transaction_status = TransactionStatus.IDLE


class Connection(psycopg.AsyncConnection):
    """A connection to nothing."""

    def __init__(self) -> None:
        self.pgconn = Server()

    @classmethod
    async def connect(cls, *_: object, **__: object) -> "Connection":
        return cls()

    def __del__(self) -> None:
        """Nothing to warn of."""

    @property
    def closed(self) -> bool:
        return False

    async def close(self) -> None:
        """Nothing to close."""


async def scenario(injection: Injection) -> str:
    pool = AsyncConnectionPool(min_size=1, max_size=1, connection_class=Connection, open=False)
    await pool.open()
    held = await pool.getconn()
    injection.then([lambda: asyncio.ensure_future(pool.putconn(held))])

    async def client() -> None:
        await pool.putconn(await pool.getconn(timeout=60))

    await injection.attempt(client)
    await client()
    return "served"
