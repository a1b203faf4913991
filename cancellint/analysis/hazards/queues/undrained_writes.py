"""Loops that write to a stream and never wait until it has room."""

import enum
from collections.abc import Iterable, Iterator

from msgspec import Struct

from cancellint.analysis.callgraph.function_uses import FunctionUses
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.loops import Loop
from cancellint.analysis.engine.reachability import may_follow
from cancellint.analysis.flow.facts import Facts, FactsOf, is_removal
from cancellint.analysis.flow.inflows import REMOTE, Growth, Inflow, Inflows
from cancellint.analysis.program.expressions import parts
from cancellint.model.finding import Confidence
from cancellint.model.ir import Assign, Attr, Await, Call, Expr, Item, Next, Temp
from cancellint.model.knowledge import Role
from cancellint.model.types import FunctionKey, ProjectCallee, UnresolvedCallee

_DEEPEST = Limit(4, "calls between a loop and what waits for its stream")
_MEASURES = frozenset({"get_write_buffer_size"})
"""Methods by which a loop looks how much is waiting."""


class Pace(enum.StrEnum):
    """Who sets the pace at which a loop writes."""

    PEER = "peer"
    """what a peer sends is written on as it is"""
    ANSWERS = "answers"
    """something is written for all that a peer sends"""
    OWN = "own"
    """the loop itself, or what it goes over"""


class UndrainedWrite(Struct, frozen=True):
    """A step of a loop writes to `stream`; nothing in the loop waits for that."""

    at: int
    stream: Expr
    waits: str
    """the method that would"""
    pace: Pace
    source: int | None
    """the await that gives what is written, if a peer sends it"""


