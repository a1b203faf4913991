"""Locks: where they are taken and released, what is held at a step, and across which awaits those of threads.

In the examples `# held` marks the awaits that are to be reported: the first one per place of taking.
"""

from textwrap import dedent, indent

import pytest

from cancellint.analysis.flow.held_locks import HeldLocks
from cancellint.model.ir import Call, Name
from cancellint.model.summary import Locks, Path
from cancellint.rules.rule import Subject
from cancellint.rules.thread_lock_across_await import thread_lock_across_await
from tests.analysed import Analysed, analysed, marked

HEADER = """\
import asyncio, contextlib, multiprocessing, threading
async def pause(): await asyncio.sleep(1)
async def at_once(): return 1
def begin(lock): lock.acquire()
def end(lock): lock.release()
def brief(lock):
    with lock:
        return 1
async def with_lock(lock: threading.Lock):
    lock.release()
    await pause()
    lock.acquire()
async def f(
    a: threading.Lock, b: threading.Lock, r: threading.RLock, s: threading.Semaphore,
    t: asyncio.Lock, flag: bool, stream: asyncio.StreamReader,
):
"""


def program(body: str) -> Analysed:
    return analysed(HEADER + indent(dedent(body).strip("\n"), "    ") + "\n")


HELD = {
    "with": "with a:\n    await pause()  # held",
    "acquire and no release": "a.acquire()\nawait pause()  # held",
    "acquire and release": "a.acquire()\nawait pause()  # held\na.release()",
    "release in a finally": "a.acquire()\ntry:\n    await pause()  # held\nfinally:\n    a.release()",
    "release in a handler and after it": """
        a.acquire()
        try:
            await pause()  # held
        except BaseException:
            a.release()
            raise
        a.release()
        """,
    "on one path only": "if flag:\n    a.acquire()\nawait pause()  # held",
    "released on one path only": "a.acquire()\nif flag:\n    a.release()\nawait pause()  # held",
    "acquire that may fail, in a test": """
        if a.acquire(blocking=False):
            await pause()  # held
            a.release()
        """,
    "acquire that may fail, in a variable": """
        got = a.acquire(timeout=1)
        if not got:
            await pause()
            return
        await pause()  # held
        a.release()
        """,
    "acquire that may fail, negated, with an early return": """
        if not a.acquire(timeout=1):
            return
        try:
            await pause()  # held
        finally:
            a.release()
        """,
    "acquire that may fail, in a walrus": """
        if got := a.acquire(timeout=1):
            await pause()  # held
        if got:
            a.release()
        """,
    "a re-entrant lock": "with r:\n    await pause()  # held",
    "a re-entrant lock taken twice": "with r:\n    with r:\n        await pause()  # held",
    "a semaphore": "with s:\n    await pause()  # held",
    "one of two locks": "a.acquire()\nb.acquire()\na.release()\nawait pause()  # held\nb.release()",
    "the outer of two": "with a:\n    with b:\n        pass\n    await pause()  # held",
    "in a loop": "while flag:\n    with a:\n        await pause()  # held",
    "taken at the end of a turn": """
        while flag:
            await pause()  # held
            a.acquire()
        """,
    "an async for": "with a:\n    async for line in stream:  # held\n        print(line)",
    "an async with": "with a:\n    async with t:\n        await pause()  # held",
    "an async comprehension": "with a:\n    return [line async for line in stream]  # held",
    "in a helper": "begin(a)\nawait pause()  # held\nend(a)",
    "in a helper by keyword": "begin(lock=a)\nawait pause()  # held\nend(lock=a)",
    "renamed": "lock = a\nwith lock:\n    await pause()  # held",
    "a lock made here": "lock = threading.Lock()\nwith lock:\n    await pause()  # held",
    "an exit stack": """
        with contextlib.ExitStack() as stack:
            a.acquire()
            await pause()  # held
        """,
    "in a match": """
        match flag:
            case True:
                a.acquire()
            case _:
                pass
        await pause()  # held
        """,
    "acquire that may fail, compared": """
        if a.acquire(timeout=1) is True:
            await pause()  # held
            a.release()
        """,
    "acquire that may fail, and something else": """
        if a.acquire(timeout=1) and flag:
            await pause()  # held
        """,
    "acquire that is asserted": "assert a.acquire(timeout=1)\nawait pause()  # held\na.release()",
    "held after it was asked for until it was free": """
        while not a.acquire(blocking=False):
            await pause()
        await pause()  # held
        a.release()
        """,
    "one of several in a list": "locks = [a]\nwith locks[0]:\n    await pause()  # held",
    "a lock of another process": "other = multiprocessing.Lock()\nwith other:\n    await pause()  # held",
    "in a nested try": """
        try:
            a.acquire()
            try:
                pass
            finally:
                await pause()  # held
        finally:
            a.release()
        """,
    "two awaits, one finding": "with a:\n    await pause()  # held\n    await pause()",
    "two takings, two findings": """
        with a:
            await pause()  # held
        with b:
            await pause()  # held
        """,
    "a generator that yields": "with a:\n    yield 1\n    await pause()  # held",
    "after a nested with of the same name": """
        with a:
            pass
        with a:
            await pause()  # held
        """,
}


