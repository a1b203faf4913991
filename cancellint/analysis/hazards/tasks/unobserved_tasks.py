"""Tasks that are to run for ever, kept in an attribute where nobody ever looks whether they still do."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.callgraph.handles import Handles
from cancellint.analysis.callgraph.homes import Home, Homes
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import ERROR, PASSED_ON
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.reachability import after_block
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.hazards.tasks.mentions import Mentions
from cancellint.analysis.hazards.tasks.stakes import never_returns
from cancellint.analysis.memory.values import used_by
from cancellint.analysis.program.expressions import parts
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Const,
    Delete,
    Evaluate,
    Expr,
    Function,
    Leaves,
    Name,
    Op,
    Raise,
    Step,
    Temp,
)
from cancellint.model.knowledge import Role
from cancellint.model.types import Callee, FunctionKey, ProjectCallee

_DEEPEST = Limit(4, "calls on the way to an error that nobody handles")


class Unobserved(Struct, frozen=True):
    """A task of a coroutine that never returns, and whose failure nobody would see."""

    started: int
    stored: int
    attribute: str
    runs: str
    entry: FunctionKey


class UnobservedTasks:
    """Looks for whoever does more with a handle than to cancel it."""

    def __init__(self, effects: Effects, facts_of: FactsOf, handles: Handles) -> None:
        self._effects = effects
        self._facts_of = facts_of
        self._program = effects.program
        self._handles = handles
        self._homes = Homes(effects)
        self._unhandled: dict[FunctionKey, bool] = {}
        self._reads = Mentions(effects.program, _reads)

    def of(self, key: FunctionKey) -> Iterator[Unobserved]:
        """Yield the tasks that a function starts and keeps, and that nobody looks at."""
        function = self._program.function(key)
        for number, started in self._handles.started(key):
            if started.in_thread or started.told or started.work is None:
                continue
            stored = self._stored(function, number)
            if stored is None or self._is_used_here(function, number, stored[0]):
                continue
            home = self._homes.of(key, stored[1])
            if home is None or home[1].endswith("[]") or self._is_observed(home):
                continue
            for entry in self._entries(key, started.work):
                lasts = never_returns(self._effects, entry, unless_told=True)
                if lasts and not self._forgets(entry, home) and self._fails_unhandled(entry, _DEEPEST):
                    runs = self._program.function(entry).qualname
                    yield Unobserved(number, stored[0], home[1], runs, entry)
                    break

    def _forgets(self, entry: FunctionKey, home: Home) -> bool:
        """Tell whether a coroutine itself gives up its task: the event loop tells of its error then."""
        steps = self._program.function(entry).steps
        targets = (step.target for step in steps if isinstance(step, Assign))
        return any(isinstance(each, Attr) and self._homes.of(entry, each) == home for each in targets)

    def _fails_unhandled(self, key: FunctionKey, depth: int) -> bool:
        """Tell whether a function raises, or waits for what may fail, where it has no handler at all.

        Where there is one, its author has thought of errors; that others pass it is another matter.
        """
        if key not in self._unhandled:
            self._unhandled[key] = False  # what comes back to itself adds nothing
            facts = self._facts_of(key)
            self._unhandled[key] = _DEEPEST.leaves(depth) and any(
                self._may_fail(facts, block, depth) and not _is_handled(facts, block)
                for block in range(len(facts.flow.blocks))
            )
        return self._unhandled[key]

    def _may_fail(self, facts: Facts, block: int, depth: int) -> bool:
        last = facts.flow.last_step(block)
        step = facts.function.steps[last] if last is not None else None
        if last is None or not isinstance(step, Await):
            return isinstance(step, Raise) and step.value is not None
        if step.kind is AwaitKind.EXIT:
            return False
        if step.kind in (AwaitKind.EXPRESSION, AwaitKind.YIELD_FROM):
            callees = tuple(each.callee for each in self._effects.awaited(facts.key, last) if not each.task)
        else:
            callees = tuple(self._effects.implicit_callees(facts.key, step.value, step.kind))
        return any(self._is_risky(callee, depth) for callee in callees)

    def _is_risky(self, callee: Callee, depth: int) -> bool:
        if isinstance(callee, ProjectCallee):
            return self._fails_unhandled(callee.key, depth - 1)
        known = self._effects.operations.known(callee)
        return known is not None and known.entry.fails and Role.STORES not in known.entry.roles

    def _stored(self, function: Function, number: int) -> tuple[int, Attr] | None:
        """Return the step that puts a handle into an attribute, and nothing else does it good."""
        for at, step in enumerate(function.steps):
            match step:
                case Assign(target=Attr() as target, value=value, op="") if value == Temp(number):
                    return at, target
                case _:
                    pass
        return None

    def _is_used_here(self, function: Function, number: int, stored: int) -> bool:
        """Tell whether the function does anything else with the outcome of a step."""
        outcome = Temp(number)
        return any(
            any(part == outcome for value in _values(step) for part in parts(value))
            for at, step in enumerate(function.steps)
            if at not in (number, stored)
        )

    def _entries(self, key: FunctionKey, work: Expr) -> Iterator[FunctionKey]:
        for operation in self._effects.operations.behind(key, work):
            if isinstance(operation.callee, ProjectCallee):
                yield operation.callee.key

    # ----------------------------------------------------------------- who looks

    def _is_observed(self, home: Home) -> bool:
        """Tell whether anybody does more with an attribute than to cancel, test or forget what it holds."""
        return any(self._homes.of(key, value) in (home, None) for key, value in self._reads.of(home))


def _is_handled(facts: Facts, block: int) -> bool:
    """Tell whether an ordinary error at the end of a block may come to a handler of the function."""
    passed = after_block(facts.flow, block, ERROR, PASSED_ON)
    caught = (
        edge.to
        for each in passed
        if each >= 0
        for edge in facts.flow.blocks[each].edges
        if edge.leaves is Leaves.CAUGHT
    )
    return any(not facts.handlers.is_for_cancellations_only(each) for each in caught)


def _reads(function: Function, step: Step) -> Iterator[Attr]:
    """Yield the attributes that a step reads in a way that may see how a task has ended."""
    match step:
        case Assign(target=Name(id=name), value=Attr()) if _is_only_tested(function, name):
            return
        case _:
            pass
    for value in _values(step):
        yield from _seen(value)


def _is_only_tested(function: Function, name: str) -> bool:
    """Tell whether a variable is read by tests alone, and by what cancels its task."""
    if name not in function.locals:
        return False
    held = Name(name)
    for step in function.steps:
        match step:
            case Call(func=Attr(base=Name(id=base), name="cancel" | "cancelled")) if base == name:
                continue
            case _:
                values = used_by(step)
        if any(part == held for value in values for part in parts(value)):
            return False
    return True


def _values(step: Step) -> tuple[Expr, ...]:
    """Return what a step reads in a way that may tell how a task has ended."""
    match step:
        case Call(func=Attr(base=Attr(base=inner), name="cancel" | "cancelled")):
            return (inner,)
        case Delete() | Evaluate():
            return ()
        case Assign(target=target, value=value):
            base = target.base if isinstance(target, Attr) else target
            return (value, base)
        case _:
            return used_by(step)


def _seen(value: Expr) -> Iterator[Attr]:
    """Yield the attributes whose objects a value is made of; of one compared with None nothing is seen."""
    waiting = [value]
    while waiting:
        current = waiting.pop()
        match current:
            case Op(op="is" | "is not" | "not"):
                continue
            case Op(op="==" | "!=", operands=(_, Const())):
                continue
            case Attr(base=base):
                yield current
                waiting.append(base)
            case Op(operands=operands):
                waiting.extend(operands)
            case _:
                waiting.extend(
                    part for part in parts(current) if part is not current and isinstance(part, Attr)
                )
