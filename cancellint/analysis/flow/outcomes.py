"""How a call that nobody waits for may end: whether its error can be lost, and whether it holds out.

Both are claims about all that it runs: an error counts if no handler on its way takes it, a wait if nothing
that lives on refers to who waits.
"""

from collections.abc import Callable, Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import Known, Operation
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.flow.unwinding import Unwinding
from cancellint.analysis.library.exceptions import ANY_ERROR, Modality
from cancellint.model.ir import (
    RAISE_EXIT,
    Assign,
    Await,
    AwaitKind,
    Block,
    Call,
    Evaluate,
    Expr,
    Function,
    Leaves,
    Next,
    Raise,
    Step,
    Temp,
)
from cancellint.model.knowledge import RaceKind, Role, Suspends
from cancellint.model.types import Callee, CallSite, FunctionKey, ProjectCallee

MOST_FUNCTIONS = Limit(200, "functions that one call may run")
"""Functions that one call may run which are looked at; beyond them anything is possible."""

_NEAR = 1
"""Calls from what is run to a `raise` that is still plainly its own error."""

_HARMLESS = frozenset(
    {Role.LOOKS, Role.NOTIFIES, Role.CANCELS, Role.STORES, Role.SPAWNS, Role.CONSTRUCTS, Role.COMPLETES}
)
"""What calls with these roles raise are faults of the program (a full queue, a future that is done): other
rules tell of them, or nobody expects them."""


_TIMED = frozenset({RaceKind.CANCELS_RAISES, RaceKind.CANCELS_FALLS_THROUGH})
"""Races that are lost to a timer of the event loop, which refers to the task."""


class Outcome(Struct, frozen=True):
    """What may become of a call. Where its code is not known, all but `raises` is possible."""

    may_fail: bool
    """an ordinary exception may leave it"""
    raises: bool
    """its own code, or what that calls directly, has a `raise` that may leave it"""
    may_be_forgotten: bool
    """it may wait for something that nothing but the waiting task may refer to"""
    is_known: bool = True
    """it is known what runs"""


UNKNOWN = Outcome(may_fail=True, raises=False, may_be_forgotten=True, is_known=False)


def _any(found: list[Outcome]) -> Outcome:
    """Return what may become of a call that has one of these outcomes."""
    if not found:
        return UNKNOWN
    return Outcome(
        any(each.may_fail for each in found),
        any(each.raises for each in found),
        any(each.may_be_forgotten for each in found),
        all(each.is_known for each in found),
    )


class _Steps(Struct, frozen=True):
    """What the steps of one function do by themselves, and which functions they run."""

    may_fail: bool
    raises: bool
    may_be_forgotten: bool
    exposed: tuple[FunctionKey, ...]
    """functions whose errors leave this one too"""
    awaited: tuple[FunctionKey, ...]


_UNKNOWN_STEPS = _Steps(True, False, True, (), ())


