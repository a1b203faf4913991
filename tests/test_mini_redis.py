"""mini_redis is a real server: a real client talks to it over a real socket."""

import asyncio
import contextlib
import io
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from fixtures.mini_redis.broadcast import CAPACITY, Channel, Lagged, Message
from fixtures.mini_redis.connection import Connection
from fixtures.mini_redis.db import Database
from fixtures.mini_redis.frame import (
    Array,
    Bulk,
    Failure,
    Frame,
    Integer,
    ProtocolError,
    Simple,
    encode,
    parse,
)
from fixtures.mini_redis.handler import Handler
from fixtures.mini_redis.server import Server as InProcessServer

CHECKOUT = Path(__file__).parent.parent
PATIENCE = 10.0


class Server:
    """A running server and its port."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fixtures.mini_redis", "--port", "0"],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def client(self) -> "redis.Redis":
        return redis.Redis(
            port=self.port,
            protocol=2,
            socket_timeout=PATIENCE,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
        )

    def subscriber(self) -> "redis.client.PubSub":
        subscriber: redis.client.PubSub = self.client().pubsub()  # type: ignore[no-untyped-call]  # untyped there
        return subscriber

    def exchange(self, request: bytes, expected: int) -> bytes:
        """Sends bytes one at a time and reads as many as are expected."""
        reply = b""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for index in range(len(request)):
                raw.sendall(request[index : index + 1])
            while len(reply) < expected:
                reply += raw.recv(100)
        return reply

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """Exit code and what was written to stderr."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors


class _PubSub(Protocol):
    def get_message(self, *, timeout: float) -> dict[str, object] | None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.process.kill()
    running.process.communicate()


class _Commands(Protocol):
    def execute_command(self, *words: str) -> object: ...


def ask(client: _Commands, *words: str) -> object:
    return client.execute_command(*words)


def next_message(subscriber: _PubSub) -> tuple[object, object, object]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        message = subscriber.get_message(timeout=0.1)
        if message is not None:
            return message["type"], message["channel"], message["data"]
    raise AssertionError("no message arrived")


