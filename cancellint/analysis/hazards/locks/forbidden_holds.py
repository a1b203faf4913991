"""Objects that a table says must not be held across an await, and the awaits they are held across."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import Await, AwaitKind, Expr, Temp
from cancellint.model.knowledge import Entry
from cancellint.model.types import Instance


class Forbidden(Struct, frozen=True):
    """An object that is entered, and the first await before it is left."""

    entered: int
    awaited: int
    value: Expr
    name: str
    reason: str
    instead: str


def forbidden_holds(effects: Effects, facts: Facts) -> Iterator[Forbidden]:
    """Yield the `with` regions of such objects in which something is awaited."""
    for index, region in enumerate(facts.function.regions):
        found = _forbidden(effects, facts, (region.value, Temp(region.enter)))
        awaits = (
            step
            for block, step in facts.awaits()
            if index in facts.function.blocks[block].regions and not _is_exit(facts, step)
        )
        first = min(awaits, default=None) if found is not None else None
        if found is not None and first is not None:
            name, entry = found
            yield Forbidden(region.enter, first, region.value, name, entry.not_across_await, entry.instead)


def _is_exit(facts: Facts, step: int) -> bool:
    match facts.function.steps[step]:
        case Await(kind=AwaitKind.EXIT):
            return True
        case _:
            return False


def _forbidden(effects: Effects, facts: Facts, values: tuple[Expr, ...]) -> tuple[str, Entry] | None:
    knowledge = effects.operations.knowledge
    for value in values:
        for option in options(effects.types.of(facts.key, value)):
            if not isinstance(option, Instance):
                continue
            bases = effects.program.bases(option.cls) if effects.program.cls(option.cls) is not None else ()
            for cls in (option.cls, *bases):
                entry = knowledge.entry(cls)
                if entry is not None and entry.not_across_await:
                    return knowledge.canonical(cls), entry
    return None
