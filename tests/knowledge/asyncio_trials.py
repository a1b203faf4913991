"""What is done with each of asyncio's operations to see what a cancellation breaks."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from tests.knowledge.trials import Trial
from tests.knowledge.worlds import Injection, World

# --------------------------------------------------------------------------- streams


async def reading(injection: Injection, read: Callable[[asyncio.StreamReader], Awaitable[object]]) -> object:
    """The same read twice, of lines that arrive in pieces."""
    reader = asyncio.StreamReader()
    injection.then(partial(reader.feed_data, piece) for piece in (b"on", b"e\ntw", b"o\n"))
    injection.then([reader.feed_eof])
    return [await injection.retry(lambda: read(reader)), await injection.retry(lambda: read(reader))]


def reads(name: str, read: Callable[[asyncio.StreamReader], Awaitable[object]], *args: str) -> Trial:
    return Trial(f"asyncio.StreamReader.{name}", partial(reading, read=read), args=args)


class Wire(asyncio.Transport):
    """A transport that sends nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        """Stays open until the test says otherwise."""

    def is_closing(self) -> bool:
        return False


def writer() -> tuple[asyncio.StreamWriter, asyncio.StreamReaderProtocol]:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    wire = Wire()
    protocol.connection_made(wire)
    return asyncio.StreamWriter(wire, protocol, reader, asyncio.get_running_loop()), protocol


async def draining(injection: Injection) -> object:
    stream, protocol = writer()
    protocol.pause_writing()
    injection.then([protocol.resume_writing])
    return await injection.retry(stream.drain)


async def closing(injection: Injection) -> object:
    stream, protocol = writer()
    stream.close()
    injection.then([partial(protocol.connection_lost, None)])
    return await injection.retry(stream.wait_closed)


# --------------------------------------------------------------------------- queues, locks, events


async def getting(
    injection: Injection, get: Callable[["asyncio.Queue[int]"], Awaitable[object]]
) -> list[object]:
    """Two items, one after the other."""
    queue: asyncio.Queue[int] = asyncio.Queue()
    injection.then(partial(queue.put_nowait, item) for item in range(4))
    return [await injection.retry(lambda: get(queue)), await injection.retry(lambda: get(queue))]


def gets(name: str, get: Callable[["asyncio.Queue[int]"], Awaitable[object]], **keywords: str) -> Trial:
    return Trial(name, partial(getting, get=get), keywords=keywords)


async def putting(injection: Injection) -> list[int]:
    """What is in the queue after a put that had to wait."""
    queue: asyncio.Queue[int] = asyncio.Queue(1)
    queue.put_nowait(0)
    taken: list[int] = []
    injection.then([lambda: taken.append(queue.get_nowait())])
    await injection.retry(lambda: queue.put(1))
    return [*taken, queue.get_nowait(), queue.qsize()]


async def joining(injection: Injection) -> object:
    queue: asyncio.Queue[int] = asyncio.Queue()
    queue.put_nowait(1)
    injection.then([queue.task_done])
    return await injection.retry(queue.join)


async def locking(
    injection: Injection,
    make: Callable[[], asyncio.Lock | asyncio.Semaphore | asyncio.Condition],
    acquire: str,
) -> object:
    """Taken with two waiters, given back by each; then nobody has it."""
    lock = make()
    await lock.acquire()
    turns: list[str] = []

    async def turn(name: str) -> None:
        await getattr(lock, acquire)()
        turns.append(name)
        lock.release()

    injection.then([lock.release])
    await asyncio.gather(injection.retry(lambda: turn("cancelled")), turn("other"))
    return sorted(turns), lock.locked()


def locks(name: str, make: Callable[[], asyncio.Lock | asyncio.Semaphore | asyncio.Condition]) -> list[Trial]:
    return [
        Trial(f"asyncio.{name}.{method}", partial(locking, make=make, acquire=method))
        for method in ("acquire", "__aenter__")
    ]


