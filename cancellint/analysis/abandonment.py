"""Where a function leaves tasks running that it has started and waited for.

A path search from the step that starts a task. It ends where the task is dealt with: awaited to its end,
cancelled, kept, handed on, or known to have finished. What it reaches beyond that is an exit of the function
with the task still running. Doubts count as dealt with.
"""

import enum
from collections import deque
from collections.abc import Iterator

from msgspec import Struct, structs

from cancellint.analysis.contender_uses import Uses
from cancellint.analysis.contenders import Carrier, Carriers, Contenders, Part, Waiting, meaning
from cancellint.analysis.effects import Effects
from cancellint.analysis.facts import Facts
from cancellint.analysis.owners import Owners
from cancellint.analysis.stakes import Stake, stake
from cancellint.analysis.unwinding import (
    Shield,
    catches_cancellation,
    catches_cancellation_only,
    catches_timeouts_only,
)
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Block,
    Build,
    Call,
    Const,
    Edge,
    Expr,
    Leaves,
    Name,
    Next,
    Op,
    Raise,
    Return,
    Star,
    Temp,
)
from cancellint.model.summary import Path
from cancellint.model.types import FunctionKey

MOST_STATES = 1500
"""States after which a search is given up without a finding."""


class Way(enum.IntEnum):
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
    """One way on which a task is left running.

    `at` is the step from which on nobody deals with it: an await that fails or is cancelled, a `return`
    or `raise`, the step that starts it anew. `waits` is what waited for it last (-1: nothing did).
    """

    way: Way
    at: int
    waits: int = -1


