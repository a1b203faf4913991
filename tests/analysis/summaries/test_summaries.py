"""What crosses a call: summaries over helpers, files, recursion and inheritance; that they settle."""

import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import copytree
from textwrap import dedent

import pytest

from cancellint.model.summary import Summary
from tests.analysed import Analysed, analysed, beliefs, losses, takes

ROOT = Path(__file__).resolve().parents[3]
IMPORTS = "import asyncio\nfrom collections import deque\nfrom functools import partial\n"
PAUSE = "async def pause(): await asyncio.sleep(0)\n"


def source_of(text: str) -> str:
    return IMPORTS + PAUSE + dedent(text)


def lost_by(text: str, name: str = "f") -> list[str]:
    """What a function loses, without the call at the bottom."""
    return [fact.partition(", ")[0] for fact in losses(source_of(text), name)]


def taken_by(text: str, name: str = "f") -> list[str]:
    return [fact.rpartition(" (")[0] for fact in takes(source_of(text), name)]


# --------------------------------------------------------------------------- parameters

FATES = {
    "looks": ("def f(x): print(x, len(x))", []),
    "hands back": ("def f(x): return x", ["hands back x"]),
    "hands back a part": ("def f(x): return x[1:]", ["hands back x"]),
    "hands back what is computed": ("def f(x): return parse(x)", ["hands back x"]),
    "hands back what it fetched": ("def f(x):\n    own = [x]\n    return own.pop()", ["hands back x"]),
    "measures only": ("def f(x): return len(x)", []),
    "compares only": ("def f(x): return x == 1", []),
    "yields": ("def f(x): yield x", ["hands back x"]),
    "keeps in a global": ("all = []\ndef f(x): all.append(x)", ["keeps x"]),
    "keeps in a global variable": ("last = None\ndef f(x):\n    global last\n    last = x", ["keeps x"]),
    "keeps by an unknown call": ("def f(x): send(x)", ["keeps x"]),
    "keeps in an exception": ("def f(x): raise ValueError(x)", ["keeps x"]),
    "stores into another": ("def f(x, y: list): y.append(x)", ["stores x into y"]),
    "stores into an attribute of another": ("def f(x, y): y.last = x", ["stores x into y.last"]),
    "stores under a key": ("def f(x, y: dict): y['a'] = x", ["stores x into y[a]"]),
    "calls": ("def f(x): x()", ["calls x"]),
    "calls and hands back": ("def f(x): return x()", ["hands back x", "calls x"]),
    "through a local": ("def f(x):\n    own = []\n    own.append(x)\n    return own", ["hands back x"]),
}


@pytest.mark.parametrize(("text", "expected"), FATES.values(), ids=FATES.keys())
def test_what_becomes_of_a_parameters_data(text: str, expected: list[str]) -> None:
    found = beliefs(source_of(text + "\nasync def root():\n    f(1, 2)\n    await pause()\n"))

    fates = [fact for fact in found if not fact.startswith("adds to ")]
    assert [fact for fact in fates if fact.endswith(tuple("xy]")) or " into " in fact] == expected


def test_a_method_stores_into_its_object() -> None:
    text = "class C:\n    def put(self, x): self.last = x\nasync def root(c: C): c.put(1)\n"

    assert "stores x into self.last" in beliefs(source_of(text), "C.put")


# --------------------------------------------------------------------------- what helpers do with it

HELPERS = """
all = []
class Box:
    def __init__(self, line): self.line = line
    def put(self, line): self.line = line
class Deeper(Box):
    pass
def same(x): return x
def text(x): return x.decode()
def keep(x): all.append(x)
def look(x): print(x)
def put(x, into: list): into.append(x)
def five(x): return four(x)
def four(x): return three(x)
def three(x): return two(x)
def two(x): return one(x)
def one(x): return [x]
def call(function): return function()
def star(*args): return args
def named(*, first, second): return second
def drop(*, first, second): return first
async def later(x):
    await pause()
    return x
"""