class Outcomes:
    """Answers for the functions of one program; what is known of the steps of one is kept."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._program = effects.program
        self._steps: dict[FunctionKey, _Steps] = {}

    def of_operations(self, operations: tuple[Operation, ...]) -> Outcome:
        """Return what may become of a task that runs one of these calls."""
        return _any([self._of_operation(operation) for operation in operations])

    def of_functions(self, keys: tuple[FunctionKey, ...]) -> Outcome:
        """Return what may become of a call that reaches one of these functions."""
        return _any([self.of(key) for key in keys])

    def _of_operation(self, operation: Operation) -> Outcome:
        if isinstance(operation.callee, ProjectCallee):
            return self.of(operation.callee.key)
        known = self._effects.operations.known(operation.callee)
        if known is None:
            return UNKNOWN
        return Outcome(_may_fail(known), False, not self._is_held(operation.site.function, known, operation))

    def of(self, key: FunctionKey) -> Outcome:
        """Return what may become of a call of a project function."""
        failing = self._reached(key, lambda steps: steps.exposed)
        waiting = self._reached(key, lambda steps: steps.awaited)
        near = self._reached(key, lambda steps: steps.exposed, _NEAR)
        return Outcome(
            failing is None or any(each.may_fail for each in failing),
            near is not None and any(each.raises for each in near),
            waiting is None or any(each.may_be_forgotten for each in waiting),
        )

    def failing(self, key: FunctionKey) -> tuple[FunctionKey, ...]:
        """Return a function and those that it runs whose errors would leave it, MOST_FUNCTIONS at most."""
        found = [key]
        for current in found:
            found.extend(each for each in self._of_steps(current).exposed if each not in found)
            if MOST_FUNCTIONS.is_exceeded_by(len(found)):
                break
        return tuple(found)

    def _reached(
        self,
        key: FunctionKey,
        onward: Callable[[_Steps], tuple[FunctionKey, ...]],
        deepest: int | None = None,
    ) -> tuple[_Steps, ...] | None:
        """Return what a function and those it runs do, None where these are too many."""
        depths = {key: 0}
        found: list[_Steps] = []
        for current in (waiting := [key]):
            steps = self._of_steps(current)
            found.append(steps)
            if deepest is not None and depths[current] == deepest:
                continue
            for called in onward(steps):
                if called not in depths:
                    depths[called] = depths[current] + 1
                    waiting.append(called)
            if MOST_FUNCTIONS.is_exceeded_by(len(depths)):
                return None
        return tuple(found)

    # ----------------------------------------------------------------- one function

    def _of_steps(self, key: FunctionKey) -> _Steps:
        if key not in self._steps:
            self._steps[key] = self._find_steps(key)
        return self._steps[key]

    def _find_steps(self, key: FunctionKey) -> _Steps:
        function = self._program.function(key)
        if all(isinstance(step, Evaluate) for step in function.steps):
            return _UNKNOWN_STEPS  # merely declared
        reader = _Reader(self._effects, key)
        awaits = tuple(reader.awaits())
        exposed = tuple(_that_count(reader, function, tuple(reader.exposed()), awaits))
        again = any(_raises_again(function.steps[number]) for number in exposed)
        calls = [reader.callees(number) for number in (range(len(function.steps)) if again else exposed)]
        return _Steps(
            may_fail=any(reader.may_fail(number) for number in exposed),
            raises=any(_is_own_error(function.steps[number]) for number in exposed),
            may_be_forgotten=any(
                self._waits_unheld(key, number) for number in awaits if not reader.is_timed(number)
            ),
            exposed=tuple(dict.fromkeys(callee.key for found in calls for callee in found)),
            awaited=tuple(
                dict.fromkeys(
                    callee.key
                    for number in awaits
                    for _, callee in self._waited_for(key, number)
                    if isinstance(callee, ProjectCallee)
                )
            ),
        )

    def _waits_unheld(self, key: FunctionKey, number: int) -> bool:
        """Tell whether an await may wait for something that only its own task refers to."""
        if not self._effects.of(key, number).suspends:
            return False
        waits = self._waited_for(key, number)
        if not waits:
            return not self._is_kept_task(key, number)
        for site, callee in waits:
            if isinstance(callee, ProjectCallee):
                continue  # its own awaits tell
            known = self._effects.operations.known(callee)
            if known is None or not self._is_held(site.function, known, Operation(site, callee)):
                return True
        return False

    def _waited_for(self, key: FunctionKey, number: int) -> tuple[tuple[CallSite, Callee], ...]:
        step = self._program.function(key).steps[number]
        assert isinstance(step, Await)
        if step.kind in (AwaitKind.EXPRESSION, AwaitKind.YIELD_FROM):
            operations = self._effects.awaited(key, number)
            if operations:
                return tuple((operation.site, operation.callee) for operation in operations)
        callees = self._effects.implicit_callees(key, step.value, step.kind)
        return tuple((CallSite(key, number), callee) for callee in callees)

    def _is_held(self, key: FunctionKey, known: Known, operation: Operation) -> bool:
        """Tell whether something that lives on refers to who waits for a library's call."""
        match known.entry.holds:
            case "loop":
                return True
            case "self":
                receiver = operation.callee.receiver
                return receiver is not None and self._is_somebodys(key, receiver)
            case None:
                return known.entry.suspends is Suspends.NEVER

    def _is_kept_task(self, key: FunctionKey, number: int) -> bool:
        """Tell whether what is awaited, of unknown type, comes out of an object or container of somebody's.

        What is kept there to be awaited is a task or future: it refers to those who wait for it. What is
        given as it is may be a coroutine.
        """
        step = self._program.function(key).steps[number]
        assert isinstance(step, Await)
        given = self._effects.given_awaitable(key, step.value) is not None
        return not given and self._is_somebodys(key, step.value)

    def _is_somebodys(self, key: FunctionKey, expr: Expr) -> bool:
        """Tell whether an object is not the function's own: a parameter, a global, a part of one, an item."""
        if self._is_visible(key, expr):
            return True
        steps = self._program.function(key).steps
        bound = [step.value for step in steps if isinstance(step, Assign) and step.target == expr]
        turns = [steps[value.step] if isinstance(value, Temp) else None for value in bound]
        return bool(turns) and all(
            isinstance(turn, Next) and self._is_visible(key, turn.value) for turn in turns
        )

    def _is_visible(self, key: FunctionKey, expr: Expr) -> bool:
        path = self._effects.frame(key).path(expr)
        return path is not None and path.is_visible_to_callers


