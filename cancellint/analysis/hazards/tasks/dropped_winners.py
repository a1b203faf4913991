"""Tasks of a race that may have finished, with something they have taken, and that nobody looks at.

A path search as in `abandonment`, from the `asyncio.wait` that ends when the first task is done, under the
assumption that this task is done too. It ends where somebody looks whether it is, or uses what it gives.
"""

import enum
from collections import deque
from collections.abc import Iterator

from msgspec import Struct, structs

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.hazards.tasks.contender_tests import Said, Tests
from cancellint.analysis.hazards.tasks.contender_uses import Uses
from cancellint.analysis.hazards.tasks.contenders import (
    PICKS,
    Carrier,
    Carriers,
    Contenders,
    Part,
    Waiting,
    is_outstanding,
    meaning,
)
from cancellint.analysis.hazards.tasks.stakes import Stake, stake
from cancellint.analysis.memory.owners import Owners
from cancellint.model.ir import (
    RETURN_EXIT,
    Attr,
    Await,
    Block,
    Call,
    Const,
    Edge,
    Expr,
    Leaves,
    Next,
    Return,
    Temp,
)
from cancellint.model.summary import RESULT, Path
from cancellint.model.types import FunctionKey

MOST_STATES = 1500
"""States after which a search is given up without a finding."""


class Ending(enum.IntEnum):
    """What the function does after it has dropped the result, what is worst first."""

    READS_ON = 0
    """it takes from the same source again"""
    RETURNS = 1
    """it returns something, and will be called again"""
    ENDS = 2
    """it ends with nothing, or with an error"""


class Drop(Struct, frozen=True, order=True):
    """One way on which a result is dropped."""

    ending: Ending
    cancelled: bool
    """the function was cancelled while it waited"""
    wait: int
    """the await of the race"""
    at: int
    """the step that cancels the task, or else the one that goes on without it"""
    by_cancel: bool


class Dropped(Struct, frozen=True):
    """A task whose result may be dropped."""

    started: int
    stake: Stake
    ways: tuple[Drop, ...]


class _State(Struct, frozen=True):
    """Where a path is; `wait` is the await of the race once it has been passed."""

    block: int
    carriers: tuple[tuple[Expr, Carrier], ...]
    wait: int = -1
    cancelled: bool = False
    dropped: int = -1
    """the step that has cancelled the task unseen"""
    undone: tuple[Expr, ...] = ()
    entered: tuple[int, ...] = ()
    leaving: int = -1
    """the `return` that has been passed"""


def dropped_winners(
    effects: Effects, owners: Owners, contenders: Contenders, key: FunctionKey
) -> Iterator[Dropped]:
    """Yield the consuming tasks of a function's races whose result it may drop."""
    starts = tuple(contenders.started(key)) if contenders.has_race(key) else ()
    if not starts or contenders.is_main(key):
        return
    facts = Facts(effects, owners, key)
    for number in starts:
        at_stake = stake(effects, key, number)
        sources = tuple(take.source for take in at_stake.taken(again=True) if take.into == RESULT)
        if sources:
            ways = _Search(contenders, facts, number, sources).run()
            if ways:
                yield Dropped(number, at_stake, ways)


