"""What a function owes when it is cancelled: each kind of witness, each way out, and what callers are told.

In the examples `# owed` marks the awaits, or the handlers, at which something stays undone.
"""

from textwrap import dedent, indent

import pytest

from cancellint.analysis.flow.cancellation_paths import cancellation_path
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.flow.paths_after_awaits import PathsAfterAwaits
from cancellint.analysis.hazards.obligations.obligations import Debt
from cancellint.model.finding import Confidence
from cancellint.model.summary import Verb
from tests.analysed import Analysed, analysed, marked

HEADER = """\
import asyncio
async def pause(): await asyncio.sleep(1)
class Gate:
    def __init__(self):
        self.inside = 0
        self.busy = False
        self.names = set()
        self.lock = asyncio.Lock()
        self.conn = None
    def enter(self): self.inside += 1
    def leave(self): self.inside -= 1
    def try_enter(self):
        if self.inside > 3:
            return False
        self.inside += 1
        return True
    def bump(self):
        self.inside += 1
        self.inside -= 1
    def is_full(self): return self.inside > 9 or self.busy or self.conn
    def begin(self): self.busy = True
    async def f(self, name, pool, flag):
"""


def source(body: str) -> str:
    return HEADER + indent(dedent(body).strip("\n"), "        ") + "\n"


def program(body: str) -> Analysed:
    return analysed(source(body))


def owed(found: Analysed) -> list[str]:
    """The lines at which something stays undone, however firmly."""
    codes = ("CAN105", "CAN106", "CAN107")
    return [line for code in codes for line in found.lines(code, possible=True)]


def facts(found: Analysed, symbol: str) -> Facts:
    return found.project.facts_of(found.key(symbol))


OWED = {
    "a counter": "self.inside += 1\nawait pause()  # owed\nself.inside -= 1",
    "a counter by helpers": "self.enter()\nawait pause()  # owed\nself.leave()",
    "a flag": "self.busy = True\nawait pause()  # owed\nself.busy = False",
    "a lock": "await self.lock.acquire()\nawait pause()  # owed\nself.lock.release()",
    "a pooled object": "conn = await pool.acquire()\nawait conn.ask()  # owed\nawait pool.release(conn)",
    "a narrow handler": """
        self.names.add(name)
        try:
            await pause()
        except Exception:  # owed
            self.names.discard(name)
            raise
    """,
    "undone only where a later await is cancelled": """
        self.names.add(name)
        await pause()  # owed
        try:
            await pause()
        except BaseException:
            self.names.discard(name)
            raise
    """,
    "a lock of an earlier turn": """
        locked = False
        while True:
            each = await pool.next()  # owed
            if not locked:
                await self.lock.acquire()
                locked = True
            elif each:
                self.lock.release()
                locked = False
    """,
    "entries of all turns": """
        for each in name:
            self.names.add(each)
        await pause()  # owed
        try:
            await pause()
        finally:
            for each in name:
                self.names.discard(each)
    """,
    "a test of another value": """
        if flag:
            await self.lock.acquire()
        flag = await pool.next()  # owed
        if flag:
            self.lock.release()
    """,
    "a lock that some error gives back": """
        await self.lock.acquire()
        try:
            await pause()  # owed
        except OSError:
            self.lock.release()
            raise
    """,
    "a pooled object while another one is stored": """
        conn = await pool.acquire()
        self.names.add(name)
        await conn.ask()  # owed
        await pool.release(conn)
    """,
    "a local object beside names that are stored": """
        if flag:
            conn = pool.make(1)
        else:
            conn = pool.make(2)
        self.name = name
        await pause()  # owed
        pool.release(conn)
    """,
    "a pooled object in the branch where there is nothing else": """
        conn = await pool.acquire()
        other = pool.find(name)
        if other is None:
            await conn.ask()  # owed
        await pool.release(conn)
    """,
    "a flag in the branch of another one": """
        self.busy = True
        if flag:
            self.busy = False
        else:
            await pause()  # owed
            self.busy = False
    """,
    "an entry of a container that is emptied": """
        self.names.add(name)
        await pause()  # owed
        self.names.clear()
    """,
    "an attribute that any error makes None again": """
        self.conn = flag
        try:
            await pause()
        except Exception:  # owed
            self.conn = None
            raise
    """,
    "a connection at work that any error closes": """
        try:
            await self.conn.send(name)
        except Exception:  # owed
            self.conn.close()
            raise
    """,
}

