"""Generators with a cleanup of their own that are left early, and that something still refers to."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.reachability import after_block, reachable
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.program.expressions import last_name
from cancellint.model.finding import Confidence
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Expr,
    Item,
    Leaves,
    Name,
    Yield,
)
from cancellint.model.types import FunctionKey, ProjectCallee

_CLOSES = frozenset({"aclose", "aclosing"})


class Unclosed(Struct, frozen=True):
    """A loop over a generator, `asked`, is left early, and nobody closes it."""

    asked: int
    generator: FunctionKey
    cleanup: int
    """the `yield` of the generator behind which its cleanup waits"""
    kept: int
    """the step that keeps a reference to it, -1 for none"""
    suspended: bool
    """the loop is left because the function is a generator itself, and is closed"""
    confidence: Confidence


def unclosed_generators(effects: Effects, facts_of: FactsOf, key: FunctionKey) -> Iterator[Unclosed]:
    """Yield the generators that a function leaves before they are exhausted, and does not close."""
    function = effects.program.function(key)
    if not function.is_async or not any(
        isinstance(step, Await) and step.kind is AwaitKind.NEXT for step in function.steps
    ):
        return
    if any(isinstance(step, Call) and last_name(step.func) in _CLOSES for step in function.steps):
        return
    facts = facts_of(key)
    for number, step in enumerate(function.steps):
        if isinstance(step, Await) and step.kind is AwaitKind.NEXT:
            for generator in _generators(effects, facts, step.value):
                cleanup = _cleans_up(effects, generator)
                if cleanup is not None and _is_left(facts, number):
                    kept = _kept(facts, step.value)
                    firm = Confidence.LIKELY if kept >= 0 else Confidence.POSSIBLE
                    suspended = function.is_generator and _yields_within(facts, number)
                    yield Unclosed(number, generator, cleanup, kept, suspended, firm)


def _generators(effects: Effects, facts: Facts, value: Expr) -> Iterator[FunctionKey]:
    """Yield the asynchronous generator functions of the project whose generator is iterated over."""
    given = [step.value for step in facts.function.steps if isinstance(step, Assign) and step.target == value]
    asked = given or [value]  # an attribute is what this function has just made it, not all it may ever be
    for operation in (each for one in asked for each in effects.operations.behind(facts.key, one)):
        if isinstance(operation.callee, ProjectCallee):
            function = effects.program.function(operation.callee.key)
            if function.is_async and function.is_generator and not function.decorators:
                yield operation.callee.key


def _cleans_up(effects: Effects, key: FunctionKey) -> int | None:
    """Return a `yield` of a generator in a `try` whose `finally` does something, None where there is none."""
    function = effects.program.function(key)
    flow = effects.program.flow(key)
    for number, step in enumerate(function.steps):
        if isinstance(step, Yield):
            block = flow.block_of(number)
            thrown = after_block(
                flow, block, frozenset({Leaves.RAISED}), frozenset(Leaves) - {Leaves.CANCELLED}
            )
            if not flow.blocks[block].cleanup and any(
                each >= 0 and flow.blocks[each].cleanup and len(flow.steps(each)) > 0 for each in thrown
            ):
                return number
    return None


def _is_left(facts: Facts, asked: int) -> bool:
    """Tell whether control may leave a loop before its iterator has ended: by a jump, or at a `yield`."""
    return _yields_within(facts, asked) or _jumps_out(facts, asked)


def _body(facts: Facts, asked: int) -> frozenset[int]:
    """Return the blocks of the loop that asks, its header aside."""
    home = facts.flow.block_of(asked)
    loop = next((each for each in facts.flow.loops if each.header == home), None)
    return loop.blocks - {home} if loop is not None else frozenset()


def _yields_within(facts: Facts, asked: int) -> bool:
    body = _body(facts, asked)
    return any(isinstance(facts.function.steps[at], Yield) for at in facts.flow.steps_of(body))


def _jumps_out(facts: Facts, asked: int) -> bool:
    """Tell whether the function may return with an item in hand, without asking for another one."""
    home = facts.flow.block_of(asked)
    taken = facts.flow.targets(home, frozenset({Leaves.RESUMED}))
    return RETURN_EXIT in reachable(facts.flow, taken, NORMAL, avoiding=(home,))


def _kept(facts: Facts, value: Expr) -> int:
    """Return the step that stores a generator where it outlives the function, -1 for none."""
    same = _same(facts, value)
    for number, step in enumerate(facts.function.steps):
        if not isinstance(step, Assign) or not isinstance(step.target, Attr | Item):
            continue
        path = facts.frame.path(step.target)
        if path is not None and path.is_visible_to_callers and (step.value in same or step.target == value):
            return number
    return -1


def _same(facts: Facts, value: Expr) -> tuple[Expr, ...]:
    bound = facts.frame.value_of(value.id) if isinstance(value, Name) else None
    names = [step.target for step in facts.function.steps if isinstance(step, Assign) and step.value == value]
    return (value, *names) if bound is None else (value, bound, *names)
