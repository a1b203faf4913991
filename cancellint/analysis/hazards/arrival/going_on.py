"""With what a function goes on after a cancellation has been swallowed."""

import enum
from collections.abc import Collection, Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import NORMAL, ControlFlow
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.loops import Loop
from cancellint.analysis.engine.order import inverse
from cancellint.analysis.engine.path_search import PathPoint, PathSearch
from cancellint.analysis.engine.reachability import reachable
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.hazards.arrival.caught_tests import CaughtTests
from cancellint.analysis.program.expressions import parts
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Attr,
    Await,
    Call,
    Edge,
    Expr,
    Item,
    Leaves,
    Load,
    Name,
    Next,
    Raise,
    Temp,
    Yield,
)

MOST_PLACES = Limit(2000, "places after a swallowed cancellation")
"""Places that are visited of one function after one cancellation."""
_DEEPEST_VALUE = Limit(4, "values within values that a test asks")


class Onward(enum.IntEnum):
    """How a function goes on, what matters most first."""

    AGAIN = 0
    """a loop that nothing ends waits again"""
    ELSEWHERE = 1
    """it comes to another loop that nothing ends"""
    RETRIES = 2
    """a loop that ends by itself waits again"""
    WAITS = 3
    """it waits for something else"""


class Goes(Struct, frozen=True):
    """A function goes on: `at` is where it waits next.

    `flags` are the attributes and globals that the loop asks before it does, any of which may end it.
    """

    onward: Onward
    at: int
    flags: frozenset[str] = frozenset()


class Course(Struct, frozen=True):
    """What may follow a swallowed cancellation: waits, one of each kind, and the function's return.

    `raises_again` tells that a cancellation is raised after all on some of the ways.
    """

    waits: tuple[Goes, ...]
    returns: bool
    raises_again: bool = False


