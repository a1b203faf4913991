"""What a task does that nobody waits for any more: what it would go on to take, and whether it ever ends."""

from collections.abc import Iterator

from msgspec import Struct, structs

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import Operation
from cancellint.analysis.engine.graph import ControlFlow
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import Halt, Outcome, PathPoint, PathSearch
from cancellint.analysis.engine.reachability import behind, may_follow
from cancellint.analysis.flow.handlers import Handlers
from cancellint.analysis.hazards.tasks.contenders import COPIES, gives_awaitables
from cancellint.analysis.program.expressions import last_name, parts
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Edge,
    Element,
    Expr,
    Function,
    Leaves,
    Name,
    Next,
    Star,
    Step,
    Temp,
)
from cancellint.model.knowledge import Role
from cancellint.model.summary import RESULT, Path, Take
from cancellint.model.types import Callee, FunctionKey, ProjectCallee

DEEPEST = Limit(3, "coroutines that await one another")
"""Coroutines that await coroutines that never return: how many levels are followed."""

_DEEPEST_GIVEN = Limit(6, "variables between a parameter and what is started")
"""Variables and loops between a parameter and what is started of it."""


class Stake(Struct, frozen=True):
    """What a task started in a function does.

    `takes` are in the function's terms: from sources that outlive it, and `own` from those it has made itself
    before it started the first such task. `endless` names the coroutine function that never returns.
    `works_on` are the objects it is given: closing one of them ends it, sooner or later.
    """

    runs: str
    takes: tuple[Take, ...]
    endless: str | None
    works_on: tuple[Path, ...]
    own: tuple[Take, ...] = ()
    given: bool = False
    """it runs what the function was given: only its caller knows what that does"""

    def taken(self, *, again: bool) -> tuple[Take, ...]:
        """What is missed, what nobody gets first of all; `again` tells that the function itself reads on."""
        takes = (*self.takes, *self.own) if again else self.takes
        return tuple(sorted(takes, key=lambda take: (take.into != RESULT, take.confidence.rank)))


def stake(effects: Effects, key: FunctionKey, number: int) -> Stake:
    """Return what the task or coroutine does that step `number` of a function makes."""
    operations = effects.operations.behind(key, Temp(number))
    takes: dict[Take, None] = {}
    works_on: dict[Path, None] = {}
    endless = runs = None
    for operation in operations:
        if _takes_unasked(effects, operation.callee):
            found = effects.of_operation(key, operation).takes
            takes.update(dict.fromkeys(_with_container(effects, key, take) for take in found))
        works_on.update(dict.fromkeys(_given(effects, key, operation)))
        match operation.callee:
            case ProjectCallee(key=called):
                name = effects.program.function(called).qualname
                runs = runs or name
                endless = name if never_returns(effects, called) else endless
            case callee:
                known = effects.operations.known(callee)
                runs = runs or (known.name if known is not None else None)
    function = effects.program.function(key)
    waited = sorted(take for take in takes if _is_waited_for(effects, take))
    return Stake(
        runs or "",
        tuple(take for take in waited if take.source.is_visible_to_callers),
        endless,
        tuple(works_on),
        tuple(take for take in waited if _is_made_before(effects.program.flow(key), take.source, number)),
        not operations and _runs_given(function, number),
    )


def _with_container(effects: Effects, key: FunctionKey, take: Take) -> Take:
    """Return a take from a loop's variable as one from an element of what the loop goes over."""
    kind, _, name = take.source.root.partition(":")
    if kind != "local":
        return take
    steps = effects.program.function(key).steps
    for step in steps:
        match step:
            case Assign(target=Name(id=bound), value=Temp(step=made), op="") if bound == name:
                item = steps[made]
                over = effects.frame(key).path(item.value) if isinstance(item, Next) else None
                if over is not None:
                    return structs.replace(take, source=over.child("[]", *take.source.fields))
            case _:
                pass
    return take


def _is_waited_for(effects: Effects, take: Take) -> bool:
    """Tell whether data is taken from what one waits for, not from a mere container."""
    entry = effects.operations.knowledge.entry(take.origin)
    return entry is not None and entry.awaitable


def _is_made_before(flow: ControlFlow, source: Path, number: int) -> bool:
    """Tell whether a function has made a source itself, and does not make it anew after a step."""
    kind, _, made = source.root.partition(":")
    return kind == "temp" and may_follow(flow, int(made), number) and not may_follow(flow, number, int(made))


# --------------------------------------------------------------------------- asked for or not


def _takes_unasked(effects: Effects, callee: Callee, depth: int = DEEPEST) -> bool:
    """Tell whether an operation may wait for data without having sent anything: it takes no answer then."""
    if not isinstance(callee, ProjectCallee):
        known = effects.operations.known(callee)
        return known is not None and Role.CONSUMES in known.entry.roles
    if not DEEPEST.leaves(depth):
        return False
    called = callee.key

    def waited(here: PathPoint[tuple[()]], number: int) -> tuple[()] | Halt:
        if _sends(effects, called, number):
            return Halt.STOP
        operations = effects.awaited(called, number)
        taking = any(_takes_unasked(effects, each.callee, depth - 1) for each in operations)
        return Halt.FOUND if taking else ()

    flow = effects.program.flow(called)
    return PathSearch(flow, waited).run([behind(flow, None)]).outcome is Outcome.FOUND


