"""Queues without a bound: what feeds them, what drains them, and what counts as a bound.

In the examples `# backlog` marks the queues that are to be reported.
"""

from textwrap import dedent, indent

import pytest

from cancellint.analysis.hazards.queues.backlogs import shown
from cancellint.model.finding import Confidence
from cancellint.model.ir import Attr, Const, Expr, Item, Name
from tests.analysed import Analysed, Reported, analysed, marked

HEADER = """\
import asyncio, collections, math
from collections import deque
import anyio, trio
from anyio.abc import SocketStream
"""


def program(source: str) -> Analysed:
    return analysed(HEADER + dedent(source))


def reader(made: str, loop: str, rest: str = "") -> str:
    """A class that makes something, a loop in it that has read `line`, and another method."""
    return "\n".join(
        (
            "class C:",
            "    def __init__(self, reader: asyncio.StreamReader, limit: int) -> None:",
            "        self.reader = reader",
            indent(dedent(made).strip("\n"), " " * 8),
            "    async def run(self) -> None:",
            "        while True:",
            "            line = await self.reader.readline()",
            indent(dedent(loop).strip("\n"), " " * 12),
            "    async def next(self):",
            indent(dedent(rest or "return await self.q.get()").strip("\n"), " " * 8),
        )
    )


def is_reported(source: str) -> bool:
    return program(source).lines("CAN301") != []


def told(source: str) -> Reported:
    (found,) = (one for one in program(source).findings(possible=True) if one.code == "CAN301")
    return found


# --------------------------------------------------------------------------- what makes a queue


UNBOUNDED = [
    "asyncio.Queue()",
    "asyncio.Queue(0)",
    "asyncio.Queue(maxsize=0)",
    "asyncio.Queue(-1)",
    "asyncio.LifoQueue()",
    "asyncio.PriorityQueue()",
    "asyncio.queues.Queue()",
]
BOUNDED = [
    "asyncio.Queue(1)",
    "asyncio.Queue(maxsize=32)",
    "asyncio.Queue(limit)",
    "asyncio.Queue(maxsize=limit)",
    "asyncio.Queue(*[1])",
    "asyncio.Queue(**{'maxsize': 1})",
    "asyncio.LifoQueue(8)",
    "asyncio.PriorityQueue(maxsize=8)",
    "asyncio.Event()",
]


@pytest.mark.parametrize("made", UNBOUNDED)
def test_a_queue_without_a_size_is_unbounded(made: str) -> None:
    assert is_reported(reader(f"self.q = {made}", "await self.q.put(line)"))


@pytest.mark.parametrize("made", BOUNDED)
def test_a_queue_of_some_size_is_bounded(made: str) -> None:
    assert not is_reported(reader(f"self.q = {made}", "await self.q.put(line)"))


@pytest.mark.parametrize(
    "made", ["deque()", "deque([])", "collections.deque(())", "deque(maxlen=None)", "[]"]
)
def test_a_container_that_is_used_as_a_queue_is_one(made: str) -> None:
    drained = "return self.q.pop(0)" if made == "[]" else "return self.q.popleft()"

    assert is_reported(reader(f"self.q = {made}", "self.q.append(line)", drained))


@pytest.mark.parametrize(
    ("made", "drained"),
    [
        ("deque(maxlen=10)", "return self.q.popleft()"),
        ("deque([], 10)", "return self.q.popleft()"),
        ("deque(maxlen=limit)", "return self.q.popleft()"),
        ("deque()", "return self.q[0]"),
        ("[]", "return self.q.pop()"),
        ("[]", "found, self.q = self.q, []\nreturn found"),
        ("{}", "return self.q.pop(0)"),
    ],
)
def test_other_containers_are_no_queues_or_bounded(made: str, drained: str) -> None:
    assert not is_reported(reader(f"self.q = {made}", "self.q.append(line)", drained))


@pytest.mark.parametrize(
    ("size", "reported"),
    [("math.inf", True), ("0", False), ("100", False), ("limit", False)],
)
@pytest.mark.parametrize(
    "function",
    [
        "anyio.create_memory_object_stream",
        "anyio.create_memory_object_stream[bytes]",
        "trio.open_memory_channel",
    ],
)
def test_a_memory_stream_is_unbounded_when_its_size_is_infinite(
    function: str, size: str, reported: bool
) -> None:
    made = f"self.s, self.q = {function}({size})"

    assert is_reported(reader(made, "await self.s.send(line)", "return await self.q.receive()")) is reported


