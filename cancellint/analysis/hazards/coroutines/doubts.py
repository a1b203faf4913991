"""Reasons to doubt that what is called is what its type says."""

from functools import cached_property

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.hazards.coroutines.decorated import Decorated
from cancellint.analysis.program.names import first_parameter
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import Assign, Attr, Call, Expr, Item, Name
from cancellint.model.types import CallSite, FunctionKey, ProjectFunction, Unknown


class Doubts:
    """Knows where a coroutine function may be replaced, or its author knows better."""

    def __init__(self, effects: Effects, decorated: Decorated) -> None:
        self._effects = effects
        self._program = effects.program
        self._decorated = decorated

    def are_there(self, key: FunctionKey, func: Expr) -> bool:
        """Tell whether what is called may be something else than its types say."""
        if isinstance(func, Attr) and self._methods_are_replaced:
            return True
        if self._is_vague(key, func) or (isinstance(func, Attr) and self._is_vague(key, func.base)):
            return True
        replaced = self._is_replaced(key, func) or self._is_asked_for_kind(key, func)
        return replaced or self._is_of_other_object(key, func)

    def _is_vague(self, key: FunctionKey, value: Expr) -> bool:
        """Tell whether a value may be something else than what is known."""
        found = options(self._effects.types.of(key, value))
        return len(found) > 1 and any(isinstance(each, Unknown) for each in found)

    @cached_property
    def _methods_are_replaced(self) -> bool:
        """Tell whether the program sets wrappers on classes, under names that it finds at run time."""
        return any(self._sets_wrapper(site) for site in self._program.calls.of_any(("setattr",)))

    def _sets_wrapper(self, site: CallSite) -> bool:
        match self._program.function(site.function).steps[site.step]:
            case Call(args=(_, Name() | Attr() | Item(), value)):
                found = self._effects.types.of(site.function, value)
                if not isinstance(found, ProjectFunction) or found.bound:
                    return False
                return self._program.function(found.key).parent > 0
            case _:
                return False

    def _is_of_other_object(self, key: FunctionKey, func: Expr) -> bool:
        """Tell whether a method is called on a first parameter that a decorator may give something else."""
        function = self._program.function(key)
        first = first_parameter(function)
        return (
            isinstance(func, Attr)
            and first is not None
            and func.base == Name(first)
            and any(not self._decorated.keeps_kind(key, each) for each in function.decorators)
        )

    def _is_replaced(self, key: FunctionKey, func: Expr) -> bool:
        """Tell whether a method is called that the function has set on its object: a double, perhaps."""
        steps = self._program.function(key).steps
        return isinstance(func, Attr) and any(
            isinstance(each, Assign) and each.target == func for each in steps
        )

    def _is_asked_for_kind(self, key: FunctionKey, func: Expr) -> bool:
        """Tell whether a function asks if what it calls is a coroutine function, and so knows what to do."""
        steps = self._program.function(key).steps
        return any(
            isinstance(step, Call)
            and (func in step.args or Attr(func, "__call__") in step.args)
            and self._asks_for_kind(key, number)
            for number, step in enumerate(steps)
        )

    def _asks_for_kind(self, key: FunctionKey, number: int) -> bool:
        known = (self._effects.operations.known(each) for each in self._effects.types.callees(key, number))
        return any(each is not None and each.entry.true_of == "coroutine functions" for each in known)
