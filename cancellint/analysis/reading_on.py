"""Whether a source outlives a race: is it read again before anyone closes or replaces it?"""

from collections import deque
from collections.abc import Iterable, Iterator

from msgspec import Struct

from cancellint.analysis.effects import Effect
from cancellint.analysis.facts import Facts
from cancellint.analysis.unwinding import catches_timeout
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Delete,
    Edge,
    Exit,
    Expr,
    Leaves,
    Name,
    Op,
    Temp,
)
from cancellint.model.summary import Leaving, Path, Take


class Start(Struct, frozen=True):
    """Where control is when the race is lost: at a block, perhaps with a TimeoutError travelling.

    `step` is where to begin within the block, -1 for its start.
    """

    block: int
    travelling: bool
    step: int = -1
    exited: int = -1
    """the region whose exit has just been passed"""
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
    """A breadth-first search over (block, is an exception travelling)."""

    def __init__(self, facts: Facts, source: Path, origin: str, loser: Loser | None) -> None:
        self._loser = loser
        self._facts = facts
        self._source = source
        self._origin = origin
        self._scopes: set[str] = set()
        self._seen: set[tuple[int, bool]] = set()
        self._waiting: deque[Start] = deque()
        self._leaving: dict[Leaving, None] = {}
        self._ends: dict[Path, bool] = {}

    def run(self, starts: Iterable[Start]) -> ReadOn:
        for start in starts:
            if start.region >= 0:
                self._scopes.update(_names_of(self._facts, start.region))
            self._enter(start.block, start.travelling, start.step)
        while self._waiting:
            start = self._waiting.popleft()
            found = self._through(start)
            if found is not None:
                step, take = found
                return ReadOn(step, take, ())
        return ReadOn(None, None, tuple(sorted(self._leaving)))

    def _enter(self, block: int, travelling: bool, step: int = -1, exited: int = -1) -> None:
        if block < 0:
            self._leaving[Leaving.RAISES if travelling else Leaving.RETURNS] = None
            return
        if step < 0:
            if (block, travelling) in self._seen:
                return
            self._seen.add((block, travelling))
        self._waiting.append(Start(block, travelling, step, exited))

    def _through(self, start: Start) -> tuple[int, Take] | None:
        """Pass through one block; return the step that reads the source again, if one does."""
        facts = self._facts
        block = facts.function.blocks[start.block]
        exited = start.exited
        for number in range(max(block.first, start.step), block.last):
            effect = facts.effect(number)
            for take in self._takes(number):
                if take.source == self._source and not take.reopened:
                    return number, take
            if self._ends_source(number, effect):
                return None
            step = facts.function.steps[number]
            match step:
                case Exit(region=region):
                    exited = region
                case Await(kind=AwaitKind.EXIT, region=region):
                    exited = region
                case _:
                    pass
        self._leave(start, exited)
        return None

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
            known = self._ends[path] = closes(path, self._source, self._origin)
        return known

    def _leave(self, start: Start, exited: int) -> None:
        block = self._facts.function.blocks[start.block]
        if start.travelling and any(edge.leaves is Leaves.CAUGHT for edge in block.edges):
            self._dispatch(start.block)
            return
        raises = not any(edge.leaves in _FORWARD for edge in block.edges)
        for edge in block.edges:
            match edge.leaves:
                case Leaves.RAISED if raises or (start.travelling and exited >= 0):
                    self._enter(edge.to, True)
                case Leaves.ABSORBED if start.travelling and exited >= 0:
                    if self._facts.unwinding.absorbs_timeout(exited):
                        self._enter(edge.to, False)
                case leaves if leaves in _FORWARD and not self._denies_race(block.test, edge):
                    self._enter(edge.to, start.travelling, exited=exited)
                case _:
                    pass

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

    def _dispatch(self, number: int) -> None:
        """Send a travelling TimeoutError to the handlers that take it."""
        for edge in self._facts.function.blocks[number].edges:
            if edge.leaves is Leaves.CAUGHT:
                may, surely = catches_timeout(self._facts.function, edge.to)
                if may:
                    self._enter(edge.to, False)
                if surely:
                    return
            elif edge.leaves is Leaves.RAISED:
                self._enter(edge.to, True)


def _names_of(facts: Facts, region: int) -> Iterator[str]:
    """Yield the variables that a `with` binds by its `as`."""
    enter = Temp(facts.function.regions[region].enter)
    for step in facts.function.steps:
        match step:
            case Assign(target=Name(id=name), value=value) if value == enter:
                yield name
            case _:
                pass


def closes(path: Path, source: Path, origin: str) -> bool:
    """Tell whether closing `path` ends `source`: itself, what it is part of, its connection."""
    if source.is_within(path):
        return True
    if not is_connection(origin):
        return False
    while path.fields and path.fields[-1].strip("_") in ("transport", "socket", "sock"):
        path = Path(path.root, path.fields[:-1])
    if path.is_sibling(source):
        return True
    bare = ("param:", "local:", "temp:", "free:")
    return (
        not path.fields and not source.fields and path.root.startswith(bare) and source.root.startswith(bare)
    )


def is_connection(origin: str) -> bool:
    """Tell whether what is consumed comes from a connection, whose parts are closed together."""
    return "Queue" not in origin and origin != "store"