def test_of_two_queues_that_one_attribute_may_hold_a_bounded_one_is_believed() -> None:
    made = """
        if limit:
            self.q = asyncio.Queue(limit)
        else:
            self.q = asyncio.Queue()
        """

    assert not is_reported(reader(made, "await self.q.put(line)"))


# --------------------------------------------------------------------------- bounds in the code

LOOPS = {
    "a length is compared before": "if self.q.qsize() < 10:\n    self.q.put_nowait(line)",
    "a full queue is left alone": "if not self.q.full():\n    self.q.put_nowait(line)",
    "the feeder joins": "self.q.put_nowait(line)\nawait self.q.join()",
    "the feeder waits for an event": "self.q.put_nowait(line)\nawait self.ready.wait()",
    "the feeder waits for the answer": "self.q.put_nowait((line, done := self.future()))\nawait done",
    "the feeder takes a permit": "await self.permits.acquire()\nself.q.put_nowait(line)",
    "the feeder drains": "self.q.put_nowait(line)\nprint(self.q.get_nowait())",
    "only a sentinel is put": "if not line:\n    self.q.put_nowait(None)",
    "what is put has not been read": "if line:\n    self.q.put_nowait(self.clock())",
    "nothing is put": "print(line)",
}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_a_loop_is_no_feeder_without_bound(loop: str) -> None:
    assert not is_reported(reader("self.q = asyncio.Queue()", loop))


@pytest.mark.parametrize(
    "loop",
    [
        "await self.q.put(line)",
        "self.q.put_nowait(line)",
        "self.q.put_nowait((1, line))",
        "self.q.put_nowait(line.decode())",
        "for word in line.split():\n    self.q.put_nowait(word)",
        "await self.q.put(line)\nawait asyncio.sleep(0)",
        "if not self.q.empty():\n    print('busy')\nself.q.put_nowait(line)",
    ],
)
def test_what_was_read_is_put_whatever_is_done_to_it(loop: str) -> None:
    assert is_reported(reader("self.q = asyncio.Queue()", loop))


@pytest.mark.parametrize(
    ("rest", "reported"),
    [
        ("return await self.q.get()", True),
        ("return self.q.get_nowait()", True),
        ("self.writer.write(b'?')\nreturn await self.q.get()", False),
        ("await self.send_request()\nreturn await self.q.get()", False),
        ("while True:\n    line = await self.q.get()\n    self.writer.write(line)", False),
        ("return [await self.q.get() for _ in range(3)]", True),
        ("return self.q", False),
        ("return len(self.q._queue)", False),
    ],
)
def test_a_queue_of_replies_or_without_a_reader_is_left_alone(rest: str, reported: bool) -> None:
    assert is_reported(reader("self.q = asyncio.Queue()", "self.q.put_nowait(line)", rest)) is reported


def test_what_the_program_drains_by_itself_is_possible_only() -> None:
    rest = "while True:\n    line = await self.q.get()\n    await self.writer.drain()"

    found = told(reader("self.q = asyncio.Queue()", "self.q.put_nowait(line)", rest))

    assert found.confidence is Confidence.POSSIBLE


def test_a_pool_that_is_filled_where_it_is_made_has_as_many_items_as_it_was_given() -> None:
    made = """
        self.q = asyncio.Queue()
        for port in range(10):
            self.q.put_nowait(port)
        """

    assert not is_reported(reader(made, "self.q.put_nowait(line)"))


ROTATING = """
class C:
    def __init__(self, reader: asyncio.StreamReader):
        self.reader = reader
        self.q = {made}
    async def run(self):
        async for line in self.reader:
            self.q.{put}(line)
    async def next(self):
        item = {taken}
        self.q.{put}(item)
        return item
"""


@pytest.mark.parametrize(
    ("made", "put", "taken", "reported"),
    [
        ("[]", "append", "self.q.pop(0)", False),
        ("deque()", "append", "self.q.popleft()", False),
        ("asyncio.Queue()", "put_nowait", "self.q.get_nowait()", False),
        ("asyncio.Queue()", "put_nowait", "await self.q.get()", True),
    ],
)
def test_what_is_taken_out_and_put_in_again_goes_round(
    made: str, put: str, taken: str, reported: bool
) -> None:
    assert is_reported(ROTATING.format(made=made, put=put, taken=taken)) is reported


# --------------------------------------------------------------------------- who feeds


