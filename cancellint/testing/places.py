"""Where code waits: the awaits of a suspended coroutine, by file, line and source text."""

import asyncio
import linecache
import os
import site
import sys
import sysconfig
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LONGEST = 80
"""characters of source text that are told"""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of source, and the expression on it that is being run."""

    file: str
    line: int
    function: str
    text: str

    def __str__(self) -> str:
        return f"{_shown(self.file)}:{self.line} in {self.function}: {self.text}"


def where_it_waits(coroutine: object) -> Place | None:
    """Return the innermost await of the project's own code; one of a library where there is none."""
    awaits = [each for each in _awaits(coroutine) if not each[0].co_filename.startswith(_OWN)]
    own = [each for each in awaits if not is_library(each[0].co_filename)]
    innermost = own or awaits
    return place_of(innermost[-1]) if innermost else None


Instruction = tuple[types.CodeType, int, int]
"""Code, a line of it, and an instruction."""


def where_it_runs() -> Instruction | None:
    """Return the innermost instruction of the project's own code that led here."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code not in _BOTTOM:
        if not frame.f_code.co_filename.startswith(_OWN) and not is_library(frame.f_code.co_filename):
            return frame.f_code, frame.f_lineno, frame.f_lasti
        frame = frame.f_back
    return None


@cache
def place_of(at: Instruction) -> Place:
    """Return the expression that an instruction belongs to."""
    code, line, instruction = at
    positions = list(code.co_positions())
    start, end, first, last = positions[instruction // 2] if instruction >= 0 else (line, line, None, None)
    lines = [
        linecache.getline(code.co_filename, number) for number in range(start or line, (end or line) + 1)
    ]
    if first is not None and last is not None and lines:
        lines[-1] = lines[-1].encode()[:last].decode(errors="replace")
        lines[0] = lines[0].encode()[first:].decode(errors="replace")
    text = " ".join(" ".join(lines).split())
    shown = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return Place(code.co_filename, start or line, code.co_qualname, shown)


@cache
def is_library(file: str) -> bool:
    """Tell whether a file belongs to Python or to an installed package, or is none at all."""
    return file.startswith(_LIBRARIES) or file.startswith("<frozen")


_BOTTOM = (asyncio.BaseEventLoop.run_forever.__code__,)
"""What is below it on the stack has called the injector."""
_OWN = str(Path(__file__).parent) + os.sep


def _library_folders() -> Iterator[str]:
    for name in ("stdlib", "platstdlib", "purelib", "platlib"):
        yield sysconfig.get_path(name) + os.sep
    for folder in (*site.getsitepackages(), site.getusersitepackages()):
        yield folder + os.sep


_LIBRARIES = tuple(sorted(set(_library_folders())))


def _awaits(coroutine: object) -> Iterator[Instruction]:
    """Yield what a suspended coroutine awaits, the outermost first."""
    while True:
        match coroutine:
            case types.CoroutineType(cr_frame=types.FrameType() as frame, cr_await=inner):
                pass
            case types.GeneratorType(gi_frame=types.FrameType() as frame, gi_yieldfrom=inner):
                pass
            case types.AsyncGeneratorType(ag_frame=types.FrameType() as frame, ag_await=inner):
                pass
            case _:
                return
        yield frame.f_code, frame.f_lineno, frame.f_lasti
        coroutine = inner


def _shown(file: str) -> str:
    folder = os.getcwd() + os.sep
    return file.removeprefix(folder)
