"""mcp: a request is given up, and the session keeps a stream for its answer for ever."""

import anyio
from mcp.client.session import ClientSession

from cancellint.testing import Injection


async def scenario(injection: Injection) -> int:
    """How many requests the session still has in its books when none is left."""
    to_client, from_server = anyio.create_memory_object_stream(8)
    to_server, from_client = anyio.create_memory_object_stream(8)
    async with ClientSession(from_server, to_server) as session, anyio.create_task_group() as group:

        async def answer() -> None:
            async for message in from_client:
                request = getattr(message, "message", message)
                reply = type(request).model_validate(
                    {"jsonrpc": "2.0", "id": getattr(request.root, "id", 0), "result": {}}
                )
                await anyio.sleep(1)
                await to_client.send(wrapped(message, reply))

        group.start_soon(answer)
        await injection.attempt(session.send_ping)
        await anyio.sleep(5)
        group.cancel_scope.cancel()
    return len(session._response_streams)


def wrapped(like: object, reply: object) -> object:
    """A reply in the envelope of this release."""
    return type(like)(message=reply) if hasattr(like, "message") else reply
