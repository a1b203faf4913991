"""What the expressions after `except` stand for, however they are written and wherever they are bound."""

from textwrap import dedent

import libcst
import pytest

from cancellint.analysis.library.exceptions import Exceptions, Modality
from cancellint.analysis.library.knowledge import load
from cancellint.analysis.program.program import Program
from cancellint.frontend.lower import lower
from cancellint.model.ir import Catch, Expr
from cancellint.model.types import FunctionKey

KNOWLEDGE = load()

LIBRARIES = "import asyncio, anyio, unknown\n"


def handler(source: str) -> tuple[Exceptions, FunctionKey, tuple[Expr, ...]]:
    """The only handler of a module, which has imported what it needs."""
    module = lower(libcst.parse_module(LIBRARIES + dedent(source)))
    program = Program({"main": module}, ())
    ((key, types),) = {
        (key, step.types)
        for key in program.functions()
        for step in program.function(key).steps
        if isinstance(step, Catch)
    }
    return Exceptions(program, KNOWLEDGE), key, types


def catches(source: str, raised: str) -> Modality:
    exceptions, key, types = handler(source)
    return exceptions.catches(key, types, raised)


def guarding(caught: str, binds: str = "") -> str:
    return f"{dedent(binds)}\ndef f(): \n    try: g()\n    except {caught}: pass\n"


KEY, VALUE, OS = "builtins.KeyError", "builtins.ValueError", "builtins.OSError"


ALIASES = "A = KeyError\nB = A\nC = B\nD = C\nE = D\nF = E\nG = F"
GIVING = """
def a(): return KeyError
def b(): return a()
def c(): return b()
def d(): return c()
def e(): return d()
def f_(): return e()
def g_(): return f_()
def h(): return g_()
"""


@pytest.mark.parametrize(
    ("caught", "binds"),
    [
        ("(((((((KeyError,),),),),),),)", ""),
        ("E", "E = (*(*(*(*(KeyError,),),),),)"),
        ("E", "E = () + (() + (() + (() + (() + (() + (() + (KeyError,)))))))"),
        ("KeyError" + " if x else KeyError" * 7, ""),
        ("G", ALIASES),
        ("E", "A = (KeyError,)\nB = (A,)\nC = (B,)\nD = (C,)\nE = (D,)"),
        ("h()", GIVING),
        ("tuple(tuple(tuple(tuple([KeyError]))))", ""),
    ],
)
def test_many_levels_are_followed(caught: str, binds: str) -> None:
    assert catches(guarding(caught, binds), KEY) is Modality.MUST
    assert catches(guarding(caught, binds), VALUE) is Modality.NEVER


@pytest.mark.parametrize(
    "binds",
    [
        "E = (E, KeyError)",
        "E = (*E, KeyError)",
        "E = E + (KeyError,)",
        "E = E if DEBUG else KeyError",
        "E = tuple(E)",
        "def give(): return give()\nE = give()",
        "def give(): return E\nE = give()",
        "A = E\nE = A",
    ],
)
def test_what_is_made_of_itself_may_be_anything(binds: str) -> None:
    assert catches(guarding("E", binds), VALUE) is Modality.MAY


@pytest.mark.parametrize(
    ("caught", "binds", "caught_class"),
    [
        ("tuple(ERRORS)", "ERRORS = [KeyError, OSError]", Modality.MUST),
        ("tuple(ERRORS, 1)", "ERRORS = [KeyError, OSError]", Modality.MAY),
        ("set(ERRORS)", "ERRORS = [KeyError, OSError]", Modality.MAY),
        ("give()", "def give(): return KeyError, OSError", Modality.MUST),
        ("give()", "def give():\n    if x: return KeyError\n    return OSError", Modality.MAY),
        ("unknown.give()", "", Modality.MAY),
        ("ERRORS[0]", "ERRORS = [KeyError]", Modality.MAY),
        ("wait()", "wait = asyncio.sleep", Modality.MAY),
    ],
)
def test_what_a_call_gives_is_caught_if_it_is_known(caught: str, binds: str, caught_class: Modality) -> None:
    assert catches(guarding(caught, binds), KEY) is caught_class


def test_the_class_that_a_library_gives_may_be_kept_in_a_variable() -> None:
    source = """
        async def f():
            Cancelled = anyio.get_cancelled_exc_class()
            try: await g()
            except Cancelled: pass
    """

    assert catches(source, "asyncio.CancelledError") is Modality.MUST
    assert catches(source, "trio.Cancelled") is Modality.MUST
    assert catches(source, KEY) is Modality.NEVER


def test_what_was_awaited_may_be_anything() -> None:
    source = """
        async def f():
            caught = await g()
            try: g()
            except caught: pass
    """

    assert catches(source, KEY) is Modality.MAY


OWNED = """
class Base:
    errors = KeyError
    def __init__(self):
        self.more = OSError
    def f(self):
        try: g()
        except {caught}: pass
"""


@pytest.mark.parametrize(
    ("caught", "raised", "found"),
    [
        ("self.errors", KEY, Modality.MUST),
        ("self.errors", OS, Modality.NEVER),
        ("self.more", OS, Modality.MUST),
        ("self.more", KEY, Modality.NEVER),
        ("self.unheard_of", KEY, Modality.MAY),
    ],
)
def test_an_attribute_holds_what_its_class_and_its_methods_give_it(
    caught: str, raised: str, found: Modality
) -> None:
    assert catches(OWNED.format(caught=caught), raised) is found


def test_a_subclass_may_give_an_attribute_another_class() -> None:
    source = OWNED.format(caught="self.errors") + "class Sub(Base):\n    errors = ValueError\n"

    assert catches(source, KEY) is Modality.MAY
    assert catches(source, VALUE) is Modality.MAY
    assert catches(source, OS) is Modality.NEVER


@pytest.mark.parametrize(
    ("raised", "found"),
    [
        ("main.Fault", Modality.MUST),
        ("main.Late", Modality.MUST),
        ("main.Other", Modality.NEVER),
        ("main.Foreign", Modality.MAY),
        (KEY, Modality.NEVER),
        ("unknown.Error", Modality.NEVER),
    ],
)
def test_a_class_of_the_project_is_raised_by_itself_and_what_may_inherit_from_it(
    raised: str, found: Modality
) -> None:
    classes = """
        class Fault(Exception): ...
        class Late(Fault): ...
        class Other(Exception): ...
        class Foreign(unknown.Error): ...
    """

    assert catches(guarding("Fault", classes), raised) is found


@pytest.mark.parametrize(
    ("caught", "named"),
    [
        ("asyncio.CancelledError", True),
        ("Stop", True),
        ("(KeyError, Stop)", True),
        ("Stop if x else KeyError", True),
        ("BaseException", False),
        ("KeyError", False),
        ("unknown.Error", False),
        ("(unknown.Error, KeyError)", False),
        ("x.y.z", False),
    ],
)
def test_a_handler_names_a_class_under_any_of_its_names(caught: str, named: bool) -> None:
    exceptions, key, types = handler(guarding(caught, "Stop = asyncio.CancelledError"))

    assert exceptions.names_one(key, types, ("asyncio.CancelledError",)) is named
