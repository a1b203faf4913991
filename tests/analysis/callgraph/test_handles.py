"""Who keeps a task: one shape per line, and what is said of those that nobody keeps."""

from pathlib import Path

import pytest

from cancellint.analysis.project import AnalysisSettings
from cancellint.config import Config, ConfigError, load
from tests.analysed import Analysed, analysed, marked

HEAD = """\
import asyncio
import threading
from asyncio import create_task
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache, partial


async def work(x=None): ...
async def other(): ...


TASKS = set()


class Keeper:
    def keep(self, task):
        self.task = task

    def log(self, task):
        print(task)


"""


def reported(body: str, settings: AnalysisSettings | None = None, *, possible: bool = False) -> list[str]:
    """The messages about `f`, a function of this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    source = f"{HEAD}async def f(self, loop: asyncio.AbstractEventLoop, a, b, keeper: Keeper):\n{lines}\n"
    found = Analysed({"main": source}, settings).findings(possible=possible)
    return [one.told.message for one in found if one.code == "CAN401"]


KEPT = {
    "awaited": "await create_task(work())",
    "awaited later": "t = create_task(work())\nawait t",
    "awaited under another name": "t = create_task(work())\nu = t\nawait u",
    "its result read": "t = create_task(work())\nawait other()\nprint(t.result())",
    "cancelled": "t = create_task(work())\nawait other()\nt.cancel()",
    "asked whether it is done": "t = create_task(work())\nwhile not t.done():\n    await other()",
    "returned": "return create_task(work())",
    "returned if it is new": "return a or create_task(work())",
    "returned from one branch": "t = create_task(work())\nif a:\n    return t\nreturn None",
    "yielded": "yield create_task(work())",
    "in a tuple that is returned": "return create_task(work()), 1",
    "in a dict that is returned": "d = {}\nd[a] = create_task(work())\nreturn d",
    "unpacked": "t, u = create_task(work()), 1\nawait t",
    "a key": "self.pending[create_task(work())] = a",
    "in an attribute": "self.t = create_task(work())",
    "in an attribute of a local": "t = Keeper()\nt.task = create_task(work())",
    "in a subscript": "a['t'] = create_task(work())",
    "in a global": "global T\nT = create_task(work())",
    "in a set of the module": "TASKS.add(create_task(work()))",
    "in a set of the module under another name": "s = TASKS\ns.add(create_task(work()))",
    "in a list of the caller": "a.append(create_task(work()))",
    "in a local list that is gathered": "l = []\nl.append(create_task(work()))\nawait asyncio.gather(*l)",
    "in a local list that is looped over": ("l = [create_task(work()) for _ in a]\nfor t in l:\n    await t"),
    "in a sum of lists": "l = [create_task(work())]\nm = l + a\nawait asyncio.wait(m)",
    "in a list that grows": "l = []\nl += [create_task(work())]\nawait asyncio.wait(l)",
    "in a list in an attribute": "self.l += [create_task(work())]",
    "in a set that is waited for to be empty": (
        "l = set()\nt = create_task(work())\nl.add(t)\nt.add_done_callback(l.discard)\n"
        "while l:\n    await other()"
    ),
    "in a list that is counted": "l = []\nl.append(create_task(work()))\nif len(l) > 3:\n    await other()",
    "in a comprehension that is waited for": "await asyncio.wait([create_task(work()) for _ in a])",
    "passed on to what is not known": "a.take(create_task(work()))",
    "passed on by name": "a.take(task=create_task(work()))",
    "passed on to what keeps it": "keeper.keep(create_task(work()))",
    "passed on as a bound method": "t = create_task(work())\nloop.call_later(5, t.cancel)",
    "read in a nested function": "t = create_task(work())\ndef stop():\n    t.cancel()\nreturn stop",
    "read in a lambda": "t = create_task(work())\na(lambda: t.cancel())",
    "both branches": "if a:\n    t = create_task(work())\nelse:\n    t = create_task(other())\nawait t",
    "in finally": "t = None\ntry:\n    t = create_task(work())\nfinally:\n    if t:\n        await t",
    "in a conditional expression": "t = create_task(work()) if a else None\nif t:\n    await t",
    "a walrus": "if t := create_task(work()):\n    await t",
    "in a loop": "t = None\nwhile a:\n    if t:\n        await t\n    t = create_task(work())",
    "held by a function that never returns": "t = create_task(work())\nwhile True:\n    await other()",
    "in a lambda": "a(lambda: create_task(work()))",
    "underscore": "_ = create_task(work())",
    "a task already": "t = create_task(work())\nasyncio.ensure_future(t)\nawait t",
    "a task of somebody else": "asyncio.ensure_future(self.t)\nself.t = create_task(work())",
    "a future of unknown origin that is returned": "t = a.start()\nasyncio.ensure_future(t)\nreturn t",
    "a variable that says it is unused": "_task = create_task(work())",
    "in a task group": "async with asyncio.TaskGroup() as a:\n    a.create_task(work())",
    "waited for by a callback's event": (
        "e = asyncio.Event()\nt = create_task(work())\nt.add_done_callback(lambda _: e.set())\nawait e.wait()"
    ),
    "waited for by a callback's future": (
        "e = loop.create_future()\ndef done(t):\n    e.set_result(None)\n"
        "t = create_task(work())\nt.add_done_callback(done)\nawait e"
    ),
    "putting into a queue": "q = asyncio.Queue()\nasyncio.run_coroutine_threadsafe(q.put(a), loop)",
    "run": "asyncio.run(work())",
    "run until complete": "loop.run_until_complete(work())",
    "an unknown object's method": "a.create_task(work())",
    "its error is seen by a callback": "Executor().submit(print).add_done_callback(lambda t: t.result())",
}


@pytest.mark.parametrize("body", KEPT.values(), ids=KEPT)
def test_a_task_that_somebody_may_keep_is_not_reported(body: str) -> None:
    assert reported(body) == []


DROPPED = {
    "a statement": "create_task(work())",
    "part of a statement": "a and create_task(work())",
    "a loop's": "for x in a:\n    create_task(work(x))",
    "the loop's method": "loop.create_task(work())",
    "ensure_future": "asyncio.ensure_future(work())",
    "a parameter is started": "asyncio.ensure_future(a)",
    "a coroutine of unknown origin": "t = a.work()\nasyncio.ensure_future(t)",
    "a coroutine that may not start": "try:\n    create_task(a)\nexcept RuntimeError:\n    a.close()",
    "a coroutine or else a function": "if b:\n    create_task(a)\nelse:\n    b(a)",
    "the constructor": "asyncio.Task(work(), loop=loop)",
    "from a thread": "asyncio.run_coroutine_threadsafe(work(), loop)",
    "of a loop known by name": "self._loop.create_task(work())",
    "an executor": "ThreadPoolExecutor().submit(print)",
    "an executor known by name": "self.executor.submit(print)",
    "never used": "t = create_task(work())",
    "only named": "t = create_task(work())\nt.set_name('t')",
    "only printed": "t = create_task(work())\nprint(t)",
    "only compared": "t = create_task(work())\nu = t is None",
    "only given to what prints it": "keeper.log(create_task(work()))",
    "forgotten": "t = create_task(work())\ndel t",
    "bound anew": "t = create_task(work())\nt = create_task(work())\nawait t",
    "unpacked and not used": "t, u = create_task(work()), 1\nprint(u)",
    "under another name": "t = create_task(work())\nu = t",
    "in a local list": "l = []\nl.append(create_task(work()))",
    "in a local set with a callback": (
        "l = set()\nt = create_task(work())\nl.add(t)\nt.add_done_callback(l.discard)"
    ),
    "in a comprehension": "[create_task(work()) for _ in a]",
    "with a callback that nobody waits for": (
        "e = asyncio.Event()\nt = create_task(work())\nt.add_done_callback(lambda _: e.set())\nawait other()"
    ),
    "used before only": "t = create_task(work())\nawait t\nt = create_task(work())",
}


@pytest.mark.parametrize("body", DROPPED.values(), ids=DROPPED)
def test_a_task_that_nobody_keeps_is_reported_once(body: str) -> None:
    assert len(reported(body, possible=True)) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "create_task(self.x.work())",
            "the task of `self.x.work` is dropped: "
            "it may be garbage-collected before it is done, and nobody sees its error",
        ),
        (
            "t = create_task(work())",
            "the task of `work` is dropped, `t` is never used: "
            "it may be garbage-collected before it is done, and nobody sees its error",
        ),
        (
            "create_task(work()).add_done_callback(lambda t: print('done'))",
            "the task of `work` is dropped: its done-callback keeps no reference, "
            "so it may be garbage-collected before it is done, and nobody sees its error",
        ),
        (
            "l = [create_task(work())]",
            "the task of `work` is dropped with `l`, which nobody looks at: "
            "it may be garbage-collected before it is done, and nobody sees its error",
        ),
        (
            "asyncio.ensure_future(asyncio.to_thread(work))",
            "the future of `asyncio.to_thread` is dropped: nobody sees its error",
        ),
        ("ThreadPoolExecutor().submit(print)", "the future of `print` is dropped: nobody sees its error"),
    ],
)
def test_the_message_says_what_is_dropped_and_what_may_come_of_it(body: str, message: str) -> None:
    assert reported(body, possible=True) == [message]


@pytest.mark.parametrize("callback", ["a", "lambda t: t.exception()"])
def test_that_it_may_be_collected_while_its_error_is_seen_is_possible_only(callback: str) -> None:
    body = f"create_task(work()).add_done_callback({callback})"

    assert reported(body) == []
    assert reported(body, possible=True) == [
        "the task of `work` is dropped: its done-callback sees the error but keeps no reference, "
        "so it may be garbage-collected before it is done"
    ]


def test_underscores_are_reported_on_demand() -> None:
    body = "_ = create_task(work())"

    assert reported(body) == []
    assert reported(body, AnalysisSettings(underscore_drops=True)) == [
        "the task of `work` is dropped, `_` keeps it no longer than this function runs: "
        "it may be garbage-collected before it is done, and nobody sees its error"
    ]


@pytest.mark.parametrize(("written", "read"), [("true", True), ("false", False)])
def test_the_configuration_says_whether_underscores_are_reported(
    tmp_path: Path, written: str, read: bool
) -> None:
    (tmp_path / "cancellint.toml").write_text(f"dropped-task-underscore = {written}\n")

    assert load(tmp_path).dropped_task_underscore is read
    assert Config(root=tmp_path).dropped_task_underscore is False


def test_an_underscore_setting_that_is_no_boolean_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cancellint.toml").write_text('dropped-task-underscore = "yes"\n')

    with pytest.raises(ConfigError, match='`dropped-task-underscore` must be true or false, not "yes"'):
        load(tmp_path)


HELPERS = """
import asyncio
from functools import cache

