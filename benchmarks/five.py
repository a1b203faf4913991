"""The five programs of `beside.py`, each broken and cured.

A program is a small world: `operate` is what is cancelled or interleaved, `verify` uses the world once more
and tells whether all is well. Nothing here knows a tool.
"""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fixtures.broken import locks_in_both_orders, lost_grant, pool_runs_dry, read_frame_header_body

PATIENCE = 0.1
"""How long `verify` waits, in seconds of the loop's clock."""


class Program(Protocol):
    """One world, made afresh for each run inside of a running loop."""

    async def operate(self) -> None: ...

    async def verify(self) -> bool: ...

    async def close(self) -> None: ...


async def in_time(waiting: Awaitable[object]) -> bool:
    """Whether something comes to its end."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(waiting, PATIENCE)
        return True
    return False


class Replies:
    """Two replies arrive in pieces, and are read one after the other. Cancelled between header and body?"""

    connection_class = read_frame_header_body.Connection
    wire = (b"*1\r\n", b"$3\r\none\r\n", b"*1\r\n", b"$3\r\ntwo\r\n")

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.connection = self.connection_class(self.reader)
        self.frames: list[list[bytes]] = []
        self.feeding = asyncio.create_task(self.feed())

    async def feed(self) -> None:
        for piece in self.wire:
            await asyncio.sleep(0.001)
            self.reader.feed_data(piece)

    async def operate(self) -> None:
        await self.read_one()

    async def read_one(self) -> None:
        self.frames.append(await self.connection.read_frame() or [])

    async def verify(self) -> bool:
        with contextlib.suppress(ValueError):
            while len(self.frames) < 2 and await in_time(self.read_one()):
                continue
        return self.frames == [[b"one"], [b"two"]]

    async def close(self) -> None:
        self.feeding.cancel()
        await asyncio.gather(self.feeding, return_exceptions=True)


class Keeping(read_frame_header_body.Connection):
    """Reads arrays of one string; what has been read of one stays with the connection until all is there."""

    header = size = b""

    async def read_frame(self) -> list[bytes] | None:
        self.header = self.header or await self.reader.readline()
        self.size = self.size or await self.reader.readline()
        body = await self.reader.readexactly(int(self.size[1:]) + 2)
        self.header = self.size = b""
        return [body[:-2]]


class CuredReplies(Replies):
    """Kept in the connection."""

    connection_class = Keeping


class Permits:
    """A query borrows the only connection of a pool. Cancelled before it gives it back?"""

    def __init__(self) -> None:
        self.users = self.over(pool_runs_dry.Pool(size=1, delay=0.001))

    def over(self, pool: pool_runs_dry.Pool) -> pool_runs_dry.Users:
        return pool_runs_dry.Users(pool)

    async def operate(self) -> None:
        await self.users.name(1)

    async def verify(self) -> bool:
        return await in_time(self.users.name(1))

    async def close(self) -> None:
        """Nothing is left."""


class GivingBack(pool_runs_dry.Users):
    async def name(self, number: int) -> str:
        connection = await self.pool.acquire()
        try:
            return await connection.fetch(number) or "nobody"
        finally:
            self.pool.release(connection)


class CuredPermits(Permits):
    """Given back in `finally`."""

    def over(self, pool: pool_runs_dry.Pool) -> pool_runs_dry.Users:
        return GivingBack(pool)


class Grants:
    """A connection is handed to the first in line. Cancelled between being handed it and running again?"""

    pool_class = lost_grant.Pool

    def __init__(self) -> None:
        self.pool = self.pool_class()
        self.lending = asyncio.create_task(self.lend())

    async def lend(self) -> None:
        await asyncio.sleep(0.001)
        self.pool.put("the connection")

    async def operate(self) -> None:
        self.pool.put(await self.pool.get())

    async def verify(self) -> bool:
        return await in_time(self.pool.get())

    async def close(self) -> None:
        self.lending.cancel()
        await asyncio.gather(self.lending, return_exceptions=True)


class PassingOn(lost_grant.Pool):
    async def get(self) -> str:
        if self.free:
            return self.free.popleft()
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter in self.waiters:
                self.waiters.remove(waiter)
            elif not waiter.cancelled():
                self.put(waiter.result())
            raise


class CuredGrants(Grants):
    """Who is cancelled with a connection in its hands gives it to the next."""

    pool_class = PassingOn


class Locks:
    """Two locks in both orders; the audit begins when the booking is over, if nothing is slow. Is it ever?"""

    bank_class = locks_in_both_orders.Bank

    def __init__(self) -> None:
        self.bank = self.bank_class()

    async def operate(self) -> None:
        await asyncio.gather(self.bank.book(5), self.audit_later())

    async def audit_later(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        await self.bank.audit()

    async def verify(self) -> bool:
        return await in_time(self.bank.audit())

    async def close(self) -> None:
        """Nothing is left."""


class OneOrder(locks_in_both_orders.Bank):
    async def audit(self) -> bool:
        async with self.accounts, self.ledger:
            await asyncio.sleep(0)
            return sum(self.lines) == self.balance


class CuredLocks(Locks):
    """Both take the accounts first."""

    bank_class = OneOrder


class Farewell:
    """Who is cancelled says goodbye, which waits, and gives the permit back. Cancelled there once more?"""

    def __init__(self) -> None:
        self.permits = asyncio.Semaphore(1)

    async def operate(self) -> None:
        await self.permits.acquire()
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            await self.say_goodbye()
            self.permits.release()
            raise
        self.permits.release()

    async def say_goodbye(self) -> None:
        await asyncio.sleep(0.001)

    async def verify(self) -> bool:
        return await in_time(self.permits.acquire())

    async def close(self) -> None:
        """Nothing is left."""


class CuredFarewell(Farewell):
    """Given back whatever becomes of the farewell."""

    async def operate(self) -> None:
        async with self.permits:
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                await self.say_goodbye()
                raise


FIVE: dict[str, tuple[Callable[[], Program], Callable[[], Program]]] = {
    "half a reply": (Replies, CuredReplies),
    "a dry pool": (Permits, CuredPermits),
    "a lost grant": (Grants, CuredGrants),
    "locks in both orders": (Locks, CuredLocks),
    "a second cancellation": (Farewell, CuredFarewell),
}
"""By name, broken and cured."""
