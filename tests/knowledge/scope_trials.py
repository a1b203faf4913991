"""What is done with the operations of anyio and of trio to see what a cancellation breaks."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
import anyio.abc
import anyio.lowlevel
import trio
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from anyio.streams.text import TextReceiveStream

from tests.knowledge.trials import Trial
from tests.knowledge.worlds import Injection, Scenario, World

ANYIO = (World.ANYIO_ON_ASYNCIO, World.ANYIO_ON_TRIO)


def in_anyio(name: str, scenario: Scenario, worlds: tuple[World, ...] = ANYIO) -> list[Trial]:
    return [Trial(name, scenario, world=world) for world in worlds]


def in_trio(name: str, scenario: Scenario) -> list[Trial]:
    return [Trial(name, scenario, world=World.TRIO)]


# --------------------------------------------------------------------------- channels

Sender = MemoryObjectSendStream[int] | trio.MemorySendChannel[int]
Receiver = MemoryObjectReceiveStream[int] | trio.MemoryReceiveChannel[int]
Channel = Callable[[int], tuple[Sender, Receiver]]


async def receiving(injection: Injection, channel: Channel, size: int, method: str) -> list[object]:
    """Two items, one after the other."""
    sender, receiver = channel(size)
    injection.then([partial(_send_next, sender, list(range(6)))] * 8)
    with sender, receiver:
        return [await injection.retry(getattr(receiver, method)) for _ in range(2)]


def _send_next(sender: Sender, items: list[int]) -> None:
    """Sends the first item, unless nobody takes it yet."""
    with suppress(anyio.WouldBlock, trio.WouldBlock):
        sender.send_nowait(items[0])
        items.pop(0)


async def sending(injection: Injection, channel: Channel, size: int) -> list[int]:
    """All that arrives of one item sent behind those that fill the channel."""
    sender, receiver = channel(size)
    arrived: list[int] = []
    with sender, receiver:
        for item in range(size):
            sender.send_nowait(item)
        injection.then([lambda: arrived.append(receiver.receive_nowait())] * (size + 1))
        await injection.retry(lambda: sender.send(size))
        while True:
            try:
                arrived.append(receiver.receive_nowait())
            except (anyio.WouldBlock, trio.WouldBlock):
                return arrived


# --------------------------------------------------------------------------- locks


async def locking(injection: Injection, make: Callable[[], object], acquire: str) -> list[str]:
    """Two take turns at what somebody else gives back; then it is free."""
    lock = make()
    given_back = anyio.Event()
    turns: list[str] = []

    async def hold() -> None:
        async with lock:  # type: ignore[attr-defined]
            await given_back.wait()

    async def turn(name: str) -> None:
        await getattr(lock, acquire)()
        turns.append(name)
        await _release(lock)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hold)
        await anyio.wait_all_tasks_blocked()
        injection.then([given_back.set])
        await injection.retry(lambda: turn("cancelled"))
        tasks.start_soon(turn, "other")
    async with lock:  # type: ignore[attr-defined]
        return sorted(turns)


async def _release(lock: object) -> None:
    lock.release()  # type: ignore[attr-defined]


def lock_trials(library: str, name: str, make: Callable[[], object]) -> list[Trial]:
    inside = in_anyio if library == "anyio" else in_trio
    return [
        trial
        for method in ("acquire", "__aenter__")
        for trial in inside(f"{library}.{name}.{method}", partial(locking, make=make, acquire=method))
    ]


async def borrowing(
    injection: Injection, make: Callable[[int], anyio.CapacityLimiter | trio.CapacityLimiter]
) -> list[float]:
    """A token, given back by one borrower and taken by the next."""
    limiter = make(1)
    limiter.acquire_on_behalf_of_nowait("somebody")
    injection.then([partial(limiter.release_on_behalf_of, "somebody")])
    await injection.retry(lambda: limiter.acquire_on_behalf_of("me"))
    borrowed = limiter.borrowed_tokens
    limiter.release_on_behalf_of("me")
    return [borrowed, limiter.borrowed_tokens]


async def notifying(injection: Injection, make: Callable[[], anyio.Condition | trio.Condition]) -> list[bool]:
    """Of two waiters one is notified, and whoever was not cancelled must wake."""
    condition = make()
    woken: list[str] = []

    async def waiter(name: str) -> None:
        async with condition:
            await condition.wait()
            woken.append(name)

    async def notify() -> None:
        async with condition:
            condition.notify(1)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(injection.attempt, lambda: waiter("cancelled"))
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(waiter, "other")
        await anyio.wait_all_tasks_blocked()
        injection.then([lambda: tasks.start_soon(notify)])
        await anyio.sleep(100)
        tasks.cancel_scope.cancel()
    return [bool(woken), condition.locked()]


async def waiting_for_an_event(injection: Injection, make: Callable[[], anyio.Event | trio.Event]) -> object:
    event = make()
    injection.then([event.set])
    return await injection.retry(event.wait)


async def parking(injection: Injection) -> list[bool]:
    """One of two parked tasks is woken."""
    lot = trio.lowlevel.ParkingLot()
    woken: list[str] = []

    async def park(name: str) -> None:
        await lot.park()
        woken.append(name)

    async with trio.open_nursery() as tasks:
        tasks.start_soon(injection.attempt, lambda: park("cancelled"))
        await trio.testing.wait_all_tasks_blocked()
        tasks.start_soon(park, "other")
        await trio.testing.wait_all_tasks_blocked()
        injection.then([lot.unpark])
        await trio.sleep(100)
        tasks.cancel_scope.cancel()
    return [bool(woken)]


async def calling(injection: Injection, call: Callable[[], Awaitable[object]]) -> object:
    return await injection.retry(call)


# --------------------------------------------------------------------------- streams


class Pieces(anyio.abc.ByteReceiveStream):
    """A stream that gives what it is fed, and takes nothing out before it gives it."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._fed = anyio.Event()

    def feed(self, data: bytes) -> None:
        self._data += data
        self._fed.set()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        while not self._data:
            self._fed = anyio.Event()
            await self._fed.wait()
        piece = bytes(self._data[:max_bytes])
        del self._data[:max_bytes]
        return piece

    async def aclose(self) -> None:
        """There is nothing to close."""


