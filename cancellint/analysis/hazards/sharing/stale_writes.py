"""Shared attributes that a method writes by a value from before a wait, as a second task may too."""

from collections.abc import Iterator

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.flow.facts import FactsOf
from cancellint.analysis.flow.held_locks import HeldLocks
from cancellint.analysis.hazards.sharing.check_then_act import is_marked
from cancellint.analysis.hazards.sharing.replacing import Replacement, replacements
from cancellint.analysis.hazards.sharing.second_callers import SecondCallers
from cancellint.model.ir import Assign, Attr
from cancellint.model.types import FunctionKey


def stale_writes(
    effects: Effects, facts_of: FactsOf, seconds: SecondCallers, key: FunctionKey
) -> Iterator[Replacement]:
    """Yield the attributes of a method's object that two tasks at a time get wrong, each once."""
    function = effects.program.function(key)
    if not function.is_async or function.is_generator or effects.program.class_of(key) is None:
        return
    if not any(isinstance(step, Assign) and isinstance(step.target, Attr) for step in function.steps):
        return
    facts = facts_of(key)
    held = HeldLocks(facts)
    told: set[str] = set()
    for found in replacements(facts):
        if found.attribute in told or held.is_locked(found.awaited):
            continue
        if is_marked(facts, facts.flow.block_of(found.awaited), found.awaited):
            continue
        if seconds.may_be(key) and not seconds.is_locked_outside(key):
            told.add(found.attribute)
            yield found
