"""Counters that are compared with a limit, and go up only after an await that others pass as well."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.reachability import after_step, reachable
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.flow.held_locks import HeldLocks
from cancellint.analysis.hazards.sharing.check_then_act import is_marked
from cancellint.analysis.hazards.sharing.second_callers import SecondCallers
from cancellint.model.ir import Assign, Attr, Const, Expr, Leaves, Name, Op
from cancellint.model.types import FunctionKey

_ORDERINGS = frozenset({"<", "<=", ">", ">="})


class LateCount(Struct, frozen=True):
    """`attribute` is compared at the end of the block of `tested`, waited for, and goes up at `counted`."""

    tested: int
    attribute: str
    awaited: int
    counted: int


def late_counts(
    effects: Effects, facts_of: FactsOf, seconds: SecondCallers, key: FunctionKey
) -> Iterator[LateCount]:
    """Yield the counters of a method that several tasks may find below their limit, each once."""
    function = effects.program.function(key)
    if not function.is_async or function.is_generator or effects.program.class_of(key) is None:
        return
    if not function.params or not any(
        _compared(function.params[0].name, block.test) for block in function.blocks
    ):
        return
    facts = facts_of(key)
    held = HeldLocks(facts)
    told: set[str] = set()
    for number, block in enumerate(facts.function.blocks):
        for name in _compared(function.params[0].name, block.test):
            found = _counted(facts, held, number, name) if name not in told else None
            if found is not None and seconds.may_be(key) and not seconds.is_locked_outside(key):
                told.add(name)
                yield found


def _compared(own: str, test: Expr | None) -> tuple[str, ...]:
    """Return the attributes of the object that a test compares with a limit."""
    found: list[str] = []
    waiting = [test]
    while waiting:
        match waiting.pop():
            case Op(op="not" | "and" | "or", operands=operands):
                waiting.extend(operands)
            case Op(op=op, operands=operands) if op in _ORDERINGS and Const("int", "0") not in operands:
                found.extend(
                    each.name for each in operands if isinstance(each, Attr) and each.base == Name(own)
                )
            case _:
                pass
    return tuple(dict.fromkeys(found))


def _counted(facts: Facts, held: HeldLocks, number: int, name: str) -> LateCount | None:
    block = facts.function.blocks[number]
    for edge in block.edges:
        if edge.leaves not in (Leaves.TRUE, Leaves.FALSE) or edge.to < 0:
            continue
        inside = facts.flow.dominance.dominated(edge.to) & reachable(facts.flow, (edge.to,), NORMAL)
        for at, awaited in sorted(facts.awaits(), key=lambda pair: pair[1]):
            if at not in inside or held.is_locked(awaited):
                continue
            if is_marked(facts, edge.to, awaited):
                break
            counted = _goes_up(facts, name, awaited, inside)
            if counted is not None:
                return LateCount(max(block.first, block.last - 1), name, awaited, counted)
    return None


def _goes_up(facts: Facts, name: str, awaited: int, inside: frozenset[int]) -> int | None:
    """Return where a counter goes up once an await is over."""
    target = Attr(Name(facts.function.params[0].name), name)
    rest, blocks = after_step(facts.flow, awaited, NORMAL)
    after: set[int] = {*rest, *facts.flow.steps_of(blocks & inside)}
    for at in sorted(after):
        step = facts.function.steps[at]
        if isinstance(step, Assign) and step.target == target and step.op == "+":
            return at
    return None
