"""Which consuming await runs next because of what was read: `if name == b"GET": key = await read_word()`."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from cancellint.analysis.custody import content
from cancellint.model.ir import Await, Call, Expr, Leaves, Temp
from cancellint.model.summary import Path

if TYPE_CHECKING:
    from cancellint.analysis.facts import Facts

_FORWARD = frozenset(
    {Leaves.NORMAL, Leaves.TRUE, Leaves.FALSE, Leaves.RESUMED, Leaves.ITEM, Leaves.EXHAUSTED}
)


def decisions(facts: Facts) -> dict[int, int]:
    """Return, per consuming await, the tokens that a test read and on whose outcome it depends.

    A test decides if its two outcomes lead to different next takes from the token's source. Taking the
    same way again (`get` until something fits) is a filter, which discards on purpose.
    """
    found: dict[int, int] = {}
    for index, block in enumerate(facts.function.blocks):
        state = facts.custody.at_end(index) if block.test is not None else None
        if block.test is None or state is None:
            continue
        carried = facts.custody.value(state, block.test)
        for number in facts.custody.named(content(carried) | content(carried >> 1)):
            token = facts.tokens[number]
            arms = [
                _next_takes(facts, edge.to, token.take.source)
                for edge in block.edges
                if edge.leaves in (Leaves.TRUE, Leaves.FALSE)
            ]
            if len({frozenset(arm) for arm in arms}) < 2:
                continue
            for step in sorted({step for arm in arms for step in arm}):
                if step != token.step and not _same_call(facts, step, token.step):
                    found[step] = found.get(step, 0) | 1 << 2 * number
    return found


def _next_takes(facts: Facts, start: int, source: Path) -> list[int]:
    """Return the awaits that may be the next to take from a source, from a block on."""
    found: list[int] = []
    seen: set[int] = set()
    waiting = deque([start])
    while waiting:
        number = waiting.popleft()
        if number < 0 or number in seen:
            continue
        seen.add(number)
        block = facts.function.blocks[number]
        taking = [
            step
            for step in range(block.first, block.last)
            if any(take.source == source for take in facts.takes(step))
        ]
        if taking:
            found.append(taking[0])
            continue
        waiting.extend(edge.to for edge in block.edges if edge.leaves in _FORWARD)
    return found


def _same_call(facts: Facts, first: int, second: int) -> bool:
    return _call(facts, first) == _call(facts, second)


def _call(facts: Facts, number: int) -> tuple[Expr, ...] | int:
    """Return what identifies a taking call apart from its place: the function and the arguments."""
    step = facts.function.steps[number]
    if isinstance(step, Await) and isinstance(step.value, Temp):
        made = facts.function.steps[step.value.step]
        if isinstance(made, Call):
            return (made.func, *made.args, *(value for _, value in made.keywords))
    return number
