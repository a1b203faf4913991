"""Whether the tables say of a call that it gives a coroutine is asked of the libraries themselves."""

import importlib
import inspect
from collections.abc import Iterator

import pytest

from cancellint.analysis.library import knowledge

LIBRARIES = ("anyio", "asyncio", "contextlib", "trio")
SET_ON_OBJECTS = frozenset({"asyncio.Condition.acquire"})
"""Coroutine methods that a class does not have: its constructor takes them from another object."""


def meant(name: str) -> object:
    """What a public name stands for, None where this version of the library has no such thing."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            found = getattr(found, part, None)
        return found
    return None


def awaitables() -> Iterator[tuple[str, bool, bool]]:
    """Names of what can be awaited, whether the tables call it a coroutine, and whether it is one."""
    known = knowledge.load()
    for name in sorted(known.names()):
        entry = known.entry(name)
        found = meant(name) if name.partition(".")[0] in LIBRARIES and entry is not None else None
        if entry is not None and entry.awaitable and found is not None and name not in SET_ON_OBJECTS:
            yield name, entry.coroutine, inspect.iscoroutinefunction(inspect.unwrap(found))  # type: ignore[arg-type]


def test_what_the_tables_call_a_coroutine_is_one_and_nothing_else_is() -> None:
    wrong = [(name, told) for name, told, is_one in awaitables() if told != is_one]

    assert wrong == []


@pytest.mark.parametrize(
    "name", ["asyncio.gather", "asyncio.shield", "asyncio.AbstractEventLoop.run_in_executor"]
)
def test_what_gives_a_future_is_no_coroutine(name: str) -> None:
    entry = knowledge.load().entry(name)

    assert entry is not None
    assert entry.awaitable
    assert not entry.coroutine
