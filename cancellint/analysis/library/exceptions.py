"""Which exceptions are caught by which classes: a lattice over what names resolve to, not over spelling."""

import enum
from collections.abc import Iterable
from functools import cached_property

from packaging.version import Version

from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.library.exception_names import Alternatives, ExceptionNames
from cancellint.analysis.library.knowledge import Knowledge, call_shape
from cancellint.analysis.program.program import Program
from cancellint.model.ir import Expr
from cancellint.model.knowledge import Entry, RaceKind
from cancellint.model.types import FunctionKey

BASE_EXCEPTION = "builtins.BaseException"
EXCEPTION = "builtins.Exception"
INVALID_STATE = "asyncio.InvalidStateError"

ANY_ERROR = "?"
"""Stands for the class of some ordinary exception, nobody knows which."""

_DEEPEST_SAME = Limit(4, "classes that are other classes")
"""Classes that are other classes: how many are followed. Two are known of (`socket.timeout`)."""


class Modality(enum.IntEnum):
    """Whether a handler catches, or a context manager swallows, an exception. NEVER alone is false."""

    NEVER = 0
    MAY = 1
    """on some paths only, or nobody knows"""
    MUST = 2


def some(verdicts: Iterable[Modality]) -> Modality:
    """What several classes after one `except` come to: the surest counts."""
    return max(verdicts, default=Modality.NEVER)


def join(verdicts: Iterable[Modality]) -> Modality:
    """What is true on all of several paths; MAY where they differ, NEVER where there is none."""
    found = set(verdicts)
    return found.pop() if len(found) == 1 else Modality.MAY if found else Modality.NEVER


class Exceptions:
    """Answers for the whole program; every answer is kept."""

    def __init__(self, program: Program, knowledge: Knowledge, python: Version | None = None) -> None:
        self._program = program
        self._knowledge = knowledge
        self._shape = call_shape((), (), python)
        self._names = ExceptionNames(program, knowledge)
        self._ancestors: dict[str, tuple[frozenset[str], bool]] = {}
        self._named: dict[tuple[FunctionKey, tuple[Expr, ...]], Alternatives] = {}

    @cached_property
    def cancellations(self) -> tuple[str, ...]:
        """The exceptions that a cancelled await raises, by library."""
        return tuple(name for name, entry in self._entries if entry.cancellation)

    @cached_property
    def timeouts(self) -> tuple[str, ...]:
        """The exceptions that lost races raise."""
        raised = (entry.raises for _, entry in self._entries if entry.race is RaceKind.CANCELS_RAISES)
        return tuple(dict.fromkeys(map(self.canonical, raised)))

    @cached_property
    def _entries(self) -> tuple[tuple[str, Entry], ...]:
        named = ((name, self._knowledge.entry(name)) for name in self._knowledge.names())
        return tuple((name, entry) for name, entry in named if entry is not None)

    # ----------------------------------------------------------------- classes

    def canonical(self, cls: str) -> str:
        """The one name of a class that may have several, on the newest Python that the project supports."""
        for _ in _DEEPEST_SAME.rounds():
            cls = self._knowledge.canonical(cls)
            known = self._knowledge.facts(cls, self._shape)
            if known is None or known.same_as is None:
                break
            cls = known.same_as
        return cls

    def ancestors(self, cls: str) -> tuple[frozenset[str], bool]:
        """A class and all it inherits from, by canonical name, and whether no base is unknown."""
        if cls == ANY_ERROR:
            return self.ancestors(EXCEPTION)[0] | {cls}, False
        cls = self.canonical(cls)
        if cls not in self._ancestors:
            self._ancestors[cls] = self._find_ancestors(cls)
        return self._ancestors[cls]

    def _find_ancestors(self, cls: str) -> tuple[frozenset[str], bool]:
        found = {cls}
        complete = True
        waiting = [cls]
        while waiting:
            current = waiting.pop()
            bases = self._bases(current)
            complete &= bases is not None
            for base in map(self.canonical, bases or ()):
                if base not in found:
                    found.add(base)
                    waiting.append(base)
        return frozenset(found), complete

    def _bases(self, cls: str) -> tuple[str, ...] | None:
        """The direct bases of a class, None where nobody knows them."""
        info = self._program.cls(cls)
        if info is not None:
            direct = self._program.direct_bases(cls)
            return direct if len(direct) == len(info.definition.bases) else None
        known = self._knowledge.entry(cls)
        return known.bases if known is not None and (known.bases or cls == BASE_EXCEPTION) else None

    def is_exception(self, cls: str) -> bool:
        """Whether a class is known to be one of an exception."""
        return BASE_EXCEPTION in self.ancestors(cls)[0]

    def catches_class(self, caught: str | None, raised: str) -> Modality:
        """Whether `except caught` catches an exception of exactly the class `raised`."""
        if caught is None:
            return Modality.MAY
        caught = self.canonical(caught)
        ancestors, complete = self.ancestors(raised)
        if caught in ancestors:
            return Modality.MUST
        if raised == ANY_ERROR:
            return Modality.MAY if self._may_be_an_error(caught) else Modality.NEVER
        if self._program.cls(caught) is not None:
            return Modality.NEVER if self._program.cls(raised) is None or complete else Modality.MAY
        if not complete or (not self.is_exception(caught) and _may_be_another_name(caught, ancestors)):
            return Modality.MAY
        return Modality.NEVER

    def _may_be_an_error(self, cls: str) -> bool:
        ancestors, complete = self.ancestors(cls)
        return not complete or EXCEPTION in ancestors

    # ----------------------------------------------------------------- handlers

    def named(self, key: FunctionKey, types: tuple[Expr, ...]) -> Alternatives:
        """The classes that the expressions after `except` in a function stand for, taken together."""
        asked = (key, types)
        if asked not in self._named:
            self._named[asked] = self._names.of_all(key, types)
        return self._named[asked]

    def catches(self, key: FunctionKey, types: tuple[Expr, ...], raised: str) -> Modality:
        """Whether a handler with these types, by itself, catches an exception of a class."""
        return join(
            some(self.catches_class(caught, raised) for caught in classes)
            for classes in self.named(key, types)
        )

    def only(self, key: FunctionKey, types: tuple[Expr, ...], wanted: tuple[str, ...]) -> bool:
        """Whether a handler surely names some of these classes, or subclasses of them, and nothing else."""
        return all(
            classes and all(cls is not None and self._is_one_of(cls, wanted) for cls in classes)
            for classes in self.named(key, types)
        )

    def names_one(self, key: FunctionKey, types: tuple[Expr, ...], wanted: tuple[str, ...]) -> bool:
        """Whether a handler may name one of these classes itself, and not merely a base of it."""
        return any(
            cls is not None and self.canonical(cls) in wanted
            for classes in self.named(key, types)
            for cls in classes
        )

    def _is_one_of(self, cls: str, wanted: tuple[str, ...]) -> bool:
        return not self.ancestors(cls)[0].isdisjoint(wanted)


def _may_be_another_name(caught: str, ancestors: frozenset[str]) -> bool:
    """Whether a name outside of the project, of which nothing is known, may stand for one of these classes.

    A library's class catches itself and what inherits from it. So it must be a tuple of classes, which is not
    written like one, or one of these very classes, handed on by the library under its name.
    """
    last = caught.rpartition(".")[2]
    is_class = last[:1].isupper() and not last.isupper()
    return not is_class or last in {each.rpartition(".")[2] for each in ancestors}
