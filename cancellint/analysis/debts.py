"""The debts of the whole program: what functions owe when cancelled, as far as no caller pays."""

from collections.abc import Mapping
from functools import cached_property

from cancellint.analysis.effects import Effects
from cancellint.analysis.facts import Facts
from cancellint.analysis.obligations import Debt, Obligations
from cancellint.analysis.owners import Owners
from cancellint.analysis.summarize import Result
from cancellint.analysis.tested import tested_attributes
from cancellint.model.types import FunctionKey


class Debts:
    """Answers what a function owes; solved when asked for, once."""

    def __init__(self, effects: Effects, owners: Owners, results: Mapping[FunctionKey, Result]) -> None:
        self._effects = effects
        self._owners = owners
        self._results = results
        self._found: dict[FunctionKey, tuple[Debt, ...]] = {}

    def of(self, key: FunctionKey) -> tuple[Debt, ...]:
        """Return what is left undone if the function is cancelled, by the await that is."""
        if key not in self._found:
            result = self._results.get(key)
            self._found[key] = self._solve(key) if result is not None and result.may_owe else ()
        return self._found[key]

    def _solve(self, key: FunctionKey) -> tuple[Debt, ...]:
        facts = Facts(self._effects, self._owners, key)
        return Obligations(facts, self._is_tested).debts()

    def _is_tested(self, attribute: str) -> bool:
        return attribute in self._tested

    @cached_property
    def _tested(self) -> frozenset[str]:
        return tested_attributes(self._effects.program)
