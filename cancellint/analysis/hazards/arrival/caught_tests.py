"""What a handler's own tests of the exception say, when that is of certain classes."""

from collections.abc import Iterator
from functools import cached_property

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.flow.handlers import Raised
from cancellint.analysis.library.exceptions import Modality, some
from cancellint.analysis.program.expressions import last_name, parts
from cancellint.model.ir import Assign, Attr, Build, Call, Edge, Expr, Leaves, Name, Raise, Temp
from cancellint.model.types import LibraryCallee

_ASKS_CLASS = "builtins.isinstance"


class CaughtTests:
    """Answers for one handler, by its first step: has it caught a cancellation, or what else is said?"""

    def __init__(self, effects: Effects, facts: Facts, catch: int, raised: Raised = ()) -> None:
        self._effects = effects
        self._facts = facts
        self._catch = catch
        self._raised = raised or effects.operations.exceptions.cancellations

    @cached_property
    def names(self) -> frozenset[str]:
        """The variables that hold the exception."""
        return frozenset(
            step.target.id
            for step in self._facts.function.steps
            if isinstance(step, Assign) and step.value == Temp(self._catch) and isinstance(step.target, Name)
        )

    @cached_property
    def is_kept(self) -> bool:
        """Whether the exception is put away by the handler, and asked for or raised later."""
        kept = frozenset(self._kept_in())
        if not kept:
            return False
        function = self._facts.function
        raised = [step.value for step in function.steps if isinstance(step, Raise) and step.value is not None]
        asked = [block.test for block in function.blocks if block.test is not None]
        return any(
            last_name(part) in kept for value in (*raised, *asked) for part in self._facts_parts(value)
        )

    def _kept_in(self) -> Iterator[str]:
        """Yield the variables and attributes that a handler gives the exception to, or a part of."""
        for step in self._facts.function.steps:
            match step:
                case Assign(target=target, value=value) if value != Temp(self._catch) and self._holds(value):
                    name = last_name(target)
                case Call(func=Attr(base=base, name="append" | "add"), args=(value,)) if self._holds(value):
                    name = last_name(base)
                case _:
                    continue
            if name is not None:
                yield name

    def _holds(self, value: Expr) -> bool:
        return self._is_it(value) or (isinstance(value, Build) and any(map(self._is_it, value.items)))

    def allows(self, block: int, edge: Edge) -> bool:
        """Tell whether an edge may be taken while the exception is what it is said to be.

        What a test of it that is not understood decides is left to its author: neither way is followed.
        """
        test = self._facts.function.blocks[block].test
        if test is None or edge.leaves not in (Leaves.TRUE, Leaves.FALSE) or not self.asks(test):
            return True
        verdict = self._verdict(test)
        if verdict is Modality.MAY:
            return False
        return (edge.leaves is Leaves.TRUE) is (verdict is Modality.MUST)

    def asks(self, test: Expr) -> bool:
        """Tell whether a test asks something of the exception, be it by a variable that was told of it."""
        return any(
            self._is_it(part) or (isinstance(part, Name) and part.id in self._told)
            for part in self._facts_parts(test)
        )

    @cached_property
    def _told(self) -> frozenset[str]:
        """The variables that hold an answer about the exception."""
        return frozenset(
            step.target.id
            for step in self._facts.function.steps
            if isinstance(step, Assign)
            and isinstance(step.target, Name)
            and step.value != Temp(self._catch)
            and any(map(self._is_it, self._facts_parts(step.value)))
        )

    def _facts_parts(self, test: Expr) -> tuple[Expr, ...]:
        found = list(parts(test))
        for part in tuple(found):
            if isinstance(part, Temp):
                step = self._facts.function.steps[part.step]
                if isinstance(step, Call):
                    found.extend(inner for each in (step.func, *step.args) for inner in parts(each))
        return tuple(found)

    def _is_it(self, expr: Expr) -> bool:
        return expr == Temp(self._catch) or (isinstance(expr, Name) and expr.id in self.names)

    def _verdict(self, test: Expr) -> Modality:
        """Return how `isinstance(error, classes)` comes out; MAY for anything else."""
        if not isinstance(test, Temp):
            return Modality.MAY
        match self._facts.function.steps[test.step]:
            case Call(args=(asked, classes)) if self._is_it(asked) and self._is_isinstance(test.step):
                types = classes.items if isinstance(classes, Build) else (classes,)
                exceptions = self._effects.operations.exceptions
                return some(exceptions.catches(self._facts.key, types, each) for each in self._raised)
            case _:
                return Modality.MAY

    def _is_isinstance(self, step: int) -> bool:
        return any(
            isinstance(callee, LibraryCallee) and callee.name == _ASKS_CLASS
            for callee in self._effects.types.callees(self._facts.key, step)
        )
