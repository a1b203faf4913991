"""Futures that are abandoned, shared, or served too late: one shape per line, and how firmly each stands."""

import pytest

from cancellint.model.finding import Confidence, Edit
from cancellint.rules.rule import Subject, all_rules
from tests.analysed import Analysed

HEAD = """\
import asyncio
import contextlib
import weakref
from collections import deque


async def work(): ...


def set_unless_done(future, value):
    if not future.done():
        future.set_result(value)


def set_at_once(future, value):
    future.set_result(value)


"""


def confidences(source: str, code: str) -> list[tuple[int, Confidence]]:
    """Line, below the head, and confidence of the findings of one rule."""
    lines = HEAD.count("\n")
    return [
        (int(one.told.place.partition(":")[2]) - lines, one.confidence)
        for one in Analysed({"main": HEAD + source}).findings(possible=True)
        if one.code == code
    ]


def client(wait: str, complete: str) -> str:
    """A client whose `ask` waits in this way, and whose loop completes futures in that way."""
    waiting = "\n".join(f"        {line}" for line in wait.splitlines())
    completing = "\n".join(f"            {line}" for line in complete.splitlines())
    return (
        "class Client:\n"
        "    def __init__(self):\n"
        "        self.pending = {}\n"
        "        self.weak = weakref.WeakValueDictionary()\n"
        "        self.queue = asyncio.Queue()\n"
        "        self.line = deque()\n"
        "        self.one = None\n"
        "    def forget(self, key):\n"
        "        self.pending.pop(key, None)\n"
        f"    async def ask(self, key):\n{waiting}\n"
        "    async def ask_within(self, key):\n        await asyncio.wait_for(self.ask(key), 1)\n"
        "    async def loop(self, reader):\n"
        "        while True:\n"
        "            key = await reader.read(4)\n"
        f"{completing}\n"
    )


BY_KEY = "self.pending[key] = fut = asyncio.get_running_loop().create_future()\n"
COMPLETE = "self.pending[key].set_result(1)"

ABANDONED = {
    "awaited as it is": (BY_KEY + "await fut", COMPLETE),
    "with a time limit": (BY_KEY + "await asyncio.wait_for(fut, 1)", COMPLETE),
    "in the body of a timeout": (BY_KEY + "async with asyncio.timeout(1):\n    await fut", COMPLETE),
    "in a group": (BY_KEY + "await asyncio.gather(fut, work())", COMPLETE),
    "deregistered on success only": (BY_KEY + "await fut\ndel self.pending[key]", COMPLETE),
    "deregistered on a timeout only": (
        BY_KEY + "try:\n    await asyncio.wait_for(fut, 1)\nexcept TimeoutError:\n    self.forget(key)",
        COMPLETE,
    ),
    "deregistered on errors only": (
        BY_KEY + "try:\n    await fut\nexcept Exception:\n    self.forget(key)\n    raise",
        COMPLETE,
    ),
    "popped by the one who completes": (
        BY_KEY + "await fut",
        "fut = self.pending.pop(key)\nfut.set_result(1)",
    ),
    "with an error": (BY_KEY + "await fut", "self.pending[key].set_exception(ValueError())"),
    "all of them": (BY_KEY + "await fut", "for fut in list(self.pending.values()):\n    fut.set_result(1)"),
    "through a variable": (
        BY_KEY + "await fut",
        "for key, fut in self.pending.items():\n    fut.set_result(1)",
    ),
    "in an attribute": (
        "self.one = asyncio.Future()\nawait self.one",
        "if self.one is not None:\n    self.one.set_result(1)",
    ),
    "in a list": (
        "fut = asyncio.Future()\nself.line.append(fut)\nawait fut",
        "fut = self.line.popleft()\nfut.set_result(1)",
    ),
    "in a tuple in a list": (
        "fut = asyncio.Future()\nself.line.append((key, fut))\nawait fut",
        "_, fut = self.line.popleft()\nfut.set_result(1)",
    ),
    "through a queue": (
        "fut = asyncio.Future()\nawait self.queue.put((key, fut))\nawait fut",
        "_, fut = await self.queue.get()\nfut.set_result(1)",
    ),
    "another error is caught": (
        BY_KEY + "await fut",
        "try:\n    self.pending[key].set_result(1)\nexcept KeyError:\n    pass",
    ),
    "an error ends the loop": (
        BY_KEY + "await fut",
        f"try:\n    {COMPLETE}\nexcept Exception:\n    break",
    ),
    "an error is raised again": (
        BY_KEY + "await fut",
        f"try:\n    {COMPLETE}\nexcept Exception:\n    print(key)\n    raise",
    ),
    "something else is done": (BY_KEY + "await fut", f"if not self.task.done():\n    {COMPLETE}"),
}