class _State(Struct, frozen=True):
    """Where a path is, and what means the task there."""

    block: int
    carriers: tuple[tuple[Expr, Carrier], ...]
    started: bool
    undone: tuple[Expr, ...] = ()
    """other tasks of the group that are known not to have finished"""
    entered: tuple[int, ...] = ()
    """loops over the group that the path is in"""
    dealt: tuple[int, ...] = ()
    """those of them that deal with their item"""
    cause: Left | None = None
    """why the function is being left"""
    waits: int = -1
    renewed: bool = False


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
        self._contenders = contenders
        self._uses = Uses(contenders, facts)
        self._facts = facts
        self._function = facts.function
        self._siblings = siblings
        self._closing = closing
        self._start = -1
        self._found: dict[Left, None] = {}
        self._cured: set[Left] = set()
        self._seen: set[_State] = set()
        self._waiting: deque[tuple[_State, int]] = deque()

    def from_step(self, number: int, started: bool) -> tuple[Left, ...]:
        """Return the ways on which what step `number` makes is left running."""
        self._start = number
        carriers: Carriers = {Temp(number): Carrier(Part.TASK)}
        return self._run(self._facts.block_of(number), number + 1, carriers, started)

    def from_parameter(self, name: str) -> tuple[Left, ...]:
        """Return the ways on which the awaitables in a parameter are left running."""
        return self._run(0, 0, {Name(name): Carrier(Part.GROUP)}, False)

    def _run(self, block: int, step: int, carriers: Carriers, started: bool) -> tuple[Left, ...]:
        self._waiting.append((_State(block, tuple(carriers.items()), started), step))
        while self._waiting:
            if len(self._seen) > MOST_STATES:
                return ()
            self._through(*self._waiting.popleft())
        return tuple(sorted(found for found in self._found if found not in self._cured))

    # ----------------------------------------------------------------- one block

    def _through(self, state: _State, first: int) -> None:
        block = self._function.blocks[state.block]
        for number in range(max(first, block.first), block.last):
            followed = self._after(number, state)
            if followed is None:
                self._settle(state)
                return
            state = followed
            if (
                state.renewed
                and state.waits >= 0
                and not any(isinstance(place, Name) for place, _ in state.carriers)
            ):
                self._found[Left(Way.RENEWED, self._start, state.waits)] = None
                return
        self._leave(block, state)

    def _after(self, number: int, state: _State) -> _State | None:
        """Return the state after a step, None where it deals with the task."""
        carriers = dict(state.carriers)
        if number == self._start:
            carriers.pop(Temp(number), None)
            return structs.replace(state, carriers=tuple(carriers.items()), renewed=True)
        if state.cause is None and isinstance(self._function.steps[number], Return | Raise):
            state = structs.replace(state, cause=Left(Way.LEFT, number, state.waits))
        use = self._uses.of(number, carriers, state.started)
        if use.settles or self._ends_task(number):
            return None
        after = self._contenders.after(self._facts.key, number, carriers)
        dealt = state.dealt if use.loop < 0 else _added(state.dealt, use.loop)
        return structs.replace(
            state,
            carriers=tuple(sorted(after.items(), key=lambda pair: str(pair[0]))),
            started=state.started or use.starts,
            dealt=dealt,
        )

    def _ends_task(self, number: int) -> bool:
        """Tell whether a step closes what the task works on, which ends it."""
        return bool(self._closing) and any(
            path.is_within(mine) or mine.is_within(path)
            for path in self._facts.effect(number).closes
            for mine in self._closing
        )

    def _settle(self, state: _State) -> None:
        """Note that the task is dealt with on a path: if the function is being left, for good.

        What deals with it only if some flag is set is believed: who wrote it has thought of it.
        """
        if state.cause is not None:
            self._cured.add(state.cause)

    # ----------------------------------------------------------------- edges

    def _leave(self, block: Block, state: _State) -> None:
        last = block.last - 1 if block.last > block.first else -1
        step = self._function.steps[last] if last >= 0 else None
        for edge in block.edges:
            match step:
                case Await():
                    followed = self._along_await(block, last, edge, state)
                case Next():
                    followed = self._along_loop(last, edge, state)
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
        elif state.started and state.waits >= 0:
            self._found[state.cause or Left(Way.LEFT, last, state.waits)] = None

    def _along(self, block: Block, edge: Edge, state: _State) -> _State | None:
        """Return the state on an edge that no await and no loop stands before."""
        if edge.leaves in (Leaves.TRUE, Leaves.FALSE) and block.test is not None:
            followed = self._tested(block.test, edge.leaves is Leaves.TRUE, state)
            if followed is None:
                self._settle(state)
            return followed
        if edge.leaves is Leaves.CAUGHT and not self._catches(edge.to, state.cause):
            return None
        if edge.leaves is Leaves.RAISED and len(block.edges) > 1 and block.last > block.first:
            # Any statement of a `try` may raise; the awaits among them are what is worth telling of.
            return None
        return state

    def _catches(self, handler: int, cause: Left | None) -> bool:
        """Tell whether a handler may catch what is on its way through the function."""
        if cause is None or cause.way is Way.LEFT:
            return True
        if cause.way is Way.CANCELLED:
            return catches_cancellation(self._function, handler)
        failed = (catches_cancellation_only, catches_timeouts_only)
        return not any(only(self._function, handler) for only in failed)

    def _along_loop(self, number: int, edge: Edge, state: _State) -> _State | None:
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

    def _along_await(self, block: Block, number: int, edge: Edge, state: _State) -> _State | None:
        step = self._function.steps[number]
        assert isinstance(step, Await)
        if edge.leaves is Leaves.CANCELLED and not self._can_be_cancelled(block, number):
            return None
        if step.kind is AwaitKind.NEXT and edge.leaves in (Leaves.ITEM, Leaves.EXHAUSTED):
            return self._along_loop(number, edge, state)
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
        way = Way.CANCELLED if edge.leaves is Leaves.CANCELLED else Way.FAILED
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
                alone = leaves is Leaves.RESUMED and self._is_alone(found.step)
                return leaves is Leaves.RAISED or alone
            case Waiting.ALL:
                return leaves is not Leaves.CANCELLED
            case Waiting.GATHER:
                return leaves is not Leaves.RAISED or self._is_alone(found.step)
            case Waiting.EACH | None:
                return False
            case Waiting.GATHER_ALL | Waiting.LIMIT | Waiting.SHIELD:
                return True  # whoever shields a task means it to go on

    def _is_alone(self, call: int) -> bool:
        """Tell whether a call waits for this one task only, and for as long as it takes."""
        items = self._items(call)
        return len(items) == 1 and not isinstance(items[0], Star) and not self._is_timed(call)

    def _is_timed(self, call: int) -> bool:
        return self._contenders.is_timed(self._facts.key, call)

    def _items(self, call: int) -> tuple[Expr, ...]:
        """Return the tasks that a call waits for, one by one, as far as they are written so."""
        waiting = self._contenders.waiting(self._facts.key, call)
        found: list[Expr] = []
        for value in waiting[1] if waiting is not None else ():
            shown = self._written(value)
            found.extend(shown.items if isinstance(shown, Build) else (Star(shown),))
        if waiting is not None and waiting[0] is Waiting.GATHER:
            return waiting[1]
        return tuple(found)

    def _written(self, value: Expr) -> Expr:
        """Return the display that a variable is bound to once and for all, or the value as it is."""
        bound = [
            step.value for step in self._function.steps if isinstance(step, Assign) and step.target == value
        ]
        return bound[0] if len(bound) == 1 and isinstance(bound[0], Build) else value

    # ----------------------------------------------------------------- tests

    def _tested(self, test: Expr, truth: bool, state: _State) -> _State | None:
        """Return the state where a test has come out so, None where the task has finished then."""
        while isinstance(test, Op) and test.op == "not":
            test, truth = test.operands[0], not truth
        carriers = dict(state.carriers)
        match test:
            case Op(op="in" | "not in" as op, operands=(task, where)):
                return self._among(task, where, truth is (op == "in"), state)
            case Op(op="is" | "is not" | "==" | "!=" as op, operands=(asked, Const(kind="none"))):
                missing = truth is (op in ("is", "=="))
                return None if missing and _is_outstanding(meaning(asked, carriers)) else state
            case Temp(step=step) if test not in carriers:
                return self._asked(step, truth, state)
            case Op(op=op, operands=(Temp(step=step), Const(kind="int", text=text))):
                counted = self._counted(step)
                if counted is not None and (op, text) in _SAYS_EMPTY:
                    return self._tested(counted, truth is not _SAYS_EMPTY[op, text], state)
            case _:
                pass
        found = meaning(test, carriers)
        if found is not None:
            finished = truth and found.part is Part.DONE and self._is_alone_in(found)
            return None if finished or (not truth and _is_outstanding(found)) else state
        return None if self._mentions(test, carriers) else state

    def _counted(self, number: int) -> Expr | None:
        """Return whose length a call returns."""
        match self._function.steps[number]:
            case Call(func=Name(id="len"), args=(value,)):
                return value
            case _:
                return None

    def _is_alone_in(self, found: Carrier) -> bool:
        return found.step >= 0 and len(self._items(found.step)) == 1

    def _among(self, task: Expr, where: Expr, truth: bool, state: _State) -> _State | None:
        """Return the state after `task in done` or `task in pending`."""
        carriers = dict(state.carriers)
        mine, group = meaning(task, carriers), meaning(where, carriers)
        if group is None:
            return state
        if group.part is not Part.DONE:
            truth = not truth
        if mine is None:
            return state if truth else self._not_done(task, group, state)
        return None if truth and mine.part is Part.TASK else state

    def _not_done(self, other: Expr, group: Carrier, state: _State) -> _State | None:
        """Return the state where another of the group has not finished: if none has, this one must have."""
        undone = tuple(sorted({*state.undone, other}, key=str))
        if group.step >= 0 and not self._is_timed(group.step):
            carriers = dict(state.carriers)
            others = [item for item in self._items(group.step) if meaning(item, carriers) is None]
            if others and all(item in undone for item in others):
                return None
        return structs.replace(state, undone=undone)

    def _asked(self, number: int, truth: bool, state: _State) -> _State | None:
        """Return the state after a test of what a call has said, such as `task.done()`."""
        carriers = dict(state.carriers)
        step = self._function.steps[number]
        if not isinstance(step, Call):
            return state
        counted = self._counted(number)
        if counted is not None:
            return self._tested(counted, truth, state)
        match step.func:
            case Attr(base=base, name="done" | "cancelled"):
                found = meaning(base, carriers)
                if found is None and not truth:
                    group = next((each for each in carriers.values() if each.part is Part.DONE), None)
                    return self._not_done(base, group, state) if group is not None else state
                if found is not None and truth and found.part is Part.MEMBER:
                    return structs.replace(state, dealt=_added(state.dealt, found.step))
                return None if found is not None and truth else state
            case _:
                given = (*step.args, *(value for _, value in step.keywords))
                return None if any(self._mentions(value, carriers) for value in given) else state

    def _mentions(self, expr: Expr, carriers: Carriers) -> bool:
        """Tell whether an expression is about the task in a way nobody understands here."""
        return any(_is_outstanding(found) for found in self._uses.within(expr, carriers))


