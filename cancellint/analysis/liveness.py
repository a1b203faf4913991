"""Which holders' content is still used after a point: the classic backward analysis, on content only.

Looking at data (a comparison, a log line) does not count as using it.
"""

from collections.abc import Mapping

from cancellint.analysis.effects import Effect, Fate
from cancellint.analysis.paths import Frame
from cancellint.analysis.values import Holder, holder, holders, read_by
from cancellint.model.ir import Assign, Call, Delete, Function, Name, Step

Live = frozenset[Holder]


def live_at_entry(frame: Frame, function: Function, effects: Mapping[int, Effect]) -> tuple[Live, ...]:
    """Return, per block, the holders whose content some path from its start still uses."""
    uses = [_block_uses(frame, effects, function, number) for number in range(len(function.blocks))]
    entry: list[Live] = [frozenset()] * len(function.blocks)
    before = _predecessors(function)
    waiting = list(range(len(function.blocks)))
    while waiting:
        number = waiting.pop()
        gen, kill = uses[number]
        after: Live = frozenset().union(
            *(entry[edge.to] for edge in function.blocks[number].edges if edge.to >= 0)
        )
        live = gen | (after - kill)
        if live != entry[number]:
            entry[number] = live
            waiting.extend(before[number])
    return tuple(entry)


def _predecessors(function: Function) -> list[list[int]]:
    before: list[list[int]] = [[] for _ in function.blocks]
    for number, block in enumerate(function.blocks):
        for edge in block.edges:
            if edge.to >= 0:
                before[edge.to].append(number)
    return before


def _block_uses(
    frame: Frame, effects: Mapping[int, Effect], function: Function, number: int
) -> tuple[Live, Live]:
    """Return what a block uses before binding it anew, and what it binds."""
    block = function.blocks[number]
    gen: set[Holder] = set()
    kill: set[Holder] = set()
    for index in range(block.last - 1, block.first - 1, -1):
        step = function.steps[index]
        bound = {index} | _bound(frame, step)
        kill |= bound
        gen -= bound
        used = _used(frame, step, effects.get(index))
        gen |= used
        kill -= used
    return frozenset(gen), frozenset(kill)


def _bound(frame: Frame, step: Step) -> set[Holder]:
    match step:
        case Assign(target=Name(id=name), op="") | Delete(target=Name(id=name)):
            place = holder(frame, name)
            return {place} if isinstance(place, str) else set()
        case _:
            return set()


def _used(frame: Frame, step: Step, effect: Effect | None) -> set[Holder]:
    """Return the holders whose content a step uses."""
    if isinstance(step, Assign) and isinstance(step.target, Name) and not step.op:
        place = holder(frame, step.target.id)
        if isinstance(place, int):
            return set()
    exprs = list(read_by(step))
    if isinstance(step, Call):
        exprs = []
        if effect is None:
            exprs.extend((*step.args, *(value for _, value in step.keywords)))
        else:
            exprs.extend(arg.value for arg in effect.arguments if arg.fate is not Fate.LOOKS)
    return {place for expr in exprs for place, content in holders(frame, expr) if content}
