"""Programs that use client libraries are understood by the tables of these libraries."""

import pytest

from tests.analysed import analysed

POOLS = {
    "asyncpg": ("import asyncpg", "asyncpg.Pool", "acquire()", "await pool.release(connection)"),
    "aiopg": ("import aiopg", "aiopg.Pool", "acquire()", "pool.release(connection)"),
    "aiomysql": ("import aiomysql", "aiomysql.Pool", "acquire()", "pool.release(connection)"),
    "psycopg_pool": (
        "from psycopg_pool import AsyncConnectionPool",
        "AsyncConnectionPool",
        "getconn()",
        "await pool.putconn(connection)",
    ),
    "redis": (
        "from redis.asyncio import ConnectionPool",
        "ConnectionPool",
        "get_connection()",
        "await pool.release(connection)",
    ),
    "valkey": (
        "from valkey.asyncio import ConnectionPool",
        "ConnectionPool",
        "get_connection()",
        "await pool.release(connection)",
    ),
}
"""Of each library: the import, the type of its pool, how a connection is taken out, and how given back."""

LEAKY = """
{imported}

async def work(pool: {type}, job) -> None:
    connection = await pool.{take}
    await job(connection)
    {give_back}
"""

SOUND = """
{imported}

async def work(pool: {type}, job) -> None:
    connection = await pool.{take}
    try:
        await job(connection)
    finally:
        {give_back}
"""


def written(form: str, library: str) -> str:
    imported, pool, take, give_back = POOLS[library]
    return form.format(imported=imported, type=pool, take=take, give_back=give_back)


@pytest.mark.parametrize("library", POOLS)
def test_a_connection_that_is_given_back_on_the_normal_path_only_is_found(library: str) -> None:
    assert analysed(written(LEAKY, library)).lines("CAN106") == ["await job(connection)"]


@pytest.mark.parametrize("library", POOLS)
def test_a_connection_that_is_given_back_in_any_case_is_none_of_our_business(library: str) -> None:
    assert analysed(written(SOUND, library)).findings(possible=True) == []


BORROWED = """
import asyncpg
import aiomysql
from sqlalchemy.ext.asyncio import AsyncEngine

async def one(pool: asyncpg.Pool) -> object:
    async with pool.acquire() as connection:
        return await connection.fetchval("select 1")

async def two(pool: aiomysql.Pool) -> object:
    async with pool.acquire() as connection:
        cursor = await connection.cursor()
        await cursor.execute("select 2")
        return await cursor.fetchone()

async def three(engine: AsyncEngine) -> object:
    async with engine.connect() as connection:
        return await connection.scalar("select 3")
"""


def test_a_connection_that_is_borrowed_in_a_with_statement_is_silent() -> None:
    assert analysed(BORROWED).findings(possible=True) == []


def raced(imported: str, annotation: str, read: str) -> str:
    """A program that reads again after a time limit has ended a read."""
    return f"""
import asyncio
{imported}

async def work(source: {annotation}, handle) -> None:
    while True:
        try:
            item = await asyncio.wait_for(source.{read}, 5)
        except TimeoutError:
            continue
        handle(item)
"""


@pytest.mark.parametrize(
    ("imported", "annotation", "read"),
    [
        ("import redis.asyncio as redis", "redis.Redis", "blpop('jobs')"),
        ("import aiohttp", "aiohttp.StreamReader", "readline()"),
        ("import asyncssh", "asyncssh.SSHReader", "readexactly(4)"),
        ("from tornado.queues import Queue", "Queue", "get()"),
        ("import zmq.asyncio", "zmq.asyncio.Socket", "recv()"),
        ("from aio_pika.abc import AbstractQueue", "AbstractQueue", "get(no_ack=True)"),
        ("import aiosqlite", "aiosqlite.Cursor", "fetchone()"),
    ],
)
def test_a_read_that_loses_what_it_has_taken_is_found_where_it_is_raced(
    imported: str, annotation: str, read: str
) -> None:
    (line,) = analysed(raced(imported, annotation, read)).lines("CAN101")

    assert line == f"item = await asyncio.wait_for(source.{read}, 5)"


