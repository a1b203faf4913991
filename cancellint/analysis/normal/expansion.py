"""Which helpers are inlined, that is put in the place of their calls, and which of them are absorbed.

A helper that only this program calls, and only plainly, exists for its callers alone: it is *absorbed* by
them, and what is found in it is found where it is called, under the circumstances there. One that only asks
for something (`return future is not None and not future.done()`), or only waits for tasks that it is given,
is put in the place of its calls as well, but stands for itself too.
"""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Protocol

from msgspec import Struct

from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.normal.inlining import Expanded, Inlined, arguments, inline, whole
from cancellint.analysis.normal.references import PlainCall, References
from cancellint.analysis.normal.rewriting import reads
from cancellint.analysis.program.expressions import parts
from cancellint.analysis.program.names import External
from cancellint.analysis.program.program import Program
from cancellint.kept import Kept
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    Call,
    ClassRef,
    Closure,
    Const,
    Function,
    Imported,
    Name,
    Return,
    StarImport,
    Step,
    Yield,
)
from cancellint.model.types import FunctionKey

LONGEST_HELPER = 60
"""Steps of a helper that is absorbed; a longer one is a part of the program, and no detail of its callers."""
LONGEST_QUESTION = 4
"""Steps of what only asks for something."""
LONGEST = Limit(400, "steps of a function that has its helpers in it")
"""Steps up to which a function grows; what does not fit any more is called as it was written."""


class Expansion(Struct, frozen=True):
    """The functions that others were put into, and those that are no more than parts of others."""

    functions: Mapping[FunctionKey, Expanded]
    absorbed: frozenset[FunctionKey]


class Library(Protocol):
    """What is asked of the functions of libraries, by their names."""

    def starts_task(self, name: str) -> bool:
        """Whether it starts a task."""

    def waits_for_many(self, name: str) -> bool:
        """Whether it waits for several tasks that it is given."""

    def is_telling(self, name: str) -> bool:
        """Whether a project function of this name is known by it to give something back."""


def expand(program: Program, references: References, library: Library, inlined: Kept[Expanded]) -> Expansion:
    """Put helpers in the place of their calls. `inlined`: functions that had some in them before."""
    return _Expanding(program, references, library, inlined).expansion()


