"""Which holders' content is still used after a point: the classic backward analysis, on content only.

Looking at data (a comparison, a log line) does not count as using it, nor does computing something from
it that is itself only looked at, such as the decoded text for the log line.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from cancellint.analysis.effects.effect import Effect, Fate
from cancellint.analysis.engine.graph import ControlFlow
from cancellint.analysis.engine.solver import Direction, solve
from cancellint.analysis.memory.access_paths import Frame
from cancellint.analysis.memory.values import Holder, holder, holders, read_by
from cancellint.model.ir import Assign, Call, Delete, Edge, Expr, Function, Name, Next, Step

Live = frozenset[Holder]


class UseSets(Struct, frozen=True):
    """What a step binds, what it uses, and what it merely computes the bound value from."""

    bound: Live
    used: Live
    passed: Live
    anew: bool = True
    """whether the old value of what is bound is gone"""


def live_at_entry(
    frame: Frame, function: Function, flow: ControlFlow, effects: Mapping[int, Effect]
) -> tuple[Live, ...]:
    """Return, per block, the holders whose content some path from its start still uses."""
    solved = solve(flow, _Liveness(frame, function, flow, effects), Direction.BACKWARD)
    return tuple(live if live is not None else frozenset() for live in solved.entry)


class _Liveness:
    """What some path onward uses; what a step reads, it reads even if it then fails."""

    def __init__(
        self, frame: Frame, function: Function, flow: ControlFlow, effects: Mapping[int, Effect]
    ) -> None:
        self._uses = tuple(
            _uses(frame, index, step, effects.get(index)) for index, step in enumerate(function.steps)
        )
        self._asked = tuple(_asked(frame, function, block.test) for block in flow.blocks)

    def start(self) -> Live:
        return frozenset()

    def over_step(self, state: Live, step: int) -> Live:
        uses = self._uses[step]
        wanted = not uses.bound.isdisjoint(state)
        if uses.anew and wanted:
            state = state - uses.bound
        if uses.used:
            state = state | uses.used
        return state | uses.passed if wanted else state

    def happens(self, step: int, edge: Edge) -> bool:
        return True

    def over_edge(self, state: Live, block: int, edge: Edge) -> Live:
        return state | self._asked[block] if self._asked[block] else state

    def join(self, known: Live, arriving: Live) -> Live:
        return known if arriving <= known else known | arriving


def _asked(frame: Frame, function: Function, test: Expr | None) -> Live:
    """Return the calls whose outcome a test asks for."""
    if test is None:
        return frozenset()
    asked = (place for place in _content(frame, (test,)) if isinstance(place, int))
    return frozenset(place for place in asked if isinstance(function.steps[place], Call))


def _uses(frame: Frame, index: int, step: Step, effect: Effect | None) -> UseSets:
    """Return what a step binds and uses. An assigned, handed-on or iterated value is merely passed."""
    nothing: Live = frozenset()
    match step:
        case Assign(target=Name(id=name), value=value, op=op):
            place = holder(frame, name)
            if isinstance(place, int) and not op:
                return UseSets(nothing, nothing, nothing)
            if frame.outlives(name) or (op and name in frame.params):
                return UseSets(nothing, _content(frame, read_by(step)), nothing)
            return UseSets(frozenset((place,)), nothing, _content(frame, (value,)), anew=not op)
        case Delete(target=Name(id=name)):
            place = holder(frame, name)
            return UseSets(frozenset((place,)) if isinstance(place, str) else nothing, nothing, nothing)
        case Call() if effect is not None:
            handed = [each for each in effect.arguments if each.fate is not Fate.LOOKS]
            passed = (each.value for each in handed if each.fate is Fate.PASSES)
            used = (each.value for each in handed if each.fate is not Fate.PASSES)
            return UseSets(frozenset((index,)), _content(frame, used), _content(frame, passed))
        case Call(args=args, keywords=keywords):
            given = _content(frame, (*args, *(value for _, value in keywords)))
            return UseSets(frozenset((index,)), given, nothing)
        case Next(value=value):
            return UseSets(frozenset((index,)), nothing, _content(frame, (value,)))
        case _:
            return UseSets(frozenset((index,)), _content(frame, read_by(step)), nothing)


def _content(frame: Frame, exprs: Iterable[Expr]) -> Live:
    return frozenset(place for expr in exprs for place, content in holders(frame, expr) if content)
