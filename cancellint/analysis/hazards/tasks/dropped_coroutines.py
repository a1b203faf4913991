"""Coroutines that are made and, on some path, never awaited: what they were to do does not happen.

A doubt counts as used: whatever is returned, stored where it outlives the call, or handed to code that may
await it. A variable, a tuple or a list of the function's own is followed.
"""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.callgraph.handle_trails import HandleFate, Trails
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import Halt, Outcome, PathPoint, PathSearch
from cancellint.analysis.flow.facts import FactsOf
from cancellint.analysis.memory.values import read_by
from cancellint.analysis.program.expressions import parts
from cancellint.analysis.program.type_algebra import options
from cancellint.model.finding import Confidence, weakest
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Attr,
    Call,
    Closure,
    Edge,
    Expr,
    Function,
    Item,
    Leaves,
    Name,
    Op,
    Step,
    Temp,
)
from cancellint.model.knowledge import Role
from cancellint.model.types import Callee, FunctionKey, Pending, ProjectCallee

MOST_PLACES = Limit(2_000, "places on the way from a coroutine to where it is awaited")

_RUNS_BY_ITSELF = frozenset({Role.SPAWNS, Role.GATHERS, Role.SHIELDS})
"""What a call with these roles gives is a task or future: that goes on whether anybody waits or not."""
_PLAIN_DECORATORS = frozenset(
    {"staticmethod", "classmethod", "override", "final", "abstractmethod", "overload", "wraps"}
)
"""Decorators after which a coroutine function still is one."""


class DroppedCoroutine(Struct, frozen=True):
    """A call that makes a coroutine, and where that is lost: everywhere, or on some path only."""

    made: int
    runs: str
    always: bool
    lost: int
    """the step that binds the variable anew, -1 where the function ends"""
    variable: str
    confidence: Confidence


