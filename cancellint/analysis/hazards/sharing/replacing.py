"""Attributes of an object that a method replaces by what it has made of them, with a wait in between."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.reachability import may_follow
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.program.expressions import parts
from cancellint.model.ir import Assign, Attr, Await, Call, Const, Expr, Load, Name, Return, Temp

_DEEPEST = Limit(10, "values within values that are written back")


class Replacement(Struct, frozen=True):
    """`attribute` is given to what is awaited, and replaced by what that gives, or added to."""

    attribute: str
    awaited: int
    written: int
    adds: bool = False
    hands_over: bool = False
    """the method returns something: it may be one that reads on from where it was, for a single reader"""
    alone: bool = False
    """the answer replaces nothing else: it may be a state that is brought up to date"""


def replacements(facts: Facts) -> Iterator[Replacement]:
    """Yield the attributes of `self` that are read before a wait, and written after it by what was read."""
    if not facts.function.params:
        return
    own = Name(facts.function.params[0].name)
    waits = [step for _, step in facts.awaits()]
    for at, step in enumerate(facts.function.steps):
        if not isinstance(step, Assign) or not isinstance(step.target, Attr) or step.target.base != own:
            continue
        for wait in waits:
            if not may_follow(facts.flow, wait, at, NORMAL) or not comes_from(facts, step.value, wait):
                continue
            if step.op and step.read >= 0 and facts.flow.block_of(step.read) != facts.flow.block_of(at):
                yield Replacement(step.target.name, wait, at, adds=True)
            elif not step.op and any(
                part == step.target for value in given(facts, wait) for part in parts(value)
            ):
                alone = len(_replaced_by(facts, own, wait)) < 2
                yield Replacement(step.target.name, wait, at, hands_over=_hands_over(facts), alone=alone)


def _replaced_by(facts: Facts, own: Name, awaited: int) -> frozenset[Expr]:
    """Return the attributes of an object that are given parts of what an await gives."""
    return frozenset(
        step.target
        for step in facts.function.steps
        if isinstance(step, Assign)
        and isinstance(step.target, Attr)
        and step.target.base == own
        and comes_from(facts, step.value, awaited)
    )


def _hands_over(facts: Facts) -> bool:
    nothing = Const("none", "None")
    return any(isinstance(step, Return) and step.value != nothing for step in facts.function.steps)


def given(facts: Facts, awaited: int) -> Iterator[Expr]:
    """Yield what the call that is awaited is given."""
    step = facts.function.steps[awaited]
    made = (
        facts.function.steps[step.value.step]
        if isinstance(step, Await) and isinstance(step.value, Temp)
        else None
    )
    values = (*made.args, *(value for _, value in made.keywords)) if isinstance(made, Call) else ()
    for value in values:
        read = facts.function.steps[value.step] if isinstance(value, Temp) else None
        yield read.value if isinstance(read, Load) else value


def comes_from(facts: Facts, value: Expr, awaited: int, *, told: bool = True) -> bool:
    """Tell whether a value is made of what an await has given, or with `told`, of what that tells."""
    waiting: list[tuple[Expr, int]] = [(value, _DEEPEST)]
    while waiting:
        current, depth = waiting.pop()
        for part in parts(current):
            if part == Temp(awaited):
                return True
            if _DEEPEST.leaves(depth):
                waiting.extend((each, depth - 1) for each in _made_of(facts, part, told=told))
    return False


def _made_of(facts: Facts, part: Expr, *, told: bool = True) -> tuple[Expr, ...]:
    if isinstance(part, Name):
        bound = facts.frame.value_of(part.id)
        return () if bound is None else (bound,)
    match facts.function.steps[part.step] if isinstance(part, Temp) else None:
        case Call(func=func, args=args):
            return (func, *args) if told else args
        case Await(value=value):
            return (value,)
        case _:
            return ()