async def notifying(injection: Injection, wait: Callable[[asyncio.Condition], Awaitable[object]]) -> int:
    """Of two waiters one is notified, and whoever was not cancelled must wake."""
    condition = asyncio.Condition()
    woken: list[str] = []

    async def waiter(name: str) -> None:
        async with condition:
            await wait(condition)
            woken.append(name)

    async def notify() -> None:
        async with condition:
            condition.notify(1)

    others: list[asyncio.Task[None]] = []
    first = asyncio.ensure_future(injection.attempt(lambda: waiter("cancelled")))
    await turns(5)
    others.append(asyncio.ensure_future(waiter("other")))
    await turns(5)
    injection.then([lambda: others.append(asyncio.ensure_future(notify()))])
    await asyncio.sleep(100)
    assert woken, "the notification is lost"
    assert first.done()
    return len(woken)


async def wait_until_notified(condition: asyncio.Condition) -> None:
    answers = iter([False, True, True])
    await condition.wait_for(lambda: next(answers))


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def waiting_for_an_event(injection: Injection) -> object:
    event = asyncio.Event()
    injection.then([event.set])
    return await injection.retry(event.wait)


async def meeting(injection: Injection, wait: Callable[[asyncio.Barrier], Awaitable[object]]) -> object:
    """A barrier of two: the other one comes once."""
    barrier = asyncio.Barrier(2)
    came: list[asyncio.Task[int]] = []
    injection.then([lambda: came.append(asyncio.ensure_future(barrier.wait()))])
    await injection.retry(lambda: wait(barrier))
    return await asyncio.gather(*came) != []


async def sleeping(injection: Injection) -> object:
    return await injection.retry(lambda: asyncio.sleep(5, "slept"))


async def awaiting_a_future(injection: Injection) -> object:
    future: asyncio.Future[str] = asyncio.Future()
    injection.then([partial(future.set_result, "done")])
    return await injection.retry(lambda: future)


# --------------------------------------------------------------------------- wrappers


async def through_timeout(queue: "asyncio.Queue[int]") -> int:
    async with asyncio.timeout(3600):
        return await queue.get()


async def through_timeout_at(queue: "asyncio.Queue[int]") -> int:
    async with asyncio.timeout_at(asyncio.get_running_loop().time() + 3600):
        return await queue.get()


async def through_timeout_object(queue: "asyncio.Queue[int]") -> int:
    async with asyncio.Timeout(asyncio.get_running_loop().time() + 3600):
        return await queue.get()


async def through_wait(queue: "asyncio.Queue[int]") -> int:
    task = asyncio.ensure_future(queue.get())
    await asyncio.wait({task}, return_when=asyncio.FIRST_COMPLETED)
    return task.result()


async def through_as_completed(queue: "asyncio.Queue[int]") -> int:
    (first,) = asyncio.as_completed([queue.get()])
    return await first


async def through_group(queue: "asyncio.Queue[int]") -> int:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(queue.get())
    return task.result()


async def through_shield(queue: "asyncio.Queue[int]") -> int:
    return await asyncio.shield(queue.get())


# --------------------------------------------------------------------------- sockets


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    with near, far:
        try:
            yield near, far
        finally:
            asyncio.get_running_loop().remove_reader(near)
            asyncio.get_running_loop().remove_writer(near)


def arrived(data: object) -> bytes:
    """The data that a receiving call gave, in whatever form."""
    return bytes(data[0] if isinstance(data, tuple) else data)  # type: ignore[call-overload]


async def receiving(
    injection: Injection, receive: Callable[[asyncio.AbstractEventLoop, socket.socket], Awaitable[object]]
) -> bytes:
    """Two bytes, one after the other."""
    loop = asyncio.get_running_loop()
    async with pair() as (near, far):
        injection.then(partial(far.send, bytes([byte])) for byte in b"abcd")
        first = arrived(await injection.retry(lambda: receive(loop, near)))
        return first + arrived(await injection.retry(lambda: receive(loop, near)))


async def into(receive: Callable[[bytearray], Awaitable[object]]) -> bytes:
    buffer = bytearray(1)
    await receive(buffer)
    return bytes(buffer)


def receives(
    name: str, receive: Callable[[asyncio.AbstractEventLoop, socket.socket], Awaitable[object]]
) -> Trial:
    scenario = partial(receiving, receive=receive)
    return Trial(f"asyncio.AbstractEventLoop.{name}", scenario, world=World.ASYNCIO_SOCKETS)


