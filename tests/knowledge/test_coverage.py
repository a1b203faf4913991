"""Every entry whose verdict matters is run by a test here, or the table says why not."""

import sys

from cancellint.analysis.library.knowledge import load
from cancellint.model.knowledge import Entry, Role
from tests.knowledge import (
    asyncio_trials,
    connecting,
    redis_trials,
    scope_trials,
    test_ends_of_races,
    test_threads,
)

KNOWLEDGE = load()
HAZARDS = {Role.CONSUMES, Role.ACQUIRES, Role.SENDS, Role.WAITS, Role.RACES, Role.SHIELDS}
NAMES = tuple(
    name
    for name in KNOWLEDGE.names()
    if (library := name.partition(".")[0]) == "asyncio" or library not in sys.stdlib_module_names
)
"""All that can be awaited; the rest of the standard library blocks."""
RUN = {
    *(
        trial.name
        for trials in (asyncio_trials, scope_trials, connecting, redis_trials)
        for trial in trials.TRIALS
    ),
    *(name for name, *_ in test_ends_of_races.RACES),
    *(name for name, *_ in test_ends_of_races.SHIELDS),
    *(name for name, *_ in test_threads.CALLS),
}


def entry(name: str) -> Entry:
    found = KNOWLEDGE.entry(name)
    assert found is not None
    return found


def can_be_cancelled(entry: Entry) -> bool:
    """A plain call is over before anybody can cancel it."""
    return entry.awaitable or Role.RACES in entry.roles or Role.SHIELDS in entry.roles


def test_an_entry_is_run_or_says_why_not() -> None:
    due = [name for name in NAMES if HAZARDS & set(entry(name).roles) and can_be_cancelled(entry(name))]

    assert [name for name in due if (name in RUN) == bool(entry(name).untested)] == []
    assert len(due) > len(RUN) / 2


def test_what_is_run_is_verified() -> None:
    assert [name for name in sorted(RUN) if not entry(name).verified or entry(name).untested] == []


def test_only_what_could_be_run_says_why_it_is_not() -> None:
    assert [name for name in NAMES if entry(name).untested and not can_be_cancelled(entry(name))] == []
