"""What one step of a function does, as a value, in that function's own terms."""

import enum
from collections.abc import Mapping

from msgspec import Struct

from cancellint.analysis.effects.operations import Operation
from cancellint.model.ir import Expr
from cancellint.model.knowledge import RaceKind
from cancellint.model.summary import Act, Loss, Path, Take, Unsettled
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


CalleeFact = Take | Loss | Unsettled | Path | Act
"""A fact of a callee's own summary, from which a trace goes on."""

Origin = tuple[FunctionKey, CalleeFact]
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
    takes: tuple[Take, ...] = ()
    losses: tuple[Loss, ...] = ()
    closes: tuple[Path, ...] = ()
    replaces: tuple[Path, ...] = ()
    unsettled: tuple[Unsettled, ...] = ()
    arguments: tuple[Argument, ...] = ()
    acquires: tuple[Path, ...] = ()
    releases: tuple[Path, ...] = ()
    unknown: bool = False
    """some call of it reaches code that nobody has looked at"""
    acts: tuple[Act, ...] = ()
    """what is taken on that is to be undone, and what is undone; RESULT is the step's own outcome"""
    race: Raced | None = None
    operations: tuple[Operation, ...] = ()
    """what an await waits for"""
    via: Mapping[CalleeFact, Origin] = {}
    tasks: Mapping[Loss, Expr] = {}
    """the variable that holds the task whose result a loss means: while it is used, nothing is lost"""


NO_EFFECT = Effect()
