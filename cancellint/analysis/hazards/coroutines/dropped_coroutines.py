"""Coroutines that are made and, on some path, never awaited: what they were to do does not happen."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import operands
from cancellint.analysis.flow.facts import FactsOf
from cancellint.analysis.hazards.coroutines.decorated import Decorated
from cancellint.analysis.hazards.coroutines.fates import Fate
from cancellint.analysis.hazards.coroutines.grips import ITSELF, Grip, Hold
from cancellint.analysis.hazards.coroutines.makers import Made, Makers
from cancellint.analysis.hazards.coroutines.switches import Switches
from cancellint.analysis.hazards.coroutines.trails import Trails
from cancellint.model.finding import Confidence, weakest
from cancellint.model.ir import Await, AwaitKind, Call, Evaluate, Expr, Function, Temp
from cancellint.model.types import FunctionKey


class DroppedCoroutine(Struct, frozen=True):
    """A step that makes a coroutine, and where that is lost: everywhere, or on some path only."""

    made: int
    runs: str
    always: bool
    lost: int
    """the step that loses the last hold of it, -1 where the function ends"""
    variable: str
    confidence: Confidence
    called_by: str = ""
    """the library function that calls what makes it, and drops what that gives"""
    left_by: FunctionKey | None = None
    """the function of the project that was given it and does not await it, or not always"""


class DroppedCoroutines:
    """Follows coroutines through the functions that make them."""

    def __init__(self, effects: Effects, facts_of: FactsOf) -> None:
        self._effects = effects
        self._program = effects.program
        decorated = Decorated(effects)
        self._switches = Switches(effects.program)
        self._makers = Makers(effects, decorated)
        self._trails = Trails(effects, decorated, facts_of)

    def of(self, key: FunctionKey) -> Iterator[DroppedCoroutine]:
        """Yield the coroutines that a function makes and drops, in the order of its steps."""
        function = self._program.function(key)
        for number, step in enumerate(function.steps):
            if isinstance(step, Call):
                yield from self._called_plainly(key, number)
            if not _is_awaited_at_once(function, number):
                made = self._makers.made_by(key, number)
                if made is not None:
                    held = step.value if isinstance(step, Evaluate) else Temp(number)
                    yield from self._dropped(key, number, held, made)

    def _dropped(self, key: FunctionKey, number: int, held: Expr, made: Made) -> Iterator[DroppedCoroutine]:
        how = ITSELF if made.place is None else Grip(Hold.INSIDE, made.place)
        ended = self._trails.follow(key, held, number, how)
        if ended.fate is Fate.USED or self._switches.are_off(key, number):
            return
        always = ended.fate is Fate.LOST and not ended.by_error
        yield DroppedCoroutine(
            number,
            made.runs,
            always,
            ended.lost,
            ended.holder,
            made.confidence if always else weakest(made.confidence, Confidence.LIKELY),
            left_by=ended.left_by,
        )

    def _called_plainly(self, key: FunctionKey, number: int) -> Iterator[DroppedCoroutine]:
        """Yield what a library calls as a plain function, though it makes a coroutine."""
        for callee in self._effects.types.callees(key, number):
            known = self._effects.operations.known(callee)
            if known is None or known.entry.plainly is None or known.confidence is not Confidence.CERTAIN:
                continue
            for value in operands(known.entry, known.entry.plainly, callee):
                runs = self._makers.behind(key, value)
                if runs is not None:
                    confidence = Confidence.LIKELY if known.entry.awaitable else Confidence.CERTAIN
                    yield DroppedCoroutine(number, runs, True, -1, "", confidence, known.name)


def _is_awaited_at_once(function: Function, number: int) -> bool:
    """Tell whether the next step awaits what a step gives, as nearly always."""
    if number + 1 >= len(function.steps):
        return False
    match function.steps[number + 1]:
        case Await(value=Temp(step=step), kind=AwaitKind.EXPRESSION):
            return step == number
        case _:
            return False
