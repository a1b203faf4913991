"""Promises to be cancel-safe: how they are made, what they bind, and that making one costs nothing."""

import inspect
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from cancellint import markers
from cancellint.analysis.program.promises import MARKERS
from cancellint.analysis.project import AnalysisSettings
from cancellint.config import Config, ConfigError, load
from cancellint.pipeline import run
from tests.analysed import Analysed, Reported, analysed, beliefs

IMPORT = "from cancellint.markers import cancel_safe"
HALVES = """\
    first = await jobs.get()
    return first, await jobs.get()
"""


def halves(before: str, decorated: str) -> str:
    """A module whose `take` loses the first of two jobs, after these lines and with this decorator."""
    return f"import asyncio\n{before}\n{decorated}\nasync def take(jobs: asyncio.Queue[str]):\n{HALVES}"


def refuted(files: dict[str, str], decorators: tuple[str, ...] = ()) -> list[str]:
    """Where a promise is found to be false."""
    settings = AnalysisSettings(cancel_safe_decorators=decorators)
    return [one.told.place for one in Analysed(files, settings).findings() if one.code == "CAN112"]


# --------------------------------------------------------------------------- the decorator


def test_the_decorator_gives_back_what_it_is_given() -> None:
    async def work() -> None: ...

    assert markers.cancel_safe(work) is work
    assert inspect.iscoroutinefunction(markers.cancel_safe(work))


def test_the_decorator_is_the_one_that_is_looked_for() -> None:
    assert f"{markers.__name__}.{markers.cancel_safe.__name__}" in MARKERS


def test_the_decorators_module_imports_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import cancellint.markers; print(set(sys.modules) - before)"
    )
    ran = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)

    assert eval(ran.stdout) == {"cancellint", "cancellint.markers"}


