"""Cancels a coroutine at each of its suspensions in turn and tells what that broke.

A scenario is an async function that sets a small world up, says what will happen in it, and runs
the coroutine under test through the `Injection` it is given:

>>> import asyncio
>>> from functools import partial
>>> class Lines:
...     def __init__(self, reader):
...         self.reader = reader
...     async def read_pair(self):
...         first = await self.reader.readline()
...         return first, await self.reader.readline()
>>> async def scenario(injection, lines=Lines):
...     reader = asyncio.StreamReader()
...     injection.then(partial(reader.feed_data, line) for line in (b"a\\n", b"b\\n", b"c\\n", b"d\\n"))
...     read_pair = lines(reader).read_pair
...     return [await injection.retry(read_pair), await injection.retry(read_pair)]
>>> report = cancel_at_every_suspension(scenario)
>>> report.is_safe
False
>>> print(report)  # doctest: +ELLIPSIS
10 of 21 cancellations break the scenario.
  10 at ...:6 in Lines.read_pair: await self.reader.readline()
The first: cancelled at ...:6 in Lines.read_pair: await self.reader.readline() (suspension 1, after the \
next event and one loop iteration later): StuckError: everything waits and nothing is left to happen

In a test, `report.require_safe()` raises NotCancelSafeError with that text. The first line of a pair
is a local of `read_pair` while the second is awaited; kept in `self`, it survives:

>>> class SafeLines(Lines):
...     first = None
...     async def read_pair(self):
...         if self.first is None:
...             self.first = await self.reader.readline()
...         second = await self.reader.readline()
...         first, self.first = self.first, None
...         return first, second
>>> print(cancel_at_every_suspension(partial(scenario, lines=SafeLines)))
None of 21 cancellations breaks the scenario.

Every run starts from a fresh event loop with a clock of its own that advances only when nothing
else can happen. Nothing sleeps and nothing is random, so a failure repeats. The price: threads and
subprocesses are outside that world, and whoever waits for one is stuck; so are real sockets, unless
`sockets=True` lets them in. docs/testing.md tells more, with three worked examples.
"""

import asyncio
import enum
import sys
from collections.abc import Callable, Collection, Coroutine, Iterable
from functools import partial
from typing import Protocol, TypeVar

from cancellint.testing import asyncio_world
from cancellint.testing.injection import Expectation, Injection
from cancellint.testing.oracles import EVERYTHING, Oracle, has, is_free, is_full
from cancellint.testing.outcomes import (
    MOMENTS,
    AlreadyRunningError,
    Cancelled,
    Case,
    Moment,
    NeverSuspendsError,
    NotCancelSafeError,
    Outcomes,
    StuckError,
)
from cancellint.testing.places import Place
from cancellint.testing.runs import Run

__all__ = [
    "EVERYTHING",
    "MOMENTS",
    "AlreadyRunningError",
    "Backend",
    "Cancelled",
    "Case",
    "Expectation",
    "Injection",
    "Moment",
    "NeverSuspendsError",
    "NotCancelSafeError",
    "Oracle",
    "Outcomes",
    "Place",
    "StuckError",
    "cancel_at_every_suspension",
    "has",
    "is_free",
    "is_full",
]

T = TypeVar("T")


class Backend(enum.Enum):
    """What runs a scenario, and how it is cancelled there."""

    ASYNCIO = "asyncio"
    """by `Task.cancel`, once"""
    ANYIO = "anyio"
    """anyio on asyncio, by a cancel scope: again and again until it is left"""
    TRIO = "trio"
    """trio, and anyio on trio, by a cancel scope"""


class _Runner(Protocol):
    """Runs a scenario once, cancelled at one suspension or at none."""

    def __call__(
        self,
        scenario: Callable[[Injection], Coroutine[object, object, T]],
        suspension: int | None,
        moment: Moment,
    ) -> Run[T]: ...