def _sends(effects: Effects, key: FunctionKey, number: int) -> bool:
    """Tell whether a step sends something, by what is known of it or by its name."""
    step = effects.program.function(key).steps[number]
    if not isinstance(step, Call):
        return False
    if last_name(step.func) in effects.conventions.asks:
        return True
    known = (effects.operations.known(callee) for callee in effects.types.callees(key, number))
    return any(each is not None and Role.SENDS in each.entry.roles for each in known)


def _runs_given(function: Function, number: int) -> bool:
    """Tell whether a call starts an awaitable that came in by a parameter, or in one."""
    step = function.steps[number]
    expr: Expr | None = step.args[0] if isinstance(step, Call) and step.args else None
    for _ in _DEEPEST_GIVEN.rounds():
        match expr:
            case Name(id=name):
                param = next((param for param in function.params if param.name == name), None)
                if param is not None:
                    return gives_awaitables(param)
                expr = _bound_to(function, expr)
            case Element(value=value) | Star(value=value):
                expr = value
            case Temp(step=made):
                expr = _iterated(function.steps[made])
            case _:
                return False
    return False


def _bound_to(function: Function, name: Name) -> Expr | None:
    """Return what a variable is bound to first."""
    values = (step.value for step in function.steps if isinstance(step, Assign) and step.target == name)
    return next(values, None)


def _iterated(step: Step) -> Expr | None:
    """Return what a loop, or a call such as `list`, takes its elements from."""
    match step:
        case Next(value=value):
            return value
        case Call(func=Name(id=name), args=(value, *_)) if name in COPIES:
            return value
        case _:
            return None


def _given(effects: Effects, key: FunctionKey, operation: Operation) -> Iterator[Path]:
    """Yield the objects that an operation made in this function is given."""
    if operation.site.function != key:
        return
    callee = operation.callee
    values = [*callee.args, *(value for _, value in callee.keywords)]
    if callee.receiver is not None:
        values.append(callee.receiver)
    for value in values:
        path = effects.frame(key).path(value)
        if path is not None:
            yield path


def never_returns(
    effects: Effects, key: FunctionKey, depth: int = DEEPEST, *, unless_told: bool = False
) -> bool:
    """Tell whether a coroutine function, or asynchronous generator, runs until it is stopped or fails.

    With `unless_told` a loop counts that goes on until an attribute of an object says that it is to end.
    """
    handlers, flow = Handlers(effects, key), effects.program.flow(key)
    goes_on = False

    def onward(here: PathPoint[tuple[()]], edge: Edge) -> tuple[()] | None:
        nonlocal goes_on
        if not _goes_on(handlers, edge) or (unless_told and _is_told(effects, key, here.block, edge)):
            return None
        last = flow.last_step(here.block)
        if depth and last is not None and _waits_for_ever(effects, key, last, edge, depth):
            goes_on = True
            return None
        goes_on = goes_on or flow.is_back_edge(here.block, edge)
        return ()

    ends = PathSearch(flow, None, onward).run([behind(flow, None)]).ends
    return goes_on and all(end.exit != RETURN_EXIT for end in ends)


def _is_told(effects: Effects, key: FunctionKey, block: int, edge: Edge) -> bool:
    """Tell whether an edge leaves a loop at its first test, and that asks an attribute of an object."""
    flow = effects.program.flow(key)
    test = flow.blocks[block].test
    if test is None or edge.leaves not in (Leaves.TRUE, Leaves.FALSE):
        return False
    for loop in flow.loops:
        if loop.header == block and edge.to not in loop.blocks:
            steps = effects.program.function(key).steps
            asked = [*parts(test)]
            calls = (steps[part.step] for part in asked if isinstance(part, Temp))
            asked += [part for call in calls if isinstance(call, Call) for part in parts(call.func)]
            return any(isinstance(part, Attr) and isinstance(part.base, Name | Attr) for part in asked)
    return False


def _goes_on(handlers: Handlers, edge: Edge) -> bool:
    """Tell whether a function goes on along an edge though nobody cancels it and nothing fails for good."""
    match edge.leaves:
        case Leaves.CANCELLED:
            return False
        case Leaves.CAUGHT:
            return not handlers.is_for_cancellations_only(edge.to)
        case _:
            return edge.to >= 0 or edge.to == RETURN_EXIT


def _waits_for_ever(effects: Effects, key: FunctionKey, number: int, edge: Edge, depth: int) -> bool:
    """Tell whether an edge is that after the end of what never returns, or of a loop over what never ends."""
    step = effects.program.function(key).steps[number]
    if not isinstance(step, Await) or not isinstance(step.value, Temp):
        return False
    if edge.leaves is not (Leaves.EXHAUSTED if step.kind is AwaitKind.NEXT else Leaves.RESUMED):
        return False
    made = effects.program.function(key).steps[step.value.step]
    callees = effects.types.callees(key, step.value.step) if isinstance(made, Call) else ()
    called = [callee.key for callee in callees if isinstance(callee, ProjectCallee)]
    if len(called) != 1 or len(callees) != 1:
        return False
    function = effects.program.function(called[0])
    fits = function.is_generator is (step.kind is AwaitKind.NEXT) and function.is_async
    return fits and never_returns(effects, called[0], depth - 1)
