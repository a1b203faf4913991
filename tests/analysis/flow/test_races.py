"""Races: whether what they drop is read on afterwards, settled here, by a caller, or nowhere."""

from textwrap import dedent, indent

import pytest

from cancellint.model.finding import Confidence
from tests.analysed import Analysed, analysed, marked

CLIENT = """\
import asyncio
import contextlib
import async_timeout
import anyio
import trio

class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()

    async def frame(self) -> bytes:
        header = await self.reader.readexactly(4)
        return await self.reader.readexactly(header[0])

    async def line(self) -> bytes:
        return await self.reader.readline()

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("host", 1)

    async def shut(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

"""

RACES = {
    "wait_for": "FRAME = await asyncio.wait_for(self.frame(), 1)",
    "wait_for of a task": "FRAME = await asyncio.wait_for(asyncio.create_task(self.frame()), 1)",
    "wait_for of a variable": "coro = self.frame()\nFRAME = await asyncio.wait_for(coro, timeout=1)",
    "timeout": "async with asyncio.timeout(1):\n    FRAME = await self.frame()",
    "timeout_at": "async with asyncio.timeout_at(1):\n    FRAME = await self.frame()",
    "async_timeout": "async with async_timeout.timeout(1):\n    FRAME = await self.frame()",
    "fail_after": "with anyio.fail_after(1):\n    FRAME = await self.frame()",
    "trio fail_after": "with trio.fail_after(1):\n    FRAME = await self.frame()",
    "wait_for within wait_for": "FRAME = await asyncio.wait_for(asyncio.wait_for(self.frame(), 1), 9)",
    "a timeout bound to a name": "async with asyncio.timeout(1) as limit:\n    FRAME = await self.frame()",
    "a timeout beside another manager": (
        "async with asyncio.Lock(), asyncio.timeout(1):\n    FRAME = await self.frame()"
    ),
    "the reads in the race itself": (
        "async with asyncio.timeout(1):\n"
        "    header = await self.reader.readexactly(4)\n"
        "    FRAME = await self.reader.readexactly(header[0])"
    ),
}
"""Every race that raises TimeoutError, as statements that bind FRAME."""

SILENT = {
    "move_on_after": "with anyio.move_on_after(1):\n    FRAME = await self.frame()",
    "trio move_on_after": "with trio.move_on_after(1):\n    FRAME = await self.frame()",
    "suppressed": (
        "with contextlib.suppress(TimeoutError):\n    FRAME = await asyncio.wait_for(self.frame(), 1)"
    ),
    "suppressed round a timeout": (
        "with contextlib.suppress(asyncio.TimeoutError):\n"
        "    async with asyncio.timeout(1):\n"
        "        FRAME = await self.frame()"
    ),
}
"""Races after which control simply goes on."""


def client(*methods: str) -> Analysed:
    return analysed(CLIENT + "\n".join(indent(dedent(method).strip(), "    ") + "\n" for method in methods))


def in_try(race: str, handler: str) -> str:
    """A method that runs a race in a try for ever, with a handler's clauses."""
    return (
        "async def run(self):\n    while True:\n        try:\n"
        + indent(race.replace("FRAME", "frame"), " " * 12)
        + "\n            print(frame)\n"
        + indent(dedent(handler).strip("\n"), " " * 8)
        + "\n"
    )


def found(*methods: str) -> int:
    return len(client(*methods).lines("CAN101"))


# --------------------------------------------------------------------------- read on in a loop


@pytest.mark.parametrize("race", RACES.values(), ids=RACES.keys())
def test_a_race_whose_handler_goes_round_the_loop_is_found(race: str) -> None:
    assert found(in_try(race, "except TimeoutError:\n    continue")) == 1


@pytest.mark.parametrize("race", SILENT.values(), ids=SILENT.keys())
def test_a_race_that_ends_without_an_exception_is_found(race: str) -> None:
    body = indent(race.replace("FRAME", "frame"), " " * 8)

    assert found(f"async def run(self):\n    while True:\n{body}\n") == 1


