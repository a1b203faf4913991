"""Objects of the caller's that a function closes for good."""

from collections.abc import Iterator

from cancellint.analysis.flow.facts import Facts
from cancellint.model.summary import Closes


def told(facts: Facts) -> Iterator[Closes]:
    """Yield what its steps close."""
    paths = {path for effect in facts.effects.values() for path in effect.paths(Closes)}
    yield from (Closes(path) for path in sorted(paths) if path.is_visible_to_callers)