FEEDERS = """
class Callback(asyncio.Protocol):
    def __init__(self):
        self.q = asyncio.Queue()  # backlog
    def data_received(self, data):
        self.first(data)
    def first(self, data):
        self.second(data[1:])
    def second(self, data):
        self.q.put_nowait(data)
    async def next(self):
        return await self.q.get()

class Datagrams(asyncio.DatagramProtocol):
    def __init__(self):
        self.q = asyncio.Queue()  # backlog
    def datagram_received(self, data, addr):
        asyncio.get_running_loop().call_soon(self.store, data)
    def store(self, data):
        self.q.put_nowait(data)
    async def next(self):
        return await self.q.get()

class NoProtocol:
    def __init__(self):
        self.q = asyncio.Queue()
    def data_received(self, data):
        self.q.put_nowait(data)
    async def next(self):
        return await self.q.get()

class Pausing(asyncio.Protocol):
    def __init__(self, other):
        self.q = other.make()
    def connection_made(self, transport):
        self.q.put_nowait(transport)

class ByName:
    def __init__(self, ws):
        self.ws = ws
        self.q = asyncio.Queue()  # backlog
    async def run(self):
        async for message in self.ws:
            self.q.put_nowait(message)
    async def next(self):
        return await self.q.get()

class Finite:
    def __init__(self, items):
        self.items = items
        self.q = asyncio.Queue()
    async def run(self):
        for item in self.items:
            self.q.put_nowait(item)
    async def next(self):
        return await self.q.get()
"""


def test_callbacks_and_loops_feed_and_other_methods_do_not() -> None:
    assert program(FEEDERS).lines("CAN301") == list(marked(FEEDERS, "backlog"))


HANDLERS = """
q = asyncio.Queue()  # backlog
answered = asyncio.Queue()

async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
    q.put_nowait(await reader.read())

async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
    done = asyncio.get_running_loop().create_future()
    answered.put_nowait((reader, done))
    await done

async def work():
    while True:
        print(await q.get(), await answered.get())

async def main():
    await asyncio.start_server(serve, "localhost", 1)
    await asyncio.start_server(ask, "localhost", 2)
"""


def test_a_handler_feeds_unless_it_waits_for_the_answer() -> None:
    assert program(HANDLERS).lines("CAN301", possible=True) == list(marked(HANDLERS, "backlog"))


ROUTES = """
jobs = asyncio.Queue()  # backlog

@app.post("/jobs")
async def add(request):
    await jobs.put(await request.json())

async def work(archive):
    while True:
        await archive.store(await jobs.get())
"""


def test_a_function_with_a_route_is_a_handler() -> None:
    cached = ROUTES.replace("@app.post", "@cache.put")

    assert program(ROUTES).lines("CAN301", possible=True) == list(marked(ROUTES, "backlog"))
    assert program(cached).lines("CAN301", possible=True) == []


def test_names_as_long_as_memory_allows_are_shown() -> None:
    deep: Expr = Name("q")
    for _ in range(5000):
        deep = Attr(Item(deep, Const("int", "0")), "a")

    assert shown(deep) == "q" + "[0].a" * 5000


def test_transports_that_are_paused_are_a_bound() -> None:
    source = """
        class P(asyncio.Protocol):
            def __init__(self):
                self.q = deque()
            def data_received(self, data):
                self.q.append(data)
            def take(self):
                return self.q.popleft()
            def hold(self):
                self.transport.pause_reading()
        """

    assert not is_reported(source)
    assert is_reported(source.replace("pause_reading", "get_extra_info"))


def test_other_transports_that_are_paused_are_none() -> None:
    paused = FEEDERS + "\n\ndef hold(transport):\n    transport.pause_reading()\n"

    assert is_reported(paused)


def test_a_queue_that_a_callback_itself_works_off_is_none() -> None:
    source = """
        class P(asyncio.Protocol):
            def __init__(self):
                self.q = deque()
            def data_received(self, data):
                self.q.append(data)
                asyncio.get_running_loop().call_soon(self.flush)
            def flush(self):
                while self.q:
                    print(self.q.popleft())
        """

    assert not is_reported(source)


def test_a_length_that_is_given_away_is_looked_at_by_others() -> None:
    source = """
        class Q:
            def __init__(self):
                self.items = deque()
            def __len__(self):
                return len(self.items)
            def put(self, item):
                self.items.append(item)
            async def get(self):
                return self.items.popleft()

        class P(asyncio.Protocol):
            def __init__(self):
                self.q = Q()
            def data_received(self, data):
                self.q.put(data)
        """

    told = source.replace("__len__", "size")
    asked = """
        def limit(q: Q):
            if q.size() > 100:
                raise ValueError
        """

    assert not is_reported(source)
    assert is_reported(told)
    assert not is_reported(told + asked)
    assert is_reported(source.replace("return len(self.items)", "print(len(self.items))"))


# --------------------------------------------------------------------------- the story


