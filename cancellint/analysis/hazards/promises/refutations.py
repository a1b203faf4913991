"""What refutes a promise to be cancel-safe: what the function, or what it awaits, leaves undischarged."""

from collections.abc import Callable, Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.flow.cancellation_paths import cancellation_path
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.hazards.promises.outstanding import Outstanding
from cancellint.analysis.program.promises import Contracts
from cancellint.model.ir import Await, AwaitKind, Call
from cancellint.model.types import CallSite, FunctionKey, ProjectCallee

MOST_CALLS = Limit(6, "calls behind a promise")
"""Calls that are followed behind a promise."""


class Refutation(Struct, frozen=True):
    """What a function leaves undone that is awaited, through the awaits in `way`, behind a promise."""

    function: FunctionKey
    outstanding: Outstanding
    way: tuple[CallSite, ...] = ()


class Refutations:
    """Answers what refutes a promise, beside data that is lost."""

    def __init__(
        self,
        effects: Effects,
        facts_of: FactsOf,
        contracts: Contracts,
        outstanding_by: Callable[[FunctionKey], tuple[Outstanding, ...]],
    ) -> None:
        self._effects = effects
        self._facts_of = facts_of
        self._contracts = contracts
        self._outstanding_by = outstanding_by

    def of(self, key: FunctionKey) -> Iterator[Refutation]:
        """Yield what is left undone behind a promise, nearest to it first.

        What another promise covers is its own affair, and what is done on a caller's cancellation path is
        taken to discharge it.
        """
        waiting: list[tuple[FunctionKey, tuple[CallSite, ...]]] = [(key, ())]
        seen = {key}
        for function, way in waiting:
            for outstanding in self._outstanding_by(function):
                yield Refutation(function, outstanding, way)
            if not MOST_CALLS.is_exceeded_by(len(way) + 1):
                for site, callee in self._unprotected(function):
                    if callee not in seen and self._contracts.made_at(callee) is None:
                        seen.add(callee)
                        waiting.append((callee, (*way, site)))

    def _unprotected(self, key: FunctionKey) -> Iterator[tuple[CallSite, FunctionKey]]:
        """Yield the coroutines that a function awaits where nothing runs if that is cancelled."""
        facts = self._facts_of(key)
        for block, step in facts.awaits():
            way = cancellation_path(facts, block)
            if way is None or any(_may_pay(facts, number) for number in way.steps):
                continue
            for callee in self._awaited(key, step):
                if self._effects.program.function(callee).is_async:
                    yield CallSite(key, step), callee

    def _awaited(self, key: FunctionKey, step: int) -> Iterator[FunctionKey]:
        """Yield the project functions that a cancellation of an await reaches; a shield keeps it out."""
        operations = self._effects.awaited(key, step)
        if not operations:
            yield from self._effects.callees(key, step)
        for operation in operations:
            if isinstance(operation.callee, ProjectCallee) and not operation.shielded:
                yield operation.callee.key


def _may_pay(facts: Facts, number: int) -> bool:
    match facts.function.steps[number]:
        case Await(kind=AwaitKind.EXIT):
            return False
        case Call() | Await():
            return True
        case _:
            return bool(facts.acts.get(number))
