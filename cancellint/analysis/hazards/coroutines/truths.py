"""How tests come out while something has hold of a coroutine: a coroutine is true, and it is not None."""

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.hazards.coroutines.grips import Hold, Holders, grip
from cancellint.model.ir import Build, Call, Const, Expr, Function, Op, Temp
from cancellint.model.types import ClassObject, FunctionKey, LibraryCallee

_NONE = Const("none", "None")
_AWAIT = Const("str", "__await__")
_AWAITABLE = frozenset(
    {"object", "collections.abc.Awaitable", "collections.abc.Coroutine", "types.CoroutineType"}
)
"""Classes that a coroutine is an object of."""


class Truths:
    """Judges tests of coroutines and of containers that have one."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects

    def of(self, key: FunctionKey, function: Function, test: Expr, holders: Holders) -> bool | None:
        """Return how a test comes out, None where nobody knows."""
        negated = False
        while isinstance(test, Op) and test.op == "not":
            negated, test = not negated, test.operands[0]
        found = self._plainly(key, function, test, holders)
        return None if found is None else found is not negated

    def _plainly(self, key: FunctionKey, function: Function, test: Expr, holders: Holders) -> bool | None:
        match test:
            case Op(op="is" | "==", operands=(value, other)) if other == _NONE and _is_surely(value, holders):
                return False
            case Op(op="is not" | "!=", operands=(value, other)) if other == _NONE and _is_surely(
                value, holders
            ):
                return True
            case Temp(step=step) if isinstance(function.steps[step], Call):
                return self._asked(key, step, holders)
            case _ if _is_surely(test, holders):
                return True
            case _:
                return None

    def _asked(self, key: FunctionKey, number: int, holders: Holders) -> bool | None:
        """Return what a call that looks at a coroutine says."""
        for callee in self._effects.types.callees(key, number):
            if not isinstance(callee, LibraryCallee) or not callee.args:
                return None
            held = grip(callee.args[0], holders)
            if held.hold is not Hold.NOTHING and callee.name == "builtins.len":
                return True
            if held.hold is Hold.ITSELF and callee.name == "builtins.isinstance":
                return self._is_instance(key, callee.args[1:])
            if held.hold is not Hold.ITSELF:
                return None
            if callee.name == "builtins.hasattr":
                return True if callee.args[1:] == (_AWAIT,) else None
            known = self._effects.operations.known(callee)
            return True if known is not None and known.entry.true_of == "awaitables" else None
        return None

    def _is_instance(self, key: FunctionKey, classes: tuple[Expr, ...]) -> bool | None:
        """Tell whether a coroutine is an object of a class, or of one of several."""
        match classes:
            case (Build(items=items),):
                asked = [self._is_instance(key, (item,)) for item in items]
                return True if True in asked else None if None in asked else False
            case (cls,):
                found = self._effects.types.of(key, cls)
                return found.cls in _AWAITABLE if isinstance(found, ClassObject) else None
            case _:
                return None


def _is_surely(value: Expr, holders: Holders) -> bool:
    """Tell whether a value is the coroutine, or something that has it and so is not empty."""
    found = grip(value, holders)
    return found.hold is not Hold.NOTHING and not found.perhaps
