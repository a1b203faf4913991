"""What one step of a function does, as a value, in that function's own terms."""

import enum
from collections.abc import Mapping

from msgspec import Struct, structs

from cancellint.analysis.effects.operations import Operation
from cancellint.model.ir import Expr
from cancellint.model.knowledge import RaceKind
from cancellint.model.summary import Act, Fact, K, Loss, OfObject, Path, Take, Unsettled
from cancellint.model.types import FunctionKey


class Fate(enum.IntEnum):
    """What a call does with the data of an argument, mildest first."""

    LOOKS = 0
    """reads it and keeps nothing"""
    PASSES = 1
    """its result is computed from it"""
    STORES = 2
    """puts it into another object, `Argument.into`"""
    KEEPS = 3
    """stores it where it outlives the call, or may do so"""


class Argument(Struct, frozen=True):
    """One argument (or receiver) of a call and what becomes of its data."""

    value: Expr
    fate: Fate
    into: Path | None = None
    early: bool = False
    """it is stored before the call takes anything itself"""


Origin = tuple[FunctionKey, Fact]
"""The callee and its fact."""


class Raced(Struct, frozen=True):
    """A race that this step runs: the operations it may cancel, and how."""

    kind: RaceKind
    name: str
    operations: tuple[Operation, ...]
    values: tuple[Expr, ...] = ()
    """the awaitables as written"""


class Effect(Struct, frozen=True):
    """What a step does. `via` maps a fact to the callee's fact behind it, where there is one."""

    suspends: bool = False
    facts: Mapping[type[Fact], tuple[Fact, ...]] = {}
    """what it does to objects, by kind; of an act, RESULT is the step's own outcome"""
    arguments: tuple[Argument, ...] = ()
    unknown: bool = False
    """some call of it reaches code that nobody has looked at"""
    race: Raced | None = None
    operations: tuple[Operation, ...] = ()
    """what an await waits for"""
    via: Mapping[Fact, Origin] = {}
    tasks: Mapping[Loss, Expr] = {}
    """the variable that holds the task whose result a loss means: while it is used, nothing is lost"""

    def of_kind(self, kind: type[K]) -> tuple[K, ...]:
        """Return the facts of one kind."""
        return self.facts.get(kind, ())  # type: ignore[return-value]  # the key is the class of the facts

    def with_kind(self, kind: type[K], facts: tuple[K, ...]) -> "Effect":
        """Return the effect with other facts of one kind."""
        return structs.replace(self, facts={**self.facts, kind: facts})

    @property
    def takes(self) -> tuple[Take, ...]:
        return self.of_kind(Take)

    @property
    def losses(self) -> tuple[Loss, ...]:
        return self.of_kind(Loss)

    @property
    def unsettled(self) -> tuple[Unsettled, ...]:
        return self.of_kind(Unsettled)

    @property
    def acts(self) -> tuple[Act, ...]:
        """What is taken on that is to be undone, and what is undone."""
        return self.of_kind(Act)

    def paths(self, kind: type[OfObject]) -> tuple[Path, ...]:
        """Return the objects that facts of one kind speak of."""
        return tuple(fact.path for fact in self.of_kind(kind))


NO_EFFECT = Effect()
