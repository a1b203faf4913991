"""Whether a source outlives a race: is it read again before anyone closes or replaces it?"""

from collections import deque
from collections.abc import Iterable, Iterator

from msgspec import Struct, structs

from cancellint.analysis.effects.effect import Effect, Fate
from cancellint.analysis.flow.constants import place_of
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.library.exceptions import Verdict
from cancellint.analysis.memory.access_paths import Frame
from cancellint.analysis.memory.values import Holder
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Const,
    Delete,
    Edge,
    Exit,
    Expr,
    Leaves,
    Name,
    Op,
    Return,
    Temp,
)
from cancellint.model.summary import RESULT, Leaving, Path, Take

RETURNED = "return"
"""Stands for the value that the function is about to return."""
NONE = Const("none", "None")
MOST_KNOWN = 6
"""Constants that are kept apart at a time; each may double the paths."""

Known = tuple[tuple[Holder, Const], ...]


class Start(Struct, frozen=True):
    """Where control is when the race is lost: at a block, perhaps with a TimeoutError travelling.

    `step` is where to begin within the block, -1 for its start.
    """

    block: int
    travelling: bool
    step: int = -1
    exited: int = -1
    """the region whose exit has just been passed"""
    known: Known = ()
    """locals and outcomes that hold a constant here"""
    region: int = -1
    """the region whose body the race has cut short"""


class ReadOn(Struct, frozen=True):
    """What happens to a source afterwards: the step that reads it again, or how the function is left."""

    step: int | None
    take: Take | None
    leaving: tuple[Leaving, ...]


_FORWARD = frozenset(
    {
        Leaves.NORMAL,
        Leaves.TRUE,
        Leaves.FALSE,
        Leaves.RESUMED,
        Leaves.ITEM,
        Leaves.EXHAUSTED,
        Leaves.RETURNED,
    }
)


_CUT_SHORT = frozenset({"cancelled_caught", "cancel_called", "expired"})
"""What a scope or timeout is asked to learn whether its body was cut short."""


class Loser(Struct, frozen=True):
    """A task that has been cancelled: waiting for it reads nothing, making it anew does.

    `made` is the step that calls its coroutine function, `awaited` the steps that wait for it alone.
    """

    made: int
    awaited: frozenset[int]
    take: Take


def reads_on(
    facts: Facts, source: Path, origin: str, starts: Iterable[Start], loser: Loser | None = None
) -> ReadOn:
    """Follow all paths from the lost race, stopping where the source is closed, replaced or read again."""
    return _Walk(facts, source, origin, loser).run(starts)


