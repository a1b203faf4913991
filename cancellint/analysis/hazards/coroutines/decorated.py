"""What a decorator makes of a function: whether calling it gives a coroutine."""

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.program.expressions import decorating
from cancellint.analysis.program.names import External
from cancellint.model.ir import Call, Closure, Expr, Function, Name, Op, Temp
from cancellint.model.types import FunctionKey, ProjectCallee, ProjectFunction

DEEPEST_DECORATOR = Limit(3, "helpers that make the wrapper of a decorator for one another")


class Decorated:
    """Sees through the decorators of project functions."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._program = effects.program
        self._knowledge = effects.operations.knowledge
        self._known: dict[FunctionKey, bool] = {}

    def is_coroutine_function(self, key: FunctionKey) -> bool:
        """Tell whether calling a function surely gives a coroutine; a doubt means that it does not."""
        if key not in self._known:
            function = self._program.function(key)
            gives: bool | None = function.is_async and not function.is_generator
            for decorator in reversed(function.decorators):
                gives = self._after(key, decorator, gives)
            self._known[key] = gives is True
        return self._known[key]

    def keeps_kind(self, key: FunctionKey, decorator: Expr) -> bool:
        """Tell whether a decorator leaves what calling the function gives as it was."""
        return self._after(key, decorator, True) is True and self._after(key, decorator, False) is False

    def _after(self, key: FunctionKey, decorator: Expr, gives: bool | None) -> bool | None:
        """Tell whether what a decorator returns gives a coroutine, None where nobody knows."""
        found = self._program.denotes(self._program.around(key), decorating(decorator))
        called = isinstance(decorator, Op)
        answers = {self._by(each, called, gives) for each in found}
        return answers.pop() if len(answers) == 1 else None

    def _by(self, denoted: object, called: bool, gives: bool | None) -> bool | None:
        match denoted:
            case External(name=name):
                entry = self._knowledge.entry(name)
                return gives if entry is not None and entry.keeps_kind else None
            case ProjectFunction(key=key):
                wrapper = self._returned(key, 2 if called else 1)
                return None if wrapper is None else self._wrapper_gives(wrapper, gives)
            case _:
                return None

    def _returned(self, key: FunctionKey, levels: int, depth: int = DEEPEST_DECORATOR) -> FunctionKey | None:
        """Return the nested function that a function returns, so many levels deep."""
        for _ in range(levels):
            function = self._program.function(key)
            returned = set(self._program.scopes(key.module).bindings(key.function).returned)
            if function.is_async or function.is_generator or len(returned) != 1:
                return None
            nested = self._nested(key, returned.pop(), depth)
            if nested is None:
                return None
            key = nested
        return key

    def _nested(self, key: FunctionKey, value: Expr, depth: int) -> FunctionKey | None:
        """Return the nested function that a value is, or that a helper gives."""
        if isinstance(value, Name):
            assigned = [each for _, each in self._program.assigned(key, value.id)]
            value = assigned[0] if len(assigned) == 1 else value
        match value:
            case Closure(function=function):
                return FunctionKey(key.module, function)
            case Temp(step=step) if isinstance(self._program.function(key).steps[step], Call):
                return self._given_by_helper(key, step, depth)
            case _:
                return None

    def _given_by_helper(self, key: FunctionKey, step: int, depth: int) -> FunctionKey | None:
        if not DEEPEST_DECORATOR.leaves(depth):
            return None
        match self._effects.types.callees(key, step):
            case (ProjectCallee(key=helper, constructs=False),) if not self._program.function(
                helper
            ).decorators:
                return self._returned(helper, 1, depth - 1)
            case _:
                return None

    def _wrapper_gives(self, key: FunctionKey, gives: bool | None) -> bool | None:
        """Tell what a wrapper gives: a coroutine if it is async, else what it returns of the wrapped one."""
        function = self._program.function(key)
        for decorator in function.decorators:
            if self._after(key, decorator, True) is not True:
                return None
        if function.is_generator:
            return False if not function.is_async else None
        if function.is_async:
            return True
        outer = self._program.function(self._program.around(key))
        wrapped = {param.name for param in outer.params}
        returned = self._program.scopes(key.module).bindings(key.function).returned
        if returned and all(self._is_call_of(function, value, wrapped) for value in returned):
            return gives
        return None

    def _is_call_of(self, function: Function, value: Expr, names: set[str]) -> bool:
        match value:
            case Temp(step=step):
                made = function.steps[step]
                return isinstance(made, Call) and isinstance(made.func, Name) and made.func.id in names
            case _:
                return False
