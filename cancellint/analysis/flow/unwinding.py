"""What the `with` regions and handlers of a function do to a travelling exception."""

import enum
from collections.abc import Iterator
from functools import cached_property

from msgspec import structs

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import Known
from cancellint.analysis.engine.graph import ControlFlow
from cancellint.model.ir import (
    Attr,
    Await,
    AwaitKind,
    Call,
    Catch,
    Edge,
    Exit,
    Expr,
    Function,
    Leaves,
    Name,
    Op,
    Temp,
)
from cancellint.model.knowledge import RaceKind, Role
from cancellint.model.types import FunctionKey, LibraryCallee

CANCELLATIONS = frozenset({"CancelledError", "Cancelled", "BaseException", "BaseExceptionGroup"})
"""Last names of the exception classes a cancellation is caught by."""

_ONLY_CANCELLATIONS = frozenset({"CancelledError", "Cancelled"})

_ONLY_TIMEOUTS = frozenset({"TimeoutError", "TooSlowError"})

_TIMEOUTS = frozenset(
    {"TimeoutError", "Exception", "BaseException", "OSError", "IOError", "EnvironmentError", "TooSlowError"}
)
"""Last names of the exception classes a lost race's TimeoutError is caught by."""


class Shield(enum.IntEnum):
    """What a body is shielded from."""

    NONE = 0
    OWN_SCOPES = 1
    """the scopes of anyio; asyncio's own cancellation gets through"""
    ALL = 2


class Unwinding:
    """Reads regions and handlers of one function."""

    def __init__(self, effects: Effects, key: FunctionKey) -> None:
        self._effects = effects
        self._key = key
        self._function = effects.program.function(key)
        self._races: dict[int, tuple[RaceKind, str] | None] = {}

    def race(self, region: int) -> tuple[RaceKind, str] | None:
        """Return how a region races its body and under what name, None for any other context manager."""
        if region not in self._races:
            self._races[region] = self._find_race(region)
        return self._races[region]

    def without_idle_edges(self) -> Function:
        """Return the function without the edges on which a `with` swallows what it never swallows."""
        if not self._function.regions:
            return self._function
        exits = self._exits()
        blocks = tuple(
            structs.replace(block, edges=tuple(self._possible(block.edges, exits.get(number))))
            for number, block in enumerate(self._function.blocks)
        )
        return structs.replace(self._function, blocks=blocks)

    @cached_property
    def flow(self) -> ControlFlow:
        """The control-flow graph without idle edges."""
        return ControlFlow(self.without_idle_edges().blocks)

    def _exits(self) -> dict[int, int]:
        """Return the region that is left, per block from which a swallowing edge may start."""
        found: dict[int, int] = {}
        for number, block in enumerate(self._function.blocks):
            last = self._function.steps[block.last - 1] if block.last > block.first else None
            match last:
                case Exit(region=region):
                    found[number] = region
                case Await(kind=AwaitKind.EXIT, region=region):
                    for edge in block.edges:
                        if edge.leaves is Leaves.RESUMED:
                            found[edge.to] = region
                case _:
                    pass
        return found

    def _possible(self, edges: tuple[Edge, ...], region: int | None) -> Iterator[Edge]:
        """Yield the edges a region's exit can really take.

        A context manager nobody knows is taken to swallow nothing, as nearly all do.
        """
        for edge in edges:
            match edge.leaves:
                case Leaves.ABSORBED if region is not None:
                    race = self.race(region)
                    falls_through = race is not None and race[0] is not RaceKind.CANCELS_RAISES
                    if falls_through or self._suppressed(region):
                        yield edge
                case Leaves.CONVERTED if region is not None:
                    race = self.race(region)
                    if race is not None and race[0] is RaceKind.CANCELS_RAISES:
                        yield edge
                case _:
                    yield edge

    def absorbs_cancellation(self, region: int) -> bool:
        """Tell whether a region is a `suppress` that names a cancellation."""
        return not CANCELLATIONS.isdisjoint(self._suppressed(region))

    def absorbs_timeout(self, region: int) -> bool:
        """Tell whether a region is a `suppress` that names TimeoutError or more."""
        return not _TIMEOUTS.isdisjoint(self._suppressed(region))

    def _suppressed(self, region: int) -> tuple[str, ...]:
        """Return the last names of the exceptions that a region suppresses."""
        call = self._call(region)
        if call is None:
            return ()
        return tuple(
            name
            for callee in self._effects.types.callees(self._key, call)
            if isinstance(callee, LibraryCallee) and callee.name == "contextlib.suppress"
            for value in callee.args
            if (name := _last(value)) is not None
        )

    def _call(self, region: int) -> int | None:
        value = self._function.regions[region].value
        if isinstance(value, Name):
            value = self._effects.frame(self._key).value_of(value.id) or value
        if isinstance(value, Temp) and isinstance(self._function.steps[value.step], Call):
            return value.step
        return None

    def shield(self, regions: tuple[int, ...]) -> Shield:
        """Return what a body nested so deep is shielded from, as far as no race within ends it after all."""
        shield = Shield.NONE
        for region in regions:
            for known in self._known(region):
                if Role.SHIELDS in known.entry.roles:
                    shield = max(shield, Shield.OWN_SCOPES if known.entry.own_scopes_only else Shield.ALL)
            race = self.race(region)
            if race is not None and race[0] is not RaceKind.SCOPE:
                shield = Shield.NONE
        return shield

    def is_scope(self, region: int) -> bool:
        """Tell whether a region is a scope of anyio or trio, whose cancellation is not asyncio's own."""
        return any(known.entry.level for known in self._known(region))

    def _find_race(self, region: int) -> tuple[RaceKind, str] | None:
        for known in self._known(region):
            if known.entry.race is not None and Role.RACES in known.entry.roles:
                return known.entry.race, known.name
        return None

    def _known(self, region: int) -> Iterator[Known]:
        """Yield what the tables say of the context manager of a region that races or shields its body."""
        call = self._call(region)
        for callee in self._effects.types.callees(self._key, call) if call is not None else ():
            known = self._effects.operations.known(callee)
            if known is not None and known.entry.raced == "body":
                yield known


