"""Errors that a gathering hands over as values, and that nobody looks at."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import Operation
from cancellint.analysis.engine.reachability import may_follow
from cancellint.analysis.flow.outcomes import Outcomes
from cancellint.analysis.hazards.tasks.concerns import Concerns
from cancellint.analysis.memory.values import used_by
from cancellint.analysis.program.expressions import names_in, parts
from cancellint.model.ir import Assign, Await, AwaitKind, Call, Function, Name, Temp
from cancellint.model.knowledge import Role
from cancellint.model.summary import Verb
from cancellint.model.types import FunctionKey, ProjectCallee

_UNDOES = frozenset({Verb.RELEASES, Verb.RESETS, Verb.LOWERS, Verb.REMOVES, Verb.CLOSES})


class IgnoredErrors(Struct, frozen=True):
    """A gathering whose outcome nobody looks at, and a call in it whose error is lost by that."""

    awaited: int
    gathers: str
    operation: Operation
    runs: str
    raises: bool
    """the error is one that its own code raises"""
    started_here: bool
    """it is one of this call's own, not one that runs already and is merely waited for"""


class GatheredErrors:
    """Looks at the gatherings that return errors instead of raising them."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._outcomes = Outcomes(effects)
        self._concerns = Concerns(effects, self._outcomes)

    def of(self, key: FunctionKey) -> Iterator[IgnoredErrors]:
        """Yield the gatherings of a function by which an error is lost that somebody would miss."""
        function = self._effects.program.function(key)
        if not any(isinstance(step, Await) for step in function.steps) or self._ends_something(function):
            return
        for number, step in enumerate(function.steps):
            name = self._returns_errors(key, number)
            if name is None or not isinstance(step, Await) or self._is_looked_at(function, number, step):
                continue
            if self._is_after_cancelling(key, number) or self._is_in_cleanup(function, number):
                continue
            found = next(self._missed(key, number), None)
            if found is not None:
                operation, runs, raises = found
                here = operation.site.function == key
                yield IgnoredErrors(number, name, operation, runs, raises, here)

    def _returns_errors(self, key: FunctionKey, number: int) -> str | None:
        """Return the name of what gathers, where an await hands over errors as values."""
        steps = self._effects.program.function(key).steps
        step = steps[number]
        if not isinstance(step, Await) or step.kind is not AwaitKind.EXPRESSION:
            return None
        if not isinstance(step.value, Temp) or not isinstance(steps[step.value.step], Call):
            return None
        for callee in self._effects.types.callees(key, step.value.step):
            known = self._effects.operations.known(callee)
            usual = self._effects.operations.knowledge.entry(known.name) if known is not None else None
            if known is not None and usual is not None and Role.GATHERS in known.entry.roles:
                return known.name if usual.fails and not known.entry.fails else None
        return None

    def _is_looked_at(self, function: Function, number: int, step: Await) -> bool:
        """Tell whether the outcome is put anywhere but into a variable that nobody reads."""
        if not step.used:
            return False
        outcome = Temp(number)
        for other in function.steps:
            match other:
                case Assign(target=Name(id=name), value=value) if value == outcome:
                    return name in _names_read(function) or name not in function.locals
                case _:
                    pass
        return True

    def _ends_something(self, function: Function) -> bool:
        words = function.name.strip("_").split("_")
        return any(word in self._effects.conventions.cleans_up for word in words)

    def _is_in_cleanup(self, function: Function, number: int) -> bool:
        return any(block.first <= number < block.last and block.cleanup for block in function.blocks)

    def _is_after_cancelling(self, key: FunctionKey, number: int) -> bool:
        """Tell whether tasks may have been cancelled before: what they end with is no news then."""
        flow = self._effects.program.flow(key)
        return any(
            isinstance(step, Call)
            and may_follow(flow, at, number)
            and any(
                known is not None and Role.CANCELS in known.entry.roles
                for known in map(self._effects.operations.known, self._effects.types.callees(key, at))
            )
            for at, step in enumerate(self._effects.program.function(key).steps)
        )

    def _missed(self, key: FunctionKey, number: int) -> Iterator[tuple[Operation, str, bool]]:
        """Yield the calls of project coroutines whose error somebody would miss."""
        for operation in self._effects.awaited(key, number):
            if not isinstance(operation.callee, ProjectCallee):
                continue
            called = operation.callee.key
            acts = self._effects.of_operation(key, operation).acts
            if acts and all(act.verb in _UNDOES for act in acts):
                continue  # that an end is not orderly is no news to whoever ends something
            outcome = self._outcomes.of(called)
            if outcome.raises or (outcome.may_fail and self._concerns.anybody((called,))):
                yield operation, self._effects.program.function(called).qualname, outcome.raises


def _names_read(function: Function) -> frozenset[str]:
    found = {name for step in function.steps for expr in used_by(step) for name in names_in(expr)}
    found.update(
        part.id
        for block in function.blocks
        if block.test is not None
        for part in parts(block.test)
        if isinstance(part, Name)
    )
    return frozenset(found)