@pytest.mark.parametrize("made", ["threading.RLock()", "threading.Condition()"])
def test_what_its_own_thread_may_take_again_is_possible_only(made: str) -> None:
    body = f"again = {made}\nwith again:\n    await pause()  # held"

    assert program(body).lines("CAN201") == []
    assert program(body).lines("CAN201", possible=True) == list(marked(body, "held"))


@pytest.mark.parametrize("body", HELD.values(), ids=HELD.keys())
def test_a_thread_lock_held_over_an_await_is_found(body: str) -> None:
    assert program(body).lines("CAN201") == list(marked(body, "held"))


@pytest.mark.parametrize("taken", ["async with t:\n        pass", "await t.acquire()\n    t.release()"])
def test_waiting_for_a_lock_of_the_event_loop_and_nothing_else_is_merely_possible(taken: str) -> None:
    entered = program(f"with a:\n    {taken}")

    assert entered.lines("CAN201") == []
    assert len(entered.lines("CAN201", possible=True)) == 1


def test_of_two_locks_in_one_with_each_is_told() -> None:
    found = program("with a, b:\n    await pause()").findings()

    assert [finding.told.message for finding in found] == [
        "`a` stays locked while this await is suspended",
        "`b` stays locked while this await is suspended",
    ]


FREE = {
    "released before": "with a:\n    pass\nawait pause()",
    "released by hand before": "a.acquire()\na.release()\nawait pause()",
    "released in a finally before": "a.acquire()\ntry:\n    pass\nfinally:\n    a.release()\nawait pause()",
    "taken after": "await pause()\nwith a:\n    pass",
    "an asyncio lock": "async with t:\n    await pause()",
    "an asyncio lock by hand": "await t.acquire()\nawait pause()\nt.release()",
    "acquire that has failed": """
        if not a.acquire(timeout=1):
            await pause()
            return
        a.release()
        """,
    "acquire that has failed, the else of a test": """
        if a.acquire(blocking=False):
            a.release()
        else:
            await pause()
        """,
    "an await that never suspends": "with a:\n    await at_once()",
    "acquire that has failed, compared": """
        got = a.acquire(timeout=1)
        if got is False:
            await pause()
            return
        a.release()
        """,
    "acquire that has failed, compared the other way": """
        if a.acquire(timeout=1) != True:
            await pause()
            return
        a.release()
        """,
    "acquire that does not wait and has failed": """
        if not s.acquire(False):
            await pause()
            return
        s.release()
        """,
    "asked for until it is free": """
        while not a.acquire(blocking=False):
            await pause()
        a.release()
        """,
    "asked for until it is free, left by break": """
        while True:
            if a.acquire(blocking=False):
                break
            await pause()
        a.release()
        """,
    "released round the await": "with a:\n    a.release()\n    await pause()\n    a.acquire()",
    "a helper that takes and releases": "brief(a)\nawait pause()",
    "begin and end before": "begin(a)\nend(a)\nawait pause()",
    "left by break": """
        while flag:
            with a:
                break
        await pause()
        """,
    "left by continue": """
        while flag:
            with a:
                continue
            await pause()
        await pause()
        """,
    "left by an exception": """
        try:
            with a:
                raise ValueError
        except ValueError:
            await pause()
        """,
    "left by a return in a nested function": """
        def inner():
            with a:
                return 1
        inner()
        await pause()
        """,
    "each released in turn": "with a:\n    pass\nwith b:\n    pass\nawait pause()",
    "only made": "lock = threading.Lock()\nawait pause()",
    "only asked": "a.locked()\nawait pause()",
    "released in the other order": "a.acquire()\nb.acquire()\na.release()\nb.release()\nawait pause()",
    "a coroutine made under the lock and awaited outside": """
        with a:
            coro = pause()
        await coro
        """,
    "a task started under the lock": """
        with a:
            task = asyncio.create_task(pause())
        await task
        """,
    "the finally of the with": """
        try:
            with a:
                pass
        finally:
            await pause()
        """,
    "a nested coroutine function": """
        with a:
            async def inner():
                await pause()
        await inner()
        """,
    "another kind of manager": "with open('lock') as lock:\n    await pause()",
}


