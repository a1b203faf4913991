"""What tests tell of a task that others are waited for together with: has it finished, or has it not?"""

import enum
from collections.abc import Mapping

from msgspec import Struct

from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.hazards.tasks.contender_uses import ContenderUses
from cancellint.analysis.hazards.tasks.contenders import (
    Carrier,
    Carriers,
    Contenders,
    Part,
    Waiting,
    is_outstanding,
    meaning,
)
from cancellint.model.ir import Assign, Attr, Build, Call, Const, Expr, Name, Op, Star, Temp


class Said(enum.IntEnum):
    """What the outcome of a test tells of a task."""

    NOTHING = 0
    FINISHED = 1
    RUNNING = 2
    ABSENT = 3
    """there is no task, or none is left"""
    ITEM = 4
    """it is about one of those in a loop, which may be the task"""
    UNCLEAR = 5
    """the test is about the task, in a way nobody understands here"""


class TestVerdict(Struct, frozen=True):
    """What a test tells, and what is known of the other tasks of the group afterwards."""

    said: Said
    undone: tuple[Expr, ...] | None
    """those that have not finished, None where one of them has: no more can be concluded from the others"""
    loop: int = -1
    """the loop whose item has finished"""


class ContenderTests:
    """Reads the tests of one function, and what its waits wait for."""

    def __init__(self, contenders: Contenders, facts: Facts, uses: ContenderUses) -> None:
        self._contenders = contenders
        self._uses = uses
        self._function = facts.function
        self._key = facts.key
        self._items: dict[int, tuple[Expr, ...]] = {}
        self._places: dict[int, Mapping[Expr, int]] = {}

    def of(
        self, test: Expr, truth: bool, carriers: Carriers, undone: tuple[Expr, ...] | None, wait: int
    ) -> TestVerdict:
        """Return what a test tells that comes out so; `wait` is the call that waited for the group last."""
        return _Test(self, carriers, undone, wait).of(test, truth)

    def mentions(self, expr: Expr, carriers: Carriers) -> bool:
        """Tell whether a task that may run is part of an expression."""
        return self._uses.has(expr, carriers)

    def call(self, number: int) -> Call | None:
        step = self._function.steps[number]
        return step if isinstance(step, Call) else None

    def is_timed(self, call: int) -> bool:
        return self._contenders.is_timed(self._key, call)

    def is_alone(self, call: int) -> bool:
        """Tell whether a call waits for one task only, and for as long as it takes."""
        items = self.items(call)
        return len(items) == 1 and not isinstance(items[0], Star) and not self.is_timed(call)

    def items(self, call: int) -> tuple[Expr, ...]:
        """Return the tasks that a call waits for, one by one, as far as they are written so."""
        if call not in self._items:
            self._items[call] = self._find_items(call)
        return self._items[call]

    def places(self, call: int) -> Mapping[Expr, int]:
        """Return the same tasks, each with its place among them."""
        if call not in self._places:
            self._places[call] = {item: place for place, item in enumerate(self.items(call))}
        return self._places[call]

    def _find_items(self, call: int) -> tuple[Expr, ...]:
        waiting = self._contenders.waiting(self._key, call) if call >= 0 else None
        if waiting is None or waiting[0] is Waiting.GATHER:
            return waiting[1] if waiting is not None else ()
        found: list[Expr] = []
        for value in waiting[1]:
            shown = self._written(value)
            found.extend(shown.items if isinstance(shown, Build) else (Star(shown),))
        return tuple(found)

    def _written(self, value: Expr) -> Expr:
        """Return the display that a variable is bound to once and for all, or the value as it is."""
        steps = self._function.steps
        bound = [step.value for step in steps if isinstance(step, Assign) and step.target == value]
        return bound[0] if len(bound) == 1 and isinstance(bound[0], Build) else value


