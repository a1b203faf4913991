"""How races end what they run, and shields what they keep away, is what the tables say."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from dataclasses import dataclass

import anyio
import pytest
import trio

from cancellint.analysis.library.knowledge import CallShape, load
from cancellint.model.knowledge import RaceKind, Role
from tests.knowledge.worlds import World, within

KNOWLEDGE = load()
LONG = 3600


@dataclass
class Seen:
    """What became of a body that waits for ever, or nearly so."""

    cancelled: bool = False
    finished: bool = False

    async def body(self) -> None:
        try:
            await anyio.sleep(LONG)
            self.finished = True
        except BaseException:
            self.cancelled = True
            raise


Race = Callable[[Seen], Awaitable[object]]


def awaited(run: Callable[[Awaitable[None]], Awaitable[object]]) -> Race:
    return lambda seen: run(seen.body())


def region(
    make: Callable[[], AbstractContextManager[object] | AbstractAsyncContextManager[object]],
) -> Race:
    async def race(seen: Seen) -> None:
        scope = make()
        if isinstance(scope, AbstractAsyncContextManager):
            async with scope:
                await seen.body()
        else:
            with scope:
                await seen.body()

    return race


async def first_completed(body: Awaitable[None]) -> None:
    await asyncio.wait({asyncio.ensure_future(body)}, timeout=1)


async def as_completed(body: Awaitable[None]) -> None:
    with suppress(TimeoutError):
        for each in asyncio.as_completed([body], timeout=1):
            await each


def cancelled_from_inside(
    make: Callable[[], AbstractContextManager[anyio.CancelScope | trio.CancelScope]],
) -> Race:
    """A scope that somebody cancels while its body runs."""

    async def race(seen: Seen) -> None:
        async with anyio.create_task_group() as tasks:
            with make() as scope:
                tasks.start_soon(soon, scope.cancel)
                await seen.body()

    return race


async def soon(act: Callable[[], object]) -> None:
    await anyio.sleep(1)
    act()


async def fail() -> None:
    await anyio.sleep(1)
    raise LookupError


async def in_a_failing_task_group(seen: Seen) -> None:
    with suppress(BaseExceptionGroup):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())
            await seen.body()


async def in_a_failing_anyio_group(seen: Seen) -> None:
    with suppress(BaseExceptionGroup):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail)
            await seen.body()


async def in_a_failing_nursery(seen: Seen) -> None:
    with suppress(BaseExceptionGroup):
        async with trio.open_nursery() as tasks:
            tasks.start_soon(fail)
            await seen.body()


def now() -> float:
    return asyncio.get_running_loop().time()


NATIVE, ON_ASYNCIO, ON_TRIO, TRIO = (
    World.ASYNCIO_SOCKETS,
    World.ANYIO_ON_ASYNCIO,
    World.ANYIO_ON_TRIO,
    World.TRIO,
)
RACES: list[tuple[str, dict[str, None], tuple[World, ...], Race]] = [
    ("asyncio.wait_for", {}, (NATIVE,), awaited(lambda body: asyncio.wait_for(body, 1))),
    ("asyncio.timeout", {}, (NATIVE,), region(lambda: asyncio.timeout(1))),
    ("asyncio.timeout_at", {}, (NATIVE,), region(lambda: asyncio.timeout_at(now() + 1))),
    ("asyncio.Timeout", {}, (NATIVE,), region(lambda: asyncio.Timeout(now() + 1))),
    ("asyncio.wait", {"timeout": None}, (NATIVE,), awaited(first_completed)),
    ("asyncio.as_completed", {"timeout": None}, (NATIVE,), awaited(as_completed)),
    ("asyncio.TaskGroup", {}, (NATIVE,), in_a_failing_task_group),
    ("anyio.move_on_after", {}, (ON_ASYNCIO, ON_TRIO), region(lambda: anyio.move_on_after(1))),
    ("anyio.fail_after", {}, (ON_ASYNCIO, ON_TRIO), region(lambda: anyio.fail_after(1))),
    ("anyio.CancelScope", {}, (ON_ASYNCIO, ON_TRIO), cancelled_from_inside(anyio.CancelScope)),
    (
        "anyio.CancelScope",
        {"deadline": None},
        (ON_ASYNCIO, ON_TRIO),
        region(lambda: anyio.CancelScope(deadline=anyio.current_time() + 1)),
    ),
    ("anyio.create_task_group", {}, (ON_ASYNCIO, ON_TRIO), in_a_failing_anyio_group),
    ("trio.move_on_after", {}, (TRIO,), region(lambda: trio.move_on_after(1))),
    ("trio.move_on_at", {}, (TRIO,), region(lambda: trio.move_on_at(trio.current_time() + 1))),
    ("trio.fail_after", {}, (TRIO,), region(lambda: trio.fail_after(1))),
    ("trio.fail_at", {}, (TRIO,), region(lambda: trio.fail_at(trio.current_time() + 1))),
    ("trio.CancelScope", {}, (TRIO,), cancelled_from_inside(trio.CancelScope)),
    (
        "trio.CancelScope",
        {"deadline": None},
        (TRIO,),
        region(lambda: trio.CancelScope(deadline=trio.current_time() + 1)),
    ),
    (
        "trio.CancelScope",
        {"relative_deadline": None},
        (TRIO,),
        region(lambda: trio.CancelScope(relative_deadline=1)),
    ),
    ("trio.open_nursery", {}, (TRIO,), in_a_failing_nursery),
]
EACH_RACE = [
    pytest.param(name, given, world, race, id=f"{name} {' '.join(given)} in {world.value}")
    for name, given, worlds, race in RACES
    for world in worlds
]


@pytest.mark.parametrize(("name", "given", "world", "race"), EACH_RACE)
def test_a_race_ends_as_the_table_says(name: str, given: dict[str, None], world: World, race: Race) -> None:
    entry = KNOWLEDGE.facts(name, CallShape(keywords=tuple(given.items())))
    assert entry is not None

    async def scenario() -> tuple[bool, bool]:
        """Whether the loser was cancelled, and whether a timeout was raised."""
        seen = Seen()
        try:
            await race(seen)
        except (TimeoutError, trio.TooSlowError):
            return seen.cancelled, True
        return seen.cancelled, False

    expected = {
        RaceKind.CANCELS_RAISES: (True, True),
        RaceKind.CANCELS_FALLS_THROUGH: (True, False),
        RaceKind.SCOPE: (True, False),
        RaceKind.LEAVES_RUNNING: (False, False),
    }
    assert entry.race is not None
    assert within(world, scenario) == expected[entry.race]


SHIELDS: list[tuple[str, tuple[World, ...], Callable[[], AbstractContextManager[object]]]] = [
    ("anyio.move_on_after", (ON_ASYNCIO, ON_TRIO), lambda: anyio.move_on_after(LONG, shield=True)),
    ("anyio.fail_after", (ON_ASYNCIO, ON_TRIO), lambda: anyio.fail_after(LONG, shield=True)),
    ("anyio.CancelScope", (ON_ASYNCIO, ON_TRIO), lambda: anyio.CancelScope(shield=True)),
    ("trio.move_on_after", (TRIO,), lambda: trio.move_on_after(LONG, shield=True)),
    ("trio.move_on_at", (TRIO,), lambda: trio.move_on_at(trio.current_time() + LONG, shield=True)),
    ("trio.fail_after", (TRIO,), lambda: trio.fail_after(LONG, shield=True)),
    ("trio.fail_at", (TRIO,), lambda: trio.fail_at(trio.current_time() + LONG, shield=True)),
    ("trio.CancelScope", (TRIO,), lambda: trio.CancelScope(shield=True)),
]
EACH_SHIELD = [
    pytest.param(name, world, make, id=f"{name} in {world.value}")
    for name, worlds, make in SHIELDS
    for world in worlds
]


@pytest.mark.parametrize(("name", "world", "make"), EACH_SHIELD)
def test_a_shield_keeps_the_cancellation_of_a_scope_out(
    name: str, world: World, make: Callable[[], AbstractContextManager[object]]
) -> None:
    entry = KNOWLEDGE.facts(name, CallShape(keywords=(("shield", "True"),)))
    assert entry is not None
    assert Role.SHIELDS in entry.roles

    async def scenario() -> bool:
        """Whether a body of two seconds came to its end under a limit of one."""
        with anyio.move_on_after(1), make():
            await anyio.sleep(2)
            return True
        return False

    assert within(world, scenario)


@pytest.mark.parametrize(
    ("name", "make"), [(name, make) for name, worlds, make in SHIELDS if ON_ASYNCIO in worlds]
)
def test_a_shield_lets_asyncio_s_own_cancellation_through_where_the_table_says_so(
    name: str, make: Callable[[], AbstractContextManager[object]]
) -> None:
    entry = KNOWLEDGE.entry(name)
    assert entry is not None

    async def scenario() -> bool:
        """Whether a body of two seconds came to its end under a limit of one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                with make():
                    await anyio.sleep(2)
                return True
        return False

    assert within(NATIVE, scenario) == (not entry.own_scopes_only)


def test_asyncio_shields_what_it_runs_but_not_who_waits() -> None:
    async def scenario() -> tuple[bool, bool]:
        seen = Seen()
        waiter = asyncio.ensure_future(shielding(seen))
        await asyncio.sleep(1)
        waiter.cancel()
        await asyncio.sleep(LONG + 1)
        return waiter.cancelled(), seen.finished

    async def shielding(seen: Seen) -> None:
        await asyncio.shield(seen.body())

    assert within(NATIVE, scenario) == (True, True)