ONE_READ = {
    name: race.replace("self.frame()", "self.line()")
    for name, race in {**RACES, **SILENT}.items()
    if "header" not in race and "create_task" not in race
}


@pytest.mark.parametrize("race", ONE_READ.values(), ids=ONE_READ.keys())
def test_a_race_of_one_read_drops_nothing(race: str) -> None:
    assert found(in_try(race, "except TimeoutError:\n    continue")) == 0


def test_a_race_of_one_read_in_a_task_drops_its_result() -> None:
    race = RACES["wait_for of a task"].replace("self.frame()", "self.line()")

    assert found(in_try(race, "except TimeoutError:\n    continue")) == 1


@pytest.mark.parametrize("race", RACES.values(), ids=RACES.keys())
def test_a_race_that_nobody_catches_and_nobody_calls_is_merely_possible(race: str) -> None:
    analysed = client(f"async def run(self):\n{indent(race.replace('FRAME', 'frame'), '    ')}\n")

    assert analysed.lines("CAN101") == []
    assert len(analysed.lines("CAN101", possible=True)) == 1


# --------------------------------------------------------------------------- handlers

GOES_ON = {
    "passes": "except TimeoutError:\n    pass",
    "asyncio's name": "except asyncio.TimeoutError:\n    pass",
    "a tuple": "except (OSError, TimeoutError):\n    pass",
    "its base class": "except OSError:\n    pass",
    "except Exception": "except Exception:\n    pass",
    "a bare except": "except:\n    pass",
    "BaseException": "except BaseException:\n    pass",
    "logs": "except TimeoutError as error:\n    print(error)",
    "closes in another handler": "except KeyError:\n    self.writer.close()\nexcept TimeoutError:\n    pass",
    "closes something else": "except TimeoutError:\n    self.frames = asyncio.Queue()",
    "closes on one path only": (
        "except TimeoutError:\n    if self.frames.empty():\n        self.writer.close()"
    ),
    "the else clause closes": "except TimeoutError:\n    pass\nelse:\n    self.writer.close()",
}


@pytest.mark.parametrize("handler", GOES_ON.values(), ids=GOES_ON.keys())
@pytest.mark.parametrize("race", ["wait_for", "timeout"])
def test_a_handler_after_which_the_source_is_read_on_is_found(race: str, handler: str) -> None:
    assert found(in_try(RACES[race], handler)) == 1


SETTLED = {
    "leaves by return": "except TimeoutError:\n    return",
    "leaves by break": "except TimeoutError:\n    break",
    "leaves by raise": "except TimeoutError:\n    raise",
    "leaves by another exception": "except TimeoutError as error:\n    raise OSError from error",
    "closes the writer": "except TimeoutError:\n    self.writer.close()",
    "closes through a method": "except TimeoutError:\n    await self.shut()",
    "closes the transport": "except TimeoutError:\n    self.writer.transport.abort()",
    "opens a new connection": "except TimeoutError:\n    await self.open()",
    "opens a new connection in place": (
        "except TimeoutError:\n    self.reader, self.writer = await asyncio.open_connection('h', 1)"
    ),
    "is closed in a finally": "except TimeoutError:\n    pass\nfinally:\n    self.writer.close()",
    "does not match": "except ValueError:\n    pass",
    "does not match a tuple": "except (ValueError, KeyError):\n    pass",
    "matches a cancellation only": "except asyncio.CancelledError:\n    pass",
    "an earlier clause leaves": "except TimeoutError:\n    return\nexcept OSError:\n    pass",
    "an earlier clause of a base class leaves": (
        "except OSError:\n    return\nexcept TimeoutError:\n    pass"
    ),
    "deletes the connection": "except TimeoutError:\n    del self.reader",
}


