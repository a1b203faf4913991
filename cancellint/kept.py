"""What a process that stays has worked out before, and what it was worked out from."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeAlias, TypeVar

_Value = TypeVar("_Value")

MadeOf: TypeAlias = Callable[[], tuple[object, ...]]


class Kept(Generic[_Value]):
    """Values by name, each with all that it was made of: where that has changed, it is made anew."""

    def __init__(self) -> None:
        self._now: dict[Hashable, tuple[tuple[object, ...], _Value]] = {}
        self._before: dict[Hashable, tuple[tuple[object, ...], _Value]] = {}

    def of(self, name: Hashable, made_of: MadeOf, make: Callable[[], _Value]) -> _Value:
        """The value of this name. `made_of` gives everything that `make` looks at and that may change."""
        known, inputs = self._now.get(name) or self._before.get(name), made_of()
        if known is None or known[0] != inputs:
            known = inputs, make()
        self._now[name] = known
        return known[1]

    def turn(self) -> None:
        """Begin another run: what it does not ask for is forgotten after it."""
        self._before, self._now = self._now, {}


class NothingKept(Kept[_Value]):
    """The same for a process that makes one run: everything is made."""

    def of(self, name: Hashable, made_of: MadeOf, make: Callable[[], _Value]) -> _Value:
        """The value, made now."""
        return make()
