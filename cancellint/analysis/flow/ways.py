"""The ways out of a function with the acts on them: what cures a cancellation, what only errors meet."""

import enum
from collections.abc import Callable
from functools import cached_property

from cancellint.analysis.flow.cancellation_paths import (
    WayOut,
    error_handlers,
    only_through,
    way_out,
)
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.memory.access_paths import Frame
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Catch,
    Const,
    Delete,
    Exit,
    Expr,
    Leaves,
    Name,
    Op,
    Raise,
    Step,
    Temp,
)
from cancellint.model.summary import Act, Path


class Belief(enum.Enum):
    """Where the code itself says that something has to be undone, strongest first."""

    ANY_ERROR = enum.auto()
    """in a handler of all ordinary errors"""
    CLEANUP = enum.auto()
    """in a `finally`, or where another await is cancelled"""
    TIMEOUT = enum.auto()
    """in a handler of timeouts, which are cancellations in disguise"""
    SOME_ERROR = enum.auto()
    """in a handler of other errors: believed only of what is held, which any failure has to give back"""
    NORMAL = enum.auto()
    """on the normal path alone: after an error it is not undone either"""
    ANSWERED = enum.auto()
    """in another function, when what is awaited arrives: if nobody waits any more, it may never"""


class Ways:
    """One function's awaits, the handlers of their errors and the ways of their cancellations."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._handlers: dict[int, tuple[int, ...]] = {}
        self._handled: dict[int, tuple[tuple[int, Act], ...]] = {}
        self._ways_out: dict[int, WayOut | None] = {}

    @cached_property
    def awaits(self) -> dict[tuple[int, int], None]:
        """(block, await) of the awaits at which a cancellation may arrive, in order.

        The exit of an `async with` is none of them: locks and connections do not suspend there, and what
        does, such as a task group, has been left by then. Nor is an await in a `finally`: that a second
        cancellation interrupts the cleanup of the first is another matter.
        """
        function = self.facts.function
        return {
            (block, step): None
            for block, step in self.facts.awaits()
            if not is_exit(function.steps[step]) and not function.blocks[block].cleanup
        }

    # ------------------------------------------------------------------ errors

    def error_handlers(self, block: int) -> tuple[int, ...]:
        """Return the handlers that an error at the end of a block may reach, the most general first."""
        if block not in self._handlers:
            found = error_handlers(self.facts, block)
            self._handlers[block] = tuple(sorted(found, key=lambda each: self.belief(each).value))
        return self._handlers[block]

    def acts_in(self, handler: int) -> tuple[tuple[int, Act], ...]:
        """Return the acts of a handler's body, by step."""
        if handler not in self._handled:
            acts = self.facts.acts
            self._handled[handler] = tuple(
                (step, act) for step in self.steps_in(handler) for act in acts.get(step, ())
            )
        return self._handled[handler]

    def steps_in(self, handler: int) -> tuple[int, ...]:
        """Return the steps of a handler's body."""
        blocks = self.facts.function.blocks
        within = sorted(only_through(self.facts, handler))
        return tuple(step for block in within for step in range(blocks[block].first, blocks[block].last))

    def raises_again(self, handler: int) -> bool:
        return any(isinstance(self.facts.function.steps[step], Raise) for step in self.steps_in(handler))

    def may_skip(self, handler: int, step: int) -> bool:
        """Tell whether a handler may raise again without having run one of its steps.

        That a local says whether there is anything to undo, or a container whether the entry is there, is
        part of the undoing.
        """
        function = self.facts.function
        through = self.facts.block_of(step)
        seen = {through}
        waiting = [handler]
        while waiting:
            number = waiting.pop()
            if number < 0 or number in seen:
                continue
            seen.add(number)
            block = function.blocks[number]
            if block.last > block.first and isinstance(function.steps[block.last - 1], Raise):
                return True
            asks_what_to_undo = block.test is not None and not _asks_for_state(block.test)
            if not (asks_what_to_undo and self._reaches(number, through)):
                waiting.extend(edge.to for edge in block.edges if edge.leaves is not Leaves.RAISED)
        return False

    def _reaches(self, block: int, wanted: int) -> bool:
        """Tell whether control may get from one block to another without an exception."""
        blocks = self.facts.function.blocks
        seen: set[int] = set()
        waiting = [block]
        while waiting:
            number = waiting.pop()
            if number == wanted:
                return True
            if number >= 0 and number not in seen:
                seen.add(number)
                waiting.extend(edge.to for edge in blocks[number].edges if edge.leaves is not Leaves.RAISED)
        return False

    def belief(self, handler: int) -> Belief:
        """Return what a handler is for: any error, a timeout, or other errors."""
        handlers = self.facts.handlers
        if handlers.catches_every_error(handler):
            return Belief.ANY_ERROR
        return Belief.TIMEOUT if handlers.names_timeout(handler) else Belief.SOME_ERROR

    # ------------------------------------------------------------------ cancellations

    def way_out(self, block: int) -> WayOut | None:
        """Return the way of a cancellation at the await that ends a block; it is walked once."""
        if block not in self._ways_out:
            self._ways_out[block] = way_out(self.facts, block)
        return self._ways_out[block]

    def is_cured(self, block: int, cures: Callable[[Act], bool], names: frozenset[Path]) -> bool:
        """Tell whether something on the way of a cancellation discharges, or may well discharge, it."""
        way = self.way_out(block)
        if way is None or not way.leaves:
            return True
        for step in way.steps:
            if any(cures(act) for act in self.facts.acts.get(step, ())):
                return True
            node = self.facts.function.steps[step]
            if replaces(self.facts.frame, node, names) or self._is_unknown_call(step, names):
                return True
        return False

    def thinks_of_cancellation(self, awaiting: int) -> bool:
        """Tell whether a handler that names the cancellation does more than pass it on."""
        way = self.way_out(awaiting)
        steps = self.facts.function.steps
        for step in way.steps if way is not None else ():
            block = self.facts.function.blocks[self.facts.block_of(step)]
            if not isinstance(steps[step], Catch) or _passes_on(steps[step : block.last], step):
                continue
            if self.facts.handlers.names_cancellation(self.facts.block_of(step)):
                return True
        return False

    def _is_unknown_call(self, step: int, names: frozenset[Path]) -> bool:
        """Tell whether nobody knows what a call does to the object: it may be the cure."""
        effect = self.facts.effect(step)
        if not effect.unknown:
            return False
        frame = self.facts.frame
        for argument in effect.arguments:
            path = frame.path(argument.value)
            if path is not None and any(name.is_within(path) for name in names):
                return True
        return False


