"""What each handler of a `try` is for, and what the ones before it leave to it."""

from collections.abc import Callable

import pytest

from cancellint.analysis.flow.handlers import Handlers
from cancellint.analysis.library.exceptions import Modality
from cancellint.model.ir import Attr, Catch, Name
from tests.analysed import analysed


def said(ask: Callable[[Handlers, int], object], *caught: str) -> dict[str, set[object]]:
    """What is said of each handler, by the first class that it names, over all blocks that it starts."""
    lines = "".join(f"    except{each}:\n        await asyncio.sleep(2)\n" for each in caught)
    program = analysed(f"import asyncio\nasync def f():\n    try:\n        await asyncio.sleep(1)\n{lines}")
    key = program.key("main.f")
    function = program.project.program.function(key)
    handlers = Handlers(program.project.effects, key)
    found: dict[str, set[object]] = {}
    for number, block in enumerate(function.blocks):
        match function.steps[block.first : block.last]:
            case [Catch(types=(Name(id=name) | Attr(name=name), *_)), *_]:
                found.setdefault(name, set()).add(ask(handlers, number))
            case _:
                pass
    return found


@pytest.mark.parametrize(
    ("caught", "expected"),
    [
        ("asyncio.CancelledError", True),
        ("(asyncio.CancelledError, asyncio.CancelledError)", True),
        ("(asyncio.CancelledError, OSError)", False),
        ("BaseException", False),
        ("OSError", False),
    ],
)
def test_a_handler_is_for_cancellations_if_it_names_nothing_else(caught: str, expected: bool) -> None:
    (answers,) = said(Handlers.is_for_cancellations_only, f" {caught}").values()

    assert answers == {expected}


@pytest.mark.parametrize("star", ["", "*"])
def test_a_handler_gets_what_all_before_it_leave(star: str) -> None:
    caught = (f"{star} OSError", f"{star} asyncio.CancelledError", f"{star} BaseException")

    assert said(Handlers.catches_cancellation, *caught) == {
        "OSError": {Modality.NEVER},
        "CancelledError": {Modality.MUST},
        "BaseException": {Modality.NEVER},
    }
