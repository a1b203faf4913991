"""A project's own table can say all that the shipped ones say: each fact here comes from one."""

from textwrap import dedent

import libcst
import pytest

from cancellint.analysis.library.knowledge import KnowledgeError, Table, load
from cancellint.analysis.program.program import Program
from cancellint.analysis.project import AnalysisSettings, analyse
from cancellint.frontend.lower import lower
from cancellint.model.finding import Confidence
from cancellint.rules.rule import Subject, all_rules

SOURCES = ["https://example.org/broker"]


def entry(**keys: object) -> dict[str, object]:
    return {key.replace("_", "-"): value for key, value in keys.items()} | {"sources": SOURCES}


CLIENT: Table = {
    "broker.Connection": entry(kind="class", source="messages"),
    "broker.Connection.next": entry(roles=["consumes"], awaitable=True),
    "broker.Connection.hold": entry(roles=["pauses"]),
    "broker.Handler": entry(kind="class"),
    "broker.Handler.arrived": entry(callback="data", error_closes=True),
    "broker.Handler.begun": entry(callback="first"),
    "broker.Box": entry(
        kind="class",
        params=["limit"],
        queue="queue",
        bound="arg:limit",
        unbounded=["absent", "FOREVER"],
        source="queue",
    ),
    "broker.Box.put_nowait": entry(roles=["stores"]),
    "broker.Box.get": entry(roles=["consumes"], awaitable=True),
}


def reported(source: str, *tables: Table) -> list[tuple[str, Confidence]]:
    """The rules that report something, with their confidence; what is merely possible is left out."""
    program = Program({"main": lower(libcst.parse_module(dedent(source)))}, ())
    project = analyse(program, load(tables), AnalysisSettings())
    return [
        (rule.code, finding.confidence)
        for rule in all_rules()
        for key in sorted(project.program.functions())
        for finding in rule.check(Subject(project, key))
        if finding.confidence is not Confidence.POSSIBLE
    ]


LOOP = """
    import asyncio
    import broker

    class Relay:
        def __init__(self, connection: broker.Connection):
            self.link = connection
            self.items = {made}

        async def feed(self):
            while True:
                self.items.put_nowait(await self.link.next())

        async def item(self):
            return await self.items.get()
    """


@pytest.mark.parametrize(
    ("made", "found"),
    [
        ("asyncio.Queue()", [("CAN301", Confidence.LIKELY)]),
        ("asyncio.Queue(10)", [("CAN304", Confidence.LIKELY)]),
        ("broker.Box()", [("CAN301", Confidence.LIKELY)]),
        ("broker.Box(limit=broker.FOREVER)", [("CAN301", Confidence.LIKELY)]),
        ("broker.Box(10)", []),
        ("broker.Box(limit=10)", []),
    ],
)
def test_sources_and_queues(made: str, found: list[tuple[str, Confidence]]) -> None:
    assert reported(LOOP.format(made=made), CLIENT) == found
    assert reported(LOOP.format(made=made)) == []


CALLBACK = """
    import asyncio
    import broker

    class Relay(broker.Handler):
        def begun(self, connection: broker.Connection):
            self.link = connection
            self.items = asyncio.Queue()

        def arrived(self, item):
            self.items.put_nowait(item)

        async def drain(self):
            while True:
                await self.handle(await self.items.get())
    """


def test_callbacks_and_what_lets_a_peer_wait() -> None:
    pausing = CALLBACK + "\n        def full(self):\n            self.link.hold()\n"

    assert reported(CALLBACK) == []
    assert reported(CALLBACK, CLIENT) == [("CAN301", Confidence.LIKELY)]
    assert reported(pausing, CLIENT) == []


NAMED = """
    import asyncio

    class Relay:
        def __init__(self):
            self.items = asyncio.Queue()

        @hub.topic("orders")
        async def store(self, item):
            self.items.put_nowait(item)

        async def item(self):
            return await self.items.get()
    """


def test_naming_conventions() -> None:
    naming = {"conventions": {"routes": [{"receiver": ["hub"], "methods": ["topic"]}]}}

    assert reported(NAMED) == []
    assert reported(NAMED, naming) == [("CAN301", Confidence.LIKELY)]


def test_conventions_add_up() -> None:
    conventions = load([{"conventions": {"closes": ["hang_up"]}}, {"conventions": {"closes": ["ring_off"]}}])

    assert all(name in conventions.conventions.closes for name in ("hang_up", "_ring_off", "close"))
    assert "hang" not in conventions.conventions.closes


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"closess": ["x"]}, r'\[conventions\].closess: unknown key; did you mean "closes"'),
        ({"closes": ["("]}, r"is not a regular expression"),
        ({"closes": "x"}, r"expected `array`"),
        ({"routes": [{"receiver": ["("], "methods": []}]}, r"is not a regular expression"),
        ("x", r"\[conventions\]"),
    ],
)
def test_a_mistake_in_a_convention_is_told(keys: object, problem: str) -> None:
    with pytest.raises(KnowledgeError, match=problem):
        load([{"conventions": keys}])


REMEMBERED = """
    import asyncio
    import tools

    async def work(): ...

    {decorated}
    def start():
        return asyncio.create_task(work())

    async def main():
        start()
    """


@pytest.mark.parametrize(
    ("decorated", "dropped"),
    [
        ("@tools.traced", True),
        ("@tools.kept", False),
        ("@tools.kept(size=3)", False),
        ("@tools.unheard_of", False),
    ],
)
def test_decorators_that_remember(decorated: str, dropped: bool) -> None:
    table = {"tools.traced": entry(), "tools.kept": entry(roles=["remembers"])}
    codes = [code for code, _ in reported(REMEMBERED.format(decorated=decorated), table)]

    assert codes == ["CAN401"] * dropped


HELD: Table = {
    "main.Session": entry(
        kind="class", not_across_await="it is a snapshot", instead="open it again after the await"
    ),
    "broker.Batch": entry(kind="class", not_across_await="it keeps a socket busy"),
}

HOLDING = """
    import asyncio
    import broker

    class Session:
        def __enter__(self) -> "Session":
            return self

        def __exit__(self, *exc_info: object) -> None:
            print("closed")

    class Short(Session):
        pass

    async def hold():
        with {made} as held:
            {body}
    """


@pytest.mark.parametrize(
    ("made", "body", "found"),
    [
        ("Session()", "await asyncio.sleep(1)", [("CAN201", Confidence.CERTAIN)]),
        ("Short()", "await asyncio.sleep(1)", [("CAN201", Confidence.CERTAIN)]),
        ("broker.Batch()", "await asyncio.sleep(1)", [("CAN201", Confidence.CERTAIN)]),
        ("Session()", "print(held)", []),
        ("open('a')", "await asyncio.sleep(1)", []),
    ],
)
def test_a_table_says_what_must_not_be_held_across_an_await(
    made: str, body: str, found: list[tuple[str, Confidence]]
) -> None:
    source = HOLDING.format(made=made, body=body)

    assert reported(source, HELD) == found
    assert reported(source) == []