@pytest.mark.parametrize("handler", SETTLED.values(), ids=SETTLED.keys())
@pytest.mark.parametrize("race", ["wait_for", "timeout"])
def test_a_race_after_which_the_source_is_closed_replaced_or_left_is_silent(race: str, handler: str) -> None:
    assert found(in_try(RACES[race], handler)) == 0


ASKED = {
    "cancelled_caught": "if scope.cancelled_caught:\n    return",
    "cancel_called": "if scope.cancel_called:\n    self.writer.close()",
    "not cancelled_caught": "if not scope.cancelled_caught:\n    continue\nreturn",
    "twice": "if not scope.cancel_called:\n    print(1)\nif scope.cancelled_caught:\n    break",
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
def test_a_scope_that_is_asked_whether_it_was_cut_short_answers_yes(asked: str) -> None:
    def run(test: str) -> str:
        return (
            "async def run(self):\n    while True:\n"
            "        with anyio.move_on_after(1) as scope:\n            await self.frame()\n"
            + indent(test, "        ")
        )

    assert found(run(asked)) == 0
    assert found(run(asked.replace("scope.", "self.other."))) == 1


def test_a_scope_that_is_asked_the_wrong_way_round_is_read_on() -> None:
    run = """
        async def run(self):
            while True:
                with anyio.move_on_after(1) as scope:
                    await self.frame()
                if not scope.cancelled_caught:
                    return
    """

    assert found(run) == 1


def test_a_timeout_that_is_asked_whether_it_has_expired_answers_yes() -> None:
    race = "async with asyncio.timeout(1) as limit:\n    FRAME = await self.frame()"

    assert found(in_try(race, "except TimeoutError:\n    if limit.expired():\n        return")) == 0


SHIELDED = {
    "a shield within the race": ("with anyio.move_on_after(1):", "with anyio.CancelScope(shield=True):", 0),
    "the race within a shield": ("with anyio.CancelScope(shield=True):", "with anyio.move_on_after(1):", 1),
    "a race that shields from others": ("with anyio.move_on_after(1, shield=True):", "if True:", 1),
}


@pytest.mark.parametrize(("outer", "inner", "expected"), SHIELDED.values(), ids=SHIELDED.keys())
def test_a_shield_keeps_out_the_races_round_it_and_none_within(outer: str, inner: str, expected: int) -> None:
    run = f"async def run(self):\n    while True:\n        {outer}\n            {inner}\n"

    assert found(run + "                await self.frame()\n") == expected


def test_of_two_timeouts_round_one_await_each_is_told() -> None:
    run = """
        async def run(self):
            while True:
                try:
                    async with asyncio.timeout(9):  # race
                        async with asyncio.timeout(1):  # race
                            print(await self.frame())
                except TimeoutError:
                    continue
    """

    assert client(run).lines("CAN101") == list(marked(run, "race"))


def test_an_outer_timeout_is_told_where_the_inner_one_is_settled() -> None:
    run = """
        async def run(self):
            while True:
                try:
                    async with asyncio.timeout(9):  # race
                        try:
                            async with asyncio.timeout(1):
                                print(await self.frame())
                        except TimeoutError:
                            self.writer.close()
                            return
                except TimeoutError:
                    continue
    """

    assert client(run).lines("CAN101") == list(marked(run, "race"))


def test_a_close_in_a_try_that_is_nearer_than_the_loop_settles() -> None:
    run = """
        async def run(self):
            while True:
                try:
                    try:
                        frame = await asyncio.wait_for(self.frame(), 1)
                    except BaseException:
                        self.writer.close()
                        raise
                except TimeoutError:
                    continue
    """

    assert found(run) == 0


def test_another_source_read_afterwards_is_no_reading_on() -> None:
    run = """
        async def run(self):
            try:
                frame = await asyncio.wait_for(self.frame(), 1)
            except TimeoutError:
                frame = await self.frames.get()
            return frame
    """

    assert found(run) == 0


def test_the_same_source_read_once_more_afterwards_is_reading_on() -> None:
    run = """
        async def run(self):
            try:
                frame = await asyncio.wait_for(self.frame(), 1)
            except TimeoutError:
                return await self.line()
            return frame
    """

    assert found(run) == 1


def test_no_limit_is_no_race() -> None:
    handler = "except TimeoutError:\n    pass"

    assert found(in_try("FRAME = await asyncio.wait_for(self.frame(), None)", handler)) == 0
    assert found(in_try("async with asyncio.timeout(None):\n    FRAME = await self.frame()", handler)) == 0


def test_a_reader_made_in_the_loop_does_not_outlive_the_race() -> None:
    source = """
        import asyncio
        async def read(r: asyncio.StreamReader):
            header = await r.readexactly(4)
            return await r.readexactly(header[0])
        async def run():
            while True:
                reader, writer = await asyncio.open_connection("host", 1)
                try:
                    print(await asyncio.wait_for(read(reader), 1))
                except TimeoutError:
                    continue
    """

    assert analysed(source).lines("CAN101") == []


def test_a_reader_made_before_the_loop_outlives_the_race() -> None:
    source = """
        import asyncio
        async def read(r: asyncio.StreamReader):
            header = await r.readexactly(4)
            return await r.readexactly(header[0])
        async def run():
            reader, writer = await asyncio.open_connection("host", 1)
            while True:
                try:
                    print(await asyncio.wait_for(read(reader), 1))  # race
                except TimeoutError:
                    continue
    """

    assert analysed(source).lines("CAN101") == list(marked(source, "race"))


# --------------------------------------------------------------------------- whose object it is

OUTLIVES = {
    "a nested coroutine function": """
        async def run(self):
            async def read():
                header = await self.reader.readexactly(4)
                return header + await self.reader.readexactly(4)
            while True:
                with contextlib.suppress(TimeoutError):
                    print(await asyncio.wait_for(read(), 1))  # race
    """,
    "a variable of the enclosing function": """
        async def run(self):
            reader = self.reader
            async def read():
                header = await reader.readexactly(4)
                return header + await reader.readexactly(4)
            while True:
                with contextlib.suppress(TimeoutError):
                    print(await asyncio.wait_for(read(), 1))  # race
    """,
    "a property": """
        @property
        def source(self) -> asyncio.StreamReader:
            return self.reader
        async def read(self):
            header = await self.source.readexactly(4)
            return header + await self.source.readexactly(4)
        async def run(self):
            while True:
                with contextlib.suppress(TimeoutError):
                    print(await asyncio.wait_for(self.read(), 1))  # race
    """,
    "a static method": """
        @staticmethod
        async def read(reader: asyncio.StreamReader):
            header = await reader.readexactly(4)
            return header + await reader.readexactly(4)
        async def run(self):
            while True:
                with contextlib.suppress(TimeoutError):
                    print(await asyncio.wait_for(Client.read(self.reader), 1))  # race
    """,
    "one of several by its name": """
        async def run(self, clients: dict[str, "Client"], name: str):
            while True:
                with contextlib.suppress(TimeoutError):
                    print(await asyncio.wait_for(clients[name].frame(), 1))  # race
    """,
    "an attribute of another object": """
        async def run(self, other: "Client"):
            while True:
                with contextlib.suppress(TimeoutError):
                    print(await asyncio.wait_for(other.frame(), 1))  # race
    """,
    "gathered": """
        async def run(self):
            while True:
                with contextlib.suppress(TimeoutError):
                    print(await asyncio.wait_for(asyncio.gather(self.frame(), self.line()), 1))  # race
    """,
    "by a recursive call": """
        async def run(self):
            try:
                return await asyncio.wait_for(self.frame(), 1)  # race
            except TimeoutError:
                return await self.run()
    """,
}


@pytest.mark.parametrize("run", OUTLIVES.values(), ids=OUTLIVES.keys())
def test_a_source_however_named_that_outlives_the_race_is_read_on(run: str) -> None:
    assert client(run).lines("CAN101") == list(marked(run, "race"))


ENDS = {
    "each of several in turn": """
        async def run(self, clients: list["Client"]):
            for each in clients:
                with contextlib.suppress(TimeoutError):
                    print(await asyncio.wait_for(each.frame(), 1))
    """,
    "one that was taken out of a list": """
        async def run(self, clients: list["Client"]):
            while clients:
                each = clients.pop()
                with contextlib.suppress(TimeoutError):
                    print(await asyncio.wait_for(each.frame(), 1))
    """,
    "opened at the top of each turn": """
        async def run(self):
            while True:
                await self.open()
                with contextlib.suppress(TimeoutError):
                    print(await asyncio.wait_for(self.frame(), 1))
    """,
    "set to None with its writer": """
        async def run(self):
            while True:
                try:
                    print(await asyncio.wait_for(self.frame(), 1))
                except TimeoutError:
                    self.reader = self.writer = None
    """,
    "closed by the callee on its way out": """
        async def safe(self):
            try:
                return await self.frame()
            except BaseException:
                self.writer.close()
                raise
        async def run(self):
            while True:
                with contextlib.suppress(TimeoutError):
                    print(await asyncio.wait_for(self.safe(), 1))
    """,
    "closed by the exit of its object": """
        async def __aenter__(self):
            return self
        async def __aexit__(self, *args):
            self.writer.close()
        async def once(self):
            async with self:
                with contextlib.suppress(TimeoutError):
                    return await asyncio.wait_for(self.frame(), 1)
        async def run(self):
            while True:
                await self.once()
    """,
    "closed by a method in a finally": """
        async def once(self):
            try:
                return await asyncio.wait_for(self.frame(), 1)
            except TimeoutError:
                return None
            finally:
                await self.shut()
        async def run(self):
            while True:
                await self.once()
    """,
}


@pytest.mark.parametrize("run", ENDS.values(), ids=ENDS.keys())
def test_a_source_that_ends_before_it_is_read_on_is_silent(run: str) -> None:
    assert client(run).lines("CAN101") == []


# --------------------------------------------------------------------------- what the handler has noted

NOTED = {
    "None, tested for None": ("frame = None", "if frame is None:\n    return"),
    "None, tested for truth": ("frame = None", "if not frame:\n    break"),
    "a flag": ("late = True", "if late:\n    break"),
    "a flag, closed later": ("late = True", "if late:\n    self.writer.close()"),
    "a flag under another name": ("late = True", "gone = late\nif gone:\n    return"),
}


@pytest.mark.parametrize(("note", "test"), NOTED.values(), ids=NOTED.keys())
def test_what_a_handler_has_noted_is_known_where_it_is_tested(note: str, test: str) -> None:
    def run(noted: str) -> str:
        return (
            "async def run(self):\n    while True:\n        late = False\n        try:\n"
            "            frame = await asyncio.wait_for(self.frame(), 1)\n"
            f"        except TimeoutError:\n            {noted}\n" + indent(test, "        ") + "\n"
        )

    assert found(run(note)) == 0
    assert found(run("print(1)")) == 1


RUNNING = """
async def run(self):
    running = True
    while running:
        try:
            print(await asyncio.wait_for(self.frame(), 1))
        except TimeoutError:
            running = STILL
"""


def test_a_loop_whose_condition_the_handler_has_made_false_is_left() -> None:
    assert found(RUNNING.replace("STILL", "False")) == 0
    assert found(RUNNING.replace("STILL", "True")) == 1


POLL = """
async def poll(self):
    try:
        return await asyncio.wait_for(self.frame(), 1)  # race
    except TimeoutError:
        return None
"""


@pytest.mark.parametrize("test", ["if frame is None:\n    break", "if not frame:\n    return"])
def test_a_caller_that_stops_at_the_callees_none_does_not_read_on(test: str) -> None:
    run = "async def run(self):\n    while True:\n        frame = await self.poll()\n"

    assert client(POLL, run + indent(test, "        ")).lines("CAN101") == []


def test_a_caller_that_goes_on_at_the_callees_none_reads_on() -> None:
    run = """
        async def run(self):
            while True:
                frame = await self.poll()
                if frame is None:
                    continue
                print(frame)
    """

    assert client(POLL, run).lines("CAN101") == list(marked(POLL, "race"))


# --------------------------------------------------------------------------- settled by a caller

HELPER = """
async def next_frame(self):
    return await asyncio.wait_for(self.frame(), 1)  # race
"""


def test_a_caller_that_catches_and_reads_on_settles_the_callees_race() -> None:
    run = in_try("FRAME = await self.next_frame()", "except TimeoutError:\n    continue")

    assert client(HELPER, run).lines("CAN101") == list(marked(HELPER, "race"))


@pytest.mark.parametrize("handler", SETTLED.values(), ids=SETTLED.keys())
def test_a_caller_that_closes_or_leaves_makes_the_callees_race_harmless(handler: str) -> None:
    run = in_try("FRAME = await self.next_frame()", handler)

    assert client(HELPER, run).lines("CAN101") == []


def test_a_race_three_calls_down_is_settled_by_the_one_who_reads_on() -> None:
    run = in_try("FRAME = await self.first()", "except TimeoutError:\n    continue")
    first = "async def first(self):\n    return await self.second()"
    second = "async def second(self):\n    return await self.next_frame()"

    assert client(HELPER, first, second, run).lines("CAN101") == list(marked(HELPER, "race"))


def test_of_two_callers_the_one_that_reads_on_decides() -> None:
    leaves = in_try("FRAME = await self.next_frame()", "except TimeoutError:\n    return").replace(
        "run", "leave"
    )
    reads_on = in_try("FRAME = await self.next_frame()", "except TimeoutError:\n    continue")

    assert client(HELPER, leaves).lines("CAN101") == []
    assert client(HELPER, leaves, reads_on).lines("CAN101") == list(marked(HELPER, "race"))


def test_two_callers_that_read_on_are_told_each_by_a_finding_of_the_same_race() -> None:
    one = in_try("FRAME = await self.next_frame()", "except TimeoutError:\n    continue")
    other = one.replace("run", "run_too")

    assert set(client(HELPER, one, other).lines("CAN101")) == set(marked(HELPER, "race"))


def test_a_callee_that_returns_after_its_race_is_settled_by_a_loop_without_a_handler() -> None:
    helper = """
        async def poll(self):
            try:
                return await asyncio.wait_for(self.frame(), 1)  # race
            except TimeoutError:
                return None
    """
    run = "async def run(self):\n    while True:\n        print(await self.poll())\n"

    assert client(helper, run).lines("CAN101") == list(marked(helper, "race"))


def test_a_callee_that_closes_before_it_returns_leaves_nothing_to_settle() -> None:
    helper = """
        async def poll(self):
            try:
                return await asyncio.wait_for(self.frame(), 1)
            except TimeoutError:
                self.writer.close()
                return None
    """
    run = "async def run(self):\n    while True:\n        print(await self.poll())\n"

    assert client(helper, run).lines("CAN101", possible=True) == []


def test_a_race_settled_below_is_not_told_again_above() -> None:
    run = in_try(RACES["wait_for"], "except TimeoutError:\n    continue")
    above = "async def above(self):\n    while True:\n        await self.run()\n"

    assert found(run, above) == 1


def test_a_race_in_another_file_is_settled_across_files() -> None:
    files = {
        "net.wire": """
            import asyncio
            async def frame(reader: asyncio.StreamReader) -> bytes:
                header = await reader.readexactly(4)
                return await reader.readexactly(header[0])
        """,
        "net.limits": """
            import asyncio
            from net.wire import frame
            async def frame_within(reader: asyncio.StreamReader, seconds: float) -> bytes:
                return await asyncio.wait_for(frame(reader), seconds)  # race
        """,
        "net.__init__": "",
        "server": """
            import asyncio
            from net import limits
            class Session:
                def __init__(self, reader: asyncio.StreamReader):
                    self.reader = reader
                async def run(self):
                    while True:
                        try:
                            print(await limits.frame_within(self.reader, 1))
                        except TimeoutError:
                            print("slow")
        """,
    }

    assert Analysed(files).lines("CAN101") == list(marked(files["net.limits"], "race"))


# --------------------------------------------------------------------------- tasks that lose

SELECT = """
async def run(self):
    while True:
        one = asyncio.create_task(self.frame())
        two = asyncio.create_task(asyncio.sleep(1))
        done, pending = await asyncio.wait({one, two}, return_when=asyncio.FIRST_COMPLETED)  # race
        for task in pending:
            task.cancel()
"""


def test_losers_that_are_cancelled_and_made_anew_lose_what_they_took() -> None:
    assert client(SELECT).lines("CAN101") == list(marked(SELECT, "race"))


def test_a_cancelled_loser_that_takes_nothing_before_its_last_await_loses_nothing() -> None:
    assert found(SELECT.replace("self.frame()", "self.frames.get()")) == 0
    assert found(SELECT.replace("self.frame()", "self.line()")) == 0


def test_a_loser_kept_for_the_next_round_loses_nothing() -> None:
    run = """
        async def run(self):
            one = asyncio.create_task(self.frames.get())
            while True:
                two = asyncio.create_task(asyncio.sleep(1))
                done, pending = await asyncio.wait({one, two}, return_when=asyncio.FIRST_COMPLETED)
                if one in done:
                    print(one.result())
                    one = asyncio.create_task(self.frames.get())
    """

    assert found(run) == 0


def test_losers_that_are_cancelled_on_the_way_out_lose_nothing_that_matters() -> None:
    run = """
        async def run(self):
            one = asyncio.create_task(self.frames.get())
            two = asyncio.create_task(asyncio.sleep(1))
            done, pending = await asyncio.wait({one, two}, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            return None
    """

    assert found(run) == 0


def test_a_task_kept_across_rounds_and_shielded_loses_nothing() -> None:
    run = """
        async def run(self):
            task = asyncio.create_task(self.frame())
            while True:
                try:
                    frame = await asyncio.wait_for(asyncio.shield(task), 1)
                except TimeoutError:
                    continue
                print(frame)
                task = asyncio.create_task(self.frame())
    """

    assert found(run) == 0


def test_a_new_shielded_read_in_each_round_reads_behind_the_programs_back() -> None:
    run = in_try(
        "FRAME = await asyncio.wait_for(asyncio.shield(self.frames.get()), 1)",
        "except TimeoutError:\n    continue",
    )

    assert found(run) == 1


# --------------------------------------------------------------------------- confidence


def test_a_reader_known_by_its_name_alone_makes_the_finding_likely() -> None:
    source = """
        import asyncio
        class Client:
            def __init__(self, reader):
                self.reader = reader
            async def frame(self):
                header = await self.reader.readexactly(4)
                return await self.reader.readexactly(header[0])
            async def run(self):
                while True:
                    try:
                        print(await asyncio.wait_for(self.frame(), 1))
                    except TimeoutError:
                        continue
    """

    assert [finding.confidence for finding in analysed(source).findings()] == [Confidence.LIKELY]


def test_a_reader_known_by_its_type_makes_the_finding_certain() -> None:
    run = in_try(RACES["wait_for"], "except TimeoutError:\n    continue")

    assert [finding.confidence for finding in client(run).findings()] == [Confidence.CERTAIN]