@pytest.mark.parametrize(("wait", "complete"), ABANDONED.values(), ids=ABANDONED)
def test_completing_what_may_be_cancelled_is_reported(wait: str, complete: str) -> None:
    found = confidences(client(wait, complete), "CAN109")

    assert [confidence for _, confidence in found] == [Confidence.CERTAIN]


GUARDED = {
    "asked whether it is done": (BY_KEY + "await fut", f"if not self.pending[key].done():\n    {COMPLETE}"),
    "asked whether it is cancelled": (
        BY_KEY + "await fut",
        "fut = self.pending.pop(key)\nif fut.cancelled():\n    continue\nfut.set_result(1)",
    ),
    "asked in a comprehension": (
        BY_KEY + "await fut",
        "[f.set_result(1) for f in self.pending.values() if not f.done()]",
    ),
    "sorted out before": (
        BY_KEY + "await fut",
        "live = [f for f in self.pending.values() if not f.done()]\nfor fut in live:\n    fut.set_result(1)",
    ),
    "a helper asks": (BY_KEY + "await fut", "set_unless_done(self.pending[key], 1)"),
    "the error is caught": (
        BY_KEY + "await fut",
        f"try:\n    {COMPLETE}\nexcept (KeyError, asyncio.InvalidStateError):\n    pass",
    ),
    "any error is caught": (BY_KEY + "await fut", f"try:\n    {COMPLETE}\nexcept Exception:\n    pass"),
    "every error is caught": (BY_KEY + "await fut", f"try:\n    {COMPLETE}\nexcept:\n    pass"),
    "the error is suppressed": (
        BY_KEY + "await fut",
        f"with contextlib.suppress(asyncio.InvalidStateError):\n    {COMPLETE}",
    ),
    "deregistered in any case": (
        BY_KEY + "try:\n    await fut\nfinally:\n    self.pending.pop(key, None)",
        COMPLETE,
    ),
    "deregistered when cancelled": (
        BY_KEY + "try:\n    await fut\nexcept asyncio.CancelledError:\n    del self.pending[key]\n    raise",
        COMPLETE,
    ),
    "deregistered by a method": (BY_KEY + "try:\n    await fut\nfinally:\n    self.forget(key)", COMPLETE),
    "deregistered by a callback": (
        BY_KEY + "fut.add_done_callback(lambda _: self.pending.pop(key))\nawait fut",
        COMPLETE,
    ),
    "deregistered by an exit stack": (
        BY_KEY + "with contextlib.ExitStack() as s:\n    s.callback(self.pending.pop, key)\n    await fut",
        COMPLETE,
    ),
    "held weakly": (
        "self.weak[key] = fut = asyncio.Future()\nawait fut",
        "self.weak[key].set_result(1)",
    ),
    "shielded": (BY_KEY + "await asyncio.shield(fut)", COMPLETE),
    "shielded within a time limit": (BY_KEY + "await asyncio.wait_for(asyncio.shield(fut), 1)", COMPLETE),
    "waited for as one of a set": (BY_KEY + "await asyncio.wait({fut}, timeout=1)", COMPLETE),
    "another one is completed": (BY_KEY + "await fut", "self.other[key].set_result(1)"),
    "made anew before": (
        "self.one = asyncio.Future()\nawait self.one",
        "self.one = asyncio.Future()\nself.one.set_result(1)",
    ),
}


@pytest.mark.parametrize(("wait", "complete"), GUARDED.values(), ids=GUARDED)
def test_completing_what_is_looked_at_or_deregistered_is_not(wait: str, complete: str) -> None:
    assert confidences(client(wait, complete), "CAN109") == []


def test_a_helper_that_does_not_look_is_where_the_error_is_raised() -> None:
    found = Analysed({"main": HEAD + client(BY_KEY + "await fut", "set_at_once(self.pending[key], 1)")})
    (one,) = (each for each in found.findings() if each.code == "CAN109")

    assert "the loop of `Client.loop` ends" in one.told.message
    assert one.told.place == f"main:{HEAD.splitlines().index('def set_at_once(future, value):') + 2:03}"