NOT_OWED = {
    "in a container that the caller gives, and has to itself": (
        "name.append(1)\ntry:\n    await pause()\nexcept Exception:\n    name.remove(1)\n    raise"
    ),
    "a pooled object that is stored": """
        conn = await pool.acquire()
        self.names.add(conn)
        await conn.ask()
        await pool.release(conn)
    """,
    "errors that are counted": """
        try:
            await pause()
        except Exception:
            self.inside += 1
            raise
    """,
    "an attribute made None that was not set here": """
        try:
            await pause()
        except Exception:
            self.conn = None
            raise
    """,
    "another connection that any error closes": """
        try:
            await pause()
        except Exception:
            self.conn.close()
            raise
    """,
    "undone in finally": "self.inside += 1\ntry:\n    await pause()\nfinally:\n    self.inside -= 1",
    "undone before": "self.inside += 1\nself.inside -= 1\nawait pause()",
    "never undone": "self.inside += 1\nawait pause()",
    "kept on one way to the end": """
        self.busy = True
        await pause()
        if flag:
            self.busy = False
    """,
    "taken on sometimes only": "self.try_enter()\nawait pause()\nself.leave()",
    "balanced in a helper": "self.bump()\nawait pause()\nself.leave()",
    "handed to a callback": """
        self.inside += 1
        task = asyncio.ensure_future(pause())
        task.add_done_callback(lambda _: self.leave())
        await task
        self.leave()
    """,
    "another entry": "self.names.add(name)\nawait pause()\nself.names.discard(flag)",
    "a turn that tests the same twice": """
        for each in name:
            await pause()
            if flag:
                await self.lock.acquire()
            if flag:
                self.lock.release()
    """,
    "what was not taken": """
        taken = None
        if flag:
            taken = await pool.acquire()
        if taken is not None:
            await pool.release(taken)
        await pause()
    """,
    "counted up in one loop and down in another": """
        while self.inside < flag:
            await pause()
            self.inside += 1
        while self.inside > flag:
            await pause()
            self.inside -= 1
    """,
    "how the last turn ended": """
        while True:
            try:
                await pause()
                self.busy = False
            except ValueError:
                self.busy = True
                await pause()
    """,
    "after the undoing await has come back": """
        self.names.add(name)
        try:
            await pause()
        except BaseException:
            self.names.discard(name)
            raise
        await pause()
    """,
    "an await in finally": """
        self.inside += 1
        try:
            pass
        finally:
            await pause()
            self.inside -= 1
    """,
    "the branch of nothing taken": """
        self.busy = True
        if self.busy:
            self.busy = False
        else:
            await pause()
            self.busy = False
    """,
}


@pytest.mark.parametrize("body", OWED.values(), ids=OWED)
def test_what_only_other_paths_undo_is_owed(body: str) -> None:
    assert owed(program(body)) == list(marked(source(body), "owed"))


@pytest.mark.parametrize("body", NOT_OWED.values(), ids=NOT_OWED)
def test_what_the_cancelled_path_undoes_or_nobody_has_to_is_not_owed(body: str) -> None:
    assert owed(program(body)) == []


def debts(found: Analysed) -> tuple[Debt, ...]:
    return found.project.debts(found.key("main.Gate.f"))


def confidences(body: str, others: str = "") -> list[Confidence]:
    """How firmly the debts of a body stand, in a class with these other methods."""
    text = source(body)
    whole = text.replace("    async def f(", f"{others}    async def f(")
    return [debt.confidence for debt in debts(analysed(whole))]


def verbs(found: Analysed, symbol: str) -> set[tuple[Verb, tuple[str, ...]]]:
    return {(act.verb, act.subject.fields) for act in found.summary(symbol).acts}


def test_callers_are_told_what_a_helper_takes_on_and_what_it_undoes() -> None:
    found = program("self.enter()\nawait pause()\nself.leave()")

    assert (Verb.RAISES, ("inside",)) in verbs(found, "main.Gate.enter")
    assert (Verb.LOWERS, ("inside",)) in verbs(found, "main.Gate.leave")


def test_callers_are_not_told_what_a_helper_takes_on_sometimes() -> None:
    found = program("self.try_enter()\nawait pause()")

    assert verbs(found, "main.Gate.try_enter") == set()


def test_callers_are_not_told_what_only_an_error_undoes() -> None:
    found = program("try:\n    self.enter()\nexcept ValueError:\n    self.leave()\nawait pause()")

    assert (Verb.LOWERS, ("inside",)) not in verbs(found, "main.Gate.f")


def test_a_timeout_of_the_functions_own_is_no_way_out_for_a_cancellation() -> None:
    found = program("""
        try:
            async with asyncio.timeout(1):
                await pause()
        except TimeoutError:
            self.leave()
    """)
    known = facts(found, "main.Gate.f")
    ways = [cancellation_path(known, block) for block, _ in PathsAfterAwaits(known).awaits]
    steps = [step for way in ways if way is not None for step in way.steps]

    assert ways
    assert all(act.verb is not Verb.LOWERS for step in steps for act in known.acts.get(step, ()))


def test_a_private_helper_owes_nothing_that_all_its_callers_undo() -> None:
    found = analysed(
        HEADER.replace("async def f(", "async def _f(")
        + "        self.inside += 1\n        await pause()\n        self.inside -= 1\n"
        + "    async def g(self):\n        try:\n            await self._f(1, 2, 3)\n"
        + "        finally:\n            self.inside = 0\n            self.leave()\n"
    )

    assert found.project.debts(found.key("main.Gate._f")) == ()