def test_the_notes_lead_from_the_read_to_the_drain() -> None:
    found = told(
        """
        class C:
            def __init__(self, reader: asyncio.StreamReader):
                self.reader = reader
                self.q = asyncio.Queue()
            async def run(self):
                while True:
                    self.keep(await self.reader.readline())
            def keep(self, line):
                self.q.put_nowait(line)
            async def stop(self):
                self.q.get_nowait()
            async def work(self):
                print(await self.q.get())
        """
    )

    assert str(found.told) == "main:009 `self.q` grows without bound: a loop feeds it with what a peer sends"
    assert found.confidence is Confidence.LIKELY
    assert [str(note) for note in found.notes] == [
        "main:012 each turn of this loop waits for what a peer sends",
        "main:012 this call hands it on",
        "main:014 the queue is fed here, however full it is",
        "main:018 it is drained here, at the speed of this code",
        "main:016 it is drained here, at the speed of this code",
    ]


def test_what_rests_on_names_is_likely() -> None:
    found = told(
        """
        class C:
            def __init__(self):
                self.q = asyncio.Queue()
            def on_message(self, message):
                self.q.put_nowait(message)
            async def next(self):
                return await self.q.get()
        """
    )

    assert found.confidence is Confidence.LIKELY


@pytest.mark.parametrize(
    ("calls", "confidence"),
    [(0, Confidence.LIKELY), (2, Confidence.LIKELY), (3, Confidence.POSSIBLE), (4, Confidence.POSSIBLE)],
)
def test_what_rests_on_names_is_less_likely_the_further_it_goes(calls: int, confidence: Confidence) -> None:
    source = """
class C:
    def __init__(self):
        self.q = asyncio.Queue()
    async def next(self):
        return await self.q.get()
    def on_message(self, message):
        self.go_0(message)
"""
    source = source.replace("go_0", "q.put_nowait") if not calls else source
    for number in range(calls):
        further = f"go_{number + 1}" if number + 1 < calls else "q.put_nowait"
        source += f"    def go_{number}(self, message):\n        self.{further}(message)\n"

    assert told(source).confidence is confidence


def test_a_container_that_a_loop_fills_is_no_likely_queue_by_names_alone() -> None:
    source = """
class C:
    def __init__(self, stream):
        self.stream = stream
        self.q = {made}
    async def run(self):
        async for line in self.stream:
            self.q.{put}(line)
    async def next(self):
        return {taken}
"""
    plain = source.format(made="[]", put="append", taken="self.q.pop(0)")
    queue = source.format(made="asyncio.Queue()", put="put_nowait", taken="await self.q.get()")

    assert told(plain).confidence is Confidence.POSSIBLE
    assert told(queue).confidence is Confidence.LIKELY


def test_a_name_says_nothing_of_an_object_whose_class_is_known() -> None:
    source = """
class Words:
    def __init__(self, text):
        self.words = text.split()
    def __aiter__(self):
        return self
    async def __anext__(self):
        return self.words.pop()

class C:
    def __init__(self, text):
        self.stream = Words(text)
        self.q = asyncio.Queue()
    async def run(self):
        async for word in self.stream:
            self.q.put_nowait(word)
    async def next(self):
        return await self.q.get()
"""

    assert not is_reported(source)
    assert is_reported(source.replace("Words(text)", "text"))


def test_a_container_is_at_most_likely_to_be_a_queue() -> None:
    found = told(reader("self.q = deque()", "self.q.append(line)", "return self.q.popleft()"))

    assert found.confidence is Confidence.LIKELY


def test_makers_feeders_and_drains_may_stand_in_different_files() -> None:
    files = {
        "shared": dedent(
            """
            import asyncio

            class Shared:
                def __init__(self):
                    self.q = asyncio.Queue()
            """
        ),
        "feeder": dedent(
            """
            import asyncio
            from shared import Shared

            async def feed(reader: asyncio.StreamReader, shared: Shared):
                async for line in reader:
                    shared.q.put_nowait(line)
            """
        ),
        "drain": dedent(
            """
            from shared import Shared

            class Drain(Shared):
                async def work(self):
                    print(await self.q.get())
            """
        ),
    }
    (found,) = Analysed(files).findings()

    assert [note.place.partition(":")[0] for note in found.notes] == ["feeder", "feeder", "drain"]
    assert found.told.place == "shared:006"


def test_queues_of_one_attribute_are_told_once() -> None:
    source = reader("self.q = asyncio.Queue()", "self.q.put_nowait(line)")
    source += "\n    def reset(self):\n        self.q = asyncio.Queue()\n"

    assert len(program(source).lines("CAN301")) == 1
