"""What handlers and managers mean for the rules: by what their names resolve to, and by the tables."""

from collections.abc import Mapping
from textwrap import dedent, indent

import libcst
import pytest
from packaging.version import Version

from cancellint.analysis.library.exceptions import ANY_ERROR, Exceptions, Modality, join, some
from cancellint.analysis.library.knowledge import Table, load
from cancellint.analysis.program.program import Program
from cancellint.analysis.project import AnalysisSettings, analyse
from cancellint.frontend.lower import lower
from cancellint.model.finding import Confidence
from cancellint.rules.rule import Subject, all_rules

KNOWLEDGE = load()


def program(files: Mapping[str, str]) -> Program:
    modules = {name: lower(libcst.parse_module(dedent(source))) for name, source in files.items()}
    return Program(modules, ())


def codes(files: Mapping[str, str], tables: tuple[Table, ...] = ()) -> list[str]:
    """The rules that report something, as firmly as a public name allows."""
    project = analyse(program(files), load(tables), AnalysisSettings())
    return [
        rule.code
        for rule in all_rules()
        for key in sorted(project.program.functions())
        for finding in rule.check(Subject(project, key))
        if finding.confidence is not Confidence.POSSIBLE
    ]


def guarded(handlers: str) -> str:
    """A method that holds a lock while it awaits, with these handlers."""
    body = indent(dedent(handlers).strip("\n"), " " * 8)
    return f"""
import asyncio
class Pool:
    def __init__(self):
        self._lock = asyncio.Lock()
    async def use(self):
        await self._lock.acquire()
        try:
            await asyncio.sleep(1)
{body}
        self._lock.release()
"""


def releasing(caught: str) -> str:
    return f"except {caught}:\n    self._lock.release()\n    raise"


# --------------------------------------------------------------------------- rules


@pytest.mark.parametrize(
    ("binds", "caught"),
    [
        ("Stop = asyncio.CancelledError", "(Stop, Exception)"),
        ("from asyncio import CancelledError as StopError", "(StopError, Exception)"),
        ("import asyncio as aio\nStopError = aio.CancelledError", "(StopError, Exception)"),
        ("ENDS = (OSError, asyncio.CancelledError)", "ENDS + (Exception,)"),
        ("ENDS = (OSError, asyncio.CancelledError)", "(*ENDS, Exception)"),
        ("class Errors:\n    AnyError = BaseException", "Errors.AnyError"),
        ("Everything = BaseException", "Everything"),
        ("def ends():\n    return asyncio.CancelledError, Exception", "ends()"),
        ("import anyio", "(anyio.get_cancelled_exc_class(), Exception)"),
    ],
)
def test_a_handler_that_catches_the_cancellation_cleans_up(binds: str, caught: str) -> None:
    source = guarded(releasing(caught)).replace("import asyncio\n", f"import asyncio\n{binds}\n", 1)

    assert codes({"main": source}) == []


@pytest.mark.parametrize(
    ("binds", "caught"),
    [
        ("", "Exception"),
        ("Every = Exception", "Every"),
        ("from concurrent.futures import CancelledError", "(CancelledError, Exception)"),
        ("class CancelledError(Exception): ...", "(CancelledError, Exception)"),
        ("class Stop(asyncio.CancelledError): ...", "(Stop, Exception)"),
        ("ENDS = (OSError, TimeoutError)", "(*ENDS, Exception)"),
    ],
)
def test_a_handler_that_misses_the_cancellation_is_told(binds: str, caught: str) -> None:
    source = guarded(releasing(caught)).replace("import asyncio\n", f"import asyncio\n{binds}\n", 1)

    assert codes({"main": source}) == ["CAN105"]


def test_what_another_module_hands_on_as_an_error_may_be_a_cancellation() -> None:
    source = guarded(releasing("(StopError, Exception)"))
    files = {"errors": "import asyncio\nStopError = asyncio.CancelledError\n"}

    assert codes({**files, "main": f"from errors import StopError\n{source}"}) == []


def test_a_handler_behind_one_that_takes_the_cancellation_never_sees_it() -> None:
    handlers = "except asyncio.CancelledError:\n    raise\n" + releasing("BaseException")

    assert codes({"main": guarded(handlers)}) == ["CAN105"]


@pytest.mark.parametrize(
    ("manager", "found"),
    [
        ("suppress(asyncio.CancelledError)", []),
        ("suppress(*ENDS)", []),
        ("quiet()", []),
        ("Quiet()", []),
        ("suppress(OSError)", ["CAN106"]),
        ("loud()", ["CAN106"]),
        ("Loud()", ["CAN106"]),
    ],
)
def test_a_with_that_swallows_the_cancellation_lets_the_cleanup_behind_it_run(
    manager: str, found: list[str]
) -> None:
    source = f"""
        import asyncio
        from contextlib import contextmanager, suppress

        ENDS = (OSError, asyncio.CancelledError)

        @contextmanager
        def quiet():
            try:
                yield
            except BaseException:
                pass

        @contextmanager
        def loud():
            try:
                yield
            except asyncio.CancelledError:
                raise
            except BaseException:
                pass

        class Quiet:
            def __enter__(self): ...
            def __exit__(self, kind, error, trace):
                return kind is asyncio.CancelledError

        class Loud(Quiet):
            def __exit__(self, kind, error, trace):
                return kind is not None and issubclass(kind, OSError)

        class Pool:
            def __init__(self):
                self._lock = asyncio.Lock()
            async def use(self):
                await self._lock.acquire()
                with {manager}:
                    await asyncio.sleep(1)
                self._lock.release()
        """

    assert codes({"main": dedent(source)}) == found