PASSED_ON = {
    "handed back": "line = same(await r.readline())\nawait pause()\nreturn line",
    "computed": "line = text(await r.readline())\nawait pause()\nreturn line",
    "looked at": "line = await r.readline()\nlook(line)\nawait pause()\nreturn line",
    "handed back five calls down": "line = five(await r.readline())\nawait pause()\nreturn line",
    "put into a local list": "own = []\nput(await r.readline(), own)\nawait pause()\nreturn own",
    "put into a local list by keyword": (
        "own = []\nput(into=own, x=await r.readline())\nawait pause()\nreturn own"
    ),
    "in a new object": "box = Box(await r.readline())\nawait pause()\nreturn box",
    "in a new object by keyword": "box = Box(line=await r.readline())\nawait pause()\nreturn box",
    "in a new object of a derived class": "box = Deeper(await r.readline())\nawait pause()\nreturn box",
    "put into a local object": "box = Box(None)\nbox.put(await r.readline())\nawait pause()\nreturn box",
    "put into an object by an inherited method": (
        "box = Deeper(None)\nbox.put(await r.readline())\nawait pause()\nreturn box"
    ),
    "by keyword": "line = named(first=1, second=await r.readline())\nawait pause()\nreturn line",
    "given to a coroutine": "line = await r.readline()\nreturn await later(line), line",
    "in a list in a tuple in a dict": (
        "own = {'a': ([same(await r.readline())], 1)}\nawait pause()\nreturn own"
    ),
}


@pytest.mark.parametrize("body", PASSED_ON.values(), ids=PASSED_ON.keys())
def test_data_that_a_helper_hands_back_is_still_held_here(body: str) -> None:
    function = "async def f(r: asyncio.StreamReader):\n" + "".join(
        f"    {line}\n" for line in body.splitlines()
    )

    assert lost_by(HELPERS + function) == ["loses r if cancelled (held"]


KEPT = {
    "kept": "line = await r.readline()\nkeep(line)\nawait pause()\nreturn line",
    "kept in the callers list": "line = await r.readline()\nput(line, into)\nawait pause()\nreturn line",
    "dropped by keyword": "line = drop(first=1, second=await r.readline())\nawait pause()\nreturn line",
}


@pytest.mark.parametrize("body", KEPT.values(), ids=KEPT.keys())
def test_data_that_a_helper_keeps_is_not_lost(body: str) -> None:
    function = "async def f(r: asyncio.StreamReader, into: list):\n" + "".join(
        f"    {line}\n" for line in body.splitlines()
    )

    assert lost_by(HELPERS + function) == []


# --------------------------------------------------------------------------- takes and losses of callees


def test_a_helper_that_takes_into_its_argument_takes_into_the_callers_local() -> None:
    text = """
        async def more(r: asyncio.StreamReader, into: bytearray):
            into.extend(await r.read(10))
        async def f(r: asyncio.StreamReader):
            data = bytearray()
            while len(data) < 100:
                await more(r, data)
            return data
    """

    assert taken_by(text, "more") == ["takes r into into"]
    assert lost_by(text) == ["loses r if cancelled (held"]


def test_a_helper_that_takes_into_its_argument_takes_into_the_callers_object() -> None:
    text = """
        async def more(r: asyncio.StreamReader, into: bytearray):
            into.extend(await r.read(10))
        class C:
            def __init__(self, r: asyncio.StreamReader):
                self.r = r
                self.data = bytearray()
            async def f(self):
                while len(self.data) < 100:
                    await more(self.r, self.data)
    """

    assert taken_by(text, "C.f") == ["takes self.r into self.data"]
    assert lost_by(text, "C.f") == []


def test_a_callees_loss_is_the_callers_loss_of_its_own_object() -> None:
    text = """
        async def frame(r: asyncio.StreamReader):
            header = await r.readexactly(4)
            return await r.readexactly(header[0])
        class C:
            def __init__(self, r: asyncio.StreamReader):
                self.r = r
            async def f(self):
                return await frame(self.r)
    """

    assert lost_by(text, "C.f") == ["loses self.r if cancelled (held"]


