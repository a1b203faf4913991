"""Who holds taken data when an await is cancelled: what one function takes, and what it loses."""

from textwrap import dedent, indent

import pytest

from tests.analysed import analysed, losses, takes

HEADER = """\
import anyio, asyncio, logging, json, struct, trio
from collections import deque
from functools import partial
log = logging.getLogger(__name__)
lines = []
async def pause(): await asyncio.sleep(0)
async def handle(item): await asyncio.sleep(0)
async def f(r: asyncio.StreamReader, q: asyncio.Queue[bytes], buf: bytearray, flag: bool):
"""


def program(body: str) -> str:
    return HEADER + indent(dedent(body).strip("\n"), "    ") + "\n"


def lost(body: str) -> list[str]:
    """The sources that `f` loses data of, each with the way it is lost."""
    summary = analysed(program(body)).summary("main.f")
    names = ("r", "q", "buf", "flag")
    return [f"{names[int(loss.source.root[6:])]} {loss.cause}" for loss in summary.losses]


# --------------------------------------------------------------------------- where taken data goes


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return await r.read(4)", "takes r into its result"),
        ("return (await r.read(4)).decode()", "takes r into its result"),
        ("return json.loads(await r.readline())", "takes r into its result"),
        ("return {'line': [await r.readline()]}", "takes r into its result"),
        ("line = await r.readline()\nreturn line[4:] + b'!'", "takes r into its result"),
        ("word, _, rest = (await r.readline()).partition(b' ')\nreturn rest", "takes r into its result"),
        ("if line := await r.readline():\n    return line\nreturn None", "takes r into its result"),
        ("return [line for line in [await r.readline()]]", "takes r into its result"),
        ("return await r.readline() if flag else None", "takes r into its result"),
        ("parts = []\nparts.append(await r.readline())\nreturn parts", "takes r into its result"),
        ("parts = {}\nparts['a'] = await r.readline()\nreturn parts", "takes r into its result"),
        ("raise ValueError(await r.readline())", "takes r and keeps it"),
        ("buf.extend(await r.read(4))", "takes r into buf"),
        ("buf += await r.read(4)", "takes r into buf"),
        ("global lines\nlines = await r.read(4)", "takes r and keeps it"),
        ("lines.append(await r.readline())", "takes r and keeps it"),
        ("print(await r.readline())", "takes r and keeps it"),
        ("await r.readline()", "takes r and keeps it"),
        ("await q.put(await r.readline())", "takes r into q"),
        ("q.put_nowait(await r.readline())", "takes r into q"),
    ],
)
def test_what_is_taken_goes_into_the_result_or_an_object_or_is_kept(body: str, expected: str) -> None:
    assert [fact.rpartition(" (")[0] for fact in takes(program(body))] == [expected]


def test_data_that_goes_two_ways_is_taken_into_both() -> None:
    body = "line = await r.readline()\nif flag:\n    buf.extend(line)\n    return None\nreturn line"

    assert [fact.rpartition(" (")[0] for fact in takes(program(body))] == [
        "takes r into buf",
        "takes r into its result",
    ]


def test_a_yield_hands_data_to_the_consumer() -> None:
    assert lost("while line := await r.readline():\n    yield line") == []
    assert [fact.rpartition(" (")[0] for fact in takes(program("yield await r.readline()"))] == [
        "takes r into its result"
    ]


# --------------------------------------------------------------------------- lost

HEADER_BODY = "header = await r.readexactly(4)\nreturn await r.readexactly(int.from_bytes(header))"

