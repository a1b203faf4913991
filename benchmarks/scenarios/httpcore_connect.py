"""httpcore: a request is given up while it connects, and the next one needs its place in the pool."""

import contextlib

import httpcore
from httpcore_backend import PATIENCE, Backend

from cancellint.testing import Injection


async def scenario(injection: Injection) -> int:
    pool = httpcore.AsyncConnectionPool(max_connections=1, network_backend=Backend())
    with contextlib.suppress(httpcore.ConnectError):
        await injection.attempt(lambda: pool.request("GET", "http://down.example/"))
    response = await pool.request("GET", "http://up.example/", extensions=PATIENCE)
    return response.status