@pytest.mark.parametrize("body", FREE.values(), ids=FREE.keys())
def test_a_lock_that_is_free_while_the_await_is_suspended_is_no_finding(body: str) -> None:
    assert program(body).lines("CAN201") == []


def test_a_function_that_is_not_a_coroutine_holds_nothing_across_an_await() -> None:
    source = "import threading, time\ndef f(a: threading.Lock):\n    with a:\n        time.sleep(1)\n"

    assert analysed(source).lines("CAN201") == []


# --------------------------------------------------------------------------- across functions

CLIENT = """
import asyncio
import contextlib
import threading

class Base:
    def __init__(self) -> None:
        self.guard = threading.Lock()

    def enter(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.guard.acquire()

    def end(self) -> None:
        self.guard.release()

    def leave(self) -> None:
        self.end()

    @contextlib.contextmanager
    def exclusive(self):
        with self.guard:
            yield

    @contextlib.asynccontextmanager
    async def exclusively(self):
        self.guard.acquire()
        try:
            yield
        finally:
            self.guard.release()

    async def pause(self) -> None:
        await asyncio.sleep(1)

    async def through(self) -> None:
        await self.pause()

class Client(Base):
"""


def client(body: str) -> Analysed:
    method = "async def f(self, flag: bool):\n" + indent(dedent(body), "    ")
    return analysed(CLIENT + indent(method, "    "))


HELD_BY_HELPERS = {
    "taken two calls down": "self.enter()\nawait self.pause()  # held\nself.leave()\n",
    "awaited two calls down": "with self.guard:\n    await self.through()  # held\n",
    "a generator's with": "with self.exclusive():\n    await self.pause()  # held\n",
    "an async generator's acquire": "async with self.exclusively():\n    await self.pause()  # held\n",
    "taken by a helper, released by hand": "self.begin()\nawait self.pause()  # held\nself.guard.release()\n",
    "taken under a test": "if flag:\n    self.begin()\nawait self.pause()  # held\n",
}

FREE_BY_HELPERS = {
    "taken and released two calls down": "self.enter()\nself.leave()\nawait self.pause()\n",
    "taken by hand, released by a helper": "self.guard.acquire()\nself.end()\nawait self.pause()\n",
    "released by a helper in a finally": (
        "self.begin()\ntry:\n    pass\nfinally:\n    self.leave()\nawait self.pause()\n"
    ),
    "after a generator's with": "with self.exclusive():\n    pass\nawait self.pause()\n",
}


@pytest.mark.parametrize("body", HELD_BY_HELPERS.values(), ids=HELD_BY_HELPERS.keys())
def test_a_lock_taken_by_an_inherited_helper_is_held_here(body: str) -> None:
    assert client(body).lines("CAN201") == list(marked(body, "held"))


@pytest.mark.parametrize("body", FREE_BY_HELPERS.values(), ids=FREE_BY_HELPERS.keys())
def test_a_lock_released_by_an_inherited_helper_is_free_here(body: str) -> None:
    assert client(body).lines("CAN201") == []