LOST = {
    "a header, then the body of its length": HEADER_BODY,
    "a header kept in a tuple with the body": """
        header = await r.readexactly(4)
        return header, await r.readexactly(8)
        """,
    "a header unpacked": """
        kind, size = struct.unpack('!BI', await r.readexactly(5))
        return kind, await r.readexactly(size)
        """,
    "the first of a pair, returned after a pause": "line = await r.readline()\nawait pause()\nreturn line",
    "taken by walrus in a condition": """
        if line := await r.readline():
            await pause()
            return line
        return None
        """,
    "a buffer on the stack": """
        data = b''
        while not data.endswith(b'.'):
            data += await r.read(10)
        return data
        """,
    "a list round a loop": """
        found = []
        for _ in range(3):
            found.append(await r.readline())
        return found
        """,
    "a list by comprehension": "return [await r.readline() for _ in range(3)]",
    "a dict round a loop": """
        found = {}
        for name in ('a', 'b'):
            found[name] = await r.readline()
        return found
        """,
    "a list in a dict round a loop": """
        found = {'lines': []}
        for _ in range(3):
            found['lines'].append(await r.readline())
        return found
        """,
    "two reads in one expression": "return await r.read(1) + await r.read(1)",
    "two reads in one tuple": "return await r.read(1), await r.read(1)",
    "a name decides which read is next": """
        name = await r.readline()
        if name == b'GET':
            return await r.readline()
        return await r.readexactly(8)
        """,
    "computed by an unknown function": """
        line = await r.readline()
        parsed = parse_frame(line)
        await pause()
        return parsed
        """,
    "an unknown test of it after the pause": """
        line = await r.readline()
        await pause()
        if process(line):
            return 1
        return 2
        """,
    "assigned to a global after the pause": """
        global lines
        line = await r.readline()
        await pause()
        lines = line
        """,
    "each of its words is kept after the pause": """
        line = await r.readline()
        await pause()
        for word in line.split():
            lines.append(word)
        """,
    "added up after the pause": """
        line = await r.readline()
        total = b''
        while flag:
            await pause()
            total += line
        return total
        """,
    "renamed": "line = await r.readline()\nother = line\nawait pause()\nreturn other",
    "handed on only on one path": """
        line = await r.readline()
        if flag:
            lines.append(line)
        await pause()
        return line
        """,
    "an except Exception does not see a cancellation": """
        line = await r.readline()
        try:
            await pause()
        except Exception:
            lines.append(line)
            raise
        return line
        """,
    "a handler that catches it and does nothing": """
        line = await r.readline()
        try:
            await pause()
        except asyncio.CancelledError:
            raise
        return line
        """,
    "logging is no keeping": """
        line = await r.readline()
        log.debug('read %s', line)
        print(line)
        await pause()
        return line
        """,
    "an async for collects": """
        found = []
        async for line in r:
            found.append(line)
        return found
        """,
    "an async comprehension collects": "return [line async for line in r]",
    "unpacked and swapped": """
        first, second = await r.readline(), 0
        first, second = second, first
        await pause()
        return second
        """,
    "an object made of it": """
        line = await r.readline()
        command = Command(line)
        await pause()
        return command
        """,
    "a lambda over it": """
        line = await r.readline()
        later = lambda: line
        await pause()
        return later
        """,
    "an item of it": "data = await r.read(10)\nawait pause()\nreturn data[3]",
    "a formatted string of it": "data = await r.read(10)\ntext = f'{data}'\nawait pause()\nreturn text",
    "one of two values": """
        data = await r.read(10)
        text = data if flag else b''
        await pause()
        return text
        """,
    "awaited in a with": """
        data = await r.read(10)
        async with asyncio.Lock():
            return data
        """,
    "computed by a method": """
        line = await r.readline()
        words = line.strip().split()
        await pause()
        return words
        """,
    "fetched from a list again": """
        found = [await r.readline()]
        line = found.pop()
        await pause()
        return line
        """,
    "fetched from a deque again": """
        found = deque()
        found.append(await r.readline())
        line = found.popleft()
        await pause()
        return line
        """,
    "fetched from a dict again": """
        found = {'a': await r.readline()}
        line = found.get('a')
        await pause()
        return line
        """,
    "popped from a dict": """
        found = {'a': await r.readline()}
        line = found.pop('a')
        await pause()
        return line
        """,
    "popped from a set": """
        found = {await r.readline()}
        line = found.pop()
        await pause()
        return line
        """,
    "fetched from a local queue": """
        own = asyncio.Queue()
        own.put_nowait(await r.readline())
        line = own.get_nowait()
        await pause()
        return line
        """,
    "a local queue that holds it": """
        own = asyncio.Queue()
        own.put_nowait(await r.readline())
        await pause()
        return own
        """,
    "each value of a dict": """
        found = {'a': await r.readline()}
        for line in found.values():
            await pause()
            lines.append(line)
        """,
    "each item of a list": """
        found = [await r.readline()]
        for line in found:
            await pause()
            lines.append(line)
        """,
    "an attribute of a local object": """
        class Box: pass
        box = Box()
        box.line = await r.readline()
        await pause()
        return box
        """,
    "bound beside a star": """
        first, *rest = 1, await r.readline()
        await pause()
        return rest
        """,
    "bound in a nested tuple": """
        (first, _), _ = (await r.readline(), 1), 2
        await pause()
        return first
        """,
    "a list extended by it": """
        found = []
        found += [await r.readline()]
        await pause()
        return found
        """,
    "a partial over it": """
        later = partial(print, await r.readline())
        await pause()
        return later
        """,
    "copied out of a bytearray": """
        own = bytearray()
        own.extend(await r.read(3))
        data = bytes(own)
        await pause()
        return data
        """,
    "a test of its first bytes decides": """
        name = await r.readline()
        if name.startswith(b'SET'):
            return await r.readexactly(8)
        return None
        """,
    "a match decides": """
        name = await r.readline()
        match name:
            case b'SET':
                return await r.readexactly(8)
        return None
        """,
    "its length decides": """
        name = await r.readline()
        if len(name) > 3:
            return await r.readexactly(8)
        return None
        """,
    "an unknown test of it decides": """
        name = await r.readline()
        if is_set(name):
            return await r.readexactly(8)
        return None
        """,
    "membership decides": """
        name = await r.readline()
        if name in (b'SET', b'GET'):
            return await r.readexactly(8)
        return None
        """,
    "in a scope that shields nothing": """
        line = await r.readline()
        with trio.CancelScope():
            await pause()
        return line
        """,
    "after a shielding scope": """
        line = await r.readline()
        with trio.CancelScope(shield=True):
            print(line)
        await pause()
        return line
        """,
    "given back to the caller after an async with has ended": """
        async with asyncio.Lock():
            data = await r.read(10)
        await pause()
        return data
        """,
}