class GoingOn:
    """Follows one function from where it has swallowed a cancellation."""

    def __init__(self, effects: Effects, facts: Facts) -> None:
        self._effects = effects
        self._facts = facts
        self._flow: ControlFlow = facts.flow
        self._suspending = frozenset(step for _, step in facts.awaits())

    def course(self, starts: Collection[int], lost: int, catch: int = -1) -> Course:
        """Return what follows when control goes on at some blocks, an await's cancellation being lost."""
        tests = CaughtTests(self._effects, self._facts, catch) if catch >= 0 else None
        reached: dict[int, None] = {}

        def onward(here: PathPoint[tuple[()]], edge: Edge) -> tuple[()] | None:
            handed_over = self._asks_result(here.block, lost) or self._yields(here.block)
            return None if handed_over or (tests and not tests.allows(here.block, edge)) else ()

        def passed(here: PathPoint[tuple[()]], step: int) -> tuple[()]:
            reached[step] = None
            return ()

        search = PathSearch(
            self._flow, passed, onward, taken=NORMAL, tests=self._facts.tests, cap=MOST_PLACES
        )
        found = search.run([PathPoint(start, ()) for start in starts if start >= 0])
        returns = RETURN_EXIT in starts or any(end.exit == RETURN_EXIT for end in found.ends)
        waits = [step for step in reached if step in self._suspending]
        again = any(self._raises_again(step) for step in reached)
        ranked: dict[tuple[Onward, frozenset[str]], Goes] = {}
        for goes in self._ranked(starts, waits, lost, frozenset(reached)):
            ranked.setdefault((goes.onward, goes.flags), goes)
        return Course(tuple(ranked.values()), returns, again)

    def _yields(self, block: int) -> bool:
        """Tell whether a block ends by handing something to a consumer, who goes on in its place."""
        last = self._flow.last_step(block)
        return last is not None and isinstance(self._facts.function.steps[last], Yield)

    def _raises_again(self, step: int) -> bool:
        if not isinstance(self._facts.function.steps[step], Raise):
            return False
        return any(
            edge.leaves is Leaves.CANCELLED for edge in self._flow.blocks[self._flow.block_of(step)].edges
        )

    def _ranked(
        self, starts: Collection[int], waits: list[int], lost: int, reached: frozenset[int]
    ) -> Iterator[Goes]:
        for step in waits:
            loop = self._endless(step, reached)
            if loop is None:
                bounded = self._flow.loop_of(self._flow.block_of(step))
                same = bounded is not None and self._flow.block_of(lost) in bounded.blocks
                again = (step == lost or same) and not (bounded and self._goes_over_things(bounded))
                yield Goes(Onward.RETRIES if again else Onward.WAITS, step)
                continue
            onward = Onward.AGAIN if self._flow.block_of(lost) in loop.blocks else Onward.ELSEWHERE
            flags, bound = self._asked(starts, loop, step)
            if bound:
                onward = Onward.RETRIES if onward is Onward.AGAIN else Onward.WAITS
            yield Goes(onward, step, flags)

    def _endless(self, step: int, reached: frozenset[int]) -> Loop | None:
        """Return the largest loop round a step, begun anew on the way, that goes over no finite thing."""
        block = self._flow.block_of(step)
        for loop in self._flow.loops:
            if block in loop.blocks and not self._is_finite(loop) and self._begins(loop, reached):
                return loop
        return None

    def _begins(self, loop: Loop, reached: frozenset[int]) -> bool:
        return any(step in reached for step in self._first_steps(loop.header))

    def _first_steps(self, block: int) -> Iterator[int]:
        """Yield the steps of a block, or of those that follow where it has none."""
        seen: set[int] = set()
        waiting = [block]
        while waiting:
            current = waiting.pop()
            if current in seen or current < 0:
                continue
            seen.add(current)
            steps = self._flow.steps(current)
            if steps:
                yield steps.start
            else:
                waiting.extend(self._flow.targets(current, NORMAL))

    def _is_finite(self, loop: Loop) -> bool:
        return any(
            isinstance(self._facts.function.steps[step], Next) for step in self._flow.steps(loop.header)
        )

    def _goes_over_things(self, loop: Loop) -> bool:
        """Tell whether each turn of a loop is for another thing: a mere count is one of attempts."""
        steps = self._facts.function.steps
        for number in self._flow.steps(loop.header):
            match steps[number]:
                case Next(value=Temp(step=made)) if isinstance(call := steps[made], Call):
                    return call.func != Name("range")
                case Next():
                    return True
                case _:
                    pass
        return False

    # ----------------------------------------------------------------- what a loop asks

    def _asked(self, starts: Collection[int], loop: Loop, step: int) -> tuple[frozenset[str], bool]:
        """Return the names that every next turn of a loop asks, and whether a count or the like bounds it."""
        goal = self._flow.block_of(step)
        coming = self._coming_to(goal)
        deciding = {
            number: self._asks(test)
            for number in coming
            if (test := self._flow.blocks[number].test) is not None and self._decides(number, coming)
        }
        if self._turns(starts, loop, goal, deciding):
            return frozenset(), False
        counting = {number for number, names in deciding.items() if not names}
        flags = frozenset(name for names in deciding.values() for name in names)
        return flags, not self._turns(starts, loop, goal, counting)

    def _turns(self, starts: Collection[int], loop: Loop, goal: int, avoiding: Collection[int]) -> bool:
        """Tell whether control may come to a loop's head, and from there to a block, past none of some."""
        if loop.header in avoiding:
            return False
        begins = reachable(self._flow, [start for start in starts if start >= 0], NORMAL, avoiding)
        return loop.header in begins and goal in reachable(self._flow, (loop.header,), NORMAL, avoiding)

    def _coming_to(self, goal: int) -> frozenset[int]:
        """Return the blocks from which control may come to a block while nothing travels."""
        before = inverse(self._flow.within(NORMAL))
        seen = {goal}
        waiting = [goal]
        while waiting:
            found = set(before[waiting.pop()]) - seen
            seen |= found
            waiting.extend(found)
        return frozenset(seen)

    def _decides(self, block: int, coming: frozenset[int]) -> bool:
        """Tell whether a test may keep control from ever coming to where the other blocks lead."""
        return any(
            edge.leaves in (Leaves.TRUE, Leaves.FALSE) and edge.to not in coming
            for edge in self._flow.blocks[block].edges
        )

    def _asks(self, test: Expr) -> frozenset[str]:
        """Return the attributes and globals that a test asks, through the calls in it."""
        found: set[str] = set()
        for part in self._values(test):
            if isinstance(part, Attr) and self._is_of_others(root_name(part)):
                found.add(part.name)
            elif (
                isinstance(part, Name)
                and part.id not in self._facts.frame.params
                and self._is_of_others(part.id)
            ):
                found.add(part.id)
        return frozenset(found)

    def _is_of_others(self, name: str | None) -> bool:
        """Tell whether what hangs on a name may be changed by other functions: a parameter, a global."""
        if name is None or name in self._facts.frame.params:
            return True
        if name.partition("@")[0] in self._facts.function.locals:
            return False
        return self._effects.program.binds(self._facts.key.module, name)

    def _values(self, expr: Expr) -> Iterator[Expr]:
        """Yield the parts of an expression, and of what the calls in it are made of."""
        waiting: list[tuple[Expr, int]] = [(expr, _DEEPEST_VALUE)]
        while waiting:
            current, depth = waiting.pop()
            for part in parts(current):
                yield part
                if isinstance(part, Temp) and _DEEPEST_VALUE.leaves(depth):
                    waiting.extend((each, depth - 1) for each in self._made_of(part.step))

    def _made_of(self, step: int) -> tuple[Expr, ...]:
        match self._facts.function.steps[step]:
            case Call(func=func, args=args):
                return (func, *args)
            case Load(value=value) | Await(value=value):
                return (value,)
            case _:
                return ()

    def _asks_result(self, block: int, lost: int) -> bool:
        """Tell whether a block tests what the await would have given: it may well tell that it was lost."""
        test = self._flow.blocks[block].test
        if test is None:
            return False
        held = {
            step.target.id
            for step in self._facts.function.steps
            if isinstance(step, Assign) and step.value == Temp(lost) and isinstance(step.target, Name)
        }
        return any(
            part == Temp(lost) or (isinstance(part, Name) and part.id in held) for part in self._values(test)
        )


def root_name(expr: Expr) -> str | None:
    """Return the variable that an attribute hangs on, None where it hangs on something else."""
    while isinstance(expr, Attr | Item):
        expr = expr.base
    return expr.id if isinstance(expr, Name) else None