def test_what_a_helper_takes_and_releases_stands_in_its_summary() -> None:
    found = client("self.enter()\nself.leave()\nawait self.pause()\n")

    assert "holds on return self.guard" in found.beliefs("main.Base.begin")
    assert "holds on return self.guard" in found.beliefs("main.Base.enter")
    assert "releases self.guard" in found.beliefs("main.Base.end")
    assert "releases self.guard" in found.beliefs("main.Base.leave")


# --------------------------------------------------------------------------- locks of both kinds

QUEUE = """
import asyncio
import contextlib
import threading

class Turn:
    def __init__(self) -> None:
        self.mine = asyncio.Lock()

    async def __aenter__(self) -> None:
        await self.mine.acquire()

    async def __aexit__(self, *info: object) -> None:
        self.mine.release()

class Base:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.guard = threading.Lock()
        self.places = asyncio.Semaphore(2)
        self.turn = Turn()
        self.rooms = {"a": asyncio.Lock()}

    async def take(self) -> None:
        await self.lock.acquire()
        for _ in range(3):
            print("taken")

    def give(self) -> None:
        self.lock.release()
        for _ in range(3):
            print("given back")

    @contextlib.asynccontextmanager
    async def alone(self):
        async with self.lock:
            yield

    async def briefly(self) -> None:
        async with self.lock:
            await asyncio.sleep(1)

    async def through(self) -> None:
        await self.briefly()

class Queue(Base):
    async def f(self, flag: bool, room: str) -> None:
"""


def queue(body: str) -> Analysed:
    return analysed(QUEUE + indent(dedent(body).strip("\n"), "        ") + "\n")


def held_where_asked(body: str) -> list[str]:
    """The locks at the calls of `here()`, by what the function calls them; `?` is held on some paths only."""
    found = queue(body)
    facts = found.project.facts_of(found.key("main.Queue.f"))
    locks = HeldLocks(facts)
    asked = (
        number
        for number, step in enumerate(facts.function.steps)
        if isinstance(step, Call) and step.func == Name("here")
    )
    return sorted(
        {
            ".".join(("self", *path.fields)) + ("" if each.surely else "?")
            for number in asked
            for path, each in locks.at(number).items()
        }
    )


HELD_HERE = {
    "async with": ("async with self.lock:\n    here()", ["self.lock"]),
    "after an async with": ("async with self.lock:\n    pass\nhere()", []),
    "acquire": ("await self.lock.acquire()\nhere()\nself.lock.release()", ["self.lock"]),
    "acquire with a time limit": ("await asyncio.wait_for(self.lock.acquire(), 1)\nhere()", ["self.lock"]),
    "the time limit is over": (
        "try:\n    await asyncio.wait_for(self.lock.acquire(), 1)\nexcept TimeoutError:\n    here()",
        [],
    ),
    "released early": ("async with self.lock:\n    self.lock.release()\n    here()", []),
    "in a finally that releases": (
        """
        await self.lock.acquire()
        try:
            await asyncio.sleep(1)
        finally:
            here()
            self.lock.release()
        """,
        ["self.lock"],
    ),
    "after that finally": (
        "await self.lock.acquire()\ntry:\n    pass\nfinally:\n    self.lock.release()\nhere()",
        [],
    ),
    "taken on one path": ("if flag:\n    await self.lock.acquire()\nhere()", ["self.lock?"]),
    "taken on both paths": (
        "if flag:\n    await self.lock.acquire()\nelse:\n    await self.lock.acquire()\nhere()",
        ["self.lock"],
    ),
    "taken in the turn before": (
        "while flag:\n    here()\n    await self.lock.acquire()",
        ["self.lock?"],
    ),
    "a thread's lock and one of the loop": (
        "with self.guard:\n    async with self.lock:\n        here()",
        ["self.guard", "self.lock"],
    ),
    "a semaphore": ("async with self.places:\n    here()", ["self.places"]),
    "one of several by key": ("async with self.rooms[room]:\n    here()", ["self.rooms.[]"]),
    "under another name": ("mine = self.lock\nasync with mine:\n    here()", ["self.lock"]),
    "taken by a helper": ("await self.take()\nhere()", ["self.lock"]),
    "released by a helper": ("await self.lock.acquire()\nself.give()\nhere()", []),
    "taken and released by helpers": ("await self.take()\nself.give()\nhere()", []),
    "a generator's async with": ("async with self.alone():\n    here()", ["self.lock"]),
    "after a generator's async with": ("async with self.alone():\n    pass\nhere()", []),
    "a context manager of one's own": ("async with self.turn:\n    here()", ["self.turn.mine"]),
    "after a context manager of one's own": ("async with self.turn:\n    pass\nhere()", []),
    "an exit stack": (
        "async with contextlib.AsyncExitStack() as stack:\n"
        "    await stack.enter_async_context(self.lock)\n    here()",
        ["self.lock"],
    ),
    "taken and given back by a callee": ("await self.briefly()\nhere()", []),
}


