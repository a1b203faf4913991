"""Which handler Python runs, and which `with` swallows, must be what the lattice of exceptions allows.

Random programs raise an exception of one class below nested `try`s and `with`s, whose handlers and context
managers are written in many ways. Python runs them, and notes what an exception reached and what ended it. A
handler that must catch has run wherever the exception came to its `try`; one that never does has not.
"""

import random
from collections.abc import Iterator
from contextlib import suppress
from textwrap import dedent, indent
from typing import NamedTuple

import libcst
import pytest

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import Operations
from cancellint.analysis.flow.handlers import Handlers
from cancellint.analysis.flow.unwinding import Unwinding
from cancellint.analysis.library.exceptions import Modality
from cancellint.analysis.library.knowledge import load
from cancellint.analysis.program.program import Program
from cancellint.analysis.types.types import Types
from cancellint.frontend.lower import lower
from cancellint.model import ir
from cancellint.model.summary import NOTHING

PRELUDE = """
import asyncio
import asyncio as aio
import concurrent.futures
import contextlib
import socket
from asyncio import CancelledError
from asyncio import CancelledError as QuietError
from asyncio import TimeoutError as Late
from asyncio import exceptions
from concurrent.futures import CancelledError as Withdrawn
from contextlib import ExitStack, contextmanager, nullcontext, suppress

class Stop(asyncio.CancelledError):
    pass

class Fault(Exception):
    LATER = (KeyError, TimeoutError)

class Deep(Fault, OSError):
    pass

class Errors:
    ALL = Exception
    NET = (OSError, Late)
    ENDS = CancelledError

Halt = aio.CancelledError
Everything = BaseException
NET = (OSError, aio.TimeoutError)
BOTH = NET + (Halt,)
NESTED = (NET, (Fault, (KeyError,)))
SOME = (*NET, ValueError)
NONE = ()
Either = KeyError if len(NET) == 2 else ValueError

def kinds():
    return KeyError, Halt

def chosen(flag):
    if flag:
        return OSError
    return Exception

class Plain:
    def __enter__(self):
        return self
    def __exit__(self, *given):
        self.left = True

class Greedy(Plain):
    def __exit__(self, kind, error, trace):
        return True

class Careful(Plain):
    def __exit__(self, kind, error, trace):
        if kind is None:
            return None
        return issubclass(kind, (CancelledError, KeyError))

class Exact(Plain):
    def __exit__(self, kind, error, trace):
        if kind is Halt:
            return True
        self.left = True
        return False

class Either2(Plain):
    def __exit__(self, kind, error, trace):
        return error is not None and isinstance(error, OSError) or kind == KeyError

class Below(Careful):
    def __exit__(self, kind, error, trace):
        if kind in (Deep, Fault):
            return True
        return super().__exit__(kind, error, trace)

class Guess(Plain):
    def __exit__(self, kind, error, trace):
        return bool(getattr(error, "errno", None))

@contextmanager
def passing():
    try:
        yield 1
    finally:
        print

@contextmanager
def catching():
    try:
        yield 2
    except (Fault, Halt):
        pass

@contextmanager
def again():
    try:
        yield
    except CancelledError:
        raise
    except BaseException:
        return

@contextmanager
def within():
    with suppress(*NET):
        with suppress(Fault):
            yield

@contextmanager
def returning():
    try:
        yield
    finally:
        return
"""

CLASSES = (
    "builtins.BaseException",
    "builtins.Exception",
    "builtins.KeyError",
    "builtins.OSError",
    "builtins.ConnectionResetError",
    "builtins.TimeoutError",
    "builtins.ValueError",
    "builtins.KeyboardInterrupt",
    "asyncio.CancelledError",
    "asyncio.TimeoutError",
    "concurrent.futures.CancelledError",
    "main.Stop",
    "main.Fault",
    "main.Deep",
)