class _Walk:
    """A breadth-first search over (block, is an exception travelling, which locals hold which constant)."""

    def __init__(self, facts: Facts, source: Path, origin: str, loser: Loser | None) -> None:
        self._loser = loser
        self._facts = facts
        self._source = source
        self._connected = facts.is_connection(origin)
        self._scopes: set[str] = set()
        self._seen: set[Start] = set()
        self._waiting: deque[Start] = deque()
        self._leaving: dict[Leaving, None] = {}
        self._ends: dict[Path, bool] = {}

    def run(self, starts: Iterable[Start]) -> ReadOn:
        for start in starts:
            if start.region >= 0:
                self._scopes.update(_names_of(self._facts, start.region))
            self._enter(start)
        while self._waiting:
            found = self._through(self._waiting.popleft())
            if found is not None:
                step, take = found
                return ReadOn(step, take, ())
        return ReadOn(None, None, tuple(sorted(self._leaving)))

    def _enter(self, start: Start) -> None:
        if start.block < 0:
            self._leaving[Leaving.RAISES if start.travelling else Leaving.RETURNS] = None
        elif start not in self._seen:
            self._seen.add(start)
            self._waiting.append(start)

    def _through(self, start: Start) -> tuple[int, Take] | None:
        """Pass through one block; return the step that reads the source again, if one does."""
        facts = self._facts
        block = facts.function.blocks[start.block]
        here = start
        for number in range(max(block.first, start.step), block.last):
            for take in self._takes(number):
                if take.source == self._source and not take.reopened:
                    return None if self._is_dropped(number, take) else (number, take)
            if self._ends_source(number, facts.effect(number)) or self._fails_on_none(here, number):
                return None
            here = self._after(here, number)
        self._leave(here)
        return None

    def _after(self, here: Start, number: int) -> Start:
        """Return what is known after a step: the region it has left, the constant it has bound."""
        match self._facts.function.steps[number]:
            case Exit(region=region) | Await(kind=AwaitKind.EXIT, region=region):
                return structs.replace(here, exited=region)
            case Assign(target=target, value=value, op=op):
                place = place_of(self._facts.frame, target)
                if place is None:
                    return here
                known = without(here.known, place)
                constant = self._constant(value, here.known) if not op else None
                if constant is not None and len(known) < MOST_KNOWN:
                    known = tuple(sorted((*known, (place, constant)), key=lambda pair: str(pair[0])))
                return structs.replace(here, known=known)
            case Return(value=value) if self._constant(value, here.known) == NONE:
                return structs.replace(here, known=(*without(here.known, RETURNED), (RETURNED, NONE)))
            case _:
                return here

    def _fails_on_none(self, here: Start, number: int) -> bool:
        """Tell whether a step computes with what is None here, as code does that expects no timeout."""
        step = self._facts.function.steps[number]
        if not here.known or not isinstance(step, Call):
            return False
        if isinstance(step.func, Attr) and self._constant(step.func.base, here.known) == NONE:
            return True
        return any(
            argument.fate is Fate.PASSES and self._constant(argument.value, here.known) == NONE
            for argument in self._facts.effect(number).arguments
            if isinstance(argument.value, Temp)
        )

    def _constant(self, value: Expr, known: Known) -> Const | None:
        if isinstance(value, Const):
            return value
        place = place_of(self._facts.frame, value)
        return None if place is None else dict(known).get(place)

    def _is_dropped(self, number: int, take: Take) -> bool:
        """Tell whether a step throws away what is there to take: draining a source is not reading on."""
        step = self._facts.function.steps[number]
        return take.into == RESULT and isinstance(step, Call) and not step.used

    def _takes(self, number: int) -> tuple[Take, ...]:
        if self._loser is not None:
            if number == self._loser.made:
                return (self._loser.take,)
            if number in self._loser.awaited:
                return ()
        return self._facts.takes(number)

    def _ends_source(self, number: int, effect: Effect) -> bool:
        """Tell whether a step closes the source, or puts another object in its place."""
        if any(self._closes(path) for path in effect.closes):
            return True
        if any(self._source.is_within(path) for path in effect.replaces):
            return True
        if self._source.root == f"temp:{number}":
            return True
        match self._facts.function.steps[number]:
            case Assign(target=target, op="") | Delete(target=target):
                path = self._facts.frame.path(target)
                return path is not None and self._source.is_within(path)
            case _:
                return False

    def _closes(self, path: Path) -> bool:
        known = self._ends.get(path)
        if known is None:
            known = self._ends[path] = closes(path, self._source, connected=self._connected)
        return known

    def _leave(self, here: Start) -> None:
        block = self._facts.function.blocks[here.block]
        if here.travelling and any(edge.leaves is Leaves.CAUGHT for edge in block.edges):
            self._dispatch(here)
            return
        raises = not any(edge.leaves in _FORWARD for edge in block.edges)
        truth = truth_of(self._facts.frame, block.test, here.known) if block.test is not None else None
        for edge in block.edges:
            match edge.leaves:
                case Leaves.RAISED if raises or (here.travelling and here.exited >= 0):
                    self._go(here, edge.to, travelling=True)
                case Leaves.ABSORBED if here.travelling and here.exited >= 0:
                    if self._facts.unwinding.absorbs_timeout(here.exited):
                        self._go(here, edge.to, travelling=False)
                case Leaves.TRUE | Leaves.FALSE as leaves if truth is (leaves is Leaves.FALSE):
                    pass
                case leaves if leaves in _FORWARD and not self._denies_race(block.test, edge):
                    self._go(here, edge.to, travelling=here.travelling, exited=here.exited)
                case _:
                    pass

    def _go(self, here: Start, block: int, *, travelling: bool, exited: int = -1) -> None:
        if block == RETURN_EXIT and not here.travelling:
            nothing = dict(here.known).get(RETURNED) == NONE or self._falls_off(here.block)
            self._leaving[Leaving.RETURNS_NONE if nothing else Leaving.RETURNS] = None
            return
        self._enter(Start(block, travelling, exited=exited, known=without(here.known, RETURNED)))

    def _falls_off(self, block: int) -> bool:
        """Tell whether the function ends after a block without a `return`."""
        node = self._facts.function.blocks[block]
        steps = self._facts.function.steps[node.first : node.last]
        return not any(isinstance(step, Return) for step in steps) and not self._facts.returns_value

    def _denies_race(self, test: Expr | None, edge: Edge) -> bool:
        """Tell whether an edge is taken only if the lost race's body was not cut short."""
        denied = Leaves.FALSE
        while isinstance(test, Op) and test.op == "not":
            test = test.operands[0]
            denied = Leaves.TRUE if denied is Leaves.FALSE else Leaves.FALSE
        if isinstance(test, Temp):
            step = self._facts.function.steps[test.step]
            test = step.func if isinstance(step, Call) else None
        match test:
            case Attr(base=Name(id=name), name=asked):
                return edge.leaves is denied and asked in _CUT_SHORT and name in self._scopes
            case _:
                return False

    def _dispatch(self, here: Start) -> None:
        """Send a travelling TimeoutError to the handlers that take it."""
        for edge in self._facts.function.blocks[here.block].edges:
            if edge.leaves is Leaves.CAUGHT:
                catches = self._facts.handlers.catches_timeout(edge.to)
                if catches is not Verdict.NEVER:
                    self._go(here, edge.to, travelling=False)
                if catches is Verdict.MUST:
                    return
            elif edge.leaves is Leaves.RAISED:
                self._go(here, edge.to, travelling=True)


