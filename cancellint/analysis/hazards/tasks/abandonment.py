"""Where a function leaves tasks running that it has started and waited for.

A path search from the step that starts a task. It ends where the task is dealt with: awaited to its end,
cancelled, kept, handed on, or known to have finished. What it reaches beyond that is an exit of the function
with the task still running. Doubts count as dealt with.
"""

import enum
from collections.abc import Iterator

from msgspec import Struct, structs

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import ENTRY
from cancellint.analysis.engine.path_search import End, Halt, Outcome
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.flow.unwinding import Shield
from cancellint.analysis.hazards.tasks.contender_tests import Said
from cancellint.analysis.hazards.tasks.contenders import Carrier, Carriers, Contenders, Part, Waiting, meaning
from cancellint.analysis.hazards.tasks.stakes import Stake, stake
from cancellint.analysis.hazards.tasks.task_paths import Held, TaskPaths
from cancellint.analysis.library.exceptions import Modality
from cancellint.model.ir import (
    Assign,
    Await,
    AwaitKind,
    Block,
    Edge,
    Expr,
    Leaves,
    Name,
    Raise,
    Return,
    Temp,
)
from cancellint.model.summary import Closes, Path
from cancellint.model.types import FunctionKey


class Departure(enum.IntEnum):
    """How a function leaves a task, what is hardest to deny first."""

    RENEWED = 0
    """it starts the same task once more"""
    LEFT = 1
    """it returns or raises by a statement of its own"""
    CANCELLED = 2
    """it is cancelled itself"""
    FAILED = 3
    """what it awaits fails, and it ends with that error"""


class Left(Struct, frozen=True, order=True):
    """One kind of path on which a task is left running.

    `at` is the step from which on nobody deals with it: an await that fails or is cancelled, a `return`
    or `raise`, the step that starts it anew. `waits` is what waited for it last (-1: nothing did).
    """

    way: Departure
    at: int
    waits: int = -1


class Departures(Struct, frozen=True):
    """The paths on which a task is left running, by kind; not `complete` where the search reached its cap.

    What deals with the task later on, on some of them, may then have been missed.
    """

    ways: tuple[Left, ...]
    complete: bool = True


class _State(Struct, frozen=True):
    """What means the task on a path, and what has become of it."""

    carriers: Held
    started: bool
    undone: tuple[Expr, ...] | None = ()
    """other tasks of the group that are known not to have finished, None where one of them has"""
    entered: tuple[int, ...] = ()
    """loops over the group that the path is in"""
    dealt: tuple[int, ...] = ()
    """those of them that deal with their item"""
    cause: Left | None = None
    """why the function is being left"""
    waits: int = -1
    renewed: bool = False

    @property
    def has_name(self) -> bool:
        """Whether a variable still leads to the task."""
        return any(isinstance(place, Name) for place, _ in self.carriers)


