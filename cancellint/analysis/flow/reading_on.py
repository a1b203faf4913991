"""Whether a source outlives a race: does some path read it again before it is closed or replaced?"""

from collections.abc import Iterable, Iterator

from msgspec import Struct, structs

from cancellint.analysis.effects.effect import Effect, Fate
from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import (
    Decided,
    End,
    Halt,
    Outcome,
    PathMemory,
    PathPoint,
    PathSearch,
)
from cancellint.analysis.flow.decided import is_none
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.library.exceptions import Modality
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Attr,
    Await,
    AwaitKind,
    Block,
    Call,
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
from cancellint.model.summary import RESULT, Closes, Leaving, Path, Replaces, Take

MOST_PLACES = Limit(4000, "places at which a source may be read again")
"""Places of a search beyond which tests are no longer believed to exclude each other."""


class Start(Struct, frozen=True):
    """Where control is when the race is lost: at a block, perhaps with a TimeoutError travelling.

    `step` is where to begin within the block, -1 for its start.
    """

    block: int
    travelling: bool
    step: int = -1
    exited: int = -1
    """the region whose exit has just been passed"""
    known: Decided = ()
    """locals and outcomes that hold a constant here"""
    region: int = -1
    """the region whose body the race has cut short"""


class ReadOn(Struct, frozen=True):
    """What happens to a source afterwards: the step that reads it again, or how the function is left."""

    step: int | None
    take: Take | None
    leaving: tuple[Leaving, ...]


_CUT_SHORT = frozenset({"cancelled_caught", "cancel_called", "expired"})
"""What a scope or timeout is asked to learn whether its body was cut short."""


class Loser(Struct, frozen=True):
    """A task that has been cancelled: waiting for it reads nothing, making it anew does.

    `made` is the step that calls its coroutine function, `take` what that takes then; `awaited` are the steps
    that wait for it alone.
    """

    made: int
    awaited: frozenset[int]
    take: Take | None


def reads_on(
    facts: Facts, source: Path, origin: str, starts: Iterable[Start], loser: Loser | None = None
) -> ReadOn:
    """Follow all paths from the lost race, stopping where the source is closed, replaced or read again."""
    return _Search(facts, source, origin, loser).run(tuple(starts))


class _After(Struct, frozen=True):
    """How control goes on after the race."""

    travelling: bool
    """its TimeoutError has not been caught yet"""
    exited: int = -1
    """the region whose exit has just been passed"""
    returns_none: bool = False


