"""What must hold after a scenario, wherever it was cancelled.

Expectations are about one object, and a scenario demands them: `injection.expect(is_free(lock))`. Oracles are
about everything there is, and are given to `cancel_at_every_suspension`.
"""

import enum
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from cancellint.testing.injection import Expectation


class Oracle(enum.Enum):
    """What holds for a whole world a moment after the scenario has returned."""

    NO_TASK_LEFT = "no task is left running"
    """of those that the scenario, or what it called, has started"""
    NO_FUTURE_WAITING = "no future is left waiting"
    """every future that was made is done: whoever gave up has taken it back"""
    NO_LOST_ERROR = "no exception was never retrieved"
    """whatever failed in a task of its own, somebody has looked at its error"""


EVERYTHING = tuple(Oracle)


class Lockable(Protocol):
    """A lock, of asyncio, anyio, trio or threading."""

    def locked(self) -> bool: ...


@runtime_checkable
class Counted(Protocol):
    """A semaphore that tells how many permits are free, as those of anyio and trio do."""

    @property
    def value(self) -> int: ...


class Semaphore(Protocol):
    """A semaphore of asyncio, which does not tell."""

    def locked(self) -> bool: ...
    def release(self) -> None: ...
    def acquire(self) -> "Coroutine": ...


class Coroutine(Protocol):
    """One that need not be run by an event loop."""

    def send(self, value: None, /) -> object: ...


def is_free(lock: Lockable, name: str = "the lock") -> Expectation:
    """Nobody holds the lock any more."""
    return lambda: f"{name} is still held" if lock.locked() else None


def is_full(semaphore: Semaphore | Counted, permits: int, name: str = "the semaphore") -> Expectation:
    """All permits of a semaphore have come back, and none too many."""
    return has(permits, lambda: _free_permits(semaphore, permits + 1), f"free permits of {name}")


def has(number: int, count: Callable[[], int], what: str) -> Expectation:
    """There is a number of something again: of idle connections in a pool, of entries in a table."""

    def tell() -> str | None:
        found = count()
        return None if found == number else f"{what}: {found} instead of {number}"

    return tell


def _free_permits(semaphore: Semaphore | Counted, most: int) -> int:
    """How many permits can be had at once. Those of asyncio are taken and given back, to see."""
    if isinstance(semaphore, Counted):
        return semaphore.value
    taken = 0
    while taken < most and not semaphore.locked():
        try:
            semaphore.acquire().send(None)
        except StopIteration:
            taken += 1
        else:
            break
    for _ in range(taken):
        semaphore.release()
    return taken
