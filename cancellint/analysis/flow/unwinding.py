"""Unwinding: what the `with` regions and handlers of a function do to an exception that propagates."""

import enum
from collections.abc import Iterator
from functools import cached_property

from msgspec import structs

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import Known
from cancellint.analysis.engine.graph import ControlFlow
from cancellint.analysis.flow.handlers import Handlers, Raised
from cancellint.analysis.flow.managers import Managers, exits_of, region_of
from cancellint.analysis.library.exceptions import ANY_ERROR, Modality
from cancellint.model.ir import Call, Edge, Function, Leaves, Name, Temp
from cancellint.model.knowledge import RaceKind, Role
from cancellint.model.types import FunctionKey


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
        self.handlers = Handlers(effects, key)
        self._managers = Managers(effects)
        self._exceptions = effects.operations.exceptions
        self._races: dict[int, tuple[RaceKind, str] | None] = {}
        self._absorbed: dict[tuple[int, Raised], Modality] = {}

    def race(self, region: int) -> tuple[RaceKind, str] | None:
        """Return how a region races its body and under what name, None for any other context manager."""
        if region not in self._races:
            self._races[region] = self._find_race(region)
        return self._races[region]

    def without_idle_edges(self) -> Function:
        """Return the function without the edges on which no exception ever travels.

        A handler takes nothing that it never catches, nothing gets past one that surely catches it, and a
        `with` swallows only what it may.
        """
        function = self.handlers.without_idle_edges(self._function)
        if not function.regions:
            return function
        exits = exits_of(function)
        blocks = tuple(
            structs.replace(block, edges=tuple(self._possible(block.edges, exits.get(number))))
            for number, block in enumerate(function.blocks)
        )
        return structs.replace(function, blocks=blocks)

    @cached_property
    def flow(self) -> ControlFlow:
        """The control-flow graph without the edges that no exception takes."""
        return ControlFlow(self.without_idle_edges().blocks)

    def _possible(self, edges: tuple[Edge, ...], region: int | None) -> Iterator[Edge]:
        """Yield the edges that the end of a block can really take; `region` is the one it leaves."""
        if region is None or all(edge.leaves is not Leaves.ABSORBED for edge in edges):
            yield from edges
            return
        race = self.race(region)
        ways = {edge.leaves for edge in edges}
        cancellation = self.absorbs_cancellation(region) if Leaves.CANCELLED in ways else Modality.NEVER
        error = self.absorbs(region, ANY_ERROR) if Leaves.RAISED in ways else Modality.NEVER
        for edge in edges:
            match edge.leaves:
                case Leaves.ABSORBED:
                    falls_through = race is not None and race[0] is not RaceKind.CANCELS_RAISES
                    possible = falls_through or max(cancellation, error) is not Modality.NEVER
                case Leaves.CONVERTED:
                    possible = race is not None and race[0] is RaceKind.CANCELS_RAISES
                case Leaves.CANCELLED:
                    possible = cancellation is not Modality.MUST
                case Leaves.RAISED:
                    possible = error is not Modality.MUST
                case _:
                    possible = True
            if possible:
                yield edge

    def absorbs_cancellation(self, region: int) -> Modality:
        """Whether a cancellation from outside ends at the exit of a region."""
        return self._absorbs(region, self._exceptions.cancellations)

    def absorbs_timeout(self, region: int) -> Modality:
        """Whether what a lost race raises ends at the exit of a region."""
        return self._absorbs(region, self._exceptions.timeouts)

    def absorbs(self, region: int, raised: str) -> Modality:
        """Whether an exception of a class ends at the exit of a region."""
        return self._absorbs(region, (raised,))

    def _absorbs(self, region: int, raised: Raised) -> Modality:
        asked = (region, raised)
        if asked not in self._absorbed:
            manager = region_of(self._key, self._function, region)
            self._absorbed[asked] = self._managers.swallows(manager, raised)
        return self._absorbed[asked]

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
