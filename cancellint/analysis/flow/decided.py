"""What the tests and assignments on a path have decided: a branch that contradicts them is not taken.

Known are constants that variables and attributes hold, and how tests of them have come out. A variable
keeps what is known of it until it is bound again; an attribute until it, or one of its name, is assigned, or
until an await or a call lets code run that may write something else to it.
"""

import enum
from collections import Counter
from collections.abc import Callable, Iterator

from cancellint.analysis.engine.graph import ControlFlow
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import Decided
from cancellint.analysis.engine.solver import Direction, Solution, solve
from cancellint.analysis.memory.access_paths import Frame
from cancellint.analysis.memory.values import Holder, holder
from cancellint.analysis.program.attributes import Attributes
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    Call,
    Const,
    Delete,
    Edge,
    Expr,
    Function,
    Leaves,
    Name,
    Op,
    Return,
    Temp,
)

NONE = Const("none", "None")
MOST_KNOWN = Limit(6, "tests that one path remembers")
"""Facts that are kept apart at a time; each may double the paths. What comes after them is not learnt."""


class Truth(enum.StrEnum):
    """What a test tells of a value that is no constant."""

    TRUE = "true"
    FALSE = "false"
    SOMETHING = "not None"


Known = Const | Truth


class DecidedTests:
    """Carries what is decided along the paths of one function.

    `runs_others` tells of a step whether other code of the program may run before it is over.
    """

    def __init__(
        self,
        frame: Frame,
        function: Function,
        flow: ControlFlow,
        attributes: Attributes,
        runs_others: Callable[[int], bool],
    ) -> None:
        self._frame = frame
        self._function = function
        self._attributes = attributes
        self._runs_others = runs_others
        asked = [frozenset(_asked(frame, block.test)) for block in function.blocks if block.test is not None]
        self.asked = frozenset(place for each in asked for place in each)
        """the variables, attributes and outcomes that some test asks"""
        times = Counter(place for each in asked for place in each)
        self._asked_again = frozenset(place for place, count in times.items() if count > 1)
        self._wanted = solve(flow, _Wanted(frame, function), Direction.BACKWARD).entry

    # ----------------------------------------------------------------- the engine's questions

    def over_step(self, decided: Decided, step: int) -> Decided:
        """Return what is still decided after a step, and what it decides itself."""
        match self._function.steps[step]:
            case Assign(target=target, value=value, op=op):
                constant = known_of(self._frame, value, decided) if not op else None
                return self._bound(decided, target, constant)
            case Delete(target=target):
                return self._bound(decided, target, None)
            case Call() | Await() if decided:
                kept = decided if not self._runs_others(step) else self._unwritten(decided)
                return without(kept, step)
            case _:
                return without(decided, step) if decided else decided

    def over_edge(self, decided: Decided, block: int, edge: Edge) -> Decided | None:
        """Return what is decided on an edge, None where an earlier test or assignment forbids it."""
        told = self._tested(decided, block, edge)
        wanted = self._wanted[edge.to] if told and edge.to >= 0 else None
        if told is None or wanted is None or all(each[0] in wanted for each in told):
            return told
        return tuple(each for each in told if each[0] in wanted)

    def _tested(self, decided: Decided, block: int, edge: Edge) -> Decided | None:
        """Return what is decided where the test of a block has come out as an edge says."""
        test = self._function.blocks[block].test
        if test is None or edge.leaves not in (Leaves.TRUE, Leaves.FALSE):
            return decided
        outcome = edge.leaves is Leaves.TRUE
        if truth_of(self._frame, test, decided) is (not outcome):
            return None
        for place, fact in _told(self._frame, test, outcome):
            if place in self._asked_again and not isinstance(dict(decided).get(place), Const):
                decided = _with(decided, place, fact)
        return decided

    # ----------------------------------------------------------------- steps

    def _bound(self, decided: Decided, target: Expr, fact: Known | None) -> Decided:
        place = place_of(self._frame, target)
        if isinstance(target, Attr):
            decided = tuple(each for each in decided if target.name not in _fields(each[0]))
        if isinstance(target, Name):
            root = f"local:{target.id}."
            decided = tuple(each for each in decided if not str(each[0]).startswith(root))
        if place is None:
            return decided
        decided = without(decided, place)
        return decided if fact is None else _with(decided, place, fact)

    def _unwritten(self, decided: Decided) -> Decided:
        """Leave out what other code of the program may give another value."""
        return tuple(
            (place, fact) for place, fact in decided if self._is_own(place) or self._is_constant(place, fact)
        )

    def _is_own(self, place: object) -> bool:
        """Tell whether nobody but the function itself binds a place."""
        return not _fields(place) and not (isinstance(place, str) and self._frame.outlives(place))

    def _is_constant(self, place: object, fact: object) -> bool:
        """Tell whether all that is ever written to an attribute, but when it is made, fits what is known."""
        fields = _fields(place)
        written = self._attributes.values_written(fields[-1]) if fields else (None,)
        return all(value is not None and _fits(value, fact) for value in written)