@pytest.mark.parametrize(("body", "held"), HELD_HERE.values(), ids=HELD_HERE.keys())
def test_what_is_held_is_known_at_each_step(body: str, held: list[str]) -> None:
    assert held_where_asked(body) == held


@pytest.mark.parametrize("call", ["self.briefly()", "self.through()", "self.take()", "self.lock.acquire()"])
def test_that_a_callee_waits_for_a_lock_is_seen_where_it_is_held(call: str) -> None:
    found = queue(f"async with self.lock:\n    await {call}")
    facts = found.project.facts_of(found.key("main.Queue.f"))
    locks = HeldLocks(facts)
    again = [
        path
        for step, effect in facts.effects.items()
        for path in effect.paths(Locks)
        if path in locks.at(step)
    ]

    assert again == [Path("param:0", ("lock",))]


def test_what_a_function_locks_for_a_while_is_told_of_it_and_of_its_callers() -> None:
    found = queue("await self.through()")

    assert "locks self.lock" in found.beliefs("main.Base.briefly")
    assert "locks self.lock" in found.beliefs("main.Queue.f")
    assert "locks self.lock" not in found.beliefs("main.Base.take")
    assert "acquires self.lock" in found.beliefs("main.Base.take")


# --------------------------------------------------------------------------- what is reported


def test_a_finding_names_the_lock_and_the_place_where_it_was_taken() -> None:
    source = """
        import asyncio, threading
        class Client:
            def __init__(self):
                self.guard = threading.Lock()
            async def f(self):
                self.guard.acquire()
                print("in")
                await asyncio.sleep(1)
                self.guard.release()
    """
    (finding,) = analysed(source).findings()

    assert str(finding.told) == "main:009 `self.guard` stays locked while this await is suspended"
    assert [str(note) for note in finding.notes] == ["main:007 the threading lock is taken here"]


def test_a_lock_of_another_module_is_known_there() -> None:
    files = {
        "locks": "import threading\nTABLE = threading.Lock()\n",
        "main": """
            import asyncio
            from locks import TABLE
            async def f():
                with TABLE:
                    await asyncio.sleep(1)  # held
        """,
    }

    assert Analysed(files).lines("CAN201") == list(marked(files["main"], "held"))


@pytest.mark.parametrize(
    ("imports", "lock"),
    [
        ("import asyncio", "`asyncio.Lock`"),
        ("from anyio.abc import TaskGroup", "`anyio.Lock`"),
        ("import trio.abc", "`trio.Lock`"),
        ("import asyncio, anyio, trio", "`anyio.Lock`"),
        ("import asyncio\nimport trio", "`asyncio.Lock` or `trio.Lock`"),
        ("from . import asyncio", "the event loop's own lock"),
        ("import os", "the event loop's own lock"),
    ],
)
def test_the_advice_names_the_lock_of_the_library_in_use(imports: str, lock: str) -> None:
    source = (
        f"import threading\n{imports}\nasync def f(wait):\n    with threading.Lock():\n        await wait\n"
    )
    project = analysed(source).project
    subjects = (Subject(project, key) for key in project.program.functions())
    (finding,) = (finding for subject in subjects for finding in thread_lock_across_await.check(subject))

    assert finding.help == f"release it before the await, or use {lock} with `async with`"
