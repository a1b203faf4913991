"""Acts on cancellation paths and in error handlers: what discharges an obligation, what only errors meet."""

import enum
from collections.abc import Callable
from functools import cached_property

from cancellint.analysis.engine.graph import NOT_FAILED
from cancellint.analysis.engine.path_search import Halt, Outcome, PathPoint, PathSearch
from cancellint.analysis.engine.reachability import reaches
from cancellint.analysis.flow.cancellation_paths import (
    CancellationPath,
    cancellation_path,
    error_handlers,
    steps_only_through,
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
    Edge,
    Exit,
    Expr,
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


class PathsAfterAwaits:
    """One function's awaits, the handlers that their errors reach, and their cancellation paths."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._handlers: dict[int, tuple[int, ...]] = {}
        self._handled: dict[int, tuple[tuple[int, Act], ...]] = {}
        self._cancellation_paths: dict[int, CancellationPath | None] = {}

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
        return tuple(steps_only_through(self.facts, handler))

    def raises_again(self, handler: int) -> bool:
        return any(isinstance(self.facts.function.steps[step], Raise) for step in self.steps_in(handler))

    def nearest_handler(self, handler: int, step: int) -> int:
        """Return the handler that a step stands in: what one handler raises again may come to another."""
        flow, steps = self.facts.flow, self.facts.function.steps
        dominance = flow.dominance
        nearest = handler
        for number in dominance.dominated(handler):
            catches = any(isinstance(steps[each], Catch) for each in flow.steps(number))
            if catches and dominance.dominates(number, flow.block_of(step)):
                nearest = number if dominance.dominates(nearest, number) else nearest
        return nearest

    def may_skip(self, handler: int, step: int) -> bool:
        """Tell whether a handler may raise again without having run one of its steps.

        That a local says whether there is anything to undo, or a container whether the entry is there, is
        part of the undoing.
        """
        function, flow = self.facts.function, self.facts.flow
        through = flow.block_of(step)

        def along(here: PathPoint[tuple[()]], edge: Edge) -> tuple[()] | None:
            test = flow.blocks[here.block].test
            asks_what_to_undo = test is not None and not _asks_for_state(test)
            skips = asks_what_to_undo and reaches(flow, here.block, through, NOT_FAILED)
            return None if skips or edge.to == through else ()

        def raises(here: PathPoint[tuple[()]], number: int) -> tuple[()] | Halt:
            return Halt.FOUND if isinstance(function.steps[number], Raise) else ()

        if handler == through:
            return False
        search = PathSearch(flow, raises, along, taken=NOT_FAILED)
        return search.run([PathPoint(handler, ())]).outcome is Outcome.FOUND

    def belief(self, handler: int) -> Belief:
        """Return what a handler is for: any error, a timeout, or other errors."""
        handlers = self.facts.handlers
        if handlers.catches_every_error(handler):
            return Belief.ANY_ERROR
        return Belief.TIMEOUT if handlers.names_timeout(handler) else Belief.SOME_ERROR

    # ------------------------------------------------------------------ cancellations

    def cancellation_path(self, block: int) -> CancellationPath | None:
        """Return the cancellation path from the await that ends a block; it is searched once."""
        if block not in self._cancellation_paths:
            self._cancellation_paths[block] = cancellation_path(self.facts, block)
        return self._cancellation_paths[block]

    def is_cured(self, block: int, cures: Callable[[Act], bool], names: frozenset[Path]) -> bool:
        """Tell whether something on the cancellation path discharges the obligation, or may well do so."""
        way = self.cancellation_path(block)
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
        way = self.cancellation_path(awaiting)
        steps = self.facts.function.steps
        for step in way.steps if way is not None else ():
            if not isinstance(steps[step], Catch) or self._only_passes_on(step):
                continue
            if self.facts.handlers.names_cancellation(self.facts.block_of(step)):
                return True
        return False

    def _only_passes_on(self, caught: int) -> bool:
        """Tell whether a handler raises again at once, be it after `as error` has bound the exception."""
        steps = self.facts.function.steps
        rest = [steps[step] for step in self.facts.flow.steps(self.facts.block_of(caught)) if step > caught]
        if rest and isinstance(rest[0], Assign) and rest[0].value == Temp(caught):
            del rest[0]
        return bool(rest) and isinstance(rest[0], Raise)

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
