"""What a task does that nobody waits for any more: what it would go on to take, and whether it ever ends."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects import Effects
from cancellint.analysis.operations import Operation
from cancellint.model.ir import RETURN_EXIT, Await, AwaitKind, Call, Leaves, Temp
from cancellint.model.summary import Path, Take
from cancellint.model.types import FunctionKey, ProjectCallee

_FORWARD = frozenset(
    {
        Leaves.NORMAL,
        Leaves.TRUE,
        Leaves.FALSE,
        Leaves.RESUMED,
        Leaves.ITEM,
        Leaves.EXHAUSTED,
        Leaves.RETURNED,
    }
)


_AFTER = frozenset({Leaves.RESUMED, Leaves.EXHAUSTED})
"""Edges that are taken when what is awaited has ended."""

DEEPEST = 3
"""Coroutines that await coroutines that never return: how many levels are followed."""


class Stake(Struct, frozen=True):
    """What a task started in a function does.

    `takes` are in the function's terms; `endless` names the coroutine function that never returns.
    `works_on` are the objects it is given: closing one of them ends it, sooner or later.
    """

    runs: str
    takes: tuple[Take, ...]
    endless: str | None
    works_on: tuple[Path, ...]


def stake(effects: Effects, key: FunctionKey, number: int) -> Stake:
    """Return what the task or coroutine does that step `number` of a function makes."""
    operations = effects.operations.behind(key, Temp(number))
    takes: dict[Take, None] = {}
    works_on: dict[Path, None] = {}
    endless = runs = None
    for operation in operations:
        takes.update(dict.fromkeys(effects.of_operation(key, operation).takes))
        works_on.update(dict.fromkeys(_given(effects, key, operation)))
        match operation.callee:
            case ProjectCallee(key=called):
                name = effects.program.function(called).qualname
                runs = runs or name
                endless = name if never_returns(effects, called) else endless
            case callee:
                known = effects.operations.known(callee)
                runs = runs or (known.name if known is not None else None)
    visible = tuple(sorted(take for take in takes if take.source.is_visible_to_callers))
    return Stake(runs or "", visible, endless, tuple(works_on))


def _given(effects: Effects, key: FunctionKey, operation: Operation) -> Iterator[Path]:
    """Yield the objects that an operation made in this function is given."""
    if operation.site.function != key:
        return
    callee = operation.callee
    values = [*callee.args, *(value for _, value in callee.keywords)]
    if callee.receiver is not None:
        values.append(callee.receiver)
    for value in values:
        path = effects.frame(key).path(value)
        if path is not None:
            yield path


def never_returns(effects: Effects, key: FunctionKey, depth: int = DEEPEST) -> bool:
    """Tell whether a coroutine function, or asynchronous generator, runs until it is stopped or fails."""
    function = effects.program.function(key)
    seen = {0}
    waiting = [0]
    goes_on = False
    while waiting:
        number = waiting.pop()
        block = function.blocks[number]
        for edge in block.edges:
            if edge.leaves not in _FORWARD:
                continue
            if edge.leaves in _AFTER and depth and _waits_for_ever(effects, key, block.last - 1, depth):
                goes_on = True
                continue
            if edge.to == RETURN_EXIT:
                return False
            goes_on |= 0 <= edge.to <= number
            if edge.to not in seen:
                seen.add(edge.to)
                waiting.append(edge.to)
    return goes_on


def _waits_for_ever(effects: Effects, key: FunctionKey, number: int, depth: int) -> bool:
    """Tell whether an await waits for what never returns, or a loop iterates over what never ends."""
    step = effects.program.function(key).steps[number]
    if not isinstance(step, Await) or not isinstance(step.value, Temp):
        return False
    made = effects.program.function(key).steps[step.value.step]
    callees = effects.types.callees(key, step.value.step) if isinstance(made, Call) else ()
    called = [callee.key for callee in callees if isinstance(callee, ProjectCallee)]
    if len(called) != 1 or len(callees) != 1:
        return False
    function = effects.program.function(called[0])
    fits = function.is_generator is (step.kind is AwaitKind.NEXT) and function.is_async
    return fits and never_returns(effects, called[0], depth - 1)