class _Search:
    """A path search for the step that reads the source again."""

    def __init__(self, facts: Facts, source: Path, origin: str, loser: Loser | None) -> None:
        self._loser = loser
        self._facts = facts
        self._source = source
        self._connected = facts.is_connection(origin)
        self._scopes: frozenset[str] = frozenset()
        self._ends: dict[Path, bool] = {}

    def run(self, starts: tuple[Start, ...]) -> ReadOn:
        regions = {start.region for start in starts if start.region >= 0}
        self._scopes = frozenset(name for region in regions for name in _names_of(self._facts, region))
        inner = [
            PathPoint(start.block, _After(start.travelling, start.exited), start.step, start.known)
            for start in starts
            if start.block >= 0
        ]
        found = self._search(self._facts.tests).run(inner)
        if found.outcome is Outcome.UNKNOWN:
            found = self._search(None).run([structs.replace(place, decided=()) for place in inner])
        if found.step is not None:
            return ReadOn(found.step, self._taken(found.step), ())
        leaving = {self._leaving(end) for end in found.ends}
        leaving |= {_as_left(start.travelling) for start in starts if start.block < 0}
        return ReadOn(None, None, tuple(sorted(leaving)))

    def _search(self, tests: PathMemory | None) -> PathSearch[_After]:
        cap = MOST_PLACES if tests is not None else None
        return PathSearch(self._facts.flow, self._after, self._along, tests=tests, cap=cap)

    def _leaving(self, end: End[_After]) -> Leaving:
        after = end.state
        if end.exit == RETURN_EXIT and (after.returns_none or self._falls_off(end.block)):
            return Leaving.RETURNS_NONE
        return _as_left(after.travelling)

    # ------------------------------------------------------------------ steps

    def _after(self, here: PathPoint[_After], number: int) -> _After | Halt:
        """Return how control goes on after a step that does not read the source, nor end it."""
        if (take := self._taken(number)) is not None:
            over = self._is_dropped(number, take) or self._is_closing(number)
            return Halt.STOP if over else Halt.FOUND
        if self._ends_source(number, self._facts.effect(number)) or self._fails_on_none(here, number):
            return Halt.STOP
        match self._facts.function.steps[number]:
            case Exit(region=region) | Await(kind=AwaitKind.EXIT, region=region):
                return structs.replace(here.state, exited=region)
            case Return(value=value):
                nothing = is_none(self._facts.frame, value, here.decided)
                return structs.replace(here.state, returns_none=nothing)
            case _:
                return here.state

    def _taken(self, number: int) -> Take | None:
        """Return what a step takes from the source itself, none if it opens it anew before."""
        takes = self._takes(number)
        return next((take for take in takes if take.source == self._source and not take.reopened), None)

    def _fails_on_none(self, here: PathPoint[_After], number: int) -> bool:
        """Tell whether a step computes with what is None here, as code does that expects no timeout."""
        step = self._facts.function.steps[number]
        if not here.decided or not isinstance(step, Call):
            return False
        frame = self._facts.frame
        if isinstance(step.func, Attr) and is_none(frame, step.func.base, here.decided):
            return True
        return any(
            argument.fate is Fate.PASSES and is_none(frame, argument.value, here.decided)
            for argument in self._facts.effect(number).arguments
            if isinstance(argument.value, Temp)
        )

    def _is_dropped(self, number: int, take: Take) -> bool:
        """Tell whether a step throws away what is there to take: draining a source is not reading on."""
        step = self._facts.function.steps[number]
        return take.into == RESULT and isinstance(step, Call) and not step.used

    def _is_closing(self, number: int) -> bool:
        """Tell whether a step closes the object that has the source: what it still reads is thrown away."""
        steps = self._facts.function.steps
        step = steps[number]
        if isinstance(step, Await) and isinstance(step.value, Temp):
            step = steps[step.value.step]
        if not isinstance(step, Call) or not isinstance(step.func, Attr):
            return False
        owner = self._facts.frame.path(step.func.base)
        return (
            step.func.name in self._facts.conventions.closes
            and owner is not None
            and self._source.is_within(owner)
        )

    def _takes(self, number: int) -> tuple[Take, ...]:
        if self._loser is not None:
            if number == self._loser.made and self._loser.take is not None:
                return (self._loser.take,)
            if number in self._loser.awaited:
                return ()
        return self._facts.takes(number)

    def _ends_source(self, number: int, effect: Effect) -> bool:
        """Tell whether a step closes the source, or puts another object in its place."""
        if any(self._closes(path) for path in effect.paths(Closes)):
            return True
        if any(self._source.is_within(path) for path in effect.paths(Replaces)):
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

    # ------------------------------------------------------------------ edges

    def _along(self, here: PathPoint[_After], edge: Edge) -> _After | None:
        """Return how control goes on along an edge, None where it does not take it after the race."""
        after = here.state
        block = self._facts.function.blocks[here.block]
        if after.travelling and any(each.leaves is Leaves.CAUGHT for each in block.edges):
            return self._dispatched(block, edge, after)
        ends_here = not any(each.leaves in NORMAL for each in block.edges)
        match edge.leaves:
            case Leaves.RAISED if ends_here or (after.travelling and after.exited >= 0):
                return _After(True)
            case Leaves.ABSORBED if after.travelling and after.exited >= 0:
                absorbed = self._facts.unwinding.absorbs_timeout(after.exited)
                return _After(False) if absorbed is not Modality.NEVER else None
            case leaves if leaves in NORMAL and not self._denies_race(block.test, edge):
                return after
            case _:
                return None

    def _dispatched(self, block: Block, edge: Edge, after: _After) -> _After | None:
        """Return how a travelling TimeoutError goes on at handlers, the first of which that must takes it."""
        handlers = self._facts.handlers
        before = block.edges[: block.edges.index(edge)]
        if any(
            each.leaves is Leaves.CAUGHT and handlers.catches_timeout(each.to) is Modality.MUST
            for each in before
        ):
            return None
        match edge.leaves:
            case Leaves.CAUGHT:
                return _After(False) if handlers.catches_timeout(edge.to) is not Modality.NEVER else None
            case Leaves.RAISED:
                return _After(True)
            case _:
                return None

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


def _names_of(facts: Facts, region: int) -> Iterator[str]:
    """Yield the variables that a `with` binds by its `as`."""
    enter = Temp(facts.function.regions[region].enter)
    for step in facts.function.steps:
        match step:
            case Assign(target=Name(id=name), value=value) if value == enter:
                yield name
            case _:
                pass


def _as_left(travelling: bool) -> Leaving:
    return Leaving.RAISES if travelling else Leaving.RETURNS


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
