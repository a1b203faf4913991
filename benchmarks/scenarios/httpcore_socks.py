"""httpcore: one request is given up while a SOCKS proxy connects, and another needs its place."""

import contextlib

import httpcore
from httpcore_backend import PATIENCE, Backend

from cancellint.testing import Injection


async def scenario(injection: Injection) -> int:
    pool = httpcore.AsyncSOCKSProxy("socks5://proxy.example", max_connections=1, network_backend=Backend())
    with contextlib.suppress(httpcore.ProxyError):
        await injection.attempt(lambda: pool.request("GET", "http://down.example/"))
    response = await pool.request("GET", "http://up.example/", extensions=PATIENCE)
    return response.status
