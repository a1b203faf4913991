"""Who cancels a function, and whether what it leaves behind can still do harm then."""

import pytest

from cancellint.analysis.callgraph.cancellers import Cancellation
from cancellint.model.finding import Canceller, Confidence
from cancellint.model.ir import Await
from tests.analysed import Analysed, analysed

HEAD = """\
import asyncio


async def first(): await asyncio.sleep(1)
async def second(): await asyncio.sleep(1)
"""


def canceller(source: str, symbol: str, **files: str) -> Cancellation:
    program = Analysed({"main": HEAD + source, **files}) if files else analysed(HEAD + source)
    return program.project.cancellers.of(program.key(f"main.{symbol}"))


PROGRAMS = {
    "a timeout round the call": (
        Canceller.RACE,
        """
class _Line:
    async def read(self): await first(); await second()
    async def _a(self): await asyncio.wait_for(self.read(), 1)
    async def _b(self): await self.read()
""",
    ),
    "a timeout round the body it is called in": (
        Canceller.RACE,
        """
class _Line:
    async def read(self): await first(); await second()
    async def _a(self):
        async with asyncio.timeout(1):
            await self.read()
    async def _b(self): await self.read()
""",
    ),
    "a task that is started again after it was cancelled": (
        Canceller.CANCEL_SITE,
        """
class _Line:
    async def read(self): await first(); await second()
    def _start(self): self.task = asyncio.create_task(self.read())
    def _stop(self): self.task.cancel()
    def _restart(self):
        self._stop()
        self._start()
""",
    ),
    "a handler that a framework cancels with its request": (
        Canceller.FRAMEWORK,
        """
from quart import Quart
app = Quart("main")
class _Line:
    async def read(self): await first(); await second()
_LINE = _Line()
@app.get("/")
async def _answer(): await _LINE.read()
""",
    ),
    "a handler registered by a function that is given the server": (
        Canceller.FRAMEWORK,
        """
from fastmcp import FastMCP
class _Line:
    async def read(self): await first(); await second()
_LINE = _Line()
def _register(mcp: FastMCP):
    @mcp.tool
    async def ask(): await _LINE.read()
""",
    ),
    "a view that is given to a route": (
        Canceller.FRAMEWORK,
        """
from django.urls import path
class _Line:
    async def read(self): await first(); await second()
_LINE = _Line()
async def _view(request): await _LINE.read()
urlpatterns = [path("", _view)]
""",
    ),
    "a class of views": (
        Canceller.FRAMEWORK,
        """
from django.views import View
class _Line:
    async def read(self): await first(); await second()
_LINE = _Line()
class _Page(View):
    async def get(self, request): await _LINE.read()
""",
    ),
    "a generator that a response streams": (
        Canceller.FRAMEWORK,
        """
from starlette.responses import StreamingResponse
class _Line:
    async def read(self): await first(); await second()
_LINE = _Line()
async def _lines():
    await _LINE.read()
    yield b""
def _answer(): return StreamingResponse(_lines())
""",
    ),
    "a handler of a framework that lets it go on": (
        Canceller.NONE_KNOWN,
        """
from aiohttp import web
class _Line:
    async def read(self): await first(); await second()
_LINE = _Line()
async def _view(request): await _LINE.read()
_app = web.Application()
_app.router.add_get("/", _view)
""",
    ),
    "a task that only the end of its owner cancels": (
        Canceller.OWNER_ENDS,
        """
class _Line:
    async def read(self): await first(); await second()
    def _start(self): self.task = asyncio.create_task(self.read())
    def _stop(self): self.task.cancel()
""",
    ),
    "a task whose owner is started, waited for and ended": (
        Canceller.OWNER_ENDS,
        """
class _Line:
    async def read(self): await first(); await second()
    async def start(self):
        await first()
        self.task = asyncio.create_task(self.read())
    async def stop(self):
        self.task.cancel()
        await first()
    async def _serve(self):
        await self.start()
        try:
            await self.ended.wait()
        finally:
            await self.stop()
""",
    ),
    "a group whose other tasks may fail": (
        Canceller.GROUP,
        """
class _Line:
    async def read(self): await first(); await second()
    async def _run(self):
        async with asyncio.TaskGroup() as group:
            group.create_task(self.read())
            group.create_task(second())
""",
    ),
    "a name that anybody may call": (
        Canceller.PUBLIC,
        """
class _Line:
    async def read(self): await first(); await second()

class Line:
    def __init__(self, line: _Line): self.line = line
    async def get(self): return await self.line.read()
""",
    ),
    "the function that a decorator gives back": (
        Canceller.PUBLIC,
        """
def repeated(function):
    async def read(*args):
        await first()
        return await function(*args)
    return read
""",
    ),
    "nothing but the end of the loop": (
        Canceller.NONE_KNOWN,
        """
class _Line:
    async def read(self): await first(); await second()

async def _main(line: _Line):
    await line.read()
    await line.read()
asyncio.run(_main(_Line()))
""",
    ),
    "nobody behind a shield": (
        Canceller.NONE_KNOWN,
        """
class _Line:
    async def read(self): await first(); await second()

class Line:
    def __init__(self, line: _Line): self.line = line
    async def get(self): await asyncio.shield(self.line.read())
""",
    ),
    "nobody, for an object that goes with the call": (
        Canceller.NONE_KNOWN,
        """
class _Line:
    async def read(self): await first(); await second()

async def ask():
    line = _Line()
    await line.read()
    await asyncio.wait_for(line.read(), 1)
""",
    ),
    "nobody, for an object that a function makes for the call": (
        Canceller.NONE_KNOWN,
        """
class _Line:
    async def read(self): await first(); await second()
    @classmethod
    async def _dial(cls):
        await first()
        line = cls()
        return line

async def ask(lines):
    line = await _Line._dial()
    await asyncio.wait_for(line.read(), 1)
    lines.append(line)
""",
    ),
    "a race round an object that others have too": (
        Canceller.RACE,
        """
class _Line:
    async def read(self): await first(); await second()

async def ask(lines):
    line = _Line()
    lines.append(line)
    await asyncio.wait_for(line.read(), 1)
""",
    ),
    "the framework alone, for a method that has a public name": (
        Canceller.NONE_KNOWN,
        """
from aiohttp import web
class _Line:
    async def read(self): await first(); await second()
class Server:
    def __init__(self, line: _Line): self.line = line
    async def handle(self, request): await self.line.read()
    def routes(self): return [web.get("/", self.handle)]
""",
    ),
    "a race after which the object is used again": (
        Canceller.RACE,
        """
class _Line:
    async def read(self): await first(); await second()

async def _ask():
    line = _Line()
    try:
        await asyncio.wait_for(line.read(), 1)
    except TimeoutError:
        pass
    await line.read()
""",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_canceller_is(name: str):
    wanted, source = PROGRAMS[name]
    symbol = "repeated.read" if "def repeated" in source else "_Line.read"

    assert canceller(source, symbol).canceller is wanted


def test_a_race_is_told_by_name():
    _, source = PROGRAMS["a timeout round the call"]

    assert canceller(source, "_Line.read").construct == "asyncio.wait_for"


MODULE = """
class Line:
    async def read(self): await first(); await second()
"""
OTHER = """
from main import Line

async def _main(line: Line):
    await line.read()
    await line.read()
"""


def test_what_other_modules_of_the_program_call_is_its_own_affair():
    assert canceller(MODULE, "Line.read").canceller is Canceller.PUBLIC
    assert canceller(MODULE, "Line.read", other=OTHER).canceller is Canceller.NONE_KNOWN


def test_what_a_package_exports_is_public_all_the_same():
    files = {"lib.__init__": "from lib.main import Line", "lib.main": HEAD + MODULE}
    program = Analysed({**files, "lib.other": OTHER.replace("from main", "from lib.main")})

    found = program.project.cancellers.of(program.key("lib.main.Line.read"))

    assert found.canceller is Canceller.PUBLIC


@pytest.mark.parametrize("module", ["lib._line", "lib.tests.line", "tests.test_line"])
def test_an_internal_module_offers_nothing(module: str):
    program = Analysed({module: HEAD + MODULE})

    found = program.project.cancellers.of(program.key(f"{module}.Line.read"))

    assert found.canceller is Canceller.NONE_KNOWN


def test_what_declares_it_may_be_exported():
    base = "class Lock:\n    async def read(self): ...\n"
    backend = f"from lib.base import Lock\n{HEAD}class Own(Lock):\n    async def read(self): await first()\n"
    files = {"lib.__init__": "from lib.base import Lock", "lib.base": base, "lib._backend": backend}
    program = Analysed(files)

    found = program.project.cancellers.of(program.key("lib._backend.Own.read"))

    assert found.canceller is Canceller.PUBLIC


@pytest.mark.parametrize(
    ("offered", "wanted"),
    [("VERSION = 1", Canceller.NONE_KNOWN), ("from app.line import Line", Canceller.PUBLIC)],
)
def test_a_package_that_is_only_run_offers_nothing(offered: str, wanted: Canceller):
    program = Analysed({"app.__init__": offered, "app.__main__": "", "app.line": HEAD + MODULE})

    assert program.project.cancellers.of(program.key("app.line.Line.read")).canceller is wanted


def test_a_route_is_called_by_its_framework():
    source = """
from web import App
app = App()

@app.get("/")
async def read():
    await first()
    await second()
"""
    assert canceller(source, "read").canceller is Canceller.NONE_KNOWN


def test_a_timeout_in_the_function_itself_counts_where_it_is_round_all_that_matters():
    program = analysed(
        HEAD
        + """
async def _read():
    await first()
    async with asyncio.timeout(1):
        await second()
        await first()
"""
    )
    key = program.key("main._read")
    steps = program.project.program.function(key).steps
    waits = [number for number, step in enumerate(steps) if isinstance(step, Await)]
    cancellers = program.project.cancellers

    assert cancellers.of(key, steps=waits[2:4]).canceller is Canceller.RACE
    assert cancellers.of(key, steps=(waits[0], waits[2])).canceller is Canceller.NONE_KNOWN


def test_each_canceller_bears_so_much():
    assert [each.confidence for each in Canceller] == [
        Confidence.CERTAIN,
        Confidence.CERTAIN,
        Confidence.LIKELY,
        Confidence.LIKELY,
        Confidence.LIKELY,
        Confidence.POSSIBLE,
        Confidence.POSSIBLE,
    ]


@pytest.mark.parametrize(
    ("offered", "wanted"),
    [
        ("VERSION = 1", Canceller.PUBLIC),
        ("from lib.main import first", Canceller.NONE_KNOWN),
        ("from lib.main import read", Canceller.PUBLIC),
    ],
)
def test_a_function_that_the_program_uses_is_its_own_where_the_package_offers_others(
    offered: str, wanted: Canceller
):
    own = "async def read(): await second()\ndef _start(): asyncio.ensure_future(read())\n"
    program = Analysed({"lib.__init__": offered, "lib.main": HEAD + own})

    assert program.project.cancellers.of(program.key("lib.main.read")).canceller is wanted
