"""Which holders' content is still used after a point: the classic backward analysis, on content only.

Looking at data (a comparison, a log line) does not count as using it, nor does computing something from
it that is itself only looked at, such as the decoded text for the log line.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from msgspec import Struct

from cancellint.analysis.effects.effect import Effect, Fate
from cancellint.analysis.memory.access_paths import Frame
from cancellint.analysis.memory.values import Holder, holder, holders, read_by
from cancellint.model.ir import Assign, Call, Delete, Expr, Function, Name, Next, Step

Live = frozenset[Holder]


class Uses(Struct, frozen=True):
    """What a step binds, what it uses, and what it merely computes the bound value from."""

    bound: Live
    used: Live
    passed: Live
    anew: bool = True
    """whether the old value of what is bound is gone"""


def live_at_entry(frame: Frame, function: Function, effects: Mapping[int, Effect]) -> tuple[Live, ...]:
    """Return, per block, the holders whose content some path from its start still uses."""
    uses = [tuple(_block_uses(frame, effects, function, number)) for number in range(len(function.blocks))]
    entry: list[Live] = [frozenset()] * len(function.blocks)
    before = _predecessors(function)
    waiting = list(range(len(function.blocks)))
    queued = set(waiting)
    while waiting:
        number = waiting.pop()
        queued.remove(number)
        after = (entry[edge.to] for edge in function.blocks[number].edges if edge.to >= 0)
        live = _before(set(chain.from_iterable(after)), uses[number])
        if live != entry[number]:
            entry[number] = live
            again = before[number] - queued
            waiting.extend(sorted(again))
            queued |= again
    return tuple(entry)


def _before(live: set[Holder], uses: tuple[Uses, ...]) -> Live:
    """Return what is live before steps, given backwards, after which something is."""
    for step in uses:
        wanted = not step.bound.isdisjoint(live)
        if step.anew:
            live -= step.bound
        live |= step.used
        if wanted:
            live |= step.passed
    return frozenset(live)


def _predecessors(function: Function) -> list[set[int]]:
    before: list[set[int]] = [set() for _ in function.blocks]
    for number, block in enumerate(function.blocks):
        for edge in block.edges:
            if edge.to >= 0:
                before[edge.to].add(number)
    return before


def _block_uses(
    frame: Frame, effects: Mapping[int, Effect], function: Function, number: int
) -> Iterator[Uses]:
    """Yield what the steps of a block use, the last one first."""
    block = function.blocks[number]
    if block.test is not None:
        asked = (place for place in _content(frame, (block.test,)) if isinstance(place, int))
        called = frozenset(place for place in asked if isinstance(function.steps[place], Call))
        yield Uses(frozenset(), called, frozenset())
    for index in range(block.last - 1, block.first - 1, -1):
        yield _uses(frame, index, function.steps[index], effects.get(index))


def _uses(frame: Frame, index: int, step: Step, effect: Effect | None) -> Uses:
    """Return what a step binds and uses. An assigned, handed-on or iterated value is merely passed."""
    nothing: Live = frozenset()
    match step:
        case Assign(target=Name(id=name), value=value, op=op):
            place = holder(frame, name)
            if isinstance(place, int) and not op:
                return Uses(nothing, nothing, nothing)
            if frame.outlives(name) or (op and name in frame.params):
                return Uses(nothing, _content(frame, read_by(step)), nothing)
            return Uses(frozenset((place,)), nothing, _content(frame, (value,)), anew=not op)
        case Delete(target=Name(id=name)):
            place = holder(frame, name)
            return Uses(frozenset((place,)) if isinstance(place, str) else nothing, nothing, nothing)
        case Call() if effect is not None:
            handed = [each for each in effect.arguments if each.fate is not Fate.LOOKS]
            passed = (each.value for each in handed if each.fate is Fate.PASSES)
            used = (each.value for each in handed if each.fate is not Fate.PASSES)
            return Uses(frozenset((index,)), _content(frame, used), _content(frame, passed))
        case Call(args=args, keywords=keywords):
            given = _content(frame, (*args, *(value for _, value in keywords)))
            return Uses(frozenset((index,)), given, nothing)
        case Next(value=value):
            return Uses(frozenset((index,)), nothing, _content(frame, (value,)))
        case _:
            return Uses(frozenset((index,)), _content(frame, read_by(step)), nothing)


def _content(frame: Frame, exprs: Iterable[Expr]) -> Live:
    return frozenset(place for expr in exprs for place, content in holders(frame, expr) if content)