@pytest.mark.parametrize(
    ("entered", "found"),
    [
        ("stack.enter_context(suppress(asyncio.CancelledError))", []),
        ("stack.push(suppress(BaseException))", []),
        ("stack.enter_context(suppress(OSError))", ["CAN106"]),
        ("other.enter_context(suppress(asyncio.CancelledError))", ["CAN106"]),
        ("print(stack)", ["CAN106"]),
    ],
)
@pytest.mark.parametrize("stack", ["with ExitStack()", "async with AsyncExitStack()"])
def test_a_stack_swallows_what_one_of_its_managers_swallows(
    stack: str, entered: str, found: list[str]
) -> None:
    source = f"""
        import asyncio
        from contextlib import AsyncExitStack, ExitStack, suppress

        class Pool:
            def __init__(self):
                self._lock = asyncio.Lock()
            async def use(self):
                other = ExitStack()
                await self._lock.acquire()
                {stack} as stack:
                    {entered}
                    await asyncio.sleep(1)
                self._lock.release()
        """

    assert codes({"main": dedent(source)}) == found


# --------------------------------------------------------------------------- a project's own table

OWN: Table = {
    "broker.Withdrawn": {
        "kind": "class",
        "bases": ["builtins.BaseException"],
        "cancellation": True,
        "sources": ["https://example.org/broker"],
    },
    "broker.tolerate": {"swallows": ["arg:0"], "sources": ["https://example.org/broker"]},
}


def test_a_table_can_add_an_exception_that_is_a_cancellation() -> None:
    source = "import broker\n" + guarded(releasing("(broker.Withdrawn, Exception)"))

    assert codes({"main": source}) == ["CAN105"]
    assert codes({"main": source}, (OWN,)) == []


def test_a_table_can_add_a_context_manager_that_swallows() -> None:
    source = """
        import asyncio
        import broker
        class Pool:
            def __init__(self):
                self._lock = asyncio.Lock()
            async def use(self):
                await self._lock.acquire()
                with broker.tolerate(asyncio.CancelledError):
                    await asyncio.sleep(1)
                self._lock.release()
        """

    assert codes({"main": dedent(source)}) == ["CAN106"]
    assert codes({"main": dedent(source)}, (OWN,)) == []


# --------------------------------------------------------------------------- classes


def exceptions(python: str | None = None) -> Exceptions:
    return Exceptions(program({}), KNOWLEDGE, Version(python) if python else None)


@pytest.mark.parametrize(
    ("caught", "raised", "python", "verdict"),
    [
        ("builtins.TimeoutError", "asyncio.TimeoutError", "3.11", Modality.MUST),
        ("builtins.TimeoutError", "asyncio.TimeoutError", "3.10", Modality.NEVER),
        ("builtins.OSError", "asyncio.TimeoutError", "3.11", Modality.MUST),
        ("builtins.Exception", "asyncio.TimeoutError", "3.10", Modality.MUST),
        ("builtins.TimeoutError", "socket.timeout", "3.10", Modality.MUST),
        ("builtins.TimeoutError", "socket.timeout", "3.9", Modality.NEVER),
        ("builtins.OSError", "socket.timeout", "3.9", Modality.MUST),
        ("builtins.Exception", "asyncio.CancelledError", None, Modality.NEVER),
        ("builtins.BaseException", "asyncio.CancelledError", None, Modality.MUST),
        ("concurrent.futures.CancelledError", "asyncio.CancelledError", None, Modality.NEVER),
        ("asyncio.exceptions.CancelledError", "asyncio.CancelledError", None, Modality.MUST),
        ("builtins.TimeoutError", "trio.TooSlowError", None, Modality.NEVER),
        ("socket.error", "builtins.ConnectionResetError", None, Modality.MUST),
        ("client.ReadError", "asyncio.CancelledError", None, Modality.NEVER),
        ("client.ERRORS", "asyncio.CancelledError", None, Modality.MAY),
        ("client.CancelledError", "asyncio.CancelledError", None, Modality.MAY),
        ("builtins.ValueError", "client.ReadError", None, Modality.MAY),
        ("builtins.Exception", ANY_ERROR, None, Modality.MUST),
        ("builtins.ValueError", ANY_ERROR, None, Modality.MAY),
        ("asyncio.CancelledError", ANY_ERROR, None, Modality.NEVER),
    ],
)
def test_a_class_catches_itself_and_what_inherits_from_it(
    caught: str, raised: str, python: str | None, verdict: Modality
) -> None:
    assert exceptions(python).catches_class(caught, raised) is verdict


def test_the_lattice() -> None:
    assert some([]) is Modality.NEVER
    assert some([Modality.NEVER, Modality.MAY]) is Modality.MAY
    assert some([Modality.MAY, Modality.MUST]) is Modality.MUST
    assert join([]) is Modality.NEVER
    assert join([Modality.MUST, Modality.MUST]) is Modality.MUST
    assert join([Modality.MUST, Modality.NEVER]) is Modality.MAY
