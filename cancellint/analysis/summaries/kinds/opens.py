"""Attributes of the caller's objects that a function gives what it has opened."""

from collections.abc import Iterator

from cancellint.analysis.flow.facts import Facts
from cancellint.model.ir import Assign, Attr, Element, Expr, Name, Temp
from cancellint.model.summary import OfObject, Path, Verb


class Opens(OfObject, frozen=True, order=True, gc=False):
    """An attribute is given a connection, or something else that has to be closed, that was opened for it."""


def told(facts: Facts) -> Iterator[Opens]:
    """Yield the attributes that its steps, and the functions it calls, give something opened."""
    yield from (Opens(path) for path in sorted(set(_given(facts))) if path.is_visible_to_callers)


def _given(facts: Facts) -> Iterator[Path]:
    for effect in facts.effects.values():
        yield from effect.paths(Opens)
    opened: set[Expr] = {Temp(number) for number in facts.acts if _is_opening(facts, number)}
    for step in facts.function.steps if opened else ():
        match step:
            case Assign(target=Name() as target, value=Element(value=value) | value) if value in opened:
                opened.add(target)
            case Assign(target=Attr() as target, value=Element(value=value) | value) if value in opened:
                path = facts.frame.path(target)
                if path is not None and path.fields:
                    yield path
            case _:
                pass


def _is_opening(facts: Facts, number: int) -> bool:
    return any(
        act.verb is Verb.ACQUIRES and act.subject == Path(f"temp:{number}") for act in facts.acts[number]
    )
