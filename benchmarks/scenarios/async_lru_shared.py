"""async-lru: two callers wait for one computation, and one of them stops waiting."""

import asyncio

from async_lru import alru_cache

from cancellint.testing import Injection


async def scenario(injection: Injection) -> str:
    @alru_cache
    async def look_up(key: str) -> str:
        await asyncio.sleep(1)
        return f"the value of {key}"

    other = asyncio.ensure_future(look_up("key"))
    await asyncio.sleep(0)
    await injection.attempt(lambda: look_up("key"))
    return await other
