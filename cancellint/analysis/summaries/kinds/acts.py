"""What a function takes on and leaves so, and what it undoes, on objects its caller knows."""

from collections.abc import Callable, Iterator
from functools import cache, partial

from cancellint.analysis.effects.acts import acts_for_callers, may_concern_callers
from cancellint.analysis.flow.cancellation_paths import may_be_skipped, only_fails, steps_after_errors
from cancellint.analysis.flow.facts import Facts
from cancellint.model.summary import Act, Verb

_ENDS = frozenset({Verb.CLOSES, Verb.RELEASES})
"""What is over for good, however the function ends after it."""


def told(facts: Facts) -> Iterator[Act]:
    """Yield the acts a caller may count on: not those that only an error brings about.

    Nor does state count that is put back only where the function then fails: the caller has no other.
    """
    concerning = {
        step: found
        for step, acts in facts.acts.items()
        if (found := tuple(act for act in acts if may_concern_callers(act)))
    }
    if not concerning:
        return
    after_errors = steps_after_errors(facts)
    fails = cache(partial(only_fails, facts))
    acts = {
        step: tuple(_told_of_step(found, partial(fails, facts.flow.block_of(step))))
        for step, found in concerning.items()
        if step not in after_errors
    }
    yield from acts_for_callers(facts.function, acts, partial(may_be_skipped, facts))


def _told_of_step(acts: tuple[Act, ...], fails: Callable[[], bool]) -> Iterator[Act]:
    yield from (act for act in acts if act.verb in _ENDS or not fails())