class _Expanding:
    def __init__(
        self, program: Program, references: References, library: Library, inlined: Kept[Expanded]
    ) -> None:
        self._program = program
        self._with_helpers = inlined
        self._library = library
        self._references = references
        self._parents = {
            FunctionKey(module, function.parent)
            for module in program.modules()
            for function in program.module(module).functions
        }
        self._helpers: dict[FunctionKey, bool] = {}
        self._done: dict[FunctionKey, Expanded] = {}
        self._left: set[FunctionKey] = set()
        """helpers with a call that stays a call"""
        self._placed: set[FunctionKey] = set()

    def expansion(self) -> Expansion:
        for key in self._callees_first():
            self._expand(key)
        absorbed = {
            key
            for key in self._placed - self._left
            if self._is_private(key) and self._references.is_only_called(key)
        }
        return Expansion(self._done, frozenset(absorbed))

    def _callees_first(self) -> tuple[FunctionKey, ...]:
        """Return the functions with plain calls of helpers; none is put into itself, however indirectly."""
        graph = {
            key: [call.callee for call in calls if self._is_helper(call.callee)]
            for key, calls in self._references.calls.items()
        }
        while True:
            try:
                return tuple(key for key in TopologicalSorter(graph).static_order() if key in graph)
            except CycleError as cycle:
                ring = cycle.args[1]
                for key in ring:
                    self._helpers[key] = False
                graph = {key: [each for each in found if each not in ring] for key, found in graph.items()}

    def _is_helper(self, key: FunctionKey) -> bool:
        if key not in self._helpers:
            self._helpers[key] = self._may_be_placed(key)
        return self._helpers[key]

    def _may_be_placed(self, key: FunctionKey) -> bool:
        """Tell whether a function is one that can, and is to, stand in the place of its calls."""
        function = self._program.function(key)
        plain = function.kind == "function" and not function.is_generator
        if len(function.steps) > max(LONGEST_HELPER, LONGEST_QUESTION):
            return False
        if not plain or not _is_undecorated(function) or function.contract or function.global_names:
            return False
        if function.name.startswith("__") or key in self._parents or not function.steps:
            return False
        if not all(map(_is_movable, function.steps)) or self._hands_back_task(key, function):
            return False
        if self._library.is_telling(function.name):
            return False
        if self._is_private(key) and self._references.is_only_called(key):
            return len(function.steps) <= LONGEST_HELPER
        if len(function.steps) > LONGEST_QUESTION:
            return False
        return _only_answers(function) or self._only_waits_for_many(key, function)

    def _is_private(self, key: FunctionKey) -> bool:
        """Tell whether only the program itself is to call a function: by its name, or by its place."""
        return self._program.function(key).name.startswith("_") or self._is_nested(key)

    def _is_nested(self, key: FunctionKey) -> bool:
        function = self._program.function(key)
        around = self._program.function(FunctionKey(key.module, function.parent))
        return function.cls < 0 and function.parent > 0 and around.kind == "function"

    def _hands_back_task(self, key: FunctionKey, function: Function) -> bool:
        """Tell whether a function returns something, and starts tasks: who drops them is its caller."""
        returns = any(
            isinstance(step, Return) and not isinstance(step.value, Const) for step in function.steps
        )
        return returns and any(
            self._library.starts_task(name)
            for step in function.steps
            if isinstance(step, Call)
            for name in self._library_names(key, step)
        )

    def _library_names(self, key: FunctionKey, call: Call) -> Iterator[str]:
        for each in self._program.denotes(key, call.func):
            if isinstance(each, External):
                yield each.name

    def _only_waits_for_many(self, key: FunctionKey, function: Function) -> bool:
        """Tell whether a function does nothing but wait for tasks that it is given."""
        if not function.is_async or sum(isinstance(step, Await) for step in function.steps) != 1:
            return False
        calls = [step for step in function.steps if isinstance(step, Call)]
        names = self._library_names(key, calls[0]) if len(calls) == 1 else ()
        return any(map(self._library.waits_for_many, names))

    def _expand(self, key: FunctionKey) -> None:
        own = self._program.function(key)
        length = len(own.steps)
        placed: list[Inlined] = []
        for call in self._references.calls[key]:
            if not self._is_helper(call.callee):
                continue
            inlined = self._inlined(key, own, call)
            if inlined is None or LONGEST.is_exceeded_by(length + len(inlined.callee.function.steps)):
                self._left.add(call.callee)
                continue
            length += len(inlined.callee.function.steps)
            self._placed.add(call.callee)
            placed.append(inlined)
        if placed:
            self._done[key] = self._with_helpers.of(
                key, lambda: (own, tuple(placed)), lambda: inline(whole(key, own), placed)
            )

    def _inlined(self, key: FunctionKey, own: Function, call: PlainCall) -> Inlined | None:
        step = own.steps[call.step]
        assert isinstance(step, Call)
        callee = self._done.get(call.callee)
        if callee is None:
            callee = whole(call.callee, self._program.function(call.callee))
        given = arguments(callee.function.params, call.receiver, step)
        if given is None:
            return None
        is_inside = self._is_nested(call.callee) and callee.function.parent == key.function
        if not is_inside and not _outer_names(callee.function).isdisjoint(_own_names(own)):
            return None
        return Inlined(call.step, call.awaited, callee, given)


def _is_undecorated(function: Function) -> bool:
    """Tell whether a call of a function's name runs it as it was written."""
    return not function.decorators or function.decorators == (Name("staticmethod"),)


def _only_answers(function: Function) -> bool:
    """Tell whether a function does nothing but return something that it computes, or asks an object for."""
    *before, last = function.steps
    return not function.is_async and isinstance(last, Return) and all(map(_only_asks, before))


def _only_asks(step: Step) -> bool:
    """Tell whether a step does nothing but ask: `future.done()`, `len(queue)`."""
    match step:
        case Call(func=Attr(), args=(), keywords=()):
            return True
        case Call(func=Name(id="len" | "isinstance" | "bool")) | Assign():
            return True
        case _:
            return False


def _is_movable(step: Step) -> bool:
    """Tell whether a step means the same in another function of its module."""
    if isinstance(step, Yield | StarImport):
        return False
    return not any(
        isinstance(part, Closure | ClassRef | Imported) or part == Name("super") or part == Name("locals")
        for expr in reads(step)
        for part in parts(expr)
    )


def _own_names(function: Function) -> frozenset[str]:
    return frozenset({*function.locals, *(param.name for param in function.params)})


def _outer_names(function: Function) -> frozenset[str]:
    """Return the names that a function takes from around it."""
    read = {
        part.id
        for step in function.steps
        for expr in reads(step)
        for part in parts(expr)
        if isinstance(part, Name)
    }
    tested = {
        part.id
        for block in function.blocks
        if block.test is not None
        for part in parts(block.test)
        if isinstance(part, Name)
    }
    bound = {
        step.target.id
        for step in function.steps
        if isinstance(step, Assign) and isinstance(step.target, Name)
    }
    return frozenset((read | tested) - bound - _own_names(function))