def _that_count(
    reader: "_Reader", function: Function, exposed: tuple[int, ...], awaits: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the steps whose errors leave a function, without those that its author has not thought of.

    A coroutine that handles the errors of most of what it waits for sees to them: that something which it
    calls before, or in the handler, fails too is a fault of the program.
    """
    waiting = tuple(number for number in exposed if isinstance(function.steps[number], Await))
    failing = [number for number in waiting if reader.may_fail(number)]
    handled = len(awaits) - len(waiting)
    if not handled or len(failing) > handled:
        return exposed
    return tuple(number for number in exposed if isinstance(function.steps[number], Raise))


class _Reader:
    """Reads the steps of one function."""

    def __init__(self, effects: Effects, key: FunctionKey) -> None:
        self._effects = effects
        self._key = key
        self._unwinding = Unwinding(effects, key)
        self._function = self._unwinding.without_idle_edges()
        self._blocks = self._function.blocks
        self._run = frozenset(self._run_without_cancellation())

    def exposed(self) -> Iterator[int]:
        """Yield the steps whose errors may leave the function."""
        for number in sorted(self._run):
            block = self._blocks[number]
            if self._lets_errors_out(block):
                for step in range(block.first, block.last):
                    if isinstance(self._function.steps[step], Call | Await | Raise):
                        yield step

    def awaits(self) -> Iterator[int]:
        """Yield the awaits that run unless the function is cancelled."""
        for number in sorted(self._run):
            block = self._blocks[number]
            for step in range(block.first, block.last):
                if isinstance(self._function.steps[step], Await):
                    yield step

    def callees(self, number: int) -> Iterator[ProjectCallee]:
        """Yield the project functions that a step runs; making a coroutine runs nothing."""
        for callee in self._all_callees(number):
            if isinstance(callee, ProjectCallee):
                yield callee

    def _all_callees(self, number: int) -> Iterator[Callee]:
        match self._function.steps[number]:
            case Call():
                for callee in self._effects.types.callees(self._key, number):
                    if not self._is_pending(callee):
                        yield callee
            case Await(kind=AwaitKind.EXPRESSION | AwaitKind.YIELD_FROM, value=value):
                if not self._keeps_errors(value):
                    yield from (each.callee for each in self._effects.awaited(self._key, number))
            case Await(kind=kind, value=value):
                yield from self._effects.implicit_callees(self._key, value, kind)
            case _:
                return

    def may_fail(self, number: int) -> bool:
        """Tell whether a step may raise, whatever the project functions do that it runs."""
        step = self._function.steps[number]
        if isinstance(step, Raise):
            return True
        if isinstance(step, Await) and self._keeps_errors(step.value):
            return False
        callees = tuple(self._all_callees(number))
        if isinstance(step, Await) and (not callees or self._is_race(step)):
            return True
        return any(self._is_risky(callee, awaited=isinstance(step, Await)) for callee in callees)

    def is_timed(self, number: int) -> bool:
        """Tell whether a timer of the loop will wake an await, if nothing else does before."""
        step = self._function.steps[number]
        block = self._blocks[self._unwinding.flow.block_of(number)]
        raced = [self._unwinding.race(region) for region in block.regions]
        return any(race is not None and race[0] in _TIMED for race in raced) or (
            isinstance(step, Await) and self._is_race(step)
        )

    def _is_race(self, step: Await) -> bool:
        race = self._effects.race(self._key, step.value) if step.kind is AwaitKind.EXPRESSION else None
        return race is not None and race.kind in _TIMED

    def _is_risky(self, callee: Callee, *, awaited: bool) -> bool:
        if isinstance(callee, ProjectCallee):
            return False
        known = self._effects.operations.known(callee)
        if known is None:
            return True
        return _may_fail(known) if awaited else known.entry.fails and _HARMLESS.isdisjoint(known.entry.roles)

    def _is_pending(self, callee: Callee) -> bool:
        """Tell whether a call only makes something to await or iterate."""
        if isinstance(callee, ProjectCallee):
            function = self._effects.program.function(callee.key)
            return function.is_async or function.is_generator
        known = self._effects.operations.known(callee)
        return known is not None and known.entry.awaitable

    def _keeps_errors(self, value: Expr) -> bool:
        """Tell whether what is awaited hands over the errors of what it waits for as values."""
        if not isinstance(value, Temp) or not isinstance(self._function.steps[value.step], Call):
            return False
        found = [
            self._effects.operations.known(each)
            for each in self._effects.types.callees(self._key, value.step)
        ]
        return bool(found) and all(each is not None and not each.entry.fails for each in found)

    # ----------------------------------------------------------------- where errors go

    def _run_without_cancellation(self) -> Iterator[int]:
        """Yield the blocks that run although nobody cancels: no handler of cancellations alone."""
        seen = {0}
        for number in (waiting := [0]):
            yield number
            for edge in self._blocks[number].edges:
                if edge.to < 0 or edge.to in seen or edge.leaves is Leaves.CANCELLED:
                    continue
                if edge.leaves is Leaves.CAUGHT and self._handlers_pass(edge.to):
                    continue
                seen.add(edge.to)
                waiting.append(edge.to)

    def _handlers_pass(self, block: int) -> bool:
        """Tell whether no ordinary error ends in a handler."""
        return self._unwinding.handlers.catches(block, ANY_ERROR) is Modality.NEVER

    def _lets_errors_out(self, block: Block) -> bool:
        """Tell whether an error in a block may leave the function."""
        starts = [edge.to for edge in block.edges if edge.leaves is Leaves.RAISED]
        seen = set(starts or [RAISE_EXIT])
        for number in (waiting := list(seen)):
            if number == RAISE_EXIT:
                return True
            if number < 0:
                continue
            for edge in self._blocks[number].edges:
                ends = edge.leaves in (Leaves.CAUGHT, Leaves.ABSORBED, Leaves.CANCELLED)
                if not ends and edge.to not in seen:
                    seen.add(edge.to)
                    waiting.append(edge.to)
        return False


def _raises_again(step: Step) -> bool:
    """Tell whether a step of a handler lets out what came to it."""
    return isinstance(step, Raise) and step.value is None


def _is_own_error(step: Step) -> bool:
    """Tell whether a step raises something, and not again what came to it."""
    return isinstance(step, Raise) and step.value is not None


def _may_fail(known: Known) -> bool:
    """Tell whether awaiting a library's call may raise an ordinary error."""
    return known.entry.fails and Role.STORES not in known.entry.roles
