"""Messages of one sender that come to one receiver over two paths, one of them longer."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.reachability import leads_to, may_follow, precedes
from cancellint.analysis.flow.facts import FactsOf
from cancellint.analysis.hazards.channels.objects import Meant
from cancellint.analysis.hazards.channels.queue_steps import Get, Put, QueueSteps
from cancellint.analysis.program.expressions import last_name
from cancellint.model.ir import Await, AwaitKind, Call, Const, Exit, Temp
from cancellint.model.knowledge import Role
from cancellint.model.types import CallSite, FunctionKey, ProjectCallee, ProjectFunction

_WAITS = frozenset({"join", "result", "wait", "shutdown"})
"""Methods by which a thread waits until something has been done."""
_ANSWERS = frozenset({Role.WAITS, Role.GATHERS, Role.CONSUMES})


class SplitPath(Struct, frozen=True):
    """`first` goes the long way, past `forwarded`; `later` goes straight into the queue of `received`."""

    first: int
    later: int
    put: Put
    forwarded: CallSite
    received: CallSite
    by_task: bool
    """the long way is a task, or a thread, for this message; else a queue and whoever works it off"""
    ends: bool
    """with the later message the receiver stops"""


class SplitPaths:
    """Finds them for one sender at a time."""

    def __init__(self, effects: Effects, facts_of: FactsOf, steps: QueueSteps) -> None:
        self._effects = effects
        self._program = effects.program
        self._facts_of = facts_of
        self._steps = steps

    def of(self, key: FunctionKey) -> Iterator[SplitPath]:
        """Yield the messages of a function that a later one may overtake, each once."""
        told: set[int] = set()
        for later in self._steps.puts.get(key, ()):
            meant = self._steps.meant(key, later.queue)
            receivers = [
                get
                for gets in self._steps.gets.values()
                for get in gets
                if get.key != key and self._steps.may_be(meant, get) and self._is_in_loop(get)
            ]
            if not receivers:
                continue
            for first, forwarded, by_task in (*self._queued(key, meant), *self._spawned(key, meant)):
                if first in told or not self._may_be_overtaken(key, first, later.at.step):
                    continue
                ended = next((get for get in receivers if self._steps.is_ending(get, later)), None)
                receiver = ended or receivers[0]
                if forwarded.function in (key, receiver.key):
                    continue
                told.add(first)
                yield SplitPath(
                    first, later.at.step, later, forwarded, receiver.at, by_task, ended is not None
                )

    # ----------------------------------------------------------------- the long way

    def _queued(self, key: FunctionKey, meant: Meant) -> Iterator[tuple[int, CallSite, bool]]:
        """Yield the puts into other queues whose items somebody forwards, and where."""
        for put in self._steps.puts.get(key, ()):
            if isinstance(put.item, Const) or self._steps.may_be(meant, put):
                continue
            other = self._steps.meant(key, put.queue)
            for gets in self._steps.gets.values():
                for get in gets:
                    forwarded = self._forwards(get, meant) if self._steps.may_be(other, get) else None
                    if forwarded is not None and not self._steps.is_ending(get, put):
                        yield put.at.step, forwarded, False

    def _forwards(self, get: Get, meant: Meant) -> CallSite | None:
        """Return the put into a queue that follows in the same turn of a loop in which an item is taken."""
        if not self._is_in_loop(get):
            return None
        flow = self._program.flow(get.key)
        for put in self._steps.puts.get(get.key, ()):
            if self._steps.may_be(meant, put) and precedes(flow, get.at.step, put.at.step):
                return None if isinstance(put.item, Const) else put.at
        return None

    def _is_in_loop(self, get: Get) -> bool:
        flow = self._program.flow(get.key)
        return bool(flow.cycle(flow.block_of(get.at.step)))

    def _spawned(self, key: FunctionKey, meant: Meant) -> Iterator[tuple[int, CallSite, bool]]:
        """Yield the steps that start a task, or a thread, which puts something into the queue later."""
        for number, step in enumerate(self._program.function(key).steps):
            if isinstance(step, Call) and self._starts(key, number):
                for started in self._given(key, step):
                    forwarded = self._puts_later(started, meant)
                    if forwarded is not None:
                        yield number, forwarded, True

    def _starts(self, key: FunctionKey, number: int) -> bool:
        found = (self._effects.operations.known(each) for each in self._effects.types.callees(key, number))
        return any(
            known is not None and (Role.SPAWNS in known.entry.roles or known.entry.in_thread)
            for known in found
        )

    def _given(self, key: FunctionKey, call: Call) -> Iterator[FunctionKey]:
        """Yield the functions that a call is given, or whose coroutines it is given."""
        for value in call.args:
            if isinstance(value, Temp):
                for callee in self._effects.types.callees(key, value.step):
                    if isinstance(callee, ProjectCallee):
                        yield callee.key
            else:
                kind = self._effects.types.of(key, value)
                if isinstance(kind, ProjectFunction):
                    yield kind.key

    def _puts_later(self, started: FunctionKey, meant: Meant) -> CallSite | None:
        """Return where a task puts an item into a queue once, after it has waited for something."""
        facts = self._facts_of(started)
        waits = [step for _, step in facts.awaits()]
        for put in self._steps.puts.get(started, ()):
            at = put.at.step
            late = not facts.function.is_async or any(
                may_follow(facts.flow, each, at, NORMAL) and not may_follow(facts.flow, at, each, NORMAL)
                for each in waits
            )
            in_loop = facts.flow.cycle(facts.flow.block_of(at))
            if late and not in_loop and not isinstance(put.item, Const) and self._steps.may_be(meant, put):
                return put.at
        return None

    # ----------------------------------------------------------------- the order

    def _may_be_overtaken(self, key: FunctionKey, first: int, later: int) -> bool:
        """Tell whether a step follows another one in the same turn, with no wait for what that has begun."""
        flow = self._program.flow(key)
        if not precedes(flow, first, later) and may_follow(flow, later, first):
            return False
        regions = flow.blocks[flow.block_of(first)].regions
        waits = [
            number
            for number in range(len(self._program.function(key).steps))
            if self._waits_for_others(key, number, regions)
        ]
        return leads_to(flow, first, later, avoiding=waits)

    def _waits_for_others(self, key: FunctionKey, number: int, regions: tuple[int, ...]) -> bool:
        """Tell whether a step waits until others have done something: answered, or ended."""
        match self._program.function(key).steps[number]:
            case Exit(region=region) | Await(kind=AwaitKind.EXIT, region=region):
                return region in regions
            case Await(kind=AwaitKind.EXPRESSION):
                operations = self._effects.awaited(key, number)
                return not operations or any(
                    each.task
                    or each.gathered
                    or (
                        (known := self._effects.operations.known(each.callee)) is not None
                        and not _ANSWERS.isdisjoint(known.entry.roles)
                    )
                    for each in operations
                )
            case Call(func=func):
                return last_name(func) in _WAITS
            case _:
                return False