def catches_timeout(function: Function, block: int) -> tuple[bool, bool]:
    """Return whether the handler that starts a block may, and whether it must, catch a TimeoutError."""
    types = _caught(function, block)
    if types is None:
        return False, False
    if not types:
        return True, True
    names = [_last(value) for value in types]
    known = any(name in _TIMEOUTS for name in names)
    opaque = any(name is None or name.isupper() or name.islower() for name in names)
    return known or opaque, known


def catches_cancellation(function: Function, block: int) -> bool:
    """Tell whether the handler starting in a block may catch a cancellation."""
    types = _caught(function, block)
    if types is None:
        return False
    names = [_last(value) for value in types]
    return not types or any(
        name is None or name in CANCELLATIONS or "ancel" in name or name.isupper() or name.islower()
        for name in names
    )


def catches_timeouts_only(function: Function, block: int) -> bool:
    """Tell whether the handler starting in a block names timeouts and nothing else."""
    types = _caught(function, block)
    return bool(types) and all(_last(value) in _ONLY_TIMEOUTS for value in types or ())


def catches_cancellation_only(function: Function, block: int) -> bool:
    """Tell whether the handler starting in a block names cancellations and nothing else."""
    types = _caught(function, block)
    return bool(types) and all(_last(value) in _ONLY_CANCELLATIONS for value in types or ())


def _caught(function: Function, block: int) -> tuple[Expr, ...] | None:
    """Return the types a handler names, None where the block starts no handler."""
    node = function.blocks[block]
    for number in range(node.first, node.last):
        step = function.steps[number]
        if isinstance(step, Catch):
            return step.types
    return None


def _last(expr: Expr) -> str | None:
    match expr:
        case Name(id=name) | Attr(name=name):
            return name
        case Op(op="call"):
            return "Cancelled"
        case Temp():
            return "Cancelled"
        case _:
            return None