class _Test:
    """One test, where the path that comes to it has left things."""

    def __init__(
        self, tests: ContenderTests, carriers: Carriers, undone: tuple[Expr, ...] | None, wait: int
    ) -> None:
        self._tests = tests
        self._carriers = carriers
        self._undone = undone
        self._wait = wait

    def of(self, test: Expr, truth: bool) -> TestVerdict:
        while isinstance(test, Op) and test.op == "not":
            test, truth = test.operands[0], not truth
        match test:
            case Op(op="in" | "not in" as op, operands=(task, where)):
                return self._among(task, where, truth is (op == "in"))
            case Op(op="is" | "is not" | "==" | "!=" as op, operands=(asked, Const(kind="none"))):
                missing = truth is (op in ("is", "=="))
                known = missing and is_outstanding(meaning(asked, self._carriers))
                return self._told(Said.ABSENT if known else Said.NOTHING)
            case Temp(step=step) if test not in self._carriers:
                return self._asked(step, truth)
            case Op(op=op, operands=(Temp(step=step), Const(kind="int", text=text))) if (
                counted := self._counted(step)
            ) is not None and (op, text) in _SAYS_EMPTY:
                return self._emptiness(counted, truth is not _SAYS_EMPTY[op, text])
            case _:
                return self._emptiness(test, truth)

    def _told(self, said: Said, loop: int = -1) -> TestVerdict:
        return TestVerdict(said, self._undone, loop)

    def _emptiness(self, value: Expr, truth: bool) -> TestVerdict:
        """Return what it means that a value is true, or not empty."""
        found = meaning(value, self._carriers)
        if found is None:
            return self._told(Said.UNCLEAR if self._tests.mentions(value, self._carriers) else Said.NOTHING)
        if found.part is not Part.DONE:
            return self._told(Said.NOTHING if truth else Said.ABSENT)
        if not truth:
            return self._told(Said.RUNNING)
        alone = found.step >= 0 and len(self._tests.items(found.step)) == 1
        return self._told(Said.FINISHED if alone else Said.NOTHING)

    def _counted(self, number: int) -> Expr | None:
        """Return whose length a call returns."""
        match self._tests.call(number):
            case Call(func=Name(id="len"), args=(value,)):
                return value
            case _:
                return None

    def _among(self, task: Expr, where: Expr, truth: bool) -> TestVerdict:
        """Return what `task in done` or `task in pending` tells."""
        mine, group = meaning(task, self._carriers), meaning(where, self._carriers)
        if group is None:
            return self._told(Said.NOTHING)
        finished = truth is (group.part is Part.DONE)
        if mine is None:
            return self._beside(task) if finished else self._without(task)
        return self._own(mine, finished)

    def _own(self, mine: Carrier, finished: bool) -> TestVerdict:
        """Return what is told of the task itself, or of an item that it may be."""
        if mine.part is Part.MEMBER:
            return self._told(Said.ITEM, mine.step if finished else -1)
        return self._told(Said.FINISHED if finished else Said.RUNNING)

    def _without(self, other: Expr) -> TestVerdict:
        """Return what is known where another has not finished: if none of them has, this one must have."""
        places = self._tests.places(self._wait)
        if self._undone is None or other not in places:
            return self._told(Said.NOTHING)
        found = {*self._undone, other}
        undone = tuple(sorted(found, key=places.__getitem__))
        others = [item for item in places if meaning(item, self._carriers) is None]
        all_run = bool(others) and found.issuperset(others)
        sure = all_run and not self._tests.is_timed(self._wait)
        return TestVerdict(Said.FINISHED if sure else Said.NOTHING, undone)

    def _beside(self, other: Expr) -> TestVerdict:
        """Return what is known where another has finished: the task may have, or may not."""
        waited_for = other in self._tests.places(self._wait)
        return TestVerdict(Said.NOTHING, None if waited_for else self._undone)

    def _asked(self, number: int, truth: bool) -> TestVerdict:
        """Return what a call tells, such as `task.done()`."""
        call = self._tests.call(number)
        if call is None:
            return self._told(Said.NOTHING)
        counted = self._counted(number)
        if counted is not None:
            return self._emptiness(counted, truth)
        if isinstance(call.func, Attr) and call.func.name in ("done", "cancelled"):
            found = meaning(call.func.base, self._carriers)
            if found is None:
                return self._beside(call.func.base) if truth else self._without(call.func.base)
            if call.func.name == "cancelled" and not truth:
                return self._told(Said.NOTHING)
            return self._own(found, truth)
        given = (*call.args, *(value for _, value in call.keywords))
        unclear = any(self._tests.mentions(value, self._carriers) for value in given)
        return self._told(Said.UNCLEAR if unclear else Said.NOTHING)


_SAYS_EMPTY = {
    ("==", "0"): True,
    ("!=", "0"): False,
    (">", "0"): False,
    ("<", "1"): True,
    (">=", "1"): False,
}
"""Comparisons of a length that tell, if they hold, whether there is nothing."""
