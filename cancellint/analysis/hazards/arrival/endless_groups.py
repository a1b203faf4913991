"""Task groups that are left while a task of theirs never ends."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import operands
from cancellint.analysis.engine.graph import ENTRY, NORMAL, NOT_FAILED
from cancellint.analysis.engine.reachability import may_follow, reachable
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.program.expressions import last_name, parts
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Await,
    Call,
    Expr,
    Raise,
    Return,
    Step,
    Temp,
)
from cancellint.model.knowledge import RaceKind, Role
from cancellint.model.types import FunctionKey, ProjectCallee, ProjectFunction


class EndlessGroup(Struct, frozen=True):
    """A `return` inside of a group that waits for a task which never ends."""

    at: int
    started: int
    task: FunctionKey
    name: str


def endless_groups(effects: Effects, facts_of: FactsOf, key: FunctionKey) -> Iterator[EndlessGroup]:
    """Yield where a function returns out of a task group that goes on."""
    function = effects.program.function(key)
    if not function.is_async or not any(region.is_async for region in function.regions):
        return
    facts = facts_of(key)
    for number, _ in enumerate(function.regions):
        race = facts.unwinding.race(number)
        if race is not None and race[0] is RaceKind.SCOPE:
            yield from _Group(effects, facts, number, race[1]).returns()


class _Group:
    """One group of a function."""

    def __init__(self, effects: Effects, facts: Facts, region: int, name: str) -> None:
        self._effects = effects
        self._facts = facts
        self._region = region
        self._name = name
        self._steps = [
            step
            for block in facts.function.blocks
            if region in block.regions
            for step in range(block.first, block.last)
        ]

    def returns(self) -> Iterator[EndlessGroup]:
        steps = self._facts.function.steps
        if self._is_cancelled() or self._is_let_out():
            return
        for started, task in self._endless():
            for at in self._steps:
                if isinstance(steps[at], Return) and may_follow(self._facts.flow, started, at, NORMAL):
                    yield EndlessGroup(at, started, task, self._name)
                    return

    def _is_cancelled(self) -> bool:
        """Tell whether anything is cancelled in the group: a task, or the group's own scope."""
        steps = (self._facts.function.steps[at] for at in self._steps)
        return any(isinstance(step, Call) and last_name(step.func) == "cancel" for step in steps)

    def _is_let_out(self) -> bool:
        """Tell whether anybody else gets hold of the group, and may cancel it."""
        steps = self._facts.function.steps
        entered = Temp(self._facts.function.regions[self._region].enter)
        held: set[Expr] = {entered}
        held |= {step.target for step in steps if isinstance(step, Assign) and step.value == entered}
        return any(
            part in held
            for at in self._steps
            for value in _given_away(steps[at])
            if value != entered
            for part in parts(value)
        )

    def _endless(self) -> Iterator[tuple[int, FunctionKey]]:
        """Yield the tasks that are started in the group and never end by themselves."""
        for at in self._steps:
            if not isinstance(self._facts.function.steps[at], Call):
                continue
            for callee in self._effects.types.callees(self._facts.key, at):
                known = self._effects.operations.known(callee)
                if known is None or Role.SPAWNS not in known.entry.roles:
                    continue
                for value in operands(known.entry, known.entry.calls or known.entry.spawned, callee):
                    for task in self._functions(value):
                        if self._never_ends(task):
                            yield at, task

    def _functions(self, value: Expr) -> Iterator[FunctionKey]:
        for operation in self._effects.operations.behind(self._facts.key, value):
            if isinstance(operation.callee, ProjectCallee):
                yield operation.callee.key
        for option in options(self._effects.types.of(self._facts.key, value)):
            if isinstance(option, ProjectFunction):
                yield option.key

    def _never_ends(self, key: FunctionKey) -> bool:
        """Tell whether a coroutine has no way to its end but an error or a cancellation."""
        function = self._effects.program.function(key)
        if not function.is_async or function.is_generator or function.decorators:
            return False
        if any(isinstance(step, Raise) for step in function.steps):
            return False
        reached = reachable(self._effects.program.flow(key), (ENTRY,), NOT_FAILED)
        return RETURN_EXIT not in reached and any(isinstance(step, Await) for step in function.steps)


def _given_away(step: Step) -> tuple[Expr, ...]:
    """Return what a step gives to a call, or stores."""
    match step:
        case Call(args=args, keywords=keywords):
            return (*args, *(value for _, value in keywords))
        case Assign(value=value):
            return (value,)
        case _:
            return ()
