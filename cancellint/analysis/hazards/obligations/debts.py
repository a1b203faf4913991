"""Undischarged obligations of the whole program: those of its functions that no caller discharges."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from msgspec import structs

from cancellint.analysis.callgraph.callers import Caller, Callers
from cancellint.analysis.callgraph.function_uses import FunctionUses
from cancellint.analysis.effects.acts import UNDOES
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.flow.cancellation_paths import cancellation_path
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.flow.paths_after_awaits import PathsAfterAwaits
from cancellint.analysis.flow.undoing import entering, leaving
from cancellint.analysis.hazards.obligations.cleanups import cleanups
from cancellint.analysis.hazards.obligations.obligations import Debt, ObligationKind, Obligations
from cancellint.analysis.summaries.summarize import Result
from cancellint.model.finding import Confidence
from cancellint.model.summary import Path
from cancellint.model.types import FunctionKey


class Debts:
    """Answers which obligations a cancelled function leaves undischarged; solved when asked for, once."""

    def __init__(
        self,
        effects: Effects,
        uses: FunctionUses,
        facts_of: FactsOf,
        results: Mapping[FunctionKey, Result],
    ) -> None:
        self._effects = effects
        self._facts_of = facts_of
        self._results = results
        self._callers = Callers(effects, uses)
        self._attributes = effects.attributes
        self._found: dict[FunctionKey, tuple[Debt, ...]] = {}

    def of(self, key: FunctionKey) -> tuple[Debt, ...]:
        """Return what is left undone if the function is cancelled, by the await that is."""
        if key not in self._found:
            result = self._results.get(key)
            self._found[key] = self._solve(key) if result is not None and result.may_owe else ()
        return self._found[key]

    def _solve(self, key: FunctionKey) -> tuple[Debt, ...]:
        paths = PathsAfterAwaits(self._facts_of(key))
        waited_for = partial(self._is_waited_for, key) if self._sibling(key, entering) is not None else None
        own = Obligations(paths, self._attributes, self._sibling(key, leaving), waited_for).debts()
        told = frozenset(debt.handler for debt in own if debt.handler >= 0)
        found = sorted(
            (*own, *cleanups(paths, self._attributes, told)),
            key=lambda debt: (debt.cancelled, debt.taken, debt.kind),
        )
        return tuple(self._after_callers(key, found))

    def _sibling(self, key: FunctionKey, named: Callable[[str], str | None]) -> Facts | None:
        """Return the method of the same class that ends, or begins, what a method begins, or ends."""
        program = self._effects.program
        cls = program.class_of(key)
        name = named(program.function(key).name)
        methods = program.methods(cls, name) if cls is not None and name is not None else ()
        return self._facts_of(methods[0]) if methods else None

    def _is_waited_for(self, method: FunctionKey, pool: Path) -> bool:
        """Tell whether some method of the same class waits until there is something in an attribute."""
        program = self._effects.program
        cls = program.class_of(method)
        methods = [key for key in self._results if program.class_of(key) == cls]
        return any(
            take.source == pool
            for facts in map(self._facts_of, methods)
            for _, await_ in facts.awaits()
            for take in facts.effect(await_).takes
        )

    # ------------------------------------------------------------------ callers

    def _after_callers(self, key: FunctionKey, debts: Iterable[Debt]) -> Iterator[Debt]:
        """Yield what is left of a function's debts when its callers have undone what they undo.

        A private function has no other callers than those in sight. Who else calls a public one, nobody
        knows, but its authors have seen to what they call themselves.
        """
        for debt in debts:
            if not self._is_paid(key, debt):
                yield debt
            elif not _is_private(self._effects.program.function(key).name):
                yield structs.replace(debt, confidence=Confidence.POSSIBLE)

    def _is_paid(self, key: FunctionKey, debt: Debt) -> bool:
        """Tell whether all callers in sight undo, when cancelled, what a function leaves."""
        if not debt.act.subject.is_visible_to_callers:
            return False
        callers = self._callers.of(key)
        return bool(callers) and all(self._pays(caller, debt) for caller in callers)

    def _pays(self, caller: Caller, debt: Debt) -> bool:
        """Tell whether the cancellation path from the call has an act that discharges the obligation.

        Of a cleanup it may be that very act: a flag that the caller sets in its `finally`.
        """
        if caller.awaited < 0:
            return False
        facts = self._facts_of(caller.site.function)
        there = _seen_by(facts, caller, debt.act.subject)
        verbs = UNDOES | {debt.act.verb} if debt.kind is ObligationKind.CLEANUP else UNDOES
        way = cancellation_path(facts, facts.block_of(caller.awaited))
        if there is None or way is None:
            return False
        return any(
            act.verb in verbs and there.is_within(act.subject)
            for step in way.steps
            for act in facts.acts.get(step, ())
        )


def _seen_by(facts: Facts, caller: Caller, subject: Path) -> Path | None:
    """Return a path of the callee as its caller names it, None where the caller has no name for it."""
    if not subject.root.startswith("param:"):
        return subject
    given = dict(caller.given).get(int(subject.root.removeprefix("param:")))
    base = facts.frame.path(given) if given is not None else None
    return structs.replace(base, fields=(*base.fields, *subject.fields)) if base is not None else None


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")
