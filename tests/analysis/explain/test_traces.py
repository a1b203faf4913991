"""The story of a finding: every step at the line where it happens, in the order in which it happens."""

from collections.abc import Mapping
from textwrap import dedent

import pytest

from cancellint.analysis.project import AnalysisSettings
from tests.analysed import Analysed, Reported


def story(finding: Reported) -> list[str]:
    """The places of a finding and of its notes."""
    return [finding.told.place, *(note.place for note in finding.notes)]


def numbered(files: Mapping[str, str]) -> list[str]:
    """The places that comments `# step 0`, `# step 1 3` at the ends of lines number, in order."""
    places: dict[int, str] = {}
    for name, source in files.items():
        for number, line in enumerate(dedent(source).splitlines(), 1):
            _, _, steps = line.partition("# step ")
            places.update({int(step): f"{name}:{number:03}" for step in steps.split()})
    return [places[step] for step in sorted(places)]


def only(files: Mapping[str, str], **settings: bool) -> Reported:
    """The one race of a program that loses data."""
    findings = Analysed(files, AnalysisSettings(**settings)).findings()
    found = [each for each in findings if each.code == "CAN101"]
    assert len(found) == 1, [str(each.told) for each in found]
    return found[0]


WIRE = """
    import asyncio

    async def frame(reader: asyncio.StreamReader) -> bytes:
        header = await reader.readexactly(4)  # step 4
        size = int.from_bytes(header)
        return await reader.readexactly(size)  # step 5
"""

MIDDLE = """
    import wire

    class Decoder:
        def __init__(self, reader):
            self.reader = reader

        async def decoded(self):
            return (await wire.frame(self.reader)).decode()  # step 3

        async def parsed(self):
            return parse(await self.decoded())  # step 2
"""

TOP = """
    import asyncio
    from middle import Decoder

    class Session:
        def __init__(self, decoder: Decoder):
            self.decoder = decoder

        async def run(self):
            while True:
                try:
                    print(await asyncio.wait_for(self.decoder.parsed(), 1))  # step 0 1 6
                except TimeoutError:
                    print("slow")
"""

DEEP = {"wire": WIRE, "middle": MIDDLE, "top": TOP}


def test_a_story_three_calls_deep_is_told_from_the_race_down_and_back() -> None:
    assert story(only(DEEP)) == numbered(DEEP)


def test_each_step_of_a_story_is_told_in_words() -> None:
    finding = only(DEEP)

    assert finding.told.message == (
        "data taken from `self.decoder.reader` is lost when `asyncio.wait_for` ends this early"
    )
    assert [note.message for note in finding.notes] == [
        "which awaits `Decoder.parsed` here",
        "which awaits `Decoder.decoded` here",
        "which awaits `frame` here",
        "data is taken from `reader` here",
        "cancelled here, `header` is gone",
        "and the source is read on here",
    ]


STORIES = {
    "taken and lost in the race itself": """
        import asyncio
        async def run(r: asyncio.StreamReader):
            while True:
                try:
                    async with asyncio.timeout(1):  # step 0
                        head = await r.readexactly(4)  # step 1 3
                        handle(head + await r.readexactly(4))  # step 2
                except TimeoutError:
                    pass
    """,
    "taken in an earlier turn": """
        import asyncio
        async def lines(r: asyncio.StreamReader):
            found = []
            while len(found) < 3:
                found.append(await r.readline())  # step 2 3
            return found
        async def run(r: asyncio.StreamReader):
            while True:
                try:
                    print(await asyncio.wait_for(lines(r), 1))  # step 0 1 4
                except TimeoutError:
                    pass
    """,
    "the call itself drops it": """
        import asyncio
        async def run(r: asyncio.StreamReader):
            while True:
                try:
                    async with asyncio.timeout(1):  # step 0
                        print(await r.read())  # step 1 2
                except TimeoutError:
                    pass
    """,
    "a task between": """
        import asyncio
        async def run(q: asyncio.Queue[bytes]):
            while True:
                try:
                    async with asyncio.timeout(1):  # step 0
                        print(await asyncio.create_task(q.get()))  # step 1 2
                except TimeoutError:
                    pass
    """,
    "read on by another read": """
        import asyncio
        async def run(r: asyncio.StreamReader):
            try:
                async with asyncio.timeout(1):  # step 0
                    head = await r.readexactly(4)  # step 1
                    handle(head + await r.readexactly(4))  # step 2
            except TimeoutError:
                print("slow")
            print(await r.readline())  # step 3
    """,
    "read on by a function": """
        import asyncio
        async def rest(r: asyncio.StreamReader):
            return await r.read(100)
        async def frame(r: asyncio.StreamReader):
            head = await r.readexactly(4)  # step 2
            return head + await r.readexactly(4)  # step 3
        async def run(r: asyncio.StreamReader):
            try:
                print(await asyncio.wait_for(frame(r), 1))  # step 0 1
            except TimeoutError:
                print(await rest(r))  # step 4
    """,
    "a race in a helper, read on by its caller": """
        import asyncio
        async def frame(r: asyncio.StreamReader):
            head = await r.readexactly(4)  # step 2
            return head + await r.readexactly(4)  # step 3
        async def limited(r: asyncio.StreamReader):
            return await asyncio.wait_for(frame(r), 1)  # step 0 1
        async def twice(r: asyncio.StreamReader):
            return await limited(r)
        async def run(r: asyncio.StreamReader):
            while True:
                try:
                    print(await twice(r))  # step 4
                except TimeoutError:
                    pass
    """,
    "a loser that is cancelled": """
        import asyncio
        async def frame(r: asyncio.StreamReader):
            head = await r.readexactly(4)  # step 2
            return head + await r.readexactly(4)  # step 3
        async def run(r: asyncio.StreamReader):
            while True:
                one = asyncio.create_task(frame(r))  # step 4
                two = asyncio.create_task(asyncio.sleep(1))
                done, _ = await asyncio.wait({one, two}, return_when=asyncio.FIRST_COMPLETED)  # step 0
                if one not in done:
                    one.cancel()  # step 1
    """,
    "removed from a filled store": """
        import asyncio
        from collections import deque
        class C:
            def __init__(self, r: asyncio.StreamReader):
                self.r = r
                self.lines = deque()
            async def fill(self):
                self.lines.append(await self.r.readline())
            async def line(self):
                line = self.lines.popleft()  # step 2
                await asyncio.sleep(0)  # step 3
                return line
            async def run(self):
                while True:
                    try:
                        print(await asyncio.wait_for(self.line(), 1))  # step 0 1 4
                    except TimeoutError:
                        pass
    """,
}