async def reading(
    injection: Injection,
    make: Callable[[anyio.abc.ByteReceiveStream], object],
    read: Callable[[object], Awaitable[object]],
) -> list[object]:
    """The same read twice, of what arrives in pieces."""
    pieces = Pieces()
    stream = make(pieces)
    injection.then(partial(pieces.feed, piece) for piece in (b"on\xc3", b"\xa9\ntw", b"o.\n"))
    return [await injection.retry(lambda: read(stream)), await injection.retry(lambda: read(stream))]


async def reading_text(injection: Injection) -> str:
    """All of a text whose letters arrive in halves."""
    pieces = Pieces()
    stream = TextReceiveStream(pieces)
    injection.then(partial(pieces.feed, piece) for piece in (b"on\xc3", b"\xa9\ntw", b"o.\n"))
    text = ""
    while not text.endswith("."):
        text += str(await injection.retry(stream.receive)).rstrip()
    return text


def buffered(method: str, *args: object) -> list[Trial]:
    name = f"anyio.streams.buffered.BufferedByteReceiveStream.{method}"
    scenario = partial(
        reading, make=BufferedByteReceiveStream, read=lambda stream: getattr(stream, method)(*args)
    )
    return in_anyio(name, scenario)


# --------------------------------------------------------------------------- sockets


@asynccontextmanager
async def wired(library: str) -> AsyncIterator[tuple[object, socket.socket]]:
    """A stream of the library, and the socket at the other end."""
    near, far = socket.socketpair()
    far.setblocking(False)
    with far:
        if library == "trio":
            stream: object = trio.SocketStream(trio.socket.from_stdlib_socket(near))
        else:
            stream = await anyio.abc.UNIXSocketStream.from_socket(near)
        async with stream:  # type: ignore[attr-defined]
            yield stream, far


async def receiving_bytes(injection: Injection, library: str, method: str) -> bytes:
    """Two pieces, one after the other."""
    async with wired(library) as (stream, far):
        injection.then(partial(far.send, piece) for piece in (b"one,", b"two,", b"three,"))
        read = getattr(stream, method)
        data = b""
        while len(data) < 8:
            data += await injection.retry(read)  # type: ignore[operator]
        return data[:8]


async def sending_bytes(injection: Injection, library: str, method: str) -> int:
    """How much arrives of what is too much for the socket's buffer."""
    size = 2_000_000
    received = 0
    async with wired(library) as (stream, far):

        def read() -> None:
            nonlocal received
            try:
                while data := far.recv(100_000):
                    received += len(data)
            except BlockingIOError:
                pass

        injection.then([read] * 60)
        await injection.retry(lambda: getattr(stream, method)(b"x" * size))
        for _ in range(100):
            read()
            await anyio.sleep(0.01)
        return received


async def receiving_datagram(injection: Injection) -> list[bytes]:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    async with await anyio.abc.UDPSocket.from_socket(bound) as near:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
            injection.then(partial(far.sendto, data, ("127.0.0.1", port)) for data in (b"1", b"2", b"3"))
            got = [await injection.retry(near.receive), await injection.retry(near.receive)]
            return [data for data, _ in got]  # type: ignore[misc]