async def accepting(injection: Injection) -> list[int]:
    """The connections accepted are those that were made, in their order."""
    loop = asyncio.get_running_loop()
    callers = [socket.socket() for _ in range(3)]
    with socket.socket() as listener:
        listener.setblocking(False)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        injection.then(partial(caller.connect, listener.getsockname()) for caller in callers)
        ports = []
        for _ in range(2):
            connection, address = await injection.retry(lambda: loop.sock_accept(listener))  # type: ignore[misc]
            connection.close()
            ports.append(address[1])
        loop.remove_reader(listener)
        known = [caller.getsockname()[1] for caller in callers]
        for caller in callers:
            caller.close()
        return [known.index(port) for port in ports]


async def sending(injection: Injection) -> int:
    """How much arrives of what is too much for the socket's buffer."""
    loop = asyncio.get_running_loop()
    payload = b"x" * 1_000_000
    received = 0
    async with pair() as (near, far):

        def read() -> None:
            nonlocal received
            with suppress(BlockingIOError):
                received += len(far.recv(200_000))

        injection.then([read] * 40)
        await injection.retry(lambda: loop.sock_sendall(near, payload))
        for _ in range(40):
            read()
        return received


async def wait_for(queue: "asyncio.Queue[int]") -> int:
    return await asyncio.wait_for(queue.get(), 3600)


TRIALS: list[Trial] = [
    reads("read", lambda reader: reader.read(4), "4"),
    reads("read", lambda reader: reader.read()),
    reads("readline", lambda reader: reader.readline()),
    reads("readexactly", lambda reader: reader.readexactly(3)),
    reads("readuntil", lambda reader: reader.readuntil(b"\n")),
    reads("__anext__", lambda reader: reader.__anext__()),
    Trial("asyncio.StreamWriter.drain", draining),
    Trial("asyncio.StreamWriter.wait_closed", closing),
    gets("asyncio.Queue.get", lambda queue: queue.get()),
    Trial("asyncio.Queue.put", putting),
    Trial("asyncio.Queue.join", joining),
    *locks("Lock", asyncio.Lock),
    *locks("Semaphore", asyncio.Semaphore),
    *locks("Condition", asyncio.Condition),
    Trial("asyncio.Condition.wait", partial(notifying, wait=lambda condition: condition.wait())),
    Trial("asyncio.Condition.wait_for", partial(notifying, wait=wait_until_notified)),
    Trial("asyncio.Event.wait", waiting_for_an_event),
    Trial("asyncio.Barrier.wait", partial(meeting, wait=lambda barrier: barrier.wait())),
    Trial("asyncio.Barrier.__aenter__", partial(meeting, wait=lambda barrier: barrier.__aenter__())),
    Trial("asyncio.sleep", sleeping),
    Trial("asyncio.Future.__await__", awaiting_a_future),
    gets("asyncio.wait_for", wait_for),
    gets("asyncio.timeout", through_timeout),
    gets("asyncio.timeout_at", through_timeout_at),
    gets("asyncio.Timeout", through_timeout_object),
    gets("asyncio.wait", through_wait, return_when="FIRST_COMPLETED"),
    gets("asyncio.as_completed", through_as_completed),
    gets("asyncio.TaskGroup", through_group),
    gets("asyncio.shield", through_shield),
    receives("sock_recv", lambda loop, near: loop.sock_recv(near, 1)),
    receives("sock_recvfrom", lambda loop, near: loop.sock_recvfrom(near, 1)),
    receives("sock_recv_into", lambda loop, near: into(lambda buffer: loop.sock_recv_into(near, buffer))),
    receives(
        "sock_recvfrom_into", lambda loop, near: into(lambda buffer: loop.sock_recvfrom_into(near, buffer))
    ),
    Trial("asyncio.AbstractEventLoop.sock_accept", accepting, world=World.ASYNCIO_SOCKETS),
    Trial("asyncio.AbstractEventLoop.sock_sendall", sending, world=World.ASYNCIO_SOCKETS),
]