@pytest.mark.parametrize("source", STORIES.values(), ids=STORIES.keys())
def test_every_step_of_a_story_stands_where_it_happens(source: str) -> None:
    files = {"main": source}

    assert story(only(files)) == numbered(files)


def test_what_a_public_coroutine_loses_is_told_from_its_own_await_down() -> None:
    files = {
        "main": """
            import asyncio
            async def _frame(r: asyncio.StreamReader):
                head = await r.readexactly(4)  # step 2
                return head + await r.readexactly(4)  # step 3
            async def frame(r: asyncio.StreamReader):
                return await _frame(r)  # step 0 1
            parsers = [_frame]
        """
    }

    assert story(only(files, assume_raced_public=True)) == numbered(files)


def test_a_private_helper_is_a_part_of_the_story_of_its_caller() -> None:
    files = {
        "main": """
            import asyncio
            async def _frame(r: asyncio.StreamReader):
                head = await r.readexactly(4)  # step 1
                return head + await r.readexactly(4)  # step 0 2
            async def frame(r: asyncio.StreamReader):
                return await _frame(r)
        """
    }

    assert story(only(files, assume_raced_public=True)) == numbered(files)


def test_a_race_that_nobody_settles_ends_with_its_caller() -> None:
    source = """
        import asyncio
        async def run(r: asyncio.StreamReader):
            async with asyncio.timeout(1):
                head = await r.readexactly(4)
                return head + await r.readexactly(4)
    """
    (finding,) = Analysed({"main": source}).findings(possible=True)

    assert str(finding.notes[-1]) == "main:003 and the caller of this function may read on"


def test_a_story_through_recursion_ends() -> None:
    source = """
        import asyncio
        async def nested(r: asyncio.StreamReader, depth):
            head = await r.readexactly(4)
            return head + await nested(r, depth - 1)
        async def run(r: asyncio.StreamReader):
            while True:
                try:
                    print(await asyncio.wait_for(nested(r, 9), 1))
                except TimeoutError:
                    pass
    """
    finding = only({"main": source})

    assert story(finding)[:3] == ["main:009", "main:009", "main:004"]
    assert finding.notes[-1].message == "and the source is read on here"


def test_a_story_through_a_hundred_calls_is_cut_and_still_ends_with_the_reading_on() -> None:
    chain = "".join(
        f"async def f{n}(r: asyncio.StreamReader): return await f{n + 1}(r)\n" for n in range(100)
    )
    source = (
        f"import asyncio\n{chain}"
        "async def f100(r: asyncio.StreamReader):\n"
        "    head = await r.readexactly(4)\n"
        "    return head + await r.readexactly(4)\n"
        "async def run(r: asyncio.StreamReader):\n"
        "    while True:\n"
        "        try:\n"
        "            print(await asyncio.wait_for(f0(r), 1))\n"
        "        except TimeoutError:\n"
        "            pass\n"
    )
    finding = only({"main": source})

    assert [note.message for note in finding.notes[:3]] == [
        "which awaits `f0` here",
        "which awaits `f1` here",
        "which awaits `f2` here",
    ]
    assert finding.notes[-1].message == "and the source is read on here"
    assert len(finding.notes) < 30