async def trio_socket(
    injection: Injection, read: Callable[["trio.socket.SocketType"], Awaitable[object]]
) -> list[object]:
    near, far = socket.socketpair()
    near.setblocking(False)
    with trio.socket.from_stdlib_socket(near) as reader, far:
        injection.then(partial(far.send, bytes([byte])) for byte in b"abcd")
        return [await injection.retry(lambda: read(reader)), await injection.retry(lambda: read(reader))]


async def _when_readable(near: "trio.socket.SocketType") -> bytes:
    await trio.lowlevel.wait_readable(near)
    return await near.recv(1)


async def into(read: Callable[[bytearray], Awaitable[object]]) -> bytes:
    buffer = bytearray(1)
    await read(buffer)
    return bytes(buffer)


async def accepting(injection: Injection, library: str) -> list[int]:
    """The connections accepted are those that were made, in their order."""
    callers = [socket.socket() for _ in range(4)]
    ports = []
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen()
    address = bound.getsockname()
    if library == "trio":
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(bound))
    else:
        listener = await anyio.abc.SocketListener.from_socket(bound)
    async with listener:
        injection.then(partial(caller.connect, address) for caller in callers)
        for _ in range(2):
            stream = await injection.retry(listener.accept)
            async with stream:  # type: ignore[attr-defined]
                ports.append(
                    stream.socket.getpeername()[1]  # type: ignore[attr-defined]
                    if library == "trio"
                    else stream.extra(anyio.abc.SocketAttribute.remote_port)  # type: ignore[attr-defined]
                )
    known = [caller.getsockname()[1] for caller in callers]
    for caller in callers:
        caller.close()
    return [known.index(port) for port in ports]


# --------------------------------------------------------------------------- scopes


async def through(injection: Injection, make: Callable[[], object], channel: Channel) -> list[object]:
    """Items received inside a scope, two of them."""
    sender, receiver = channel(10)

    async def receive() -> int:
        with make():  # type: ignore[attr-defined]
            return await receiver.receive()

    injection.then(partial(sender.send_nowait, item) for item in range(4))
    with sender, receiver:
        return [await injection.retry(receive), await injection.retry(receive)]


async def through_group(injection: Injection, make: Callable[[], object], channel: Channel) -> list[object]:
    """Items received in the body of a task group, two of them."""
    sender, receiver = channel(10)

    async def receive() -> int:
        async with make():  # type: ignore[attr-defined]
            item = await receiver.receive()
        return item

    injection.then(partial(sender.send_nowait, item) for item in range(4))
    with sender, receiver:
        return [await injection.retry(receive), await injection.retry(receive)]


def _anyio_channel(size: int) -> tuple[Sender, Receiver]:
    return anyio.create_memory_object_stream[int](size)


def _trio_channel(size: int) -> tuple[Sender, Receiver]:
    return trio.open_memory_channel[int](size)


MEMORY = "anyio.streams.memory.MemoryObject"

