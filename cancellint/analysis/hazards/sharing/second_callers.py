"""Whether a second task may be in a function while a first one waits there."""

from cancellint.analysis.callgraph.exposure import Exposure
from cancellint.analysis.callgraph.function_uses import FunctionUses, Use
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.flow.facts import FactsOf
from cancellint.analysis.flow.held_locks import HeldLocks
from cancellint.model.types import FunctionKey

DEEPEST = Limit(3, "callers of callers that may come at once")


class SecondCallers:
    """Answers by who awaits a method, and who may call that."""

    def __init__(self, effects: Effects, uses: FunctionUses, facts_of: FactsOf, exposure: Exposure) -> None:
        self._effects = effects
        self._program = effects.program
        self._uses = uses
        self._facts_of = facts_of
        self._exposure = exposure

    def may_be(self, key: FunctionKey, depth: int = DEEPEST) -> bool:
        """Tell whether two tasks may run a method of one object, and no caller's lock keeps them apart.

        What begins or ends its object by its name is called by whoever owns that, once; what users call for
        each thing that they want is called by many.
        """
        if self._is_called_by_many(key):
            return True
        if not DEEPEST.leaves(depth):
            return False
        return any(
            self.may_be(reference.site.function, depth - 1)
            for reference in self._uses.of(key)
            if reference.use is Use.CALLED
            and reference.site.function != key
            and self._program.class_of(reference.site.function) is not None
            and not self._is_locked(reference.site.function, reference.site.step)
        )

    def is_locked_outside(self, key: FunctionKey) -> bool:
        """Tell whether every known caller holds a lock of the event loop."""
        calls = [each for each in self._uses.of(key) if each.use is Use.CALLED]
        return bool(calls) and all(self._is_locked(each.site.function, each.site.step) for each in calls)

    def _is_called_by_many(self, key: FunctionKey) -> bool:
        function = self._program.function(key)
        if not function.is_async or function.kind != "function" or not self._exposure.is_nameable(key):
            return False
        if self._exposure.is_internal(key.module) and not self._exposure.is_exported(key):
            return False
        words = function.name.strip("_").split("_")
        conventions = self._effects.conventions
        return not (
            conventions.begins_or_ends(function.name)
            or words[0] in conventions.cleans_up
            or function.name.startswith("__")
        )

    def _is_locked(self, key: FunctionKey, step: int) -> bool:
        return HeldLocks(self._facts_of(key)).is_locked(step)