class _Wanted:
    """The places of which somebody on some path onward wants to know what is decided."""

    def __init__(self, frame: Frame, function: Function) -> None:
        self._frame = frame
        self._function = function

    def start(self) -> frozenset[Holder]:
        return frozenset()

    def over_step(self, state: frozenset[Holder], step: int) -> frozenset[Holder]:
        match self._function.steps[step]:
            case Assign(target=target, value=value):
                return self._with(state - {place_of(self._frame, target)}, (value,))
            case Return(value=value):
                return self._with(state, (value,))
            case Call(func=func, args=args, keywords=keywords):
                given = (*args, *(value for _, value in keywords))
                outcomes = tuple(value for value in given if isinstance(value, Temp))
                return self._with(state, (func.base, *outcomes) if isinstance(func, Attr) else outcomes)
            case _:
                return state

    def _with(self, state: frozenset[Holder], values: tuple[Expr, ...]) -> frozenset[Holder]:
        places = {place for value in values if (place := place_of(self._frame, value)) is not None}
        return state if places <= state else state | places

    def happens(self, step: int, edge: Edge) -> bool:
        return True

    def over_edge(self, state: frozenset[Holder], block: int, edge: Edge) -> frozenset[Holder]:
        test = self._function.blocks[block].test
        return state if test is None else state.union(_asked(self._frame, test))

    def join(self, known: frozenset[Holder], arriving: frozenset[Holder]) -> frozenset[Holder]:
        return known if arriving <= known else known | arriving


def without(decided: Decided, place: Holder) -> Decided:
    """Leave out what is known of a place."""
    return tuple(each for each in decided if each[0] != place)


def _with(decided: Decided, place: Holder, fact: Known) -> Decided:
    known = without(decided, place)
    if MOST_KNOWN.is_exceeded_by(len(known) + 1):
        return known
    return tuple(sorted((*known, (place, fact)), key=lambda pair: str(pair[0])))


def _fields(place: object) -> tuple[str, ...]:
    """Return the attributes of a place, none of a variable or an outcome."""
    return tuple(place.split(".")[1:]) if isinstance(place, str) else ()


# --------------------------------------------------------------------------- on all paths


class Agreed:
    """What all paths to a point have decided of what some test asks: a forward analysis."""

    def __init__(self, tests: DecidedTests, flow: ControlFlow) -> None:
        self._tests = tests
        self._flow = flow
        self._solution: Solution[Decided] | None = solve(flow, self) if tests.asked else None

    def before(self, step: int) -> Decided:
        """Return what is decided whenever a step is reached."""
        if self._solution is None:
            return ()
        decided = self._solution.before(self._flow.block_of(step), step) or ()
        return tuple(MOST_KNOWN.first(each for each in decided if each[0] in self._tests.asked))

    def start(self) -> Decided:
        return ()

    def over_step(self, state: Decided, step: int) -> Decided:
        return self._tests.over_step(state, step)

    def happens(self, step: int, edge: Edge) -> bool:
        return True  # of a name that is bound, nobody knows whether the error came before or after

    def over_edge(self, state: Decided, block: int, edge: Edge) -> Decided | None:
        return self._tests.over_edge(state, block, edge)

    def join(self, known: Decided, arriving: Decided) -> Decided:
        agreed = tuple(each for each in known if each in arriving)
        return known if len(agreed) == len(known) else agreed


