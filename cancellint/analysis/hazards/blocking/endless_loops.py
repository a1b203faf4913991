"""Loops of coroutines that nothing ends and that never suspend."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.loops import Loop
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.program.expressions import last_name, parts
from cancellint.model.ir import Assign, Attr, Await, Call, Delete, Expr, Next, Raise, Return, Yield
from cancellint.model.knowledge import Role
from cancellint.model.types import FunctionKey, LibraryCallee


class EndlessLoop(Struct, frozen=True):
    """A loop at one of whose steps, `at`, the event loop stands still; `asked` is what it waits to change."""

    at: int
    asked: str | None


def endless_loops(effects: Effects, facts_of: FactsOf, key: FunctionKey) -> Iterator[EndlessLoop]:
    """Yield the loops of a coroutine that run for ever, or until something changes that cannot meanwhile."""
    function = effects.program.function(key)
    if not function.is_async or not any(block.test is not None for block in function.blocks):
        return
    facts = facts_of(key)
    for loop in facts.flow.loops:
        steps = list(facts.flow.steps_of(loop.blocks))
        if not steps or any(isinstance(function.steps[at], _ENDING) for at in steps):
            continue
        asked = _asked(facts, loop)
        if asked is not None and _only_waits(effects, facts, steps, asked):
            yield EndlessLoop(steps[0], asked)


_ENDING = (Await, Yield, Next, Raise, Return)


def _asked(facts: Facts, loop: Loop) -> str | None:
    """Return the attribute whose change alone can end a loop, None where there are other ways out."""
    found: set[str] = set()
    for number in loop.blocks:
        block = facts.flow.blocks[number]
        if all(edge.to in loop.blocks for edge in block.edges if edge.leaves in NORMAL):
            continue
        own = [part for part in parts(block.test) if isinstance(part, Attr)] if block.test is not None else []
        if len(own) != 1 or not _is_plain(facts, block.test, own[0]):
            return None
        found.add(own[0].name)
    return next(iter(found)) if len(found) == 1 else None


def _is_plain(facts: Facts, test: Expr | None, attribute: Attr) -> bool:
    """Tell whether a test asks an attribute of an object that others have, and no call."""
    path = facts.frame.path(attribute)
    return path is not None and path.is_visible_to_callers and test is not None


def _only_waits(effects: Effects, facts: Facts, steps: list[int], asked: str) -> bool:
    """Tell whether a loop does nothing that could change what it asks: it calls pauses and the like."""
    for at in steps:
        match facts.function.steps[at]:
            case Assign(target=target) | Delete(target=target) if last_name(target) == asked:
                return False
            case Call():
                for callee in effects.types.callees(facts.key, at):
                    known = effects.operations.known(callee) if isinstance(callee, LibraryCallee) else None
                    if known is None or not {Role.BLOCKS, Role.LOOKS}.intersection(known.entry.roles):
                        return False
            case _:
                pass
    return True
