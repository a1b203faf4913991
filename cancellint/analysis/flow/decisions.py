"""Which consuming await runs next because of what was read: `if name == b"GET": key = await read_word()`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.path_search import Halt, PathPoint, PathSearch
from cancellint.analysis.flow.custody import content, empty_when
from cancellint.model.ir import Block, Leaves, Name, Op, Raise
from cancellint.model.knowledge import SourceKind
from cancellint.model.summary import Path
from cancellint.model.types import Callee, LibraryCallee, ProjectCallee, UnresolvedCallee

if TYPE_CHECKING:
    from cancellint.analysis.flow.facts import Facts

WHOLE = frozenset({SourceKind.QUEUE, SourceKind.MESSAGES})
"""Sources whose items are whole by themselves, not pieces of a byte stream."""


def decisions(facts: Facts) -> dict[int, int]:
    """Return, per consuming await, the tokens that a test read and on whose outcome it depends.

    A test decides if its two outcomes lead to different next takes from the token's source. Taking the
    same way again (`get` until something fits) is a filter, which discards on purpose. Where the test
    says that nothing was read, nothing can be lost. An item of a queue is whole by itself: what has been
    tested has been dealt with. An `assert` decides nothing: it says what cannot be otherwise.
    """
    found: dict[int, int] = {}
    for index, block in enumerate(facts.function.blocks):
        state = facts.custody.at_end(index) if block.test is not None else None
        if block.test is None or state is None or _is_assertion(facts, block):
            continue
        carried = facts.custody.value(state, block.test)
        for number in facts.custody.named(content(carried) | content(carried >> 1)):
            token = facts.tokens[number]
            if facts.source_kind(token.take.origin) in WHOLE:
                continue
            arms = [
                _next_takes(facts, edge.to, token.take.source)
                for edge in block.edges
                if edge.leaves in (Leaves.TRUE, Leaves.FALSE)
                and empty_when(block.test, edge.leaves is Leaves.TRUE) is None
            ]
            if len({frozenset(arm) for arm in arms}) < 2:
                continue
            for step in sorted({step for arm in arms for step in arm}):
                if step != token.step and not _same_call(facts, step, token.step):
                    found[step] = found.get(step, 0) | 1 << 2 * number
    return found


def _is_assertion(facts: Facts, block: Block) -> bool:
    """Tell whether one outcome of a test does nothing but raise an AssertionError."""
    for edge in block.edges:
        failed = facts.function.blocks[edge.to] if edge.to >= 0 else None
        if edge.leaves is Leaves.FALSE and failed is not None and failed.first < failed.last:
            match facts.function.steps[failed.first]:
                case Raise(value=Name(id="AssertionError")):
                    return True
                case Raise(value=Op(operands=(Name(id="AssertionError"), *_))):
                    return True
                case _:
                    pass
    return False


def _next_takes(facts: Facts, start: int, source: Path) -> list[int]:
    """Return the awaits that may be the next to take from a source, from a block on."""
    found: dict[int, None] = {}

    def passed(here: PathPoint[tuple[()]], step: int) -> tuple[()] | Halt:
        if all(take.source != source for take in facts.takes(step)):
            return ()
        found[step] = None
        return Halt.STOP

    if start >= 0:
        PathSearch(facts.flow, passed, taken=NORMAL).run([PathPoint(start, ())])
    return list(found)


def _same_call(facts: Facts, first: int, second: int) -> bool:
    """Tell whether two awaits take in the same way: the same callees with the same arguments."""
    operations = _calls(facts, first)
    return first == second or (bool(operations) and operations == _calls(facts, second))


def _calls(facts: Facts, number: int) -> set[tuple[object, ...]]:
    return {_identity(operation.callee) for operation in facts.effect(number).operations}


def _identity(callee: Callee) -> tuple[object, ...]:
    match callee:
        case ProjectCallee(key=key):
            return key, callee.receiver, callee.args, callee.keywords
        case LibraryCallee(name=name):
            return name, callee.receiver, callee.args, callee.keywords
        case UnresolvedCallee(method=method):
            return method, callee.receiver, callee.args, callee.keywords
