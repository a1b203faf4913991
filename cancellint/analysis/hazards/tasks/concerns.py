"""Whether anybody would miss a task that failed unseen.

Most of what programs start and forget is notice or cleanup: when it fails, nothing depends on it. Somebody
depends on a task that runs code of others, that is to go on for ever, that others wait for, or that sends.
"""

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.flow.outcomes import Outcomes
from cancellint.analysis.hazards.tasks.stakes import never_returns
from cancellint.analysis.program.type_algebra import NOTHING, options
from cancellint.model.ir import Attr, Call, Evaluate, Item, Name
from cancellint.model.knowledge import Role
from cancellint.model.types import Callee, FunctionKey, Instance, LibraryCallee, UnresolvedCallee

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
            or any(self._concerns(each) for each in self._outcomes.failing(key))
            for key in keys
        )

    def _concerns(self, key: FunctionKey) -> bool:
        function = self._effects.program.function(key)
        if all(isinstance(step, Evaluate) for step in function.steps):
            return True  # merely declared: whoever implements it is somebody else
        return any(
            self._is_depended_on(key, step, callee)
            for number, step in enumerate(function.steps)
            if isinstance(step, Call)
            for callee in self._effects.types.callees(key, number)
        )

    def _is_depended_on(self, key: FunctionKey, call: Call, callee: Callee) -> bool:
        match callee:
            case LibraryCallee():
                known = self._effects.operations.known(callee)
                return known is not None and not _DEPENDED_ON.isdisjoint(known.entry.roles)
            case UnresolvedCallee():
                return self._is_given(key, call)
            case _:
                return False

    def _is_given(self, key: FunctionKey, call: Call) -> bool:
        """Tell whether a call is one of a function that the program was given: a parameter, a hook."""
        match call.func:
            case Name():
                path = self._effects.frame(key).path(call.func)
                return path is not None and path.root.startswith(_VARIABLES)
            case Item():
                return True
            case Attr(base=base, name=name):
                return any(
                    isinstance(each, Instance) and self._effects.types.attribute(each.cls, name) != NOTHING
                    for each in options(self._effects.types.of(key, base))
                )
            case _:
                return False