def test_type_checkers_see_the_function_unchanged(tmp_path: Path) -> None:
    example = tmp_path / "example.py"
    example.write_text(
        dedent(
            """
            from collections.abc import AsyncIterator
            from cancellint.markers import cancel_safe

            @cancel_safe
            async def read(size: int) -> bytes: return b""

            class Reader:
                @cancel_safe
                async def lines(self) -> AsyncIterator[str]: yield ""

            reveal_type(read)
            reveal_type(Reader().lines)
            """
        )
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(example)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout
    assert '"def (size: int) -> Coroutine[Any, Any, bytes]"' in ran.stdout.replace("typing.", "").replace(
        "builtins.", ""
    ).replace("types.", "")
    assert "AsyncIterator[" in ran.stdout


# --------------------------------------------------------------------------- how a promise is made


@pytest.mark.parametrize(
    ("before", "decorated"),
    [
        ("", "# cancellint: cancel-safe"),
        (IMPORT, "@cancel_safe"),
        (f"{IMPORT} as safe", "@safe"),
        ("from cancellint import markers", "@markers.cancel_safe"),
        ("import cancellint.markers", "@cancellint.markers.cancel_safe"),
        ("import cancellint.markers as m\nsafe = m.cancel_safe", "@safe"),
        (f"try:\n    {IMPORT}\nexcept ImportError:\n    cancel_safe = id", "@cancel_safe"),
    ],
)
def test_a_promise_is_made_by_a_comment_or_by_the_decorator(before: str, decorated: str) -> None:
    assert refuted({"main": halves(before, decorated)}) != []


@pytest.mark.parametrize(
    ("before", "decorated"),
    [
        ("", ""),
        ("def cancel_safe(f): return f", "@cancel_safe"),
        ("from elsewhere import cancel_safe", "@cancel_safe"),
    ],
)
def test_a_decorator_of_the_same_name_is_no_promise(before: str, decorated: str) -> None:
    assert refuted({"main": halves(before, decorated)}) == []


PROMISES = "def safe(f): return f\ndef marked(reason):\n    return safe\n"


@pytest.mark.parametrize(
    ("configured", "before", "decorated"),
    [
        ("pkg.promises.safe", "from pkg.promises import safe", "@safe"),
        ("pkg.promises.safe", "from pkg import safe", "@safe"),
        ("pkg.safe", "from pkg.promises import safe", "@safe"),
        ("pkg.promises.marked", "from pkg import promises", "@promises.marked('by a test')"),
        ("elsewhere.safe", "from elsewhere import safe", "@safe"),
    ],
)
def test_a_project_names_decorators_of_its_own(configured: str, before: str, decorated: str) -> None:
    files = {
        "pkg.__init__": "from .promises import safe\n",
        "pkg.promises": PROMISES,
        "pkg.main": halves(before, decorated),
    }

    assert len(refuted(files, (configured,))) == 1
    assert refuted(files) == []


def test_the_configuration_names_decorators(tmp_path: Path) -> None:
    (tmp_path / "cancellint.toml").write_text('cancel-safe-decorators = ["promises.safe"]\n')
    (tmp_path / "promises.py").write_text(PROMISES)
    (tmp_path / "main.py").write_text(halves("from promises import safe", "@safe"))

    assert [finding.code for finding in run(load(tmp_path), [tmp_path]).findings] == ["CAN112"]
    assert run(Config(root=tmp_path), [tmp_path]).findings == ()


@pytest.mark.parametrize("name", ["safe", "pkg.safe()", "", "pkg."])
def test_a_decorator_is_named_in_full(name: str, tmp_path: Path) -> None:
    (tmp_path / "cancellint.toml").write_text(f'cancel-safe-decorators = ["{name}"]\n')

    with pytest.raises(ConfigError, match=r"`cancel-safe-decorators` has .* no dotted name"):
        load(tmp_path)


# --------------------------------------------------------------------------- what a promise binds


def test_callers_trust_a_promise_even_if_it_is_false() -> None:
    program = analysed(
        halves(IMPORT, "@cancel_safe")
        + dedent(
            """
            async def serve(jobs: asyncio.Queue[str]):
                while True:
                    try:
                        print(await asyncio.wait_for(take(jobs), 1))
                    except TimeoutError:
                        pass
            """
        )
    )

    assert [one.code for one in program.findings(possible=True)] == ["CAN112"]
    assert "cancel-safe" in program.beliefs("main.take")


def test_without_the_promise_the_race_is_reported() -> None:
    source = halves("", "") + dedent(
        """
        async def serve(jobs: asyncio.Queue[str]):
            while True:
                try:
                    print(await asyncio.wait_for(take(jobs), 1))
                except TimeoutError:
                    pass
        """
    )

    assert [one.code for one in analysed(source).findings()] == ["CAN101"]


INHERITED = """
import asyncio
from cancellint.markers import cancel_safe

class Source:
    @cancel_safe
    async def take(self, jobs: asyncio.Queue[str]): raise NotImplementedError

class Single(Source):
    async def take(self, jobs: asyncio.Queue[str]):
        return await jobs.get()

class Double(Single):
    async def take(self, jobs: asyncio.Queue[str]):
        first = await jobs.get()
        return first, await jobs.get()

class Other:
    async def take(self, jobs: asyncio.Queue[str]):
        first = await jobs.get()
        return first, await jobs.get()
"""


def test_an_override_promises_what_it_overrides() -> None:
    (found,) = (one for one in analysed(INHERITED).findings() if one.code == "CAN112")

    assert found.told.message.startswith("`Double.take` is declared cancel-safe")
    assert str(found.notes[0]) == "main:007 `Source.take` promises it for all that override it"


def test_the_note_names_the_nearest_promise() -> None:
    nearer = INHERITED.replace(
        "class Single(Source):\n    async def", "class Single(Source):\n    @cancel_safe\n    async def"
    )
    (found,) = (one for one in analysed(nearer).findings() if one.code == "CAN112")

    assert "`Single.take` promises it" in str(found.notes[0])


def test_asyncios_own_cancellation_stays_in_a_promise_about_anyio() -> None:
    source = """
        import anyio
        from cancellint.markers import cancel_safe

        @cancel_safe
        async def f(items: anyio.abc.ObjectReceiveStream[str]) -> str:
            return await items.receive()
    """

    assert "cancel-safe in scopes" in beliefs(source)
    assert [one.code for one in analysed(source).findings(possible=True)] == []


# --------------------------------------------------------------------------- what is left undone

OWING = """
import asyncio
from cancellint.markers import cancel_safe

class Client:
    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.reader = reader
        self.busy = False

    {decorator}
    async def outer(self) -> bytes:
        {awaits}

    {inner}
    async def middle(self) -> bytes:
        return await self.exclusively()

    async def exclusively(self) -> bytes:
        if self.busy:
            raise OSError
        self.busy = True
        line = await self.reader.readline()
        self.busy = False
        return line
"""


def owing(awaits: str, decorator: str = "@cancel_safe", inner: str = "") -> list[Reported]:
    source = OWING.format(decorator=decorator, awaits=awaits, inner=inner)
    return [one for one in analysed(source).findings() if one.code == "CAN112"]


def test_what_an_awaited_function_leaves_undone_refutes_a_promise() -> None:
    (found,) = owing("return await self.middle()")

    assert found.told.message == (
        "`Client.outer` is declared cancel-safe, but in `Client.exclusively` `self.busy` stays set"
        " if it is cancelled"
    )
    assert [note.message for note in found.notes] == [
        "which awaits `Client.middle` here",
        "which awaits `Client.exclusively` here",
        "it is set here",
        "cancelled here, it is left as it is",
    ]


CALL = "return await self.middle()"
PAYING = {
    "in finally": f"try:\n            {CALL}\n        finally:\n            self.busy = False",
    "by a helper": f"try:\n            {CALL}\n"
    "        except BaseException:\n            self.reset()\n            raise",
    "behind a shield": "return await asyncio.shield(asyncio.ensure_future(self.middle()))",
}


@pytest.mark.parametrize("paying", PAYING)
def test_what_is_undone_on_the_way_out_refutes_nothing(paying: str) -> None:
    assert [one for one in owing(PAYING[paying]) if "stays set" in one.told.message] == []


def test_what_another_promise_covers_is_reported_there_only() -> None:
    (found,) = owing("return await self.middle()", inner="@cancel_safe")

    assert "`Client.middle` is declared" in found.told.message


def test_without_a_promise_there_is_none_to_refute() -> None:
    assert owing("return await self.middle()", decorator="") == []


# --------------------------------------------------------------------------- strict mode

UNPROVEN = """\
import asyncio
async def read(connection):
    return await asyncio.wait_for(connection.read(), 5)
"""


@pytest.mark.parametrize(
    ("settings", "codes"),
    [
        ("", []),
        ('select = ["CAN1"]', []),
        ('select = ["CAN113"]', ["CAN113"]),
        ('select = ["unproven-await-in-race"]', ["CAN113"]),
        ('extend-select = ["CAN113"]', ["CAN113"]),
        ('profile = "pedantic"', ["CAN113"]),
        ('profile = "pedantic"\nignore = ["CAN113"]', []),
    ],
)
def test_strict_mode_is_on_where_it_is_asked_for(settings: str, codes: list[str], tmp_path: Path) -> None:
    (tmp_path / "cancellint.toml").write_text(settings)
    (tmp_path / "main.py").write_text(UNPROVEN)

    assert [finding.code for finding in run(load(tmp_path), [tmp_path]).findings] == codes


@pytest.mark.parametrize(("option", "code"), [((), 0), (("--select", "CAN113"), 1), (("--pedantic",), 1)])
def test_strict_mode_is_an_option_of_the_command(option: tuple[str, ...], code: int, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(UNPROVEN)
    command = [sys.executable, "-m", "cancellint", "check", "--output-format", "concise", *option]
    ran = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)

    assert (ran.returncode, "CAN113" in ran.stdout) == (code, code == 1), ran.stdout + ran.stderr


def strict(source: str) -> list[tuple[str, str]]:
    """What is not proven, and the last note."""
    found = analysed("import asyncio\nimport broker\n" + dedent(source)).findings(possible=True)
    unproven = (one for one in found if one.code == "CAN113")
    return [(one.told.message.split("`")[3], str(one.notes[-1])) for one in unproven]


REASONS = {
    "nobody knows": ("connection.read()", ("connection.read", "main:004 nobody knows what is awaited here")),
    "a library without an entry": (
        "broker.read()",
        ("broker.read", "main:004 the tables of library knowledge say nothing of what is awaited here"),
    ),
    "a name": ("queue.get()", ("queue.get", "main:004 what is awaited here is known by its name only")),
    "a parameter": ("connection", ("connection", "main:004 what is awaited here is given by the caller")),
    "a built container": ("asyncio.gather(*set())", ("set", "main:004 nobody knows what is awaited here")),
    "arguments in bulk": ("*queue", ("asyncio.wait_for", "main:004 nobody knows what is awaited here")),
    "a container": (
        "asyncio.gather(*queue)",
        ("queue", "main:004 what is awaited here is given by the caller"),
    ),
}


@pytest.mark.parametrize("reason", REASONS)
def test_the_reason_is_told(reason: str) -> None:
    raced, told = REASONS[reason]

    assert strict(f"async def f(connection, queue):\n    await asyncio.wait_for({raced}, 5)\n") == [told]


PROVEN = {
    "known to the tables": "asyncio.sleep(1)",
    "a function of the project": "known()",
    "in a ring": "ring(3)",
    "declared": "declared(broker)",
    "a plain function that hands on what is known": "handed_on()",
    "in a task": "asyncio.create_task(known())",
    "gathered": "asyncio.gather(known(), asyncio.sleep(1))",
    "given": "given(known())",
    "given and called": "called(known)",
    "given as a lambda": "called(lambda: known())",
    "never suspended": "at_once(broker)",
    "in a lock": "locked(asyncio.Lock())",
}

FUNCTIONS = """
async def known():
    await asyncio.sleep(1)

async def ring(left):
    await known()
    if left:
        await ring(left - 1)

async def declared(connection):  # cancellint: cancel-safe
    await connection.read()

def handed_on():
    return known()

async def given(work):
    return await work

async def called(work):
    return await work()

async def at_once(connection):
    return connection.read()

async def locked(lock: asyncio.Lock):
    async with lock:
        await known()
"""


@pytest.mark.parametrize("what", PROVEN)
def test_what_is_proven_may_be_raced(what: str) -> None:
    assert strict(f"{FUNCTIONS}\nasync def f():\n    await asyncio.wait_for({PROVEN[what]}, 5)\n") == []


UNPROVEN_WITHIN = {
    "a function of the project": "unknown()",
    "given": "given(broker.read())",
    "given and called": "called(unknown)",
    "given as a lambda": "called(lambda: broker.read())",
    "given after something proven": "both(known(), broker.read())",
    "in a task": "asyncio.create_task(unknown())",
    "gathered": "asyncio.gather(known(), unknown())",
    "a plain function that hands it on": "handed_on()",
}


@pytest.mark.parametrize("what", UNPROVEN_WITHIN)
def test_what_is_not_proven_is_found_wherever_it_lies(what: str) -> None:
    source = f"""
{FUNCTIONS.replace("return known()", "return unknown()")}
async def unknown():
    await known()
    await broker.read()

async def both(first, second):
    await first
    await second

async def f():
    await asyncio.wait_for({UNPROVEN_WITHIN[what]}, 5)
"""

    assert [name for name, _ in strict(source)] == ["broker.read"]


def test_the_way_to_what_is_not_proven_is_told() -> None:
    source = """
        async def f(c):
            async with asyncio.timeout(5):
                await g(c)
        async def g(c):
            await h(c)
        async def h(c):
            await c.read()
    """
    (found,) = (
        one for one in analysed("import asyncio\n" + dedent(source)).findings() if one.code == "CAN113"
    )

    assert [note.message for note in found.notes] == [
        "which awaits `g` here",
        "which awaits `h` here",
        "nobody knows what is awaited here",
    ]