class UndrainedWrites:
    """Finds them for one coroutine at a time."""

    def __init__(self, effects: Effects, uses: FunctionUses, facts_of: FactsOf) -> None:
        self._effects = effects
        self._program = effects.program
        self._facts_of = facts_of
        self._inflows = Inflows(effects, uses)
        knowledge = effects.operations.knowledge
        entries = ((name, knowledge.entry(name)) for name in knowledge.names())
        drained = [name for name, entry in entries if entry is not None and entry.drained_by is not None]
        self._names = frozenset(name.rpartition(".")[2] for name in drained)

    def of(self, key: FunctionKey) -> Iterator[UndrainedWrite]:
        """Yield the first undrained write of each loop of a coroutine, by stream."""
        function = self._program.function(key)
        told: set[tuple[int, Expr]] = set()
        for number, step in enumerate(function.steps if function.is_async else ()):
            match step:
                case Call(func=Attr(base=stream, name=name)) if name in self._names:
                    found = self._undrained(key, number, step, stream)
                    if found is not None and (found[0], stream) not in told:
                        told.add((found[0], stream))
                        yield found[1]
                case _:
                    pass

    def _undrained(
        self, key: FunctionKey, number: int, step: Call, stream: Expr
    ) -> tuple[int, UndrainedWrite] | None:
        """Return what a write comes to, and the loop by its header."""
        waits = self._drained_by(key, number)
        if waits is None:
            return None
        facts = self._facts_of(key)
        loop = self._loop(facts, number)
        if loop is None or self._is_of_turn(facts, loop, stream):
            return None
        if self._is_drained(facts, loop, number, waits):
            return None
        inflow = self._inflows.of(key, number, step.args)
        from_peer = inflow is not None and inflow.growth is Growth.LOOP and not inflow.calls
        source = inflow.source.step if inflow is not None and from_peer else None
        if self._is_held_back(facts, loop, source, stream):
            return None
        found = UndrainedWrite(number, stream, waits, self._pace(facts, step, inflow, source), source)
        return loop.header, found

    def _pace(self, facts: Facts, step: Call, inflow: Inflow | None, source: int | None) -> Pace:
        if inflow is None or source is None:
            return Pace.OWN
        read = Temp(source)
        steps = facts.function.steps
        names = {each.target for each in steps if isinstance(each, Assign) and each.value == read}
        as_it_is = any(value == read or value in names for value in step.args)
        return Pace.PEER if as_it_is and inflow.confidence is Confidence.CERTAIN else Pace.ANSWERS

    def _drained_by(self, key: FunctionKey, number: int) -> str | None:
        for callee in self._effects.types.callees(key, number):
            known = self._effects.operations.known(callee)
            if known is not None and known.entry.drained_by is not None:
                return known.entry.drained_by if known.confidence is Confidence.CERTAIN else None
        return None

    def _loop(self, facts: Facts, number: int) -> Loop | None:
        """Return the innermost loop without a count round a write, or the outermost of those with one."""
        block = facts.flow.block_of(number)
        around = [loop for loop in reversed(facts.flow.loops) if block in loop.blocks]
        endless = (loop for loop in around if not self._is_counted(facts, loop))
        return next(endless, around[-1] if around else None)

    def _is_counted(self, facts: Facts, loop: Loop) -> bool:
        steps = facts.function.steps
        return any(isinstance(steps[number], Next) for number in facts.flow.steps(loop.header))

    # ----------------------------------------------------------------- what waits

    def _is_drained(self, facts: Facts, loop: Loop, number: int, waits: str) -> bool:
        """Tell whether a loop waits for a stream; of one with a count, whether anything is awaited later."""
        inside = tuple(facts.flow.steps_of(loop.blocks))
        if self._drains(facts.key, inside, waits):
            return True
        if not self._is_counted(facts, loop):
            return any(self._empties(facts, each) for each in inside)
        return any(may_follow(facts.flow, number, later) for _, later in facts.awaits())

    def _drains(self, key: FunctionKey, numbers: Iterable[int], waits: str) -> bool:
        """Tell whether some steps of a function wait for a stream, by whatever functions of the project."""
        waiting = [(key, tuple(numbers), 0)]
        seen: set[FunctionKey] = set()
        while waiting:
            here, steps, depth = waiting.pop()
            for number in steps:
                if self._is_drain(here, number, waits):
                    return True
                for called in self._called(here, number):
                    if called not in seen and not _DEEPEST.is_exceeded_by(depth + 1):
                        seen.add(called)
                        every = range(len(self._program.function(called).steps))
                        waiting.append((called, tuple(every), depth + 1))
        return False

    def _is_drain(self, key: FunctionKey, number: int, waits: str) -> bool:
        """Tell whether a call waits for room, looks how much there is, or stops what is read meanwhile."""
        match self._program.function(key).steps[number]:
            case Call(func=Attr(name=name)):
                return name == waits or name in _MEASURES or self._pauses(key, number)
            case _:
                return False

    def _pauses(self, key: FunctionKey, number: int) -> bool:
        known = map(self._effects.operations.known, self._effects.types.callees(key, number))
        return any(each is not None and Role.PAUSES in each.entry.roles for each in known)

    def _called(self, key: FunctionKey, number: int) -> Iterator[FunctionKey]:
        if isinstance(self._program.function(key).steps[number], Call):
            for callee in self._effects.types.callees(key, number):
                if isinstance(callee, ProjectCallee):
                    yield callee.key

    def _empties(self, facts: Facts, number: int) -> bool:
        """Tell whether a step takes something out of a container, which then has less to give."""
        return any(is_removal(take) for take in facts.takes(number))

    def _is_of_turn(self, facts: Facts, loop: Loop, stream: Expr) -> bool:
        """Tell whether each turn of a loop has a stream of its own."""
        steps = facts.function.steps
        for number in facts.flow.steps_of(loop.blocks):
            match steps[number]:
                case Assign(target=target) if target == stream:
                    return True
                case _:
                    pass
        return False

    def _is_held_back(self, facts: Facts, loop: Loop, source: int | None, stream: Expr) -> bool:
        """Tell whether a loop waits for an answer of a peer, or for something unknown that has the stream."""
        for number in facts.flow.steps_of(loop.blocks):
            match facts.function.steps[number]:
                case Await() if number != source and self._hears(facts, number):
                    return True
                case Call(func=func, args=args) if self._is_unknown(facts.key, number):
                    if any(part == _root(stream) for each in (func, *args) for part in parts(each)):
                        return True
                case _:
                    pass
        return False

    def _hears(self, facts: Facts, number: int) -> bool:
        return any(facts.source_kind(take.origin) in REMOTE for take in facts.takes(number))

    def _is_unknown(self, key: FunctionKey, number: int) -> bool:
        return any(isinstance(each, UnresolvedCallee) for each in self._effects.types.callees(key, number))


def _root(expr: Expr) -> Expr:
    """Return the variable that an access path begins with."""
    while isinstance(expr, Attr | Item):
        expr = expr.base
    return expr