@pytest.mark.parametrize("body", LOST.values(), ids=LOST.keys())
def test_what_only_locals_hold_at_a_later_await_is_lost(body: str) -> None:
    assert lost(body) == ["r held"]


# --------------------------------------------------------------------------- not lost

SAFE = {
    "one read": "return await r.readexactly(4)",
    "one read, nothing awaited between it and the return": """
        line = await r.readline()
        parsed = json.loads(line)
        return parsed['x']
        """,
    "a pause before the read": "await pause()\nreturn await r.readline()",
    "the caller's buffer": """
        while not buf.endswith(b'.'):
            buf += await r.read(10)
        """,
    "a filter discards on purpose": """
        while True:
            line = await r.readline()
            if line == b'x':
                return line
        """,
    "a loop that handles": """
        while line := await r.readline():
            await handle(line)
        """,
    "an async for that handles": """
        async for line in r:
            await handle(line)
        """,
    "a loop that counts": """
        size = 0
        while line := await r.readline():
            size += len(line)
        return size
        """,
    "a loop that logs": """
        while line := await r.readline():
            log.info('%s', line)
        """,
    "at most once": "item = await r.readline()\nawait handle(item)",
    "stored in a global first": """
        line = await r.readline()
        lines.append(line)
        await pause()
        return line
        """,
    "put back by a handler for CancelledError": """
        line = await r.readline()
        try:
            await pause()
        except asyncio.CancelledError:
            lines.append(line)
            raise
        return line
        """,
    "put back by a handler for BaseException": """
        line = await r.readline()
        try:
            await pause()
        except BaseException:
            lines.append(line)
            raise
        return line
        """,
    "put back by a bare except": """
        line = await r.readline()
        try:
            await pause()
        except:
            lines.append(line)
            raise
        return line
        """,
    "put back by a handler of a tuple": """
        line = await r.readline()
        try:
            await pause()
        except (OSError, asyncio.CancelledError):
            lines.append(line)
            raise
        return line
        """,
    "put back in a finally": """
        line = await r.readline()
        try:
            await pause()
        finally:
            lines.append(line)
        return line
        """,
    "put back in a finally under a test": """
        line = await r.readline()
        done = False
        try:
            await pause()
            done = True
        finally:
            if not done:
                lines.append(line)
        return line
        """,
    "put back by a handler under a test": """
        line = await r.readline()
        try:
            await pause()
        except BaseException:
            if flag:
                lines.append(line)
            raise
        return line
        """,
    "returned by a handler": """
        line = await r.readline()
        try:
            await pause()
        except asyncio.CancelledError:
            return line
        return line
        """,
    "put back by an outer handler": """
        line = await r.readline()
        try:
            try:
                await pause()
            except OSError:
                raise
        except asyncio.CancelledError:
            lines.append(line)
            raise
        return line
        """,
    "None has been ruled out": """
        line = None
        while line is None:
            line = await r.readline() if flag else None
        return line
        """,
    "nothing was read": """
        line = await r.readline()
        if not line:
            await pause()
            return line
        return line
        """,
    "nothing was read, compared": """
        line = await r.readline()
        if line == b'':
            await pause()
            return line
        return line
        """,
    "only its length is used": """
        line = await r.readline()
        await pause()
        return len(line)
        """,
    "only its text is logged": "line = await r.readline()\nawait pause()\nlog.debug('%s', line.decode())",
    "only its text is logged, from a variable": """
        line = await r.readline()
        await pause()
        text = line.decode()
        text = text.strip()
        log.debug('%s', text)
        """,
    "only its words are printed": """
        line = await r.readline()
        await pause()
        for word in line.split():
            print(word)
        """,
    "only the number of its words is used": """
        line = await r.readline()
        await pause()
        return len(line.split())
        """,
    "what is computed from it is never used": """
        line = await r.readline()
        await pause()
        text = line.decode()
        if flag:
            text = ''
        """,
    "only a comparison is used": """
        line = await r.readline()
        same = line == b'x'
        await pause()
        return same
        """,
    "read anew before it is used": """
        line = await r.readline()
        await handle(line)
        line = b''
        return line
        """,
    "deleted": """
        line = await r.readline()
        lines.append(line)
        del line
        await pause()
        """,
    "an await that never suspends": """
        async def at_once(): pass
        line = await r.readline()
        await at_once()
        return line
        """,
    "read from another source": "first = await r.readline()\nawait q.put(first)\nreturn await q.get()",
    "the source is closed in a handler": """
        line = await r.readline()
        try:
            return line + await r.readline()
        except BaseException:
            r.close()
            raise
        """,
    "the source is closed in a finally": """
        try:
            line = await r.readline()
            return line + await r.readline()
        finally:
            r.close()
        """,
    "cancelled by itself only": """
        line = await r.readline()
        try:
            await pause()
        except asyncio.CancelledError:
            pass
        return line
        """,
    "shielded by a scope of trio": """
        line = await r.readline()
        with trio.CancelScope(shield=True):
            await pause()
        return line
        """,
    "suppressed": """
        import contextlib
        line = await r.readline()
        with contextlib.suppress(asyncio.CancelledError):
            await pause()
        return line
        """,
}


