"""A trial: one entry of the tables, and a scenario that shows what a cancellation of it breaks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.knowledge.worlds import Scenario, World


@dataclass(frozen=True)
class Trial:
    """The name of an entry, how the call looks, and the scenario that makes it.

    `args` and `keywords` are the literals of the call, as far as a variant of the entry asks for them.
    """

    name: str
    scenario: Scenario
    args: tuple[str, ...] = ()
    keywords: Mapping[str, str] = field(default_factory=dict)
    world: World = World.ASYNCIO

    def __str__(self) -> str:
        given = (*self.args, *(f"{name}={value}" for name, value in self.keywords.items()))
        return f"{self.name}({', '.join(given)}) in {self.world.value}"