def test_what_a_caller_handles_is_possible_at_most() -> None:
    source = client(BY_KEY + "await fut", "try:\n    self.on_reply(key)\nexcept Exception:\n    print(key)")
    source += f"    def on_reply(self, key):\n        {COMPLETE}\n"

    assert [confidence for _, confidence in confidences(source, "CAN109")] == [Confidence.POSSIBLE]


def test_a_caller_that_handles_it_and_stops_is_no_cure() -> None:
    source = client(BY_KEY + "await fut", "try:\n    self.on_reply(key)\nexcept Exception:\n    break")
    source += f"    def on_reply(self, key):\n        {COMPLETE}\n"

    assert [confidence for _, confidence in confidences(source, "CAN109")] == [Confidence.CERTAIN]


def test_a_task_of_its_own_keeps_the_error_from_the_loop() -> None:
    source = client(BY_KEY + "await fut", "self.tasks.append(asyncio.create_task(self.on_reply(key)))")
    source += f"    async def on_reply(self, key):\n        {COMPLETE}\n        self.told(key)\n"
    (one,) = (each for each in Analysed({"main": HEAD + source}).findings() if each.code == "CAN109")

    assert "and `Client.on_reply` ends" in one.told.message


def test_an_error_after_which_nothing_would_happen_is_possible_at_most() -> None:
    source = (
        client(BY_KEY + "await fut", "print(key)") + f"    def on_reply(self, key):\n        {COMPLETE}\n"
    )

    assert [confidence for _, confidence in confidences(source, "CAN109")] == [Confidence.POSSIBLE]


def test_what_is_made_with_its_object_is_possible_at_most() -> None:
    source = client("await asyncio.wait_for(self.ready, 1)", "self.ready.set_result(1)")
    source = source.replace("self.one = None", "self.ready = asyncio.Future()")

    assert [confidence for _, confidence in confidences(source, "CAN109")] == [Confidence.POSSIBLE]


def test_the_same_is_said_of_all_copies_of_a_finally() -> None:
    complete = f"try:\n    await work()\nfinally:\n    {COMPLETE}"
    found = Analysed({"main": HEAD + client(BY_KEY + "await fut", complete)}).findings()

    assert len({one.told for one in found if one.code == "CAN109"}) == 1


def test_every_completion_is_a_finding_of_its_own() -> None:
    complete = f"if key:\n    {COMPLETE}\nelse:\n    {COMPLETE}"

    assert len(confidences(client(BY_KEY + "await fut", complete), "CAN109")) == 2


# --------------------------------------------------------------------------- shared futures


def owner(body: str, head: str = "async def get(self, key)") -> str:
    lines = "\n".join(f"        {line}" for line in body.splitlines())
    return (
        "class Owner:\n"
        "    def __init__(self):\n"
        "        self.tasks = {}\n"
        "        self.task = None\n"
        "        self.lock = asyncio.Lock()\n"
        "        self.ready = asyncio.get_running_loop().create_future()\n"
        "    def start(self):\n"
        "        self.task = asyncio.create_task(work())\n"
        f"    {head}:\n{lines}\n"
    )


SHARED = {
    "made by the first": (
        "if key not in self.tasks:\n    self.tasks[key] = asyncio.create_task(work())\nawait self.tasks[key]",
        Confidence.LIKELY,
    ),
    "looked up": (
        "t = self.tasks.get(key)\n"
        "if t is None:\n    t = self.tasks[key] = asyncio.create_task(work())\n"
        "await t",
        Confidence.LIKELY,
    ),
    "set by default": (
        "t = self.tasks.setdefault(key, asyncio.create_task(work()))\nawait t",
        None,
    ),
    "made by a method": (
        "if self.task is None:\n    self.start()\nawait self.task",
        Confidence.LIKELY,
    ),
    "with a time limit": (
        "if not self.task:\n    self.start()\nawait asyncio.wait_for(self.task, 1)",
        Confidence.LIKELY,
    ),
    "one at a time": (
        "async with self.lock:\n    if not self.task:\n        self.start()\n    await self.task",
        Confidence.LIKELY,
    ),
    "told by somebody else": ("await self.ready", Confidence.LIKELY),
    "running for somebody else": ("if self.task:\n    await self.task", Confidence.LIKELY),
    "shielded": ("await asyncio.shield(self.task)", None),
    "shielded within a time limit": ("await asyncio.wait_for(asyncio.shield(self.task), 1)", None),
    "waited for as one of a set": ("await asyncio.wait({self.task})", None),
    "made by every caller": ("self.task = asyncio.create_task(work())\nawait self.task", None),
    "taken out": ("await self.tasks.pop(key)", None),
    "one after the other": ("for task in self.tasks.values():\n    await task", None),
    "cancelled on purpose": ("self.task.cancel()\nawait self.task", None),
    "renewed": ("await self.ready\nself.ready = asyncio.get_running_loop().create_future()", None),
    "its cancellation is no cancellation here": (
        "try:\n    await self.task\nexcept asyncio.CancelledError:\n    pass",
        None,
    ),
}