def test_a_reader_made_inside_is_no_callers_concern() -> None:
    text = """
        async def f():
            r, w = await asyncio.open_connection("h", 1)
            header = await r.readexactly(4)
            return await r.readexactly(header[0])
    """

    assert taken_by(text) == []
    assert lost_by(text) == []


def test_a_helper_that_consumes_from_the_same_source_discharges_nothing() -> None:
    text = """
        async def rest(r: asyncio.StreamReader, size):
            return await r.readexactly(size)
        async def f(r: asyncio.StreamReader):
            header = await r.readexactly(4)
            return await rest(r, header[0])
    """

    assert lost_by(text) == ["loses r if cancelled (held"]


def test_a_helper_that_stores_its_argument_before_it_consumes_has_kept_it() -> None:
    text = """
        class C:
            def __init__(self, r: asyncio.StreamReader):
                self.r = r
                self.header = b''
            async def rest(self, header):
                self.header = header
                return await self.r.readexactly(4)
            async def f(self):
                return await self.rest(await self.r.readexactly(4))
    """

    assert lost_by(text, "C.f") == []


def test_a_loss_goes_through_six_functions_in_three_files() -> None:
    files = {
        "low": """
            import asyncio
            async def frame(r: asyncio.StreamReader):
                header = await r.readexactly(4)
                return await r.readexactly(header[0])
            async def checked(r: asyncio.StreamReader):
                return await frame(r)
        """,
        "middle": """
            import low
            async def decoded(reader): return (await low.checked(reader)).decode()
            async def parsed(stream): return parse(await decoded(reader=stream))
        """,
        "top": """
            import asyncio
            from middle import parsed as read_parsed
            class C:
                def __init__(self, r: asyncio.StreamReader): self.conn = r
                async def inner(self): return await read_parsed(self.conn)
                async def f(self): return await self.inner()
        """,
    }

    assert "loses self.conn if cancelled (held, asyncio.StreamReader.readexactly)" in Analysed(files).beliefs(
        "top.C.f"
    )


def test_a_method_is_looked_up_through_inheritance() -> None:
    text = """
        class Base:
            def __init__(self, r: asyncio.StreamReader): self.r = r
            async def frame(self):
                header = await self.head()
                return await self.r.readexactly(header[0])
            async def head(self):
                return b''
        class C(Base):
            async def head(self):
                return await self.r.readexactly(4)
            async def f(self):
                return await self.frame()
    """

    assert lost_by(text, "C.f") == ["loses self.r if cancelled (held"]


def test_super_reaches_the_base_class() -> None:
    text = """
        class Base:
            def __init__(self, r: asyncio.StreamReader): self.r = r
            async def frame(self):
                header = await self.r.readexactly(4)
                return await self.r.readexactly(header[0])
        class C(Base):
            async def frame(self):
                return await super().frame()
    """

    assert lost_by(text, "C.frame") == ["loses self.r if cancelled (held"]


CALLED = {
    "a lambda": "return await call(lambda: frame(r))",
    "a partial": "return await call(partial(frame, r))",
    "a nested function": "def later(): return frame(r)\n    return await call(later)",
    "a nested coroutine function": ("async def later(): return await frame(r)\n    return await call(later)"),
}


@pytest.mark.parametrize("body", CALLED.values(), ids=CALLED.keys())
def test_a_function_that_is_passed_and_called_is_a_call(body: str) -> None:
    text = (
        "async def frame(r: asyncio.StreamReader):\n"
        "    header = await r.readexactly(4)\n"
        "    return await r.readexactly(header[0])\n"
        "async def call(function):\n"
        "    return await function()\n"
        f"async def f(r: asyncio.StreamReader):\n    {body}\n"
    )

    assert lost_by(text) == ["loses r if cancelled (held"]


def test_an_async_generator_takes_where_it_is_iterated() -> None:
    text = """
        async def frames(r: asyncio.StreamReader):
            while header := await r.readexactly(4):
                yield await r.readexactly(header[0])
        async def f(r: asyncio.StreamReader):
            async for frame in frames(r):
                print(frame)
    """

    assert lost_by(text, "frames") == ["loses r if cancelled (held"]
    assert lost_by(text) == ["loses r if cancelled (held"]