TRIALS: list[Trial] = [
    *(
        trial
        for size in (0, 10)
        for method in ("receive", "__anext__")
        for receiver, trio_receiver in (
            (f"{MEMORY}ReceiveStream", "trio.MemoryReceiveChannel"),
            ("anyio.abc.ObjectReceiveStream", "trio.abc.ReceiveChannel"),
        )
        for trial in (
            *in_anyio(
                f"{receiver}.{method}",
                partial(receiving, channel=_anyio_channel, size=size, method=method),
            ),
            *in_trio(
                f"{trio_receiver}.{method}",
                partial(receiving, channel=_trio_channel, size=size, method=method),
            ),
        )
    ),
    *in_anyio(f"{MEMORY}SendStream.send", partial(sending, channel=_anyio_channel, size=1)),
    *in_trio("trio.MemorySendChannel.send", partial(sending, channel=_trio_channel, size=1)),
    *lock_trials("anyio", "Lock", anyio.Lock),
    *lock_trials("anyio", "Semaphore", lambda: anyio.Semaphore(1)),
    *lock_trials("anyio", "CapacityLimiter", lambda: anyio.CapacityLimiter(1)),
    *lock_trials("anyio", "Condition", anyio.Condition),
    *lock_trials("trio", "Lock", trio.Lock),
    *lock_trials("trio", "StrictFIFOLock", trio.StrictFIFOLock),
    *lock_trials("trio", "Semaphore", lambda: trio.Semaphore(1)),
    *lock_trials("trio", "CapacityLimiter", lambda: trio.CapacityLimiter(1)),
    *lock_trials("trio", "Condition", trio.Condition),
    *in_anyio("anyio.CapacityLimiter.acquire_on_behalf_of", partial(borrowing, make=anyio.CapacityLimiter)),
    *in_trio("trio.CapacityLimiter.acquire_on_behalf_of", partial(borrowing, make=trio.CapacityLimiter)),
    *in_anyio("anyio.Condition.wait", partial(notifying, make=anyio.Condition)),
    *in_trio("trio.Condition.wait", partial(notifying, make=trio.Condition)),
    *in_anyio("anyio.Event.wait", partial(waiting_for_an_event, make=anyio.Event)),
    *in_trio("trio.Event.wait", partial(waiting_for_an_event, make=trio.Event)),
    *in_trio("trio.lowlevel.ParkingLot.park", parking),
    *in_anyio("anyio.sleep", partial(calling, call=lambda: anyio.sleep(5))),
    *in_anyio(
        "anyio.sleep_until", partial(calling, call=lambda: anyio.sleep_until(anyio.current_time() + 5))
    ),
    *in_anyio("anyio.lowlevel.checkpoint", partial(calling, call=anyio.lowlevel.checkpoint)),
    *in_trio("trio.sleep", partial(calling, call=lambda: trio.sleep(5))),
    *in_trio("trio.sleep_until", partial(calling, call=lambda: trio.sleep_until(trio.current_time() + 5))),
    *in_trio("trio.lowlevel.checkpoint", partial(calling, call=trio.lowlevel.checkpoint)),
    *in_trio(
        "trio.lowlevel.cancel_shielded_checkpoint",
        partial(calling, call=trio.lowlevel.cancel_shielded_checkpoint),
    ),
    *buffered("receive", 3),
    *buffered("receive_exactly", 4),
    *buffered("receive_until", b"\n", 100),
    *in_anyio("anyio.streams.text.TextReceiveStream.receive", reading_text),
    *(
        trial
        for name, method in (
            ("anyio.abc.SocketStream.receive", "receive"),
            ("anyio.abc.ByteReceiveStream.receive", "receive"),
            ("anyio.abc.ByteReceiveStream.__anext__", "__anext__"),
        )
        for trial in in_anyio(name, partial(receiving_bytes, library="anyio", method=method))
    ),
    *(
        trial
        for name in ("anyio.abc.SocketStream.send", "anyio.abc.ByteSendStream.send")
        for trial in in_anyio(name, partial(sending_bytes, library="anyio", method="send"))
    ),
    *in_anyio("anyio.abc.UDPSocket.receive", receiving_datagram),
    *in_anyio("anyio.abc.UDPSocket.__anext__", receiving_datagram),
    *(
        trial
        for name, method in (
            ("trio.SocketStream.receive_some", "receive_some"),
            ("trio.abc.ReceiveStream.receive_some", "receive_some"),
            ("trio.abc.ReceiveStream.__anext__", "__anext__"),
        )
        for trial in in_trio(name, partial(receiving_bytes, library="trio", method=method))
    ),
    *(
        trial
        for name in ("trio.SocketStream.send_all", "trio.abc.SendStream.send_all")
        for trial in in_trio(name, partial(sending_bytes, library="trio", method="send_all"))
    ),
    *in_trio("trio.lowlevel.wait_readable", partial(trio_socket, read=_when_readable)),
    *in_trio("trio.socket.SocketType.recv", partial(trio_socket, read=lambda near: near.recv(1))),
    *in_trio("trio.socket.SocketType.recvfrom", partial(trio_socket, read=lambda near: near.recvfrom(1))),
    *in_trio(
        "trio.socket.SocketType.recv_into", partial(trio_socket, read=lambda near: into(near.recv_into))
    ),
    *in_anyio("anyio.abc.SocketListener.accept", partial(accepting, library="anyio"), ANYIO[:1]),
    *in_trio("trio.SocketListener.accept", partial(accepting, library="trio")),
    *in_trio("trio.abc.Listener.accept", partial(accepting, library="trio")),
    *(
        trial
        for name, make in (
            ("anyio.move_on_after", lambda: anyio.move_on_after(3600)),
            ("anyio.fail_after", lambda: anyio.fail_after(3600)),
            ("anyio.CancelScope", anyio.CancelScope),
        )
        for trial in in_anyio(name, partial(through, make=make, channel=_anyio_channel))
    ),
    *(
        trial
        for name, make in (
            ("trio.move_on_after", lambda: trio.move_on_after(3600)),
            ("trio.move_on_at", lambda: trio.move_on_at(trio.current_time() + 3600)),
            ("trio.fail_after", lambda: trio.fail_after(3600)),
            ("trio.fail_at", lambda: trio.fail_at(trio.current_time() + 3600)),
            ("trio.CancelScope", trio.CancelScope),
        )
        for trial in in_trio(name, partial(through, make=make, channel=_trio_channel))
    ),
    *in_anyio(
        "anyio.create_task_group",
        partial(through_group, make=anyio.create_task_group, channel=_anyio_channel),
    ),
    *in_trio("trio.open_nursery", partial(through_group, make=trio.open_nursery, channel=_trio_channel)),
]