@pytest.mark.parametrize(
    ("imported", "annotation", "read"),
    [
        ("import redis.asyncio as redis", "redis.client.PubSub", "get_message(timeout=None)"),
        ("import redis.asyncio as redis", "redis.Redis", "get('key')"),
        ("import aiohttp", "aiohttp.StreamReader", "read(4096)"),
        ("import aiohttp", "aiohttp.ClientWebSocketResponse", "receive()"),
        ("from websockets.asyncio.client import ClientConnection", "ClientConnection", "recv()"),
        ("import asyncpg", "asyncpg.Connection", "fetch('select 1')"),
        ("from aiokafka import AIOKafkaConsumer", "AIOKafkaConsumer", "getone()"),
        ("import asyncssh", "asyncssh.SSHReader", "readline()"),
    ],
)
def test_a_read_that_loses_nothing_is_silent(imported: str, annotation: str, read: str) -> None:
    assert analysed(raced(imported, annotation, read)).lines("CAN101", possible=True) == []


def test_what_a_factory_makes_is_known_by_its_type() -> None:
    program = analysed(
        """
        import asyncio
        import redis.asyncio

        class Worker:
            def __init__(self, url: str) -> None:
                self.redis = redis.asyncio.from_url(url)

            async def run(self, handle) -> None:
                while True:
                    try:
                        async with asyncio.timeout(5):
                            job = await self.redis.lpop("jobs")
                    except TimeoutError:
                        continue
                    handle(job)
        """
    )

    assert program.lines("CAN101") == ["async with asyncio.timeout(5):"]


STEPPED = """
import asyncio
{imported}

async def work(source: {annotation}, handle) -> None:
    items = source.{iterate}
    while True:
        try:
            item = await asyncio.wait_for(anext(items), 5)
        except TimeoutError:
            continue
        handle(item)
"""


@pytest.mark.parametrize(
    ("imported", "annotation", "iterate"),
    [
        ("from redis.asyncio.client import PubSub", "PubSub", "listen()"),
        ("import httpx", "httpx.Response", "aiter_lines()"),
        ("import psycopg", "psycopg.AsyncConnection", "notifies()"),
        ("from fastapi import WebSocket", "WebSocket", "iter_text()"),
    ],
)
def test_an_iterator_that_is_a_generator_ends_with_its_first_timeout(
    imported: str, annotation: str, iterate: str
) -> None:
    program = STEPPED.format(imported=imported, annotation=annotation, iterate=iterate)

    assert analysed(program).lines("CAN104") == ["item = await asyncio.wait_for(anext(items), 5)"]


def test_an_iterator_that_is_an_object_survives() -> None:
    program = STEPPED.format(
        imported="import aiohttp", annotation="aiohttp.ClientWebSocketResponse", iterate="__aiter__()"
    )

    assert analysed(program).lines("CAN104", possible=True) == []


@pytest.mark.parametrize(
    ("imported", "annotation", "read", "lost"),
    [
        ("import redis.asyncio as redis", "redis.Redis", "lpop('jobs')", "carried out by the other side"),
        ("import aiohttp", "aiohttp.StreamReader", "readline()", "drops what it has read so far"),
        ("import aiosqlite", "aiosqlite.Cursor", "fetchone()", "goes on in its thread"),
        ("from tornado.queues import Queue", "Queue", "get()", "drops what was just handed to it"),
    ],
)
def test_the_story_says_how_the_data_is_lost(imported: str, annotation: str, read: str, lost: str) -> None:
    findings = analysed(raced(imported, annotation, read)).findings()
    (finding,) = (each for each in findings if each.code == "CAN101")

    assert lost in finding.notes[0].message


def test_a_response_that_closes_itself_when_its_reading_is_cancelled_is_not_left_open() -> None:
    program = analysed(
        """
        import asyncio
        import aiohttp

        async def fetch(session: aiohttp.ClientSession, url: str) -> bytes:
            while True:
                response = await session.get(url)
                try:
                    return await asyncio.wait_for(response.read(), 5)
                except TimeoutError:
                    response.close()
        """
    )

    assert program.lines("CAN105", possible=True) == []
