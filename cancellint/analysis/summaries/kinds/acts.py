"""What a function takes on and leaves so, and what it undoes, on objects its caller knows."""

from collections.abc import Iterator
from functools import partial

from cancellint.analysis.effects.acts import acts_for_callers
from cancellint.analysis.flow.cancellation_paths import may_be_skipped, only_fails, steps_after_errors
from cancellint.analysis.flow.facts import Facts
from cancellint.model.summary import Act, Verb

_ENDS = frozenset({Verb.CLOSES, Verb.RELEASES})
"""What is over for good, however the function ends after it."""


def told(facts: Facts) -> Iterator[Act]:
    """Yield the acts a caller may count on: not those that only an error brings about.

    Nor does state count that is put back only where the function then fails: the caller has no other.
    """
    if not facts.acts:
        return
    after_errors = steps_after_errors(facts)
    acts = {
        step: tuple(_told_of_step(facts, step, found))
        for step, found in facts.acts.items()
        if step not in after_errors
    }
    yield from acts_for_callers(facts.function, acts, partial(may_be_skipped, facts))


def _told_of_step(facts: Facts, step: int, acts: tuple[Act, ...]) -> Iterator[Act]:
    fails = any(act.verb not in _ENDS for act in acts) and only_fails(facts, facts.flow.block_of(step))
    yield from (act for act in acts if act.verb in _ENDS or not fails)
