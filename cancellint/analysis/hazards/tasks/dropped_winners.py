"""Tasks of a race that may have finished, with something they have taken, and that nobody looks at.

A path search as in `abandonment`, from the `asyncio.wait` that ends when the first task is done, under the
assumption that this task is done too. It ends where somebody looks whether it is, or uses what it gives.
"""

import enum
from collections.abc import Iterator

from msgspec import Struct, structs

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.path_search import Halt
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.hazards.tasks.contender_tests import Said
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
from cancellint.analysis.hazards.tasks.task_paths import Held, TaskPaths
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


class RaceEnding(enum.IntEnum):
    """What the function does after it has dropped the result, what is worst first."""

    READS_ON = 0
    """it takes from the same source again"""
    RETURNS = 1
    """it returns something, and will be called again"""
    ENDS = 2
    """it ends with nothing, or with an error"""


class Drop(Struct, frozen=True, order=True):
    """One path on which a result is dropped."""

    ending: RaceEnding
    cancelled: bool
    """the function was cancelled while it waited"""
    wait: int
    """the await of the race"""
    at: int
    """the step that cancels the task, or else the one that goes on without it"""
    by_cancel: bool


class DroppedWinner(Struct, frozen=True):
    """A task whose result may be dropped."""

    started: int
    stake: Stake
    ways: tuple[Drop, ...]


class _State(Struct, frozen=True):
    """What means the task on a path; `wait` is the await of the race once it has been passed."""

    carriers: Held
    wait: int = -1
    cancelled: bool = False
    dropped: int = -1
    """the step that has cancelled the task unseen"""
    undone: tuple[Expr, ...] | None = ()
    entered: tuple[int, ...] = ()
    leaving: int = -1
    """the `return` that has been passed"""


def dropped_winners(
    effects: Effects, facts_of: FactsOf, contenders: Contenders, key: FunctionKey
) -> Iterator[DroppedWinner]:
    """Yield the consuming tasks of a function's races whose result it may drop."""
    starts = tuple(contenders.started(key)) if contenders.has_race(key) else ()
    if not starts or contenders.is_main(key):
        return
    facts = facts_of(key)
    for number in starts:
        at_stake = stake(effects, key, number)
        sources = tuple(take.source for take in at_stake.taken(again=True) if take.into == RESULT)
        if sources:
            ways = _Search(contenders, facts, number, sources).run()
            if ways:
                yield DroppedWinner(number, at_stake, ways)


class _Search:
    """Follows one task from where it is started through the race that it takes part in."""

    def __init__(self, contenders: Contenders, facts: Facts, start: int, sources: tuple[Path, ...]) -> None:
        self._paths: TaskPaths[_State] = TaskPaths(contenders, facts, self)
        self._uses = self._paths.uses
        self._tests = self._paths.tests
        self._facts = facts
        self._function = facts.function
        self._start = start
        self._sources = sources
        self._found: dict[Drop, None] = {}

    def run(self) -> tuple[Drop, ...]:
        """Return the paths that were found: each stands by itself, though others may have been missed."""
        start = _State(((Temp(self._start), Carrier(Part.TASK)),))
        found = self._paths.run(self._facts.block_of(self._start), self._start + 1, start)
        for end in found.ends:
            if end.exit == RETURN_EXIT and self._gives(end.state.leaving):
                self._drop(end.state, RaceEnding.RETURNS, end.state.leaving)
            else:
                last = self._facts.flow.last_step(end.block)
                self._drop(end.state, RaceEnding.ENDS, -1 if last is None else last)
        return tuple(sorted(self._found))

    def _drop(self, state: _State, ending: RaceEnding, at: int) -> None:
        by_cancel = state.dropped >= 0
        if state.wait >= 0 and (by_cancel or not state.cancelled):  # else it is left running, and not dropped
            where = state.dropped if by_cancel else at
            self._found[Drop(ending, state.cancelled, state.wait, where, by_cancel)] = None

    # ----------------------------------------------------------------- steps

    def over_step(self, state: _State, number: int) -> _State | Halt:
        if number == self._start or self._reads_on(number, state):
            self._drop(state, RaceEnding.READS_ON, number)
            return Halt.STOP
        carriers = dict(state.carriers)
        followed = self._looked_at(number, state, carriers)
        if followed is None:
            return Halt.STOP
        return structs.replace(followed, carriers=self._paths.after(number, carriers))

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
            case Call(args=args) if self._paths.contenders.waiting(self._facts.key, number) is not None:
                return any(_is_done(found) for value in args for found in self._uses.within(value, carriers))
            case Call(args=args):
                given = any(_is_done(meaning(value, carriers)) for value in args)
                return given and not self._uses.only_looks(number, step)
            case _:
                return False

    # ----------------------------------------------------------------- edges

    def _gives(self, number: int) -> bool:
        step = self._function.steps[number] if number >= 0 else None
        return isinstance(step, Return) and step.value != Const("none", "None")

    def over_handler(self, state: _State, handler: int) -> _State | None:
        return state

    def over_test(self, state: _State, test: Expr, outcome: bool) -> _State | None:
        if state.wait < 0:
            return state
        call = self._paths.call_waited_for(state.wait)
        verdict = self._tests.of(test, outcome, dict(state.carriers), state.undone, call)
        return structs.replace(state, undone=verdict.undone) if verdict.said is Said.NOTHING else None

    def over_turn(self, state: _State, number: int, edge: Edge) -> _State | None:
        """Return the state after a turn of a loop; what has finished is in no loop over what has not."""
        step = self._function.steps[number]
        found = meaning(step.value, dict(state.carriers)) if isinstance(step, Next) else None
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

    def over_await(self, state: _State, block: Block, number: int, edge: Edge) -> _State | None:
        step = self._function.steps[number]
        assert isinstance(step, Await)
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