class Search:
    """Follows one task from the step that starts it, or from the function's start if it is a parameter.

    `siblings` mean other tasks that the function starts; closing any of `closing` ends the task.
    """

    def __init__(
        self,
        contenders: Contenders,
        facts: Facts,
        siblings: frozenset[Expr] = frozenset(),
        closing: tuple[Path, ...] = (),
    ) -> None:
        self._paths: TaskPaths[_State] = TaskPaths(contenders, facts, self)
        self._uses = self._paths.uses
        self._tests = self._paths.tests
        self._facts = facts
        self._function = facts.function
        self._siblings = siblings
        self._closing = closing
        self._start = -1
        self._found: dict[Left, None] = {}
        self._cured: set[Left] = set()

    def from_step(self, number: int, started: bool) -> Departures:
        """Return the paths on which what step `number` makes is left running."""
        self._start = number
        carriers: Carriers = {Temp(number): Carrier(Part.TASK)}
        return self._run(self._facts.block_of(number), number + 1, carriers, started)

    def from_parameter(self, name: str) -> Departures:
        """Return the paths on which the awaitables in a parameter are left running."""
        return self._run(ENTRY, -1, {Name(name): Carrier(Part.GROUP)}, False)

    def _run(self, block: int, step: int, carriers: Carriers, started: bool) -> Departures:
        found = self._paths.run(block, step, _State(tuple(carriers.items()), started))
        left = dict.fromkeys((*self._found, *self._at_ends(found.ends)))
        ways = tuple(sorted(way for way in left if way not in self._cured))
        return Departures(ways, complete=found.outcome is not Outcome.UNKNOWN)

    def _at_ends(self, ends: tuple[End[_State], ...]) -> Iterator[Left]:
        """Yield the kinds of paths on which the function ends with the task running."""
        for end in ends:
            if end.state.started and end.state.waits >= 0:
                last = self._facts.flow.last_step(end.block)
                yield end.state.cause or Left(Departure.LEFT, -1 if last is None else last, end.state.waits)

    # ----------------------------------------------------------------- steps

    def over_step(self, state: _State, number: int) -> _State | Halt:
        followed = self._after(number, state)
        if followed is None:
            self._settle(state)
            return Halt.STOP
        if followed.renewed and followed.waits >= 0 and not followed.has_name:
            self._found[Left(Departure.RENEWED, self._start, followed.waits)] = None
            return Halt.STOP
        return followed

    def _after(self, number: int, state: _State) -> _State | None:
        """Return the state after a step, None where it deals with the task."""
        carriers = dict(state.carriers)
        if number == self._start:
            carriers.pop(Temp(number), None)
            return structs.replace(state, carriers=tuple(carriers.items()), renewed=True)
        if state.cause is None and isinstance(self._function.steps[number], Return | Raise):
            state = structs.replace(state, cause=Left(Departure.LEFT, number, state.waits))
        use = self._uses.of(number, carriers, state.started)
        if use.settles or self._ends_task(number):
            return None
        dealt = state.dealt if use.loop < 0 else _added(state.dealt, use.loop)
        return structs.replace(
            state,
            carriers=self._paths.after(number, carriers),
            started=state.started or use.starts,
            dealt=dealt,
        )

    def _ends_task(self, number: int) -> bool:
        """Tell whether a step closes what the task works on, which ends it."""
        return bool(self._closing) and any(
            path.is_within(mine) or mine.is_within(path)
            for path in self._facts.effect(number).paths(Closes)
            for mine in self._closing
        )

    def _settle(self, state: _State) -> None:
        """Note that the task is dealt with on a path: if the function is being left, for good.

        What deals with it only if some flag is set is believed: who wrote it has thought of it.
        """
        if state.cause is not None:
            self._cured.add(state.cause)

    # ----------------------------------------------------------------- edges

    def over_handler(self, state: _State, handler: int) -> _State | None:
        return state if self._catches(handler, state.cause) else None

    def _catches(self, handler: int, cause: Left | None) -> bool:
        """Tell whether a handler may catch what is on its way through the function."""
        if cause is None or cause.way is Departure.LEFT:
            return True
        handlers = self._facts.handlers
        if cause.way is Departure.CANCELLED:
            return handlers.catches_cancellation(handler) is not Modality.NEVER
        return not (handlers.is_for_cancellations_only(handler) or handlers.is_for_timeouts_only(handler))

    def over_turn(self, state: _State, number: int, edge: Edge) -> _State | None:
        """Return the state after a turn of a loop: over a group that has the task, there is one at least."""
        item = dict(state.carriers).get(Temp(number))
        if edge.leaves is Leaves.RAISED:
            return None
        if item is None or item.part is not Part.MEMBER:
            return state
        if number in state.entered:
            over = edge.leaves is Leaves.EXHAUSTED and number not in state.dealt
            return structs.replace(state, entered=_without(state.entered, number)) if over else None
        if self._uses.cleans(number):
            self._settle(state)
            return None
        if edge.leaves is not Leaves.ITEM:
            return None
        return structs.replace(state, entered=_added(state.entered, number))

    def over_await(self, state: _State, block: Block, number: int, edge: Edge) -> _State | None:
        step = self._function.steps[number]
        assert isinstance(step, Await)
        if edge.leaves is Leaves.CANCELLED and not self._can_be_cancelled(block, number):
            return None
        if step.kind is AwaitKind.NEXT and edge.leaves is Leaves.EXHAUSTED:
            return self.over_turn(state, number, edge)
        found = meaning(step.value, dict(state.carriers))
        if found is not None and self._is_over(found, edge.leaves):
            self._settle(state)
            return None
        together = found is not None and found.part in (Part.WAITER, Part.MEMBER)
        if together or step.value in self._siblings:
            state = structs.replace(state, waits=number, undone=())
        if found is not None and found.part is Part.MEMBER:
            state = structs.replace(state, dealt=_added(state.dealt, found.step))
        if edge.leaves not in (Leaves.CANCELLED, Leaves.RAISED):
            return state
        if state.cause is not None:
            return None  # a second failure, within the clean-up after the first
        way = Departure.CANCELLED if edge.leaves is Leaves.CANCELLED else Departure.FAILED
        return structs.replace(state, cause=Left(way, number, state.waits))

    def _can_be_cancelled(self, block: Block, number: int) -> bool:
        suspends = self._facts.effect(number).suspends
        return suspends and self._facts.unwinding.shield(block.regions) is not Shield.ALL

    def _is_over(self, found: Carrier, leaves: Leaves) -> bool:
        """Tell whether the task is dealt with where control leaves an await along such an edge."""
        match found.part:
            case Part.TASK:
                return True
            case Part.MEMBER:
                return found.step < 0 and leaves is Leaves.RESUMED
            case Part.WAITER:
                return self._waited_for(found, leaves)
            case Part.GROUP | Part.DONE | Part.OUTCOME:
                return False

    def _waited_for(self, found: Carrier, leaves: Leaves) -> bool:
        match found.waiting:
            case Waiting.FIRST:
                alone = leaves is Leaves.RESUMED and self._tests.is_alone(found.step)
                return leaves is Leaves.RAISED or alone
            case Waiting.ALL:
                return leaves is not Leaves.CANCELLED
            case Waiting.GATHER:
                return leaves is not Leaves.RAISED or self._tests.is_alone(found.step)
            case Waiting.EACH | None:
                return False
            case Waiting.GATHER_ALL | Waiting.LIMIT | Waiting.SHIELD:
                return True  # whoever shields a task means it to go on

    # ----------------------------------------------------------------- tests

    def over_test(self, state: _State, test: Expr, outcome: bool) -> _State | None:
        """Return the state where a test has come out so, None where the task has finished then."""
        call = self._paths.call_waited_for(state.waits)
        verdict = self._tests.of(test, outcome, dict(state.carriers), state.undone, call)
        if verdict.said is Said.UNCLEAR:
            self._settle(state)
        if verdict.said in (Said.UNCLEAR, Said.FINISHED, Said.ABSENT):
            return None
        dealt = state.dealt if verdict.loop < 0 else _added(state.dealt, verdict.loop)
        return structs.replace(state, undone=verdict.undone, dealt=dealt)