# --------------------------------------------------------------------------- tests


def place_of(frame: Frame, expr: Expr) -> Holder | None:
    """Return what names a variable, attribute or outcome whose constant may be known."""
    match expr:
        case Name(id=name):
            return holder(frame, name)
        case Temp(step=step):
            return step
        case Attr():
            path = frame.path(expr)
            return f"{path.root}.{'.'.join(path.fields)}" if path is not None else None
        case _:
            return None


def truth_of(frame: Frame, test: Expr, decided: Decided) -> bool | None:
    """Return how a test comes out when this is decided, None where that does not say."""
    match test:
        case Op(op="not", operands=(inner,)):
            truth = truth_of(frame, inner, decided)
            return None if truth is None else not truth
        case Op(op="and" | "or" as op, operands=operands):
            outcomes = [truth_of(frame, each, decided) for each in operands]
            settling = op == "or"
            if settling in outcomes:
                return settling
            return None if None in outcomes else not settling
        case Name() | Attr() | Temp():
            match known_of(frame, test, decided):
                case Const() as constant:
                    return is_true(constant)
                case Truth.TRUE:
                    return True
                case Truth.FALSE:
                    return False
                case _:
                    return None
        case Op(op="is" | "is not" | "==" | "!=" as op, operands=(asked, Const() as other)):
            equal = _equals(known_of(frame, asked, decided), other)
            return None if equal is None else equal is (op in ("is", "=="))
        case _:
            return None


def known_of(frame: Frame, value: Expr, decided: Decided) -> Known | None:
    """Return what is known of a value."""
    if isinstance(value, Const):
        return value
    place = place_of(frame, value) if decided else None
    found = None if place is None else dict(decided).get(place)
    return found if isinstance(found, Const | Truth) else None


def is_none(frame: Frame, value: Expr, decided: Decided) -> bool:
    """Tell whether a value is known to be None."""
    return known_of(frame, value, decided) == NONE


def is_true(constant: Const) -> bool:
    return constant.text not in ("None", "False", "0", "0.0", "") and constant.text not in ("b''", 'b""')


def _equals(fact: Known | None, other: Const) -> bool | None:
    match fact:
        case Const():
            return fact == other
        case Truth.SOMETHING | Truth.TRUE if other == NONE:
            return False
        case Truth.TRUE if not is_true(other):
            return False
        case Truth.FALSE if is_true(other):
            return False
        case _:
            return None


def _fits(value: Const, fact: object) -> bool:
    """Tell whether a constant is all that is known of a place."""
    match fact:
        case Const():
            return value == fact
        case Truth.TRUE:
            return is_true(value)
        case Truth.FALSE:
            return not is_true(value)
        case _:
            return value != NONE


def _told(frame: Frame, test: Expr, outcome: bool) -> Iterator[tuple[Holder, Known]]:
    """Yield what the outcome of a test tells of variables and attributes."""
    match test:
        case Op(op="not", operands=(inner,)):
            yield from _told(frame, inner, not outcome)
        case Op(op="and" | "or" as op, operands=operands):
            if outcome is (op == "and"):
                for each in operands:
                    yield from _told(frame, each, outcome)
        case Name() | Attr() | Temp():
            place = place_of(frame, test)
            if place is not None:
                yield place, Truth.TRUE if outcome else Truth.FALSE
        case Op(op="is" | "is not" | "==" | "!=" as op, operands=(asked, Const() as other)):
            place = place_of(frame, asked)
            if place is not None and outcome is (op in ("is", "==")):
                yield place, other
            elif place is not None and other == NONE:
                yield place, Truth.SOMETHING
        case _:
            pass


def _asked(frame: Frame, test: Expr) -> Iterator[Holder]:
    """Yield the places of which one outcome of a test tells something."""
    for outcome in (True, False):
        yield from (place for place, _ in _told(frame, test, outcome))