def cancel_at_every_suspension(
    scenario: Callable[[Injection], Coroutine[object, object, T]],
    *,
    check: Callable[[T], object] | None = None,
    oracles: Collection[Oracle] = (),
    backend: Backend = Backend.ASYNCIO,
    sockets: bool = False,
    moments: Iterable[Moment] = MOMENTS,
    limit: int = 10_000,
) -> Outcomes:
    """Runs the scenario undisturbed, then once for each suspension and moment with a cancellation there.

    A run fails if the scenario raises, is stuck, if `check`, given what it returned, raises
    AssertionError or returns False, or if an oracle or what the scenario itself expects
    (`injection.expect`) does not hold a moment later. Without `check` it must return what it returned
    undisturbed.

    `sockets` lets the scenario use real sockets of this machine, for about a millisecond per suspension.

    `limit` is the number of event loop iterations one run may take; of task steps in trio. Code that
    loops without ever awaiting cannot be stopped by it.

    The undisturbed run must pass: its exception (StuckError, what the scenario raised, the
    AssertionError of `check`) is raised here. NeverSuspendsError if it was never suspended,
    AlreadyRunningError if an event loop is running here already.
    """
    _require_no_loop()
    run = _runner(backend, oracles, sockets, limit)
    undisturbed = run(scenario, None, MOMENTS[0])
    expected = undisturbed.value()
    suspensions = undisturbed.injection.suspensions
    if suspensions == 0:
        raise NeverSuspendsError(
            "nothing was suspended inside `injection.attempt` or `injection.retry`; "
            "run the coroutine under test through one of them, and let it wait for something"
        )
    verify = _equals(expected) if check is None else check
    problem = _problem(verify, undisturbed)
    if problem is not None:
        raise AssertionError(f"the check fails without any cancellation: {problem}")
    plan = [(0, MOMENTS[0])]
    plan += [(number + 1, moment) for moment in moments for number in range(suspensions)]
    plan.sort(key=_by_number)
    cases = (_case(run(scenario, number, moment), verify, number, moment) for number, moment in plan)
    return Outcomes(suspensions, tuple(cases))


def _require_no_loop() -> None:
    if _is_in_asyncio() or _is_in_trio():
        raise AlreadyRunningError(
            "this test runs in an event loop already, and every case needs one of its own: make it a plain "
            "function (`def`, without a marker of pytest-asyncio, anyio or trio), or call "
            "`await asyncio.to_thread(cancel_at_every_suspension, scenario)`"
        )


def _is_in_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _is_in_trio() -> bool:
    if "trio" not in sys.modules:
        return False
    import trio

    try:
        trio.lowlevel.current_task()  # `in_trio_run` is newer than some trio that code under test asks for
    except RuntimeError:
        return False
    return True


def _runner(backend: Backend, oracles: Collection[Oracle], sockets: bool, limit: int) -> _Runner:
    match backend:
        case Backend.TRIO:
            from cancellint.testing import trio_world

            return partial(trio_world.run, sockets=sockets, limit=limit)
        case Backend.ASYNCIO:
            make: type[asyncio_world.TaskInjection | asyncio_world.ScopeInjection] = (
                asyncio_world.TaskInjection
            )
        case Backend.ANYIO:
            make = asyncio_world.ScopeInjection
    return partial(asyncio_world.run, make, sockets=sockets, limit=limit, oracles=oracles)


def _case(run: Run[T], verify: Callable[[T], object], suspension: int, moment: Moment) -> Case:
    injection = run.injection
    return Case(suspension, moment, injection.delivered, _problem(verify, run), injection.place)


def _problem(verify: Callable[[T], object], run: Run[T]) -> str | None:
    match run.result:
        case BaseException() as error:
            return f"{type(error).__name__}: {error}"
        case (value,):
            complaint = _complaint(verify, value)
            return "; ".join([*([complaint] if complaint is not None else []), *run.problems]) or None


def _equals(expected: T) -> Callable[[T], object]:
    def verify(value: T) -> None:
        assert value == expected, f"returned {value!r} instead of {expected!r}"

    return verify


def _complaint(verify: Callable[[T], object], value: T) -> str | None:
    try:
        verdict = verify(value)
    except AssertionError as error:
        return str(error) or "the check failed"
    return f"the check refused {value!r}" if verdict is False else None


def _by_number(planned: tuple[int, Moment]) -> int:
    return planned[0]
