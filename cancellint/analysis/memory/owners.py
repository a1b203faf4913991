"""Owner facts: what the program as a whole does with a class attribute or a module global."""

from collections.abc import Iterator
from functools import cached_property

from cancellint.analysis.program.program import Program
from cancellint.model.ir import Attr, Call, Item
from cancellint.model.summary import Path
from cancellint.model.types import FunctionKey

Owner = tuple[str, str]
"""The topmost project class (or the module) and the attribute's name."""


class Owners:
    """Which containers are filled with data taken from a source. Grows during the fixpoint, never shrinks."""

    def __init__(self, program: Program, consumers: frozenset[str]) -> None:
        self._program = program
        self._consumers = consumers
        self._filled: set[Owner] = set()

    @cached_property
    def _source_names(self) -> frozenset[str]:
        return frozenset(_names_consumed_from(self._program, self._consumers))

    def is_source_name(self, name: str) -> bool:
        """Whether anything in the project reads from an attribute of this name, or from a part of one.

        Only such attributes need watching for being given a new object.
        """
        return name in self._source_names

    @property
    def count(self) -> int:
        """How many containers are known to be filled from a source."""
        return len(self._filled)

    def fill(self, key: FunctionKey, store: Path) -> bool:
        """Note that `store`, as seen from function `key`, receives taken data; tell whether that is news."""
        owner = self._owner(key, store)
        if owner is None or owner in self._filled:
            return False
        self._filled.add(owner)
        return True

    def is_filled(self, key: FunctionKey, store: Path) -> bool:
        owner = self._owner(key, store)
        return owner is not None and owner in self._filled

    def _owner(self, key: FunctionKey, store: Path) -> Owner | None:
        """Return who owns the container a path means: a class family's attribute or a global."""
        if store.root == "param:0" and len(store.fields) == 1:
            cls = self._program.class_of(key)
            if cls is None:
                return None
            topmost = (cls, *self._program.bases(cls))[-1]
            return topmost, store.fields[0]
        if store.root.startswith("global:"):
            return store.root, ".".join(store.fields)
        return None


def _names_consumed_from(program: Program, consumers: frozenset[str]) -> Iterator[str]:
    for key in program.functions():
        for step in program.function(key).steps:
            if not isinstance(step, Call) or not isinstance(step.func, Attr):
                continue
            if step.func.name not in consumers:
                continue
            base = step.func.base
            while isinstance(base, Attr | Item):
                if isinstance(base, Attr):
                    yield base.name
                base = base.base