def _names_of(facts: Facts, region: int) -> Iterator[str]:
    """Yield the variables that a `with` binds by its `as`."""
    enter = Temp(facts.function.regions[region].enter)
    for step in facts.function.steps:
        match step:
            case Assign(target=Name(id=name), value=value) if value == enter:
                yield name
            case _:
                pass


def without(known: Known, place: Holder) -> Known:
    return tuple(pair for pair in known if pair[0] != place)


def truth_of(frame: Frame, test: Expr, known: Known) -> bool | None:
    """Return how a test comes out when these constants are known, None where they do not say."""
    match test:
        case Op(op="not", operands=(inner,)):
            truth = truth_of(frame, inner, known)
            return None if truth is None else not truth
        case Name() | Attr() | Temp():
            constant = _known(frame, test, known)
            return None if constant is None else _is_true(constant)
        case Op(op="is" | "is not" | "==" | "!=" as op, operands=(asked, Const() as other)):
            constant = _known(frame, asked, known)
            return None if constant is None else (constant == other) is (op in ("is", "=="))
        case _:
            return None


def _known(frame: Frame, expr: Expr, known: Known) -> Const | None:
    place = place_of(frame, expr)
    return None if place is None else dict(known).get(place)


def _is_true(constant: Const) -> bool:
    return constant.text not in ("None", "False", "0", "0.0", "") and constant.text not in ("b''", 'b""')


def closes(path: Path, source: Path, *, connected: bool) -> bool:
    """Tell whether closing `path` ends `source`: itself, what it is part of, its connection."""
    if source.is_within(path):
        return True
    if not connected:
        return False
    while path.fields and path.fields[-1].strip("_") in ("transport", "socket", "sock"):
        path = Path(path.root, path.fields[:-1])
    if path.is_sibling(source):
        return True
    bare = ("param:", "local:", "temp:", "free:")
    return (
        not path.fields and not source.fields and path.root.startswith(bare) and source.root.startswith(bare)
    )