@pytest.mark.parametrize("body", SAFE.values(), ids=SAFE.keys())
def test_nothing_is_lost_where_somebody_else_has_it_or_nobody_wants_it(body: str) -> None:
    assert lost(body) == []


# --------------------------------------------------------------------------- lost in other ways

OTHERWISE = {
    "the call itself drops what it has read": ("return await r.read()", ["r primitive"]),
    "the same by its argument": ("return await r.read(-1)", ["r primitive"]),
    "a task between": ("return await asyncio.create_task(q.get())", ["q wrapped"]),
    "a future between": ("return await asyncio.ensure_future(q.get())", ["q wrapped"]),
    "a task in a variable between": (
        "task = asyncio.create_task(q.get())\nreturn await task",
        ["q wrapped"],
    ),
    "a gather between": ("return await asyncio.gather(q.get(), pause())", ["q wrapped"]),
    "a shield between": ("return await asyncio.shield(q.get())", ["q dropped"]),
    "a shielded task between": (
        "return await asyncio.shield(asyncio.create_task(q.get()))",
        ["q dropped"],
    ),
    "two queues gathered": (
        "return await asyncio.gather(q.get(), r.readline())",
        ["r wrapped", "q wrapped"],
    ),
    "a coroutine in a variable is awaited as if in place": ("get = q.get()\nreturn await get", []),
    "held and wrapped": (
        "line = await r.readline()\nreturn line, await asyncio.create_task(q.get())",
        ["r held", "q wrapped"],
    ),
}


@pytest.mark.parametrize(("body", "expected"), OTHERWISE.values(), ids=OTHERWISE.keys())
def test_each_way_of_losing_data_has_its_own_name(body: str, expected: list[str]) -> None:
    assert lost(body) == expected


def test_from_python_312_a_coroutine_given_to_wait_for_is_awaited_in_place() -> None:
    assert lost("return await asyncio.wait_for(q.get(), 1)") == []


def test_losses_are_told_with_the_cause_and_the_call_at_the_bottom() -> None:
    assert losses(program(HEADER_BODY)) == ["loses r if cancelled (held, asyncio.StreamReader.readexactly)"]


@pytest.mark.parametrize("kept_out", ["anyio.CancelScope(shield=True)", "anyio.fail_after(5, shield=False)"])
def test_a_shield_of_anyio_keeps_all_but_asyncio_s_own_cancellation_out(kept_out: str) -> None:
    body = f"line = await r.readline()\nwith {kept_out}:\n    await pause()\nreturn line"
    (loss,) = analysed(program(body)).summary("main.f").losses

    assert loss.native == ("True" in kept_out)