def test_an_iterators_anext_takes_where_it_is_iterated() -> None:
    text = """
        class Frames:
            def __init__(self, r: asyncio.StreamReader): self.r = r
            def __aiter__(self): return self
            async def __anext__(self):
                header = await self.r.readexactly(4)
                return await self.r.readexactly(header[0])
        async def f(frames: Frames):
            async for frame in frames:
                print(frame)
    """

    assert lost_by(text) == ["loses frames.r if cancelled (held"]


WAYS = {
    "a decorator's wrapper": """
        from functools import wraps
        def logged(function):
            @wraps(function)
            async def inner(*args, **kwargs):
                return await function(*args, **kwargs)
            return inner
        @logged
        async def frame(r: asyncio.StreamReader):
            header = await r.readexactly(4)
            return await r.readexactly(header[0])
        async def f(r: asyncio.StreamReader):
            return await frame(r)
    """,
    "a constructor called by a class method": """
        class Frame:
            def __init__(self, header): self.header = header
            @classmethod
            async def read(cls, r: asyncio.StreamReader):
                return cls(await r.readexactly(4))
        async def f(r: asyncio.StreamReader):
            frame = await Frame.read(r)
            await pause()
            return frame
    """,
    "a dataclass": """
        from dataclasses import dataclass
        @dataclass
        class Frame:
            header: bytes
        async def f(r: asyncio.StreamReader):
            frame = Frame(await r.readexactly(4))
            await pause()
            return frame
    """,
    "a named tuple": """
        from typing import NamedTuple
        class Frame(NamedTuple):
            header: bytes
        async def f(r: asyncio.StreamReader):
            frame = Frame(await r.readexactly(4))
            await pause()
            return frame
    """,
    "a generator over the data": """
        def words(line):
            for word in line.split():
                yield word
        async def f(r: asyncio.StreamReader, into: list):
            for word in words(await r.readline()):
                await pause()
                into.append(word)
    """,
    "a pattern": """
        async def f(r: asyncio.StreamReader):
            match (await r.readline()).split():
                case [b'SET', key, *rest]:
                    await pause()
                    return key, rest
    """,
    "an else clause": """
        async def f(r: asyncio.StreamReader):
            try:
                header = await r.readexactly(4)
            except asyncio.IncompleteReadError as error:
                return error.partial
            else:
                return header + await r.readexactly(4)
    """,
}


@pytest.mark.parametrize("text", WAYS.values(), ids=WAYS.keys())
def test_data_is_followed_through(text: str) -> None:
    assert lost_by(text) == ["loses r if cancelled (held"]


RESTORED = {
    "put back into the queue": """
        async def f(q: asyncio.Queue[bytes]):
            item = await q.get()
            try:
                return item + await q.get()
            except BaseException:
                q.put_nowait(item)
                raise
    """,
    "fed back to the reader": """
        async def f(r: asyncio.StreamReader):
            header = await r.readexactly(4)
            try:
                return header + await r.readexactly(4)
            except BaseException:
                r.feed_data(header)
                raise
    """,
    "kept by a handler of an exception group": """
        kept = []
        async def f(r: asyncio.StreamReader):
            header = await r.readexactly(4)
            try:
                await pause()
            except* asyncio.CancelledError:
                kept.append(header)
                raise
            return header
    """,
    "kept by the exit of a project's manager": """
        kept = []
        class Restoring:
            def __init__(self, header): self.header = header
            def __enter__(self): return self
            def __exit__(self, *exc): kept.append(self.header)
        async def f(r: asyncio.StreamReader):
            header = await r.readexactly(4)
            with Restoring(header):
                await pause()
            return header
    """,
    "in a variable of the enclosing function": """
        def make(r: asyncio.StreamReader):
            buf = b''
            async def read():
                nonlocal buf
                buf += await r.read(10)
                await pause()
                return buf
            return read
        async def f(r: asyncio.StreamReader):
            return await make(r)()
    """,
}


