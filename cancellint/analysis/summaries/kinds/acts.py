"""What a function takes on and leaves so, and what it undoes, on objects its caller knows."""

from collections.abc import Iterator
from functools import partial

from cancellint.analysis.effects.acts import acts_for_callers
from cancellint.analysis.flow.cancellation_paths import may_be_skipped, only_fails, steps_after_errors
from cancellint.analysis.flow.facts import Facts
from cancellint.model.summary import Act


def told(facts: Facts) -> Iterator[Act]:
    """Yield the acts a caller may count on: not those that an error brings about, or that end in one."""
    if not facts.acts:
        return
    after_errors = steps_after_errors(facts)
    acts = {
        step: found
        for step, found in facts.acts.items()
        if step not in after_errors and not only_fails(facts, facts.flow.block_of(step))
    }
    yield from acts_for_callers(facts.function, acts, partial(may_be_skipped, facts))
