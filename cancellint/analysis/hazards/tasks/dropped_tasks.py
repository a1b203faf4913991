"""Tasks whose handle is dropped, and what that can cost: each claim stands or falls by itself."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.callgraph.handles import Dropped, Handles, Started
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import operands
from cancellint.analysis.flow.outcomes import UNKNOWN, Outcome, Outcomes
from cancellint.analysis.hazards.tasks.concerns import Concerns
from cancellint.analysis.program.type_algebra import options
from cancellint.model.types import CallSite, FunctionKey, LibraryCallee, ProjectCallee, ProjectFunction

_SILENT = "concurrent.futures.Future"
"""A handle that keeps an error to itself."""


class DroppedTask(Struct, frozen=True):
    """A handle that nobody keeps, where something can be lost by it."""

    dropped: Dropped
    may_be_collected: bool
    """the garbage collector may end the task before it is done"""
    loses_error: bool
    """it may fail, and nobody sees that"""
    raises: bool
    """the error is one that its own code raises"""
    is_silent: bool
    """not even the event loop reports what it raises"""
    matters: bool
    """somebody depends on it"""
    runs: tuple[FunctionKey, ...] = ()
    """the project functions that it may be a call of"""


class DroppedTasks:
    """Judges what becomes of tasks that nobody keeps."""

    def __init__(self, effects: Effects, handles: Handles) -> None:
        self._effects = effects
        self._handles = handles
        self._outcomes = Outcomes(effects)
        self._concerns = Concerns(effects, self._outcomes)

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
                silent = self._is_silent(CallSite(key, dropped.step), started)
                matters = (
                    silent
                    or raises
                    or bool(started.helpers)
                    or self._is_missed(key, started, outcome, functions)
                )
                yield DroppedTask(dropped, collected, unseen, raises, silent, matters, functions)

    def _is_missed(
        self, key: FunctionKey, started: Started, outcome: Outcome, functions: tuple[FunctionKey, ...]
    ) -> bool:
        """Tell whether somebody depends on what is run, or has given it to the program to be run."""
        if outcome.is_known:
            return self._concerns.anybody(functions)
        return started.work is None or self._concerns.is_given(key, started.work)

    def _is_silent(self, at: CallSite, started: Started) -> bool:
        """Tell whether the handle is one that never says that nobody has asked for its error."""
        site = started.helpers[-1] if started.helpers else at
        return any(
            isinstance(callee, LibraryCallee) and self._makes_silent(callee)
            for callee in self._effects.types.callees(site.function, site.step)
        )

    def _makes_silent(self, callee: LibraryCallee) -> bool:
        known = self._effects.operations.known(callee)
        returns = known.entry.returns if known is not None else None
        return returns is not None and returns.partition("[")[0] == _SILENT

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
            elif isinstance(operation.callee, LibraryCallee):
                yield from self._called_by(operation.site.function, operation.callee)

    def _called_by(self, key: FunctionKey, callee: LibraryCallee) -> Iterator[FunctionKey]:
        """Yield the project functions that a library's call is given to run, in a thread for instance."""
        known = self._effects.operations.known(callee)
        if known is None or known.entry.calls is None:
            return
        for value in operands(known.entry, known.entry.calls, callee):
            for option in options(self._effects.types.of(key, value)):
                if isinstance(option, ProjectFunction):
                    yield option.key

    def _outcome(self, key: FunctionKey, started: Started, functions: tuple[FunctionKey, ...]) -> Outcome:
        if started.work is None:
            return UNKNOWN
        if started.in_thread and functions:
            return self._outcomes.of_functions(functions)
        return self._outcomes.of_operations(self._effects.operations.behind(key, started.work))
