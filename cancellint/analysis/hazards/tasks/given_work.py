"""Whether a task runs what the program was given.

Most of what programs start and forget is notice or cleanup of their own: when it fails, nothing depends on
it, and the event loop reports the error in the end. Whoever gives a program a callback waits for what comes
of it.
"""

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.program.type_algebra import NOTHING, options
from cancellint.model.ir import Attr, Call, Expr, Item, Name, Temp
from cancellint.model.types import FunctionKey, Instance

_VARIABLES = ("param:", "local:", "free:")
"""Roots of what is no name of a module."""


class GivenWork:
    """Answers by where a callable, or what is awaited, comes from."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects

    def is_given(self, key: FunctionKey, work: Expr) -> bool:
        """Tell whether a coroutine, or a call for another thread, is of what the program was given."""
        if isinstance(work, Name):
            work = self._effects.frame(key).value_of(work.id) or work
        if not isinstance(work, Temp):
            return True
        step = self._effects.program.function(key).steps[work.step]
        return not isinstance(step, Call) or self._calls_given(key, step)

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
