"""Timeouts whose body never waits for anything."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.model.ir import Await, Yield
from cancellint.model.knowledge import RaceKind
from cancellint.model.types import FunctionKey, ProjectCallee

_TIMEOUTS = (RaceKind.CANCELS_RAISES, RaceKind.CANCELS_FALLS_THROUGH)


DEEPEST = Limit(5, "calls in the body of a scope that may not suspend")


class IdleScope(Struct, frozen=True):
    """A timeout that `at` enters or awaits, and that never fires; the `awaits` in it never suspend."""

    at: int
    name: str
    awaits: tuple[int, ...] = ()


def idle_scopes(effects: Effects, facts_of: FactsOf, key: FunctionKey) -> Iterator[IdleScope]:
    """Yield the timeouts of a function under which nothing suspends, callees included."""
    function = effects.program.function(key)
    if not function.is_async:
        return
    if function.regions:
        yield from _bodies(effects, facts_of(key))
    yield from _awaited(effects, key)


def _bodies(effects: Effects, facts: Facts) -> Iterator[IdleScope]:
    for number, region in enumerate(facts.function.regions):
        race = facts.unwinding.race(number)
        if race is None or race[0] not in _TIMEOUTS:
            continue
        steps = [
            step
            for block in facts.function.blocks
            if number in block.regions
            for step in range(block.first, block.last)
        ]
        waits = tuple(step for step in steps if isinstance(facts.function.steps[step], Await))
        yields = any(isinstance(facts.function.steps[step], Yield) for step in steps)
        if not yields and all(_never_suspends(effects, facts.key, step) for step in waits):
            yield IdleScope(region.enter, race[1], waits)


def _awaited(effects: Effects, key: FunctionKey) -> Iterator[IdleScope]:
    """Yield the awaited timeouts that are given a coroutine which never waits."""
    for number, step in enumerate(effects.program.function(key).steps):
        if not isinstance(step, Await) or step.region >= 0:
            continue
        race = effects.race(key, step.value)
        if race is None or race.kind not in _TIMEOUTS or not race.operations:
            continue
        if all(
            not operation.task
            and isinstance(operation.callee, ProjectCallee)
            and _is_idle(effects, operation.callee.key)
            for operation in race.operations
        ):
            yield IdleScope(number, race.name)


def _never_suspends(effects: Effects, key: FunctionKey, await_: int, depth: int = DEEPEST) -> bool:
    if effects.of(key, await_).suspends:
        return False
    return all(_is_idle(effects, callee, depth) for callee in effects.callees(key, await_))


def _is_idle(effects: Effects, key: FunctionKey, depth: int = DEEPEST) -> bool:
    """Tell whether a coroutine of the project runs from its start to its end, whoever overrides it."""
    program = effects.program
    function = program.function(key)
    if not function.is_async or function.is_generator or function.decorators or not DEEPEST.leaves(depth):
        return False
    if effects.is_abstract(ProjectCallee(key, None, False, (), ())):
        return False
    cls = program.class_of(key)
    overriding = program.overrides(cls, function.name) if cls is not None else ()
    return all(_runs_through(effects, each, depth - 1) for each in (key, *overriding))


def _runs_through(effects: Effects, key: FunctionKey, depth: int) -> bool:
    function = effects.program.function(key)
    return function.is_async and all(
        _never_suspends(effects, key, number, depth)
        for number, step in enumerate(function.steps)
        if isinstance(step, Await)
    )