@pytest.mark.parametrize("text", RESTORED.values(), ids=RESTORED.keys())
def test_data_that_is_restored_is_not_lost(text: str) -> None:
    assert lost_by(text) == []


def test_a_header_kept_in_its_object_until_the_body_is_there_is_not_lost() -> None:
    text = """
        class C:
            def __init__(self, r: asyncio.StreamReader):
                self.r = r
                self.header = None
            async def f(self):
                if self.header is None:
                    self.header = await self.r.readexactly(4)
                body = await self.r.readexactly(self.header[0])
                self.header = None
                return body
    """

    assert lost_by(text, "C.f") == []
    assert taken_by(text, "C.f") == ["takes self.r into self.header", "takes self.r into its result"]


# --------------------------------------------------------------------------- filled stores

STORE = """
class C:
    def __init__(self, r: asyncio.StreamReader):
        self.r = r
        self.buf = bytearray()
        self.frames = deque()
        self.ready = []
        self.queue = asyncio.Queue()
        self.other = deque([1, 2, 3])
    async def fill(self):
        self.buf.extend(await self.r.read(100))
        self.frames.append(await self.r.readline())
        self.ready.append(await self.r.readline())
        self.queue.put_nowait(await self.r.readline())
"""

REMOVED = {
    "a slice deleted": ("line = bytes(self.buf[:4])\ndel self.buf[:4]", "self.buf"),
    "a slice assigned": ("line = self.buf[:4]\nself.buf = self.buf[4:]", "self.buf"),
    "popleft": ("line = self.frames.popleft()", "self.frames"),
    "pop": ("line = self.ready.pop()", "self.ready"),
    "pop at an index": ("line = self.ready.pop(0)", "self.ready"),
    "get_nowait": ("line = self.queue.get_nowait()", "self.queue"),
    "get": ("line = await self.queue.get()", "self.queue"),
}


def removing(body: str, rest: str = "await pause()\nreturn line") -> str:
    lines = "".join(f"        {line}\n" for line in (body + "\n" + rest).splitlines())
    return f"{STORE}    async def f(self):\n{lines}"


@pytest.mark.parametrize(("body", "store"), REMOVED.values(), ids=REMOVED.keys())
def test_what_is_removed_from_a_store_that_a_source_fills_is_taken(body: str, store: str) -> None:
    assert lost_by(removing(body), "C.f") == [f"loses {store} if cancelled (held"]


@pytest.mark.parametrize(("body", "store"), REMOVED.values(), ids=REMOVED.keys())
def test_what_is_removed_and_handed_over_at_once_is_not_lost(body: str, store: str) -> None:
    assert lost_by(removing(body, "return line"), "C.f") == []
    assert taken_by(removing(body, "return line"), "C.f") == [f"takes {store} into its result"]


def test_what_is_removed_after_the_pause_is_not_lost() -> None:
    body = "line = bytes(self.buf[:4])\nawait pause()\ndel self.buf[:4]\nreturn line"

    assert lost_by(removing(body, ""), "C.f") == []


def test_a_store_that_no_source_fills_is_no_source() -> None:
    assert lost_by(removing("line = self.other.popleft()"), "C.f") == []
    assert taken_by(removing("line = self.other.popleft()"), "C.f") == []


def test_a_store_filled_by_another_class_of_the_family_is_a_source() -> None:
    text = """
        class Base:
            def __init__(self): self.lines = deque()
            async def f(self):
                line = self.lines.popleft()
                await pause()
                return line
        class Reader(Base):
            async def fill(self, r: asyncio.StreamReader):
                self.lines.append(await r.readline())
    """

    assert lost_by(text, "Base.f") == ["loses self.lines if cancelled (held"]


def test_a_store_filled_from_a_filled_store_is_a_source() -> None:
    text = STORE + (
        "        self.second = deque()\n"
        "    async def move(self):\n"
        "        self.second.append(self.frames.popleft())\n"
        "        await pause()\n"
        "    async def f(self):\n"
        "        line = self.second.popleft()\n"
        "        await pause()\n"
        "        return line\n"
    )

    assert lost_by(text, "C.f") == ["loses self.second if cancelled (held"]