@pytest.mark.parametrize(("body", "confidence"), SHARED.values(), ids=SHARED)
def test_awaiting_what_others_await_is_reported(body: str, confidence: Confidence | None) -> None:
    found = [each for _, each in confidences(owner(body), "CAN110")]

    assert found == ([] if confidence is None else [confidence])


@pytest.mark.parametrize("name", ["close", "stop", "_shutdown", "aclose", "disconnect", "__aexit__"])
def test_one_who_ends_a_task_may_be_cancelled_with_it(name: str) -> None:
    assert confidences(owner("await self.task", f"async def {name}(self, *args)"), "CAN110") == []


def test_a_private_method_may_have_one_caller() -> None:
    found = confidences(owner("await self.ready", "async def _wait(self)"), "CAN110")

    assert [each for _, each in found] == [Confidence.POSSIBLE]


def test_an_old_coroutine_awaits_by_yielding() -> None:
    body = "yield from self.ready"
    source = owner(body, "def wait_closed(self)").replace(
        "    def wait_", "    @asyncio.coroutine\n    def wait_"
    )

    assert [each for _, each in confidences(source, "CAN110")] == [Confidence.LIKELY]


OF_THE_MODULE = {
    "a variable": (
        "TASK = None\n\n\nasync def get():\n    global TASK\n"
        "    if TASK is None:\n        TASK = asyncio.create_task(work())\n    await TASK\n"
    ),
    "a dict": (
        "TASKS = {}\n\n\nasync def get(key):\n"
        "    if key not in TASKS:\n        TASKS[key] = asyncio.ensure_future(work())\n    await TASKS[key]\n"
    ),
    "of the class": (
        "class Owner:\n    task = None\n    @classmethod\n    async def get(cls):\n"
        "        if cls.task is None:\n            cls.task = asyncio.create_task(work())\n"
        "        await cls.task\n"
    ),
    "of a closure": (
        "def cached(make):\n    tasks = {}\n    async def get(key):\n"
        "        if key not in tasks:\n            tasks[key] = asyncio.create_task(make())\n"
        "        return await tasks[key]\n    return get\n"
    ),
}


@pytest.mark.parametrize("source", OF_THE_MODULE.values(), ids=OF_THE_MODULE)
def test_what_outlives_the_call_is_shared(source: str) -> None:
    assert [each for _, each in confidences(source, "CAN110")] == [Confidence.LIKELY]


# --------------------------------------------------------------------------- fixes


def edits(source: str) -> list[tuple[Edit, bool]]:
    """The edits that the rules about futures ask for, and whether they are safe."""
    project = Analysed({"main": HEAD + source}).project
    rules = [rule for rule in all_rules() if rule.code in ("CAN109", "CAN110")]
    return [
        (finding.fix.edit, finding.fix.safe)
        for key in project.program.functions()
        for rule in rules
        for finding in rule.check(Subject(project, key))
        if finding.fix is not None
    ]


def test_a_guard_is_a_safe_fix() -> None:
    assert edits(client(BY_KEY + "await fut", COMPLETE)) == [(Edit.GUARD_COMPLETION, True)]


def test_a_shield_is_an_unsafe_fix() -> None:
    assert edits(owner("await self.ready")) == [(Edit.SHIELD, False)]


def test_a_group_is_not_shielded() -> None:
    assert edits(owner("await asyncio.gather(self.ready, work())")) == []


def test_functions_that_are_given_to_each_other_do_not_send_the_search_round() -> None:
    found = Analysed({"main": HEAD + RING}).lines("CAN109", possible=True)

    assert found == ["self.waiter.set_result(1)"]


RING = """
class Client:
    def __init__(self):
        self.waiter = None
    async def wait(self):
        self.waiter = asyncio.get_running_loop().create_future()
        self.waiter.add_done_callback(self.one)
        await self.waiter
    def one(self, *args):
        later(self.two)
    def two(self, *args):
        later(self.one)
    def answer(self):
        self.waiter.set_result(1)

def later(function):
    function()
"""