def subscribers_of(client: "redis.Redis", topic: str, expected: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while client.publish(topic, "anyone?") != expected:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_value_that_was_set_is_read_back(server: Server) -> None:
    client = server.client()

    assert client.set("name", "some\r\nvalue") is True
    assert client.get("name") == "some\r\nvalue"
    assert client.get("nobody") is None


def test_a_ping_is_answered(server: Server) -> None:
    client = server.client()

    assert client.ping() is True
    assert encode(Bulk(b"hello")) == server.exchange(encode(Array((Bulk(b"PING"), Bulk(b"hello")))), 11)


def test_a_key_expires(server: Server) -> None:
    client = server.client()
    client.set("short", "lived", px=300)
    client.set("long", "lived", ex=100)

    assert client.get("short") == "lived"
    deadline = time.monotonic() + PATIENCE
    while client.get("short") is not None and time.monotonic() < deadline:
        time.sleep(0.01)

    assert client.get("short") is None
    assert client.get("long") == "lived"


def test_a_new_value_outlives_the_expiry_of_the_old_one(server: Server) -> None:
    client = server.client()
    client.set("key", "old", px=30)
    client.set("key", "new")
    time.sleep(0.1)

    assert client.get("key") == "new"


def test_unknown_commands_and_databases_are_refused(server: Server) -> None:
    client = server.client()

    with pytest.raises(redis.ResponseError, match="unknown command"):
        ask(client, "FLUSHALL")
    with pytest.raises(redis.ResponseError, match="out of range"):
        ask(client, "SELECT", "3")
    with pytest.raises(redis.ResponseError, match="syntax error"):
        ask(client, "SET", "a", "b", "EX", "-1")
    assert ask(client, "HELLO", "2") == ["server", "mini-redis", "proto", 2]
    assert client.ping() is True


def test_messages_reach_the_subscribers_of_their_topic_in_order(server: Server) -> None:
    publisher, subscriber = server.client(), server.subscriber()
    subscriber.subscribe("news", "weather")
    assert next_message(subscriber) == ("subscribe", "news", 1)
    assert next_message(subscriber) == ("subscribe", "weather", 2)

    assert publisher.publish("news", "one") == 1
    assert publisher.publish("sports", "nobody") == 0
    assert next_message(subscriber) == ("message", "news", "one")
    assert publisher.publish("weather", "rain") == 1
    assert publisher.publish("weather", "sun") == 1

    assert next_message(subscriber) == ("message", "weather", "rain")
    assert next_message(subscriber) == ("message", "weather", "sun")


def test_a_thousand_messages_race_with_pings_and_none_is_lost(server: Server) -> None:
    publisher, subscriber = server.client(), server.subscriber()
    subscriber.subscribe("numbers")
    assert next_message(subscriber)[0] == "subscribe"
    received: list[object] = []
    for number in range(1000):
        publisher.publish("numbers", number)
        if number % 7 == 0:
            subscriber.ping()
        if number % 5 == 0:
            message = subscriber.get_message(timeout=0)
            received += [message["data"]] if message is not None and message["type"] == "message" else []
    while len(received) < 1000:
        kind, _, data = next_message(subscriber)
        received += [data] if kind == "message" else []

    assert received == [str(number) for number in range(1000)]


def test_after_unsubscribing_nothing_arrives_and_other_commands_work_again(server: Server) -> None:
    publisher, subscriber = server.client(), server.subscriber()
    subscriber.subscribe("gossip")
    assert next_message(subscriber)[0] == "subscribe"
    subscriber.unsubscribe("gossip")  # type: ignore[no-untyped-call]  # untyped in the client
    assert next_message(subscriber) == ("unsubscribe", "gossip", 0)

    assert publisher.publish("gossip", "late") == 0
    ask(subscriber, "SET", "alive", "yes")
    assert publisher.get("alive") == "yes"


def test_a_subscriber_that_leaves_is_forgotten(server: Server) -> None:
    publisher, subscriber = server.client(), server.subscriber()
    subscriber.subscribe("rumours")
    assert next_message(subscriber)[0] == "subscribe"
    subscriber.close()

    subscribers_of(publisher, "rumours", 0)


def test_frames_arrive_whole_however_the_bytes_are_cut(server: Server) -> None:
    write = encode(Array((Bulk(b"SET"), Bulk(b"key"), Bulk(b"a\r\nb"))))
    read = encode(Array((Bulk(b"GET"), Bulk(b"key"))))

    assert server.exchange(write + read, 15) == b"+OK\r\n$4\r\na\r\nb\r\n"


def test_bytes_that_are_no_protocol_end_only_their_own_connection(server: Server) -> None:
    client = server.client()
    client.set("key", "value")
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert raw.recv(100) == b""

    assert client.get("key") == "value"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_shuts_the_server_down_cleanly_while_clients_are_connected(number: signal.Signals) -> None:
    server = Server()
    client, subscriber = server.client(), server.subscriber()
    client.ping()
    subscriber.subscribe("rumours")
    next_message(subscriber)

    assert server.stop(number) == (0, "")
    with pytest.raises(redis.ConnectionError):
        subscriber.get_message(timeout=1)


def test_a_slow_receiver_is_told_how_many_messages_it_missed() -> None:
    channel = Channel(b"t", capacity=2)
    receiver = channel.subscribe(lambda: None)
    for payload in (b"1", b"2", b"3", b"4", b"5"):
        assert channel.send(payload) == 1

    assert [receiver.take() for _ in range(4)] == [
        Lagged(b"t", 3),
        Message(b"t", b"4"),
        Message(b"t", b"5"),
        None,
    ]


def test_a_subscriber_that_reads_late_is_told_and_gets_the_latest_messages() -> None:
    replies = asyncio.run(asyncio.wait_for(read_late(), 60))

    assert replies[0] == Array((Bulk(b"subscribe"), Bulk(b"t"), Integer(1)))
    assert any(isinstance(reply, Failure) and reply.text.startswith("LAGGED") for reply in replies)
    assert replies[-1] == Array((Bulk(b"message"), Bulk(b"t"), Bulk(b"last")))


async def read_late() -> list[Frame | None]:
    """All that a subscriber receives who does not read while far too much is published."""
    database, shutdown, served = Database(), asyncio.Event(), asyncio.Event()

    async def serve_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        await Handler(connection, database, shutdown).run()
        await connection.close()
        served.set()

    listener = await asyncio.start_server(serve_client, "127.0.0.1", 0)
    async with listener:
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname(), limit=1024)
        client = Connection(reader, writer)
        await client.write_frame(Array((Bulk(b"SUBSCRIBE"), Bulk(b"t"))))
        replies = [await client.read_frame()]
        for _ in range(2 * CAPACITY):
            database.publish(b"t", bytes(64 * 1024))
            await asyncio.sleep(0)
        database.publish(b"t", b"last")
        while replies[-1] != Array((Bulk(b"message"), Bulk(b"t"), Bulk(b"last"))):
            replies.append(await client.read_frame())
        await client.close()
        await served.wait()
    return replies


def test_a_client_that_never_reads_does_not_hold_up_the_shutdown() -> None:
    asyncio.run(asyncio.wait_for(shut_down_before_a_stalled_client(), 60))


async def shut_down_before_a_stalled_client() -> None:
    server = InProcessServer(grace=0.1)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        running = asyncio.create_task(server.run("127.0.0.1", 0))
        while not output.getvalue():
            await asyncio.sleep(0.001)
    port = int(output.getvalue().rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    echo = encode(Array((Bulk(b"PING"), Bulk(bytes(1024 * 1024)))))
    for _ in range(200):
        if writer.transport.get_write_buffer_size() > 0:
            await asyncio.sleep(0.05)
        if writer.transport.get_write_buffer_size() > 0:
            break
        writer.write(echo)
    else:
        raise AssertionError("the server never stalled")
    server.shut_down()
    await running
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def test_every_frame_is_parsed_as_it_was_encoded() -> None:
    frame = Array((Bulk(b"a"), Bulk(None), Integer(-7), Array((Simple("OK"), Array(()))), Bulk(b"\r\n")))
    wire = encode(frame)

    assert parse(wire + b"more") == (frame, len(wire))
    assert [parse(wire[:end]) for end in range(len(wire))] == [None] * len(wire)


@pytest.mark.parametrize(
    "wire", [b"?\r\n", b"$x\r\n", b"$-2\r\n", b"$1\r\nabc", b"*1\r\n" * 100_000, b":\r\n", b"*9999999999\r\n"]
)
def test_invalid_bytes_are_a_protocol_error(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(wire)


def test_a_deep_frame_is_encoded_without_recursion() -> None:
    frame: Frame = Integer(1)
    for _ in range(100_000):
        frame = Array((frame,))

    assert encode(frame) == b"*1\r\n" * 100_000 + b":1\r\n"
