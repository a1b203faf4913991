"""Attributes of the caller's objects that a function assigns new objects to."""

from collections.abc import Iterator

from cancellint.analysis.flow.facts import Facts
from cancellint.model.ir import Assign, Attr
from cancellint.model.summary import Path, Replaces


def told(facts: Facts) -> Iterator[Replaces]:
    """Yield the attributes that are sources of data to somebody, those that callees assign included."""
    yield from (Replaces(path) for path in sorted(set(_replaced(facts))) if path.is_visible_to_callers)


def _replaced(facts: Facts) -> Iterator[Path]:
    for effect in facts.effects.values():
        yield from effect.paths(Replaces)
    for step in facts.function.steps:
        if isinstance(step, Assign) and isinstance(step.target, Attr) and not step.op:
            path = facts.frame.path(step.target)
            if path is not None and path.fields and facts.is_source_name(path.fields[-1]):
                yield path