def _added(known: tuple[int, ...], number: int) -> tuple[int, ...]:
    return tuple(sorted({*known, number}))


def _without(known: tuple[int, ...], number: int) -> tuple[int, ...]:
    return tuple(each for each in known if each != number)


class Abandoned(Struct, frozen=True):
    """A task that is left running, and all paths on which it is."""

    started: int
    """the step that starts it, -1 for what comes in by a parameter"""
    stake: Stake
    ways: tuple[Left, ...]
    complete: bool = True
    """all paths have been followed to their ends"""


def abandoned(
    effects: Effects, facts_of: FactsOf, contenders: Contenders, key: FunctionKey
) -> Iterator[Abandoned]:
    """Yield the tasks that a function starts, waits for and leaves running."""
    if not any(isinstance(step, Await) for step in effects.program.function(key).steps):
        return
    starts = dict.fromkeys(contenders.bare(key), False) | dict.fromkeys(contenders.started(key), True)
    params = tuple(contenders.given(key))
    if not (starts or params) or contenders.is_main(key):
        return
    facts = facts_of(key)
    siblings = _meanings(facts, {number for number, started in starts.items() if started})
    for number, started in sorted(starts.items()):
        found = Search(contenders, facts, siblings).from_step(number, started)
        if not found.ways:
            continue
        at_stake = stake(effects, key, number)
        if at_stake.works_on:
            found = Search(contenders, facts, siblings, at_stake.works_on).from_step(number, started)
        if found.ways:
            yield Abandoned(number, at_stake, found.ways, found.complete)
    for name in params:
        found = Search(contenders, facts).from_parameter(name)
        if found.ways:
            yield Abandoned(-1, Stake(name, (), None, (), given=True), found.ways, found.complete)


def _meanings(facts: Facts, starts: set[int]) -> frozenset[Expr]:
    """Return the outcomes of steps and the variables they are bound to."""
    bound = (
        step.target
        for step in facts.function.steps
        if isinstance(step, Assign) and isinstance(step.value, Temp) and step.value.step in starts
    )
    return frozenset((*(Temp(number) for number in starts), *bound))