def _asks_for_state(test: Expr) -> bool:
    """Tell whether a test reads an attribute, and not merely a local or whether a container has an entry."""
    waiting = [test]
    while waiting:
        match waiting.pop():
            case Attr():
                return True
            case Op(op=op, operands=operands) if op not in ("in", "not in"):
                waiting.extend(operands)
            case _:
                pass
    return False


def _passes_on(steps: tuple[Step, ...], caught: int) -> bool:
    """Tell whether a handler's first block does nothing but raise, be it after `except E as error`."""
    match steps:
        case (_, Raise()):
            return True
        case (_, Assign(value=value), Raise()):
            return value == Temp(caught)
        case _:
            return False


def is_exit(step: Step) -> bool:
    """Tell whether a step leaves a `with`."""
    return isinstance(step, Exit) or (isinstance(step, Await) and step.kind is AwaitKind.EXIT)


def replaces(frame: Frame, step: Step, names: frozenset[Path]) -> bool:
    """Tell whether a step gives the object's name another value."""
    match step:
        case Assign(target=Name() | Attr() as target, op="") | Delete(target=Attr() as target):
            return frame.path(target) in names and not _binds_outcome(step)
        case _:
            return False


def _binds_outcome(step: Step) -> bool:
    return isinstance(step, Assign) and isinstance(step.target, Name) and not isinstance(step.value, Const)


def attribute_of(path: Path) -> str:
    """Return the name of the attribute that a path ends in, subscripts aside."""
    return next((field for field in reversed(path.fields) if not field.startswith(("[", "#"))), "")