TASKS = set()

async def work(): ...

def start(coro):
    task = asyncio.create_task(coro)
    return task

def start_twice(coro):
    return start(coro)

def start_and_keep(coro):
    task = start(coro)
    TASKS.add(task)
    return task

@cache
def start_once():
    return asyncio.create_task(work())

async def start_later():
    await asyncio.sleep(1)
    return start(work())

def ping(n):
    return pong(n - 1) if n else start(work())

def pong(n):
    return ping(n)

def look(task):
    print(task)

class Base:
    def begin(self): raise NotImplementedError

class Service(Base):
    def begin(self): return start(work())

async def f(service: Service):
    start(work())  # dropped
    start_twice(work())  # dropped
    await start_later()  # dropped
    service.begin()  # dropped
    ping(3)  # dropped
    look(start(work()))  # dropped
    start_and_keep(work())
    start_once()
    await start(work())
    await (await start_later())
    start(work()).cancel()
    kept = start_twice(work())
    await kept
"""


def test_tasks_are_followed_through_helpers_that_return_them() -> None:
    assert analysed(HELPERS).lines("CAN401") == list(marked(HELPERS, "dropped"))


def test_notes_lead_through_the_helpers_to_where_the_task_is_started() -> None:
    twice = analysed(HELPERS).findings()[1]

    assert [str(note) for note in twice.notes] == [
        "main:014 it is started here and returned, and nothing here keeps it",
        "main:010 it is started here and returned, and nothing here keeps it",
    ]


def test_helpers_of_other_modules_are_followed_under_the_names_they_are_imported_by() -> None:
    files = {
        "background": """
            import asyncio
            spawn = asyncio.create_task
            def run(coro):
                return spawn(coro)
        """,
        "main": """
            from background import run as in_background, spawn as go
            from asyncio import ensure_future as later
            async def work(): ...
            def f():
                in_background(work())
                go(work())
                later(work())
        """,
    }

    assert Analysed(files).lines("CAN401") == ["in_background(work())", "go(work())", "later(work())"]


@pytest.mark.parametrize(
    ("call", "confidence"),
    [
        ("asyncio.run_coroutine_threadsafe(fail(), self.loop)", "certain"),
        ("asyncio.run_coroutine_threadsafe(connect(), self.loop)", "likely"),
        ("asyncio.create_task(fail())", "likely"),
        ("asyncio.create_task(connect())", "possible"),
        ("self.loop.create_task(fail())", "likely"),
        ("start(connect())", "likely"),
        ("start_by_name(self, connect())", "likely"),
        ("asyncio.create_task(callback())", "likely"),
        ("asyncio.create_task(self.client.close())", "possible"),
        ("asyncio.create_task(run(self.callback))", "likely"),
        ("asyncio.create_task(serve())", "likely"),
        ("asyncio.create_task(Client().get())", "possible"),
        ("asyncio.create_task(ask(Client()))", "possible"),
    ],
)
def test_it_is_firm_where_somebody_misses_what_is_lost(call: str, confidence: str) -> None:
    source = f"""
        import asyncio
        from library import Client
        async def fail(): raise OSError
        async def ask(client: Client): await client.get()
        async def connect(): await asyncio.open_connection()
        async def run(callback): await callback()
        async def serve():
            while True: await connect()
        def start(coro): return asyncio.create_task(coro)
        def start_by_name(self, coro): return self.loop.create_task(coro)
        def f(self, callback):
            {call}
    """

    assert [one.confidence for one in analysed(source).findings(possible=True)] == [confidence]


def test_a_module_keeps_its_variables_and_drops_its_statements() -> None:
    source = """
        import asyncio
        async def main(): ...
        loop = asyncio.new_event_loop()
        task = loop.create_task(main())
        loop.create_task(main())  # dropped
        loop.run_forever()
    """

    assert analysed(source).lines("CAN401") == list(marked(source, "dropped"))


def test_what_starts_itself_ends() -> None:
    chain = "\n".join(f"def h{n}(coro): return h{n + 1}(coro)" for n in range(200))
    source = f"import asyncio\n{chain}\ndef h200(coro): return h0(coro)\ndef f(x):\n    h0(x)\n"

    assert analysed(source).lines("CAN401") == []