class _Search:
    """Follows one task from where it is started through the race that it takes part in."""

    def __init__(self, contenders: Contenders, facts: Facts, start: int, sources: tuple[Path, ...]) -> None:
        self._contenders = contenders
        self._uses = Uses(contenders, facts)
        self._tests = Tests(contenders, facts, self._uses)
        self._facts = facts
        self._function = facts.function
        self._start = start
        self._sources = sources
        self._found: dict[Drop, None] = {}
        self._seen: set[_State] = set()
        self._waiting: deque[tuple[_State, int]] = deque()

    def run(self) -> tuple[Drop, ...]:
        carriers = ((Temp(self._start), Carrier(Part.TASK)),)
        self._waiting.append((_State(self._facts.block_of(self._start), carriers), self._start + 1))
        while self._waiting:
            if len(self._seen) > MOST_STATES:
                return ()
            self._through(*self._waiting.popleft())
        return tuple(sorted(self._found))

    def _drop(self, state: _State, ending: Ending, at: int) -> None:
        by_cancel = state.dropped >= 0
        if state.wait >= 0 and (by_cancel or not state.cancelled):  # else it is left running, and not dropped
            where = state.dropped if by_cancel else at
            self._found[Drop(ending, state.cancelled, state.wait, where, by_cancel)] = None

    # ----------------------------------------------------------------- steps

    def _through(self, state: _State, first: int) -> None:
        block = self._function.blocks[state.block]
        for number in range(max(first, block.first), block.last):
            if number == self._start or self._reads_on(number, state):
                self._drop(state, Ending.READS_ON, number)
                return
            carriers = dict(state.carriers)
            followed = self._looked_at(number, state, carriers)
            if followed is None:
                return
            after = self._contenders.after(self._facts.key, number, carriers)
            kept = tuple(sorted(after.items(), key=lambda pair: str(pair[0])))
            state = structs.replace(followed, carriers=kept)
        self._leave(block, state)

    def _reads_on(self, number: int, state: _State) -> bool:
        """Tell whether a step takes from the source again after the task was cancelled unseen."""
        step = self._function.steps[number]
        if state.dropped < 0:
            return False
        if isinstance(step, Await) and is_outstanding(meaning(step.value, dict(state.carriers))):
            return False
        return any(take.source in self._sources for take in self._facts.takes(number))

    def _looked_at(self, number: int, state: _State, carriers: Carriers) -> _State | None:
        """Return the state after a step, None where somebody looks at the task, or has kept it."""
        step = self._function.steps[number]
        if isinstance(step, Return) and state.leaving < 0:
            state = structs.replace(state, leaving=number)
        if isinstance(step, Call) and isinstance(step.func, Attr):
            found = meaning(step.func.base, carriers)
            if found is not None and step.func.name == "cancel" and not step.used:
                return state if state.dropped >= 0 else structs.replace(state, dropped=number)
            if found is not None and found.part is Part.DONE and step.func.name in PICKS:
                return state
        if self._uses.of(number, carriers, started=True).settles:
            return None
        return None if state.wait >= 0 and self._uses_all_done(number, carriers) else state

    def _uses_all_done(self, number: int, carriers: Carriers) -> bool:
        """Tell whether a step goes through all that has finished, or hands it on."""
        step = self._function.steps[number]
        match step:
            case Next(value=value) | Return(value=value):
                return _is_done(meaning(value, carriers))
            case Call(args=args) if self._contenders.waiting(self._facts.key, number) is not None:
                return any(_is_done(found) for value in args for found in self._uses.within(value, carriers))
            case Call(args=args):
                given = any(_is_done(meaning(value, carriers)) for value in args)
                return given and not self._uses.only_looks(number, step)
            case _:
                return False

    # ----------------------------------------------------------------- edges

    def _leave(self, block: Block, state: _State) -> None:
        last = block.last - 1 if block.last > block.first else -1
        step = self._function.steps[last] if last >= 0 else None
        for edge in block.edges:
            match step:
                case Await():
                    followed = self._along_await(last, step, edge, state)
                case Next(value=value):
                    followed = self._along_loop(last, value, edge, state)
                case _:
                    followed = self._along(block, edge, state)
            if followed is not None:
                self._go(followed, edge, last)

    def _go(self, state: _State, edge: Edge, last: int) -> None:
        if edge.to >= 0:
            state = structs.replace(state, block=edge.to)
            if state not in self._seen:
                self._seen.add(state)
                self._waiting.append((state, -1))
        elif edge.to == RETURN_EXIT and self._gives(state.leaving):
            self._drop(state, Ending.RETURNS, state.leaving)
        else:
            self._drop(state, Ending.ENDS, last)

    def _gives(self, number: int) -> bool:
        step = self._function.steps[number] if number >= 0 else None
        return isinstance(step, Return) and step.value != Const("none", "None")

    def _along(self, block: Block, edge: Edge, state: _State) -> _State | None:
        if edge.leaves is Leaves.RAISED and len(block.edges) > 1 and block.last > block.first:
            return None
        if edge.leaves not in (Leaves.TRUE, Leaves.FALSE) or block.test is None or state.wait < 0:
            return state
        wait = self._function.steps[state.wait]
        call = wait.value.step if isinstance(wait, Await) and isinstance(wait.value, Temp) else -1
        truth = edge.leaves is Leaves.TRUE
        verdict = self._tests.of(block.test, truth, dict(state.carriers), state.undone, call)
        return structs.replace(state, undone=verdict.undone) if verdict.said is Said.NOTHING else None

    def _along_loop(self, number: int, value: Expr, edge: Edge, state: _State) -> _State | None:
        """Return the state after a turn of a loop; what has finished is in no loop over what has not."""
        found = meaning(value, dict(state.carriers))
        if edge.leaves is Leaves.RAISED:
            return None
        if found is None or found.part is not Part.GROUP or state.wait < 0:
            return state
        if found.step >= 0:
            return state if edge.leaves is Leaves.EXHAUSTED else None
        if number in state.entered:
            return state if edge.leaves is Leaves.EXHAUSTED else None
        entered = tuple(sorted({*state.entered, number}))
        return structs.replace(state, entered=entered) if edge.leaves is Leaves.ITEM else None

    def _along_await(self, number: int, step: Await, edge: Edge, state: _State) -> _State | None:
        found = meaning(step.value, dict(state.carriers))
        failed = edge.leaves in (Leaves.CANCELLED, Leaves.RAISED)
        if not is_outstanding(found) or found is None:
            return None if failed else state
        if found.part is Part.WAITER and found.waiting is Waiting.FIRST:
            return self._raced(number, found, edge, state)
        alone = found.part is not Part.WAITER and state.dropped < 0
        if state.wait < 0 or state.cancelled or step.used or alone:
            return None  # it is waited for, and what it gives is used
        return None if failed else state

    def _raced(self, number: int, found: Carrier, edge: Edge, state: _State) -> _State | None:
        """Return the state after the race itself; one that comes round to it has kept its task."""
        if state.wait >= 0 or edge.leaves is Leaves.RAISED or self._tests.is_alone(found.step):
            return None
        return structs.replace(state, wait=number, cancelled=edge.leaves is Leaves.CANCELLED)


def _is_done(found: Carrier | None) -> bool:
    return found is not None and found.part is Part.DONE
