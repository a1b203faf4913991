"""Whether whoever cancels a task also sets the flag that ends its loop."""

from collections.abc import Iterator

from cancellint.analysis.callgraph.cancellers import Cancellation
from cancellint.analysis.callgraph.function_uses import FunctionUses
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.program.expressions import last_name
from cancellint.model.finding import Canceller
from cancellint.model.ir import Assign, Attr, Call, Delete
from cancellint.model.types import FunctionKey

DEEPEST_CALLER = Limit(2, "callers of whoever cancels")
_SETS = frozenset({"set", "clear", "cancel", "close", "set_result"})


class StopFlags:
    """Answers by the names of attributes and globals."""

    def __init__(self, effects: Effects, uses: FunctionUses) -> None:
        self._effects = effects
        self._program = effects.program
        self._uses = uses

    def told(self, cancellation: Cancellation, flags: frozenset[str]) -> bool:
        """Tell whether those who cancel a task set one of the flags that its loop asks."""
        if cancellation.site is None or cancellation.canceller is Canceller.RACE:
            return False
        return any(
            not flags.isdisjoint(self._set_by(key)) for key in self._around(cancellation.site.function)
        )

    def _around(self, key: FunctionKey) -> Iterator[FunctionKey]:
        seen = {key: 0}
        waiting = [key]
        while waiting:
            current = waiting.pop()
            yield current
            if not DEEPEST_CALLER.leaves(DEEPEST_CALLER - seen[current]):
                continue
            for reference in self._uses.of(current):
                if reference.site.function not in seen:
                    seen[reference.site.function] = seen[current] + 1
                    waiting.append(reference.site.function)
        for number in range(len(self._program.function(key).steps)):
            yield from self._effects.callees(key, number)

    def _set_by(self, key: FunctionKey) -> Iterator[str]:
        for step in self._program.function(key).steps:
            match step:
                case Assign(target=target) | Delete(target=target):
                    name = last_name(target)
                    if name is not None:
                        yield name
                case Call(func=Attr(base=base, name=name)) if name in _SETS:
                    owner = last_name(base)
                    if owner is not None:
                        yield owner
                case _:
                    pass
