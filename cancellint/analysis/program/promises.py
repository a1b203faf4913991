"""Which functions are declared cancel-safe: by a comment, by a decorator, or by a method they override."""

from collections.abc import Iterator

from cancellint.analysis.program.expressions import decorating
from cancellint.analysis.program.names import Denotation, External
from cancellint.analysis.program.program import Program
from cancellint.model.ir import Expr, Function
from cancellint.model.types import ClassObject, FunctionKey, ProjectFunction

MARKERS = ("cancellint.markers.cancel_safe", "cancellint_runtime.markers.cancel_safe")
"""Decorators that always state the promise."""


class Contracts:
    """The promises of a program.

    Who calls a method through its base class relies on what the base class promises, whichever override
    runs: so an override promises what the nearest method above it does.
    """

    def __init__(self, program: Program, decorators: tuple[str, ...] = ()) -> None:
        self._program = program
        self._decorators = frozenset(self._all_names((*MARKERS, *decorators)))
        stated = tuple(key for key in program.functions() if self._is_stated(key))
        self._made_at = {key: key for key in stated}
        for key in stated:
            for override in self._overrides(key):
                known = self._made_at.setdefault(override, key)
                if known != override and self._is_nearer(key, known):
                    self._made_at[override] = key

    def made_at(self, key: FunctionKey) -> FunctionKey | None:
        """Return the definition at which a function is promised to be cancel-safe, its own or a base's."""
        return self._made_at.get(key)

    def _is_stated(self, key: FunctionKey) -> bool:
        function = self._program.function(key)
        if function.kind != "function":
            return False
        return function.contract is not None or self._is_marked(key, function)

    def _is_marked(self, key: FunctionKey, function: Function) -> bool:
        return any(
            self._decorators.intersection(self._names(self._around(key, function), decorator))
            for decorator in function.decorators
        )

    def _all_names(self, decorators: tuple[str, ...]) -> Iterator[str]:
        """Yield the names given, and where one is imported from elsewhere, the name it has there."""
        for decorator in decorators:
            yield decorator
            module, _, name = decorator.rpartition(".")
            for denoted in self._program.resolve(module, name):
                yield from self._symbols(denoted)

    def _around(self, key: FunctionKey, function: Function) -> FunctionKey:
        """Return the scope in which the decorators of a function are looked up."""
        if function.cls >= 0:
            return FunctionKey(key.module, self._program.module(key.module).classes[function.cls].body)
        return self._program.around(key)

    def _names(self, scope: FunctionKey, decorator: Expr) -> Iterator[str]:
        """Yield the dotted names a decorator may have; one that is called has those of what is called."""
        for denoted in self._program.denotes(scope, decorating(decorator)):
            yield from self._symbols(denoted)

    def _symbols(self, denoted: Denotation) -> Iterator[str]:
        match denoted:
            case External(name=name) | ClassObject(cls=name):
                yield name
            case ProjectFunction(key=key):
                yield self._program.symbol(key)
            case _:
                pass

    def _overrides(self, key: FunctionKey) -> tuple[FunctionKey, ...]:
        function = self._program.function(key)
        if function.cls < 0:
            return ()
        cls = self._program.class_name(key.module, function.cls)
        return self._program.overrides(cls, function.name)

    def _is_nearer(self, key: FunctionKey, known: FunctionKey) -> bool:
        """Tell whether one method's class inherits from that of the other."""
        cls, other = self._program.class_of(key), self._program.class_of(known)
        return cls is not None and other is not None and self._program.inherits(cls, other)