# --------------------------------------------------------------------------- recursion and depth


def test_mutual_recursion_settles_and_keeps_what_each_function_does() -> None:
    text = """
        async def even(r: asyncio.StreamReader, n):
            header = await r.readexactly(4)
            return await odd(r, n - 1) + header
        async def odd(r: asyncio.StreamReader, n):
            return await even(r, n - 1) if n else b''
    """

    assert lost_by(text, "even") == ["loses r if cancelled (held"]
    assert lost_by(text, "odd") == ["loses r if cancelled (held"]


def test_a_function_that_calls_itself_settles() -> None:
    text = """
        async def f(r: asyncio.StreamReader):
            word = await r.readline()
            return [word, *await f(r)] if word else []
    """

    assert lost_by(text) == ["loses r if cancelled (held"]


def test_recursion_through_linked_objects_settles() -> None:
    text = """
        class Node:
            def __init__(self, r: asyncio.StreamReader, following: "Node"):
                self.r = r
                self.following = following
            async def f(self):
                first = await self.r.readexactly(4)
                return first + await self.following.f()
            async def swapped(self, other: "Node"):
                return await other.following.swapped(self.following)
    """

    assert "loses self.following.r if cancelled (held" in lost_by(text, "Node.f")
    assert lost_by(text, "Node.swapped") == []


def test_three_hundred_mutually_recursive_functions_settle() -> None:
    count = 300
    functions = "".join(
        f"async def f{n}(r: asyncio.StreamReader):\n"
        f"    return await f{(n + 1) % count}(r) + await f{(n * 7) % count}(r)\n"
        for n in range(1, count)
    )
    first = (
        "async def f0(r: asyncio.StreamReader):\n"
        "    header = await r.readexactly(4)\n"
        "    return await f1(r) + header\n"
    )

    assert lost_by(first + functions, "f0") == ["loses r if cancelled (held"]


def test_a_chain_of_fifteen_hundred_calls_carries_a_loss_to_its_top() -> None:
    count = 1500
    functions = "".join(
        f"async def f{n}(r: asyncio.StreamReader): return await f{n + 1}(r)\n" for n in range(count)
    )
    last = (
        f"async def f{count}(r: asyncio.StreamReader):\n"
        "    header = await r.readexactly(4)\n"
        "    return await r.readexactly(header[0])\n"
    )

    assert lost_by(functions + last, "f0") == ["loses r if cancelled (held"]


def test_a_function_of_five_thousand_steps_is_followed_to_its_end() -> None:
    lines = ["data0 = await r.readline()"]
    for n in range(1, 300):
        lines.append(f"data{n % 200} = parse(data{(n - 1) % 200}, {n})")
        lines.extend(f"print(data{n % 200}[{each}])" for each in range(14))
        lines.append(f"if data{n % 200}: await r.readline()")
    body = "".join(f"    {line}\n" for line in lines)

    found = analysed(source_of(f"async def f(r: asyncio.StreamReader):\n{body}    return data0\n"))

    assert len(found.project.program.function(found.key("main.f")).steps) > 5_000
    assert found.beliefs("main.f")[1:] == [
        "not cancel-safe",
        "takes r and keeps it (asyncio.StreamReader.readline)",
        "takes r into its result (asyncio.StreamReader.readline)",
        "loses r if cancelled (held, asyncio.StreamReader.readline)",
    ]


def test_a_deep_nest_of_tries_is_followed() -> None:
    depth = 40
    body = "line = await r.readline()\n"
    for _ in range(depth):
        body = "try:\n" + "".join(f"    {line}\n" for line in body.splitlines()) + "finally:\n    print(1)\n"
    indented = "".join(f"    {line}\n" for line in body.splitlines())

    text = f"async def f(r: asyncio.StreamReader):\n{indented}    await pause()\n    return line\n"

    assert lost_by(text) == ["loses r if cancelled (held"]


