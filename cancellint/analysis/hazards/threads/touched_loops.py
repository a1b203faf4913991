"""Calls that belong into the thread of an event loop, in functions that another thread runs."""

from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import operands
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.program.type_algebra import options
from cancellint.model.finding import Confidence
from cancellint.model.ir import Call, Expr, Name, Temp
from cancellint.model.knowledge import Role
from cancellint.model.types import (
    CallSite,
    FunctionKey,
    LibraryCallee,
    ProjectCallee,
    ProjectFunction,
)

DEEPEST = Limit(4, "plain functions between a thread and what it touches")
_CALLBACK = "concurrent.futures.Future.add_done_callback"
_BY_LOOP = "asyncio.run_coroutine_threadsafe"


class Touched(Struct, frozen=True):
    """A call of `name` that runs in a thread, which is started at `started`."""

    step: int
    name: str
    started: CallSite
    by: str
    chain: tuple[CallSite, ...]
    confidence: Confidence


class TouchedLoops:
    """Follows what is run in threads, over the whole program."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._program = effects.program
        self._knowledge = effects.operations.knowledge

    def of(self, key: FunctionKey) -> tuple[Touched, ...]:
        """Return the calls of a function that touch an event loop from a thread."""
        return tuple(self._all.get(key, ()))

    @cached_property
    def _all(self) -> dict[FunctionKey, list[Touched]]:
        found: dict[FunctionKey, dict[int, Touched]] = {}
        for started, by, root in self._threads():
            reached = dict(self._reached(root))
            if any(self._runs_a_loop(key) for key in reached):
                continue
            for key, chain in reached.items():
                for step, name in self._touches(key):
                    firm = Confidence.LIKELY if by == _CALLBACK else Confidence.CERTAIN
                    touched = Touched(step, name, started, by, chain, firm)
                    found.setdefault(key, {}).setdefault(step, touched)
        return {key: [steps[at] for at in sorted(steps)] for key, steps in found.items()}

    # ----------------------------------------------------------------- what runs in threads

    def _threads(self) -> Iterator[tuple[CallSite, str, FunctionKey]]:
        """Yield the plain functions that threads run, with the call that has them run."""
        for site in self._program.calls.of_any(self._names(in_thread=True)):
            for callee in self._effects.types.callees(site.function, site.step):
                known = self._effects.operations.known(callee)
                if known is None or not known.entry.in_thread or known.entry.calls is None:
                    continue
                if known.name == _CALLBACK and self._is_completed_by_loop(site, callee.receiver):
                    continue
                for value in operands(known.entry, known.entry.calls, callee):
                    yield from ((site, known.name, root) for root in self._functions(site.function, value))

    def _functions(self, key: FunctionKey, value: Expr) -> Iterator[FunctionKey]:
        """Yield the plain functions that a value may be."""
        for option in options(self._effects.types.of(key, value)):
            if isinstance(option, ProjectFunction) and not self._program.function(option.key).is_async:
                yield option.key

    def _is_completed_by_loop(self, site: CallSite, receiver: Expr | None) -> bool:
        """Tell whether a future is one that an event loop completes, in its own thread."""
        bound = (
            self._effects.frame(site.function).value_of(receiver.id)
            if isinstance(receiver, Name)
            else receiver
        )
        if not isinstance(bound, Temp) or not isinstance(
            self._program.function(site.function).steps[bound.step], Call
        ):
            return False
        callees = self._effects.types.callees(site.function, bound.step)
        names = (callee.name for callee in callees if isinstance(callee, LibraryCallee))
        return any(self._knowledge.canonical(name) == _BY_LOOP for name in names)

    def _reached(self, root: FunctionKey) -> Iterator[tuple[FunctionKey, tuple[CallSite, ...]]]:
        """Yield the plain functions that run with one, with the calls that lead to them."""
        waiting: list[tuple[FunctionKey, tuple[CallSite, ...]]] = [(root, ())]
        seen = {root}
        while waiting:
            key, chain = waiting.pop(0)
            yield key, chain
            for number, callee in self._called_by(key) if DEEPEST.leaves(DEEPEST - len(chain)) else ():
                if callee not in seen:
                    seen.add(callee)
                    waiting.append((callee, (*chain, CallSite(key, number))))

    def _called_by(self, key: FunctionKey) -> Iterator[tuple[int, FunctionKey]]:
        """Yield the plain functions of the project that a function calls."""
        for number, step in enumerate(self._program.function(key).steps):
            for callee in self._effects.types.callees(key, number) if isinstance(step, Call) else ():
                if isinstance(callee, ProjectCallee):
                    function = self._program.function(callee.key)
                    if not (function.is_async or function.is_generator):
                        yield number, callee.key

    # ----------------------------------------------------------------- what must not

    def _touches(self, key: FunctionKey) -> Iterator[tuple[int, str]]:
        """Yield the calls that belong into a loop's thread, on objects that others have made."""
        function, frame = self._program.function(key), self._effects.frame(key)
        for number, step in enumerate(function.steps):
            if not isinstance(step, Call):
                continue
            for callee in self._effects.types.callees(key, number):
                known = self._effects.operations.known(callee) if isinstance(callee, LibraryCallee) else None
                if known is None or not known.entry.in_loop or callee.receiver is None:
                    continue
                path = frame.path(callee.receiver)
                if path is not None and path.is_visible_to_callers:
                    yield number, known.name

    def _runs_a_loop(self, key: FunctionKey) -> bool:
        """Tell whether a function runs an event loop, so that its thread is that of a loop."""
        for number, step in enumerate(self._program.function(key).steps):
            for callee in self._effects.types.callees(key, number) if isinstance(step, Call) else ():
                known = self._effects.operations.known(callee)
                if known is not None and Role.BLOCKS in known.entry.roles and known.name.startswith(_LOOPS):
                    return True
        return False

    def _names(self, *, in_thread: bool) -> frozenset[str]:
        found: set[str] = set()
        for name in self._knowledge.names():
            entry = self._knowledge.entry(name)
            if entry is not None and entry.in_thread is in_thread:
                found.update(each.rpartition(".")[2] for each in (name, *entry.aliases))
        return frozenset(found)


_LOOPS = ("asyncio.", "anyio.run", "trio.run")
