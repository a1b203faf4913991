"""Tasks whose handle is dropped, and what that can cost: each claim stands or falls by itself."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.callgraph.handles import Dropped, Handles, Started
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.flow.outcomes import UNKNOWN, Outcome, Outcomes
from cancellint.analysis.program.type_algebra import options
from cancellint.model.types import FunctionKey, ProjectCallee, ProjectFunction


class DroppedTask(Struct, frozen=True):
    """A handle that nobody keeps, where something can be lost by it."""

    dropped: Dropped
    may_be_collected: bool
    """the garbage collector may end the task before it is done"""
    loses_error: bool
    """it may fail, and nobody sees that"""
    raises: bool
    """the error is one that its own code raises"""
    is_known: bool
    """it is known what it runs"""
    runs: tuple[FunctionKey, ...] = ()
    """the project functions that it may be a call of"""


class DroppedTasks:
    """Judges what becomes of tasks that nobody keeps."""

    def __init__(self, effects: Effects, handles: Handles) -> None:
        self._effects = effects
        self._handles = handles
        self._outcomes = Outcomes(effects)

    def of(self, key: FunctionKey) -> Iterator[DroppedTask]:
        """Yield the tasks that a function drops and that may be lost, or whose error may be."""
        for dropped in self._handles.dropped(key):
            started = dropped.started
            functions = tuple(self._functions(key, started))
            outcome = self._outcome(key, started, functions)
            collected = outcome.may_be_forgotten and not started.in_thread and not dropped.outlasted
            unseen = outcome.may_fail and not started.told
            if collected or unseen:
                raises = unseen and outcome.raises
                yield DroppedTask(dropped, collected, unseen, raises, outcome.is_known, functions)

    def _functions(self, key: FunctionKey, started: Started) -> Iterator[FunctionKey]:
        """Yield the project functions that what is started runs."""
        if started.work is None:
            return
        if started.in_thread:
            for option in options(self._effects.types.of(key, started.work)):
                if isinstance(option, ProjectFunction):
                    yield option.key
        for operation in self._effects.operations.behind(key, started.work):
            if isinstance(operation.callee, ProjectCallee):
                yield operation.callee.key

    def _outcome(self, key: FunctionKey, started: Started, functions: tuple[FunctionKey, ...]) -> Outcome:
        if started.work is None:
            return UNKNOWN
        if started.in_thread and functions:
            return self._outcomes.of_functions(functions)
        return self._outcomes.of_operations(self._effects.operations.behind(key, started.work))