# --------------------------------------------------------------------------- the same every time

SEVERAL = {
    "wire": """
        import asyncio
        class Wire:
            def __init__(self, r: asyncio.StreamReader, q: asyncio.Queue[bytes]):
                self.r = r
                self.q = q
            async def frame(self):
                header = await self.r.readexactly(4)
                extra = await self.q.get()
                return header + extra + await self.r.readexactly(header[0])
    """,
    "session": """
        import asyncio, threading
        from wire import Wire
        LOCK = threading.Lock()
        class Session:
            def __init__(self, wire: Wire):
                self.wire = wire
            async def once(self):
                with LOCK:
                    return await asyncio.wait_for(self.wire.frame(), 1)
            async def run(self):
                while True:
                    try:
                        print(await self.once())
                    except TimeoutError:
                        continue
    """,
    "other": """
        from session import Session
        async def even(s: Session, n):
            return await odd(s, n - 1)
        async def odd(s: Session, n):
            await even(s, n - 1)
            return await s.once()
    """,
}


def test_the_order_of_files_does_not_matter() -> None:
    forward = Analysed(SEVERAL)
    backward = Analysed(dict(reversed(SEVERAL.items())))

    assert forward.all_beliefs() == backward.all_beliefs()
    assert forward.findings(possible=True) == backward.findings(possible=True)
    assert len(forward.findings(possible=True)) >= 2


def test_the_order_of_functions_does_not_matter() -> None:
    def summaries(functions: list[str]) -> dict[str, Summary]:
        found = analysed(source_of("".join(functions)))
        return {name: found.summary(f"main.{name}") for name in ("a", "b", "c")}

    functions = [
        "async def a(r: asyncio.StreamReader):\n    return await b(r) + await c(r)\n",
        "async def b(r: asyncio.StreamReader):\n    return await r.readline() + await a(r)\n",
        "async def c(r: asyncio.StreamReader):\n    return await r.read()\n",
    ]

    assert summaries(functions) == summaries(functions[::-1])


SEEDS = ("0", "1", "12345")


def said(folder: Path, seed: str, *arguments: str) -> str:
    """What the command line prints in a process of its own, under a hash seed."""
    ran = subprocess.run(
        [sys.executable, "-m", "cancellint", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stderr == ""
    return re.sub(r'"seconds": [0-9.e-]+', "", ran.stdout)


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """The files of `SEVERAL` on disk."""
    (tmp_path / "pyproject.toml").touch()
    for name, text in SEVERAL.items():
        (tmp_path / f"{name}.py").write_text(dedent(text), "utf-8")
    return tmp_path


def test_under_every_hash_seed_the_fixtures_get_the_same_report(tmp_path: Path) -> None:
    copytree(ROOT / "fixtures", tmp_path / "fixtures")
    (tmp_path / "pyproject.toml").touch()
    command = ("check", "--output-format", "json", "--pedantic", "--assume-raced", "public", "fixtures")
    reports = [said(tmp_path, seed, *command) for seed in SEEDS]

    assert reports[0].count("CAN101") >= 4
    assert reports == [reports[0]] * len(SEEDS)


def test_under_every_hash_seed_several_files_get_the_same_report(several: Path) -> None:
    command = ("check", "--output-format", "json", "--pedantic", "--assume-raced", "public")
    reports = [said(several, seed, *command) for seed in SEEDS]

    assert "CAN101" in reports[0]
    assert reports == [reports[0]] * len(SEEDS)


def test_under_every_hash_seed_the_same_is_believed_of_a_function(several: Path) -> None:
    answers = [said(several, seed, "summary", "Wire.frame") for seed in SEEDS]

    assert "loses self.q if cancelled" in answers[0]
    assert answers == [answers[0]] * len(SEEDS)


def test_parsing_in_several_processes_changes_no_report(several: Path) -> None:
    command = ("check", "--output-format", "json", "--pedantic")

    assert said(several, "0", *command, "-j", "3") == said(several, "0", *command, "-j", "1")
