"""Whether anybody would miss a task that failed unseen.

Most of what programs start and forget is notice or cleanup: when it fails, nothing depends on it. Somebody
depends on a task that is to go on for ever, that others wait for, or that sends, and whoever gave the program
what it runs.
"""

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.flow.outcomes import Outcomes
from cancellint.analysis.hazards.tasks.stakes import never_returns
from cancellint.analysis.program.type_algebra import NOTHING, options
from cancellint.model.ir import Attr, Call, Evaluate, Expr, Item, Name, Temp
from cancellint.model.knowledge import Role
from cancellint.model.types import FunctionKey, Instance, UnresolvedCallee

_DEPENDED_ON = frozenset({Role.SENDS, Role.COMPLETES})
"""Who waits for an answer, or for a future, waits in vain."""


_VARIABLES = ("param:", "local:", "free:")
"""Roots of what is no name of a module."""


class Concerns:
    """Answers by what a function runs outside of any handler."""

    def __init__(self, effects: Effects, outcomes: Outcomes) -> None:
        self._effects = effects
        self._outcomes = outcomes

    def anybody(self, keys: tuple[FunctionKey, ...]) -> bool:
        """Tell whether it matters to anybody that one of these functions fails."""
        return any(
            never_returns(self._effects, key)
            or self._runs_given(key)
            or any(self._sends_or_completes(each) for each in self._outcomes.failing(key))
            for key in keys
        )

    def is_given(self, key: FunctionKey, work: Expr) -> bool:
        """Tell whether a coroutine, or a call for another thread, is of what the program was given."""
        if isinstance(work, Name):
            work = self._effects.frame(key).value_of(work.id) or work
        if not isinstance(work, Temp):
            return True
        step = self._effects.program.function(key).steps[work.step]
        return not isinstance(step, Call) or self._calls_given(key, step)

    def _runs_given(self, key: FunctionKey) -> bool:
        """Tell whether a function itself waits for what the program was given."""
        steps = self._effects.program.function(key).steps
        return any(
            isinstance(step, Call) and self._is_unknown(key, number) and self._calls_given(key, step)
            for number, step in enumerate(steps)
        )

    def _is_unknown(self, key: FunctionKey, number: int) -> bool:
        return all(isinstance(each, UnresolvedCallee) for each in self._effects.types.callees(key, number))

    def _sends_or_completes(self, key: FunctionKey) -> bool:
        """Tell whether a function does; one that is merely declared may, whoever implements it."""
        steps = self._effects.program.function(key).steps
        calls = (at for at, step in enumerate(steps) if isinstance(step, Call))
        return all(isinstance(step, Evaluate) for step in steps) or any(
            known is not None and not _DEPENDED_ON.isdisjoint(known.entry.roles)
            for number in calls
            for known in map(self._effects.operations.known, self._effects.types.callees(key, number))
        )

    def _calls_given(self, key: FunctionKey, call: Call) -> bool:
        """Tell whether a call is one of a function that the program was given: a parameter, a hook."""
        match call.func:
            case Name():
                path = self._effects.frame(key).path(call.func)
                return path is not None and path.root.startswith(_VARIABLES)
            case Item():
                return True
            case Attr(base=base, name=name):
                return any(
                    isinstance(each, Instance) and self._has_attribute(each.cls, name)
                    for each in options(self._effects.types.of(key, base))
                )
            case _:
                return False

    def _has_attribute(self, cls: str, name: str) -> bool:
        """Tell whether a class of the project has a data attribute."""
        known = self._effects.program.cls(cls) is not None
        return known and self._effects.types.attribute(cls, name) != NOTHING