def test_a_container_of_the_module_is_shared() -> None:
    text = """\
import asyncio
running = set()
async def f(name):
    running.add(name)
    await asyncio.sleep(1)  # owed
    running.discard(name)
"""

    assert owed(analysed(text)) == list(marked(text, "owed"))


def test_a_flag_that_a_helper_sets_may_be_a_state_of_its_own() -> None:
    direct = "if self.busy:\n    return\nself.busy = True\nawait pause()\nself.busy = False"

    assert confidences(direct) == [Confidence.LIKELY]
    assert confidences(direct.replace("self.busy = True", "self.begin()")) == [Confidence.POSSIBLE]


def test_what_may_have_been_there_already_is_possibly_owed() -> None:
    body = "conn = await pool.acquire()\nawait conn.ask()\nawait pool.release(conn)"

    assert confidences(body) == [Confidence.LIKELY]
    assert confidences(body.replace("await", "flag or await", 1)) == [Confidence.POSSIBLE]


def test_what_any_error_removes_is_certainly_owed_unless_somebody_else_removes_it_too() -> None:
    body = OWED["a narrow handler"]
    others = "    def leave_late(self, name): del self.names[name]\n"

    assert confidences(body) == [Confidence.CERTAIN]
    assert confidences(body, others) == [Confidence.LIKELY]


def test_of_what_one_await_leaves_equally_firmly_the_first_is_told() -> None:
    found = program("self.inside += 1\nself.busy = True\nawait pause()\nself.busy = False\nself.inside -= 1")

    assert [debt.act.subject.fields for debt in debts(found)] == [("inside",)]


@pytest.mark.parametrize(("name", "left"), [("f", [Confidence.POSSIBLE]), ("_f", [])])
def test_what_all_callers_in_sight_undo_only_others_may_be_owed(name: str, left: list[Confidence]) -> None:
    found = analysed(
        HEADER.replace("async def f(", f"async def {name}(")
        + "        global calls\n"
        + "        self.inside += 1\n        await pause()\n        self.inside -= 1\n"
        + f"    async def g(self):\n        try:\n            await self.{name}(1, 2, 3)\n"
        + "        finally:\n            self.inside = 0\n            self.leave()\n"
    )

    assert [debt.confidence for debt in found.project.debts(found.key(f"main.Gate.{name}"))] == left


def test_a_helper_that_nobody_waits_for_owes_what_its_caller_undoes() -> None:
    found = analysed(
        HEADER.replace("async def f(", "async def _f(")
        + "        self.inside += 1\n        await pause()\n        self.inside -= 1\n"
        + "    async def g(self):\n        try:\n            asyncio.create_task(self._f(1, 2, 3))\n"
        + "            await pause()\n        finally:\n            self.leave()\n"
    )

    assert [debt.confidence for debt in found.project.debts(found.key("main.Gate._f"))] == [Confidence.LIKELY]


def test_a_caller_pays_for_nothing_that_it_has_no_name_for() -> None:
    found = analysed(
        HEADER
        + "        pass\n"
        + "async def _count(gate=Gate()):\n    global calls\n    gate.inside += 1\n    await pause()\n"
        + "    gate.inside -= 1\n"
        + "async def g(other: Gate):\n    try:\n        await _count()\n"
        + "    finally:\n        other.leave()\n"
    )

    assert [debt.confidence for debt in found.project.debts(found.key("main._count"))] == [Confidence.LIKELY]


def test_a_caller_that_no_cancellation_reaches_pays_for_nothing() -> None:
    found = analysed(
        "import anyio\n"
        + HEADER.replace("async def f(", "async def _f(")
        + "        global calls\n"
        + "        self.inside += 1\n        await pause()\n        self.inside -= 1\n"
        + "    async def g(self):\n        with anyio.CancelScope(shield=True):\n"
        + "            await self._f(1, 2, 3)\n        self.leave()\n"
    )

    assert [debt.confidence for debt in found.project.debts(found.key("main.Gate._f"))] == [Confidence.LIKELY]


def test_what_a_handler_cleans_up_is_owed_once_however_many_awaits_it_guards() -> None:
    body = """
        try:
            await self.conn.send(name)
            await self.conn.send(flag)
        except Exception:
            self.conn.close()
            raise
    """

    assert len(debts(program(body))) == 1


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("self.pool.release(self.conn)", [("conn",)]),
        ("self.lock.release()", []),
        ("self.conn.close()", []),
    ],
)
def test_what_the_end_of_an_object_gives_back_to_its_pool_was_held(body: str, fields: list[str]) -> None:
    found = analysed(
        HEADER.replace("async def f(", "async def close(") + f"        await pause()\n        {body}\n"
    )

    assert [debt.act.subject.fields for debt in found.project.debts(found.key("main.Gate.close"))] == fields