_SAYS_EMPTY = {
    ("==", "0"): True,
    ("!=", "0"): False,
    (">", "0"): False,
    ("<", "1"): True,
    (">=", "1"): False,
}
"""Comparisons of a length that tell, if they hold, whether there is nothing."""


def _is_outstanding(found: Carrier | None) -> bool:
    return found is not None and found.part not in (Part.DONE, Part.OUTCOME)


def _added(known: tuple[int, ...], number: int) -> tuple[int, ...]:
    return tuple(sorted({*known, number}))


def _without(known: tuple[int, ...], number: int) -> tuple[int, ...]:
    return tuple(each for each in known if each != number)


class Abandoned(Struct, frozen=True):
    """A task that is left running, and all ways on which it is."""

    started: int
    """the step that starts it, -1 for what comes in by a parameter"""
    stake: Stake
    ways: tuple[Left, ...]


def abandoned(
    effects: Effects, owners: Owners, contenders: Contenders, key: FunctionKey
) -> Iterator[Abandoned]:
    """Yield the tasks that a function starts, waits for and leaves running."""
    starts = dict.fromkeys(contenders.bare(key), False) | dict.fromkeys(contenders.started(key), True)
    params = tuple(contenders.given(key))
    if not (starts or params) or contenders.is_main(key):
        return
    facts = Facts(effects, owners, key)
    siblings = _meanings(facts, {number for number, started in starts.items() if started})
    for number, started in sorted(starts.items()):
        at_stake = stake(effects, key, number)
        ways = Search(contenders, facts, siblings, at_stake.works_on).from_step(number, started)
        if ways:
            yield Abandoned(number, at_stake, ways)
    for name in params:
        ways = Search(contenders, facts).from_parameter(name)
        if ways:
            yield Abandoned(-1, Stake(name, (), None, (), given=True), ways)


def _meanings(facts: Facts, starts: set[int]) -> frozenset[Expr]:
    """Return the outcomes of steps and the variables they are bound to."""
    bound = (
        step.target
        for step in facts.function.steps
        if isinstance(step, Assign) and isinstance(step.value, Temp) and step.value.step in starts
    )
    return frozenset((*(Temp(number) for number in starts), *bound))
