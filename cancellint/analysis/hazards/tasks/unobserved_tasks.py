"""Tasks that are to run for ever, kept in an attribute where nobody ever looks whether they still do."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.callgraph.handles import Handles
from cancellint.analysis.callgraph.homes import Home, Homes
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.flow.outcomes import Outcomes
from cancellint.analysis.hazards.tasks.mentions import Mentions
from cancellint.analysis.hazards.tasks.stakes import never_returns
from cancellint.analysis.memory.values import read_by
from cancellint.analysis.program.expressions import parts
from cancellint.model.ir import Assign, Attr, Call, Const, Delete, Expr, Function, Op, Step, Temp
from cancellint.model.types import FunctionKey, ProjectCallee


class Unobserved(Struct, frozen=True):
    """A task of a coroutine that never returns, and whose failure nobody would see."""

    started: int
    stored: int
    attribute: str
    runs: str
    entry: FunctionKey
    raises: bool


class UnobservedTasks:
    """Looks for whoever does more with a handle than to cancel it."""

    def __init__(self, effects: Effects, handles: Handles) -> None:
        self._effects = effects
        self._program = effects.program
        self._handles = handles
        self._homes = Homes(effects)
        self._outcomes = Outcomes(effects)
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
                outcome = self._outcomes.of(entry)
                fails = outcome.raises or self._outcomes.may_fail_waiting(entry)
                if fails and never_returns(self._effects, entry, unless_told=True):
                    runs = self._program.function(entry).qualname
                    yield Unobserved(number, stored[0], home[1], runs, entry, outcome.raises)
                    break

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


def _reads(step: Step) -> Iterator[Attr]:
    """Yield the attributes that a step reads in a way that may see how a task has ended."""
    for value in _values(step):
        yield from _seen(value)


def _values(step: Step) -> tuple[Expr, ...]:
    """Return what a step reads in a way that may tell how a task has ended."""
    match step:
        case Call(func=Attr(base=Attr(base=inner), name="cancel" | "cancelled")):
            return (inner,)
        case Call(func=func, args=args, keywords=keywords):
            return (func, *args, *(value for _, value in keywords))
        case Delete():
            return ()
        case Assign(target=target, value=value):
            base = target.base if isinstance(target, Attr) else target
            return (value, base)
        case _:
            return read_by(step)


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