SPELLINGS = (
    "asyncio.CancelledError",
    "aio.CancelledError",
    "exceptions.CancelledError",
    "asyncio.exceptions.CancelledError",
    "CancelledError",
    "QuietError",
    "Halt",
    "Stop",
    "Withdrawn",
    "concurrent.futures.CancelledError",
    "concurrent.futures.TimeoutError",
    "Exception",
    "BaseException",
    "Everything",
    "KeyError",
    "LookupError",
    "(OSError, ValueError)",
    "IOError",
    "EnvironmentError",
    "socket.error",
    "socket.timeout",
    "TimeoutError",
    "asyncio.TimeoutError",
    "Late",
    "ConnectionError",
    "NET",
    "BOTH",
    "SOME",
    "NONE",
    "NET + (KeyError,)",
    "(*NET, Fault)",
    "Errors.ALL",
    "Errors.NET",
    "Errors.ENDS",
    "Fault",
    "Fault.LATER",
    "Deep",
    "Deep.LATER",
    "kinds()",
    "tuple(NET)",
    "here",
    "mine",
    "self.ends",
    "self.KINDS",
    "Either",
    "chosen(NET)",
    "given",
)

MANAGERS = (
    "suppress({})",
    "suppress(NESTED)",
    "contextlib.suppress({}, ValueError)",
    "suppress()",
    "nullcontext()",
    "Plain()",
    "Greedy()",
    "Careful()",
    "Exact()",
    "Either2()",
    "Below()",
    "Guess()",
    "passing()",
    "catching()",
    "again()",
    "within()",
    "returning()",
    "ExitStack()",
)


class Written(NamedTuple):
    """A program, and how much of it can be asked about."""

    source: str
    handlers: tuple[str, ...]
    managers: tuple[str, ...]


class Writer:
    """Writes a function that raises an exception below nested statements."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.handlers: list[str] = []
        self.managers: list[str] = []
        self.tries = 0

    def written(self) -> Written:
        body = indent(self.statement(3), " " * 8)
        source = f"""{PRELUDE}