class DroppedCoroutines:
    """Follows coroutines through the function that makes them."""

    def __init__(self, effects: Effects, facts_of: FactsOf) -> None:
        self._effects = effects
        self._program = effects.program
        self._facts_of = facts_of
        self._trails = Trails(effects.program, effects.types, effects.operations)

    def of(self, key: FunctionKey) -> Iterator[DroppedCoroutine]:
        """Yield the coroutines that a function makes and drops, in the order of its steps."""
        function = self._program.function(key)
        for number, step in enumerate(function.steps):
            if not isinstance(step, Call):
                continue
            made = self._makes_coroutine(key, number)
            if made is None:
                continue
            runs, confidence = made
            if self._trails.follow(key, Temp(number), number).fate is HandleFate.LOST:
                yield DroppedCoroutine(number, runs, True, -1, "", confidence)
                continue
            lost = self._lost_on_a_path(key, function, number)
            if lost is not None:
                at, variable = lost
                likely = weakest(confidence, Confidence.LIKELY)
                yield DroppedCoroutine(number, runs, False, at, variable, likely)

    # ----------------------------------------------------------------- what makes a coroutine

    def _makes_coroutine(self, key: FunctionKey, number: int) -> tuple[str, Confidence] | None:
        """Return what a call is of, where all that it may reach are coroutine functions."""
        callees = self._effects.types.callees(key, number)
        names = [self._coroutine(callee) or self._handed_on(key, number, callee) for callee in callees]
        if not names or None in names:
            return None
        several = len({callee.key for callee in callees if isinstance(callee, ProjectCallee)}) > 1
        return names[0] or "", Confidence.LIKELY if several else Confidence.CERTAIN

    def _handed_on(self, key: FunctionKey, number: int, callee: Callee) -> str | None:
        """Return what a plain function of the project makes a coroutine of and returns."""
        if not isinstance(callee, ProjectCallee) or self._program.function(callee.key).decorators:
            return None
        made = options(self._effects.types.of(key, Temp(number)))
        names: list[str | None] = []
        for each in made:
            if not isinstance(each, Pending) or each.task:
                return None
            site = each.site
            names += [
                self._coroutine(inner) for inner in self._effects.types.callees(site.function, site.step)
            ]
        return names[0] if names and None not in names else None

    def _coroutine(self, callee: Callee) -> str | None:
        if isinstance(callee, ProjectCallee):
            function = self._program.function(callee.key)
            plain = all(_name_of(each) in _PLAIN_DECORATORS for each in function.decorators)
            is_coroutine = function.is_async and not function.is_generator and not callee.constructs
            return function.qualname if is_coroutine and plain else None
        known = self._effects.operations.known(callee)
        if known is None or not known.entry.awaitable or known.entry.kind == "class":
            return None
        if not known.name.startswith(_STANDARD) or known.confidence is not Confidence.CERTAIN:
            return None
        waits_in_vain = known.entry.calls is None and _RUNS_BY_ITSELF.isdisjoint(known.entry.roles)
        return known.name if waits_in_vain else None

    # ----------------------------------------------------------------- some path

    def _lost_on_a_path(self, key: FunctionKey, function: Function, number: int) -> tuple[int, str] | None:
        """Return where a coroutine that a variable has is lost, though it is used on other paths."""
        bound = next(
            (
                (at, step.target.id)
                for at, step in enumerate(function.steps)
                if isinstance(step, Assign) and isinstance(step.target, Name) and step.value == Temp(number)
            ),
            None,
        )
        if bound is None or self._is_shared(key, function, bound[1]):
            return None
        at, variable = bound
        facts = self._facts_of(key)
        held = (Name(variable), Temp(number))

        def passed(_here: PathPoint[tuple[()]], step: int) -> tuple[()] | Halt:
            node = facts.function.steps[step]
            if any(part in held for value in _values(node) for part in parts(value)):
                return Halt.STOP
            again = isinstance(node, Assign) and node.target == Name(variable)
            return Halt.FOUND if again else ()

        def onward(here: PathPoint[tuple[()]], edge: Edge) -> tuple[()] | None:
            test = facts.flow.blocks[here.block].test
            empty = _is_none_there(test, variable, edge)
            return None if empty else ()

        known = facts.known_before(at)
        start = PathPoint(facts.block_of(at), (), at + 1, facts.tests.over_step(known, at))
        search = PathSearch(facts.flow, passed, onward, taken=NORMAL, tests=facts.tests, cap=MOST_PLACES)
        found = search.run([start])
        if found.outcome is Outcome.FOUND and found.step is not None:
            return found.step, variable
        if found.outcome is Outcome.DONE and any(end.exit == RETURN_EXIT for end in found.ends):
            return -1, variable
        return None

    def _is_shared(self, key: FunctionKey, function: Function, variable: str) -> bool:
        """Tell whether others see a variable: it is no local one, or a function made here reads it."""
        if variable not in function.locals or variable in (*function.global_names, *function.nonlocal_names):
            return True
        if function.kind in ("module", "class"):
            return True
        values = (value for step in function.steps for value in _values(step))
        return any(isinstance(part, Closure) for value in values for part in parts(value))


_STANDARD = ("asyncio.", "anyio.", "trio.")


def _name_of(decorator: Expr) -> str | None:
    match decorator:
        case Name(id=name) | Attr(name=name):
            return name
        case _:
            return None


def _values(step: Step) -> tuple[Expr, ...]:
    match step:
        case Call(func=func, args=args, keywords=keywords):
            return (func, *args, *(value for _, value in keywords))
        case Assign(target=Attr() | Item() as target, value=value):
            return (target, value)
        case _:
            return read_by(step)


def _is_none_there(test: Expr | None, variable: str, edge: Edge) -> bool:
    """Tell whether a test has come out so that a variable has no coroutine: that is always true."""
    match test:
        case Name(id=name):
            return name == variable and edge.leaves is Leaves.FALSE
        case Op(op="not", operands=(Name(id=name),)):
            return name == variable and edge.leaves is Leaves.TRUE
        case Op(op="is", operands=(Name(id=name), _)):
            return name == variable and edge.leaves is Leaves.TRUE
        case Op(op="is not", operands=(Name(id=name), _)):
            return name == variable and edge.leaves is Leaves.FALSE
        case _:
            return False