class Worker:
    KINDS = (KeyError, Halt)
    ends = CancelledError
    def run(self, given=(Fault, TimeoutError)):
        here = asyncio.CancelledError
        mine = (here, KeyError)
{body}
"""
        return Written(source, tuple(self.handlers), tuple(self.managers))

    def statement(self, depth: int) -> str:
        if not depth:
            return "boom()\n"
        return self.rng.choice([self._try, self._try, self._with, self._finally])(depth)

    def _try(self, depth: int) -> str:
        self.tries += 1
        place = f"t{self.tries}"
        star = "*" if self.rng.random() < 0.15 else ""
        source = f"try:\n    with reached({place!r}):\n{indent(self.statement(depth - 1), ' ' * 8)}"
        for number in range(self.rng.randint(1, 3)):
            name = f"{place}.{number}"
            self.handlers.append(name)
            again = "" if star or self.rng.random() < 0.4 else "    raise\n"
            bound = self.rng.choice(["", " as error"])
            spelling = self.rng.choice(SPELLINGS)
            source += f"except{star} {spelling}{bound}:\n    ran({name!r})\n{again}"
        return source + self._else()

    def _else(self) -> str:
        return self.rng.choice(["", "", "else:\n    pass\n"])

    def _finally(self, depth: int) -> str:
        return f"try:\n{indent(self.statement(depth - 1), ' ' * 4)}finally:\n    tidy()\n"

    def _with(self, depth: int) -> str:
        name = f"w{len(self.managers) + 1}"
        self.managers.append(name)
        manager = self.rng.choice(MANAGERS).format(self.rng.choice(SPELLINGS))
        inner = f"with reached({name!r}):\n{indent(self.statement(depth - 1), ' ' * 4)}"
        inner = f"around({name!r})\n{inner}"
        if manager.startswith("ExitStack"):
            inner = f"stack.enter_context(suppress({self.rng.choice(['*NET', 'Halt'])}))\n{inner}"
            manager += " as stack"
        written = f"with {manager}:\n{indent(inner, ' ' * 4)}"
        return f"with reached({name + 'o'!r}):\n{indent(written, ' ' * 4)}"


class Ran(NamedTuple):
    """What an exception came to, with the class that it had there, and the handlers that ran."""

    reached: tuple[str, ...]
    ran: frozenset[str]


def run(source: str, raised: str) -> Ran:
    """Run a program whose innermost statement raises an exception of a class."""
    reached: dict[str, str] = {}
    ran: set[str] = set()

    class Reached:
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> None:
            pass

        def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
            if kind is not None and kind is cls:
                reached[self.name] = kind.__name__

    def boom() -> None:
        raise cls

    names: dict[str, object] = {
        "__name__": "main",
        "boom": boom,
        "ran": ran.add,
        "reached": Reached,
        "around": len,
        "tidy": list,
    }
    exec(compile(source, "main.py", "exec"), names)
    library, _, last = raised.rpartition(".")
    cls = eval(last if library in ("builtins", "main") else raised, names)
    worker = names["Worker"]
    assert isinstance(worker, type)
    with suppress(cls, BaseExceptionGroup):
        worker().run()
    return Ran(tuple(reached), frozenset(ran))


class Linked:
    """A program as the analysis sees it: handlers and regions by the names that are written in them."""

    def __init__(self, source: str) -> None:
        program = Program({"main": lower(libcst.parse_module(source))}, ())
        types = Types(program, KNOWLEDGE)
        effects = Effects(program, types, Operations(program, types, KNOWLEDGE), lambda _: NOTHING)
        key = next(key for key in program.functions() if program.symbol(key) == "main.Worker.run")
        self._function = program.function(key)
        self.unwinding = Unwinding(effects, key)
        self.handlers: Handlers = self.unwinding.handlers

    def catches(self, handler: str, raised: str) -> Modality | None:
        """What is said of a handler, in all copies of it alike; None of one that the graph leaves out.

        Behind `except Exception` nothing is left of what travels as an ordinary exception.
        """
        verdicts = {self.handlers.catches(block, raised) for block in self._blocks(handler)}
        assert len(verdicts) < 2
        return next(iter(verdicts), None)

    def swallows(self, manager: str, raised: str) -> Modality:
        (verdict,) = {self.unwinding.absorbs(region, raised) for region in self._regions(manager)}
        return verdict

    def _blocks(self, handler: str) -> Iterator[int]:
        for number, block in enumerate(self._function.blocks):
            steps = self._function.steps[block.first : block.last]
            if any(isinstance(step, ir.Catch) for step in steps) and _calls(steps, "ran", handler):
                yield number

    def _regions(self, manager: str) -> Iterator[int]:
        for block in self._function.blocks:
            if _calls(self._function.steps[block.first : block.last], "around", manager):
                yield block.regions[-1]


def _calls(steps: tuple[ir.Step, ...], name: str, argument: str) -> bool:
    return any(
        isinstance(step, ir.Call) and step.func == ir.Name(name) and step.args == (ir.Const("str", argument),)
        for step in steps
    )


KNOWLEDGE = load()
PROGRAMS = 240


def compared(seed: int) -> Iterator[tuple[str, Modality, bool]]:
    """What is asked of one program, the answer, and whether Python did catch or swallow there."""
    written = Writer(seed).written()
    linked = Linked(written.source)
    for raised in random.Random(seed).sample(CLASSES, 5):
        done = run(written.source, raised)
        for handler in written.handlers:
            verdict = linked.catches(handler, raised)
            if verdict is not None and handler.partition(".")[0] in done.reached:
                yield f"{handler} {raised}", verdict, handler in done.ran
        for manager in written.managers:
            if manager in done.reached:
                swallowed = f"{manager}o" not in done.reached
                yield f"{manager} {raised}", linked.swallows(manager, raised), swallowed


@pytest.mark.parametrize("seed", range(0, PROGRAMS, 20))
def test_what_python_did_is_what_the_verdict_allows(seed: int) -> None:
    wrong = [
        (each, *answer)
        for each in range(seed, seed + 20)
        for answer in compared(each)
        if answer[1] is (Modality.NEVER if answer[2] else Modality.MUST)
    ]

    assert wrong == []


def test_doubts_are_rare() -> None:
    answers = [verdict for seed in range(60) for _, verdict, _ in compared(seed)]
    decided = [verdict for verdict in answers if verdict is not Modality.MAY]

    assert len(answers) > 300
    assert len(decided) > 0.85 * len(answers)
    assert 0.1 < decided.count(Modality.MUST) / len(decided) < 0.9


@pytest.mark.parametrize(
    "spelling", ["given", "Either", "chosen(NET)", "self.unheard_of", "unheard_of", "self.pick()"]
)
def test_what_is_not_known_may_catch(spelling: str) -> None:
    source = dedent(f"""
        def run(self, given=()):
            try:
                boom()
            except {spelling}:
                ran("h")
        """)
    linked = Linked(PRELUDE + "class Worker:\n" + indent(source, "    "))

    assert linked.catches("h", "builtins.KeyError") is Modality.MAY
