"""How far the analysis goes, for the sake of time and memory, and that it tells where it goes no further.

What lies beyond a limit is "not known", never a silent yes or no. Limits that were reached are written to the
log `LOG` at level DEBUG, one record each time, with the limit as its only argument.
"""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

_Item = TypeVar("_Item")

LOG = logging.getLogger("cancellint.limits")


class Limit(int):
    """A number that is not to be exceeded, and what it counts.

    It is an `int` in all comparisons; the methods are for where exceeding it changes an answer.
    """

    counted: str

    def __new__(cls, number: int, counted: str) -> "Limit":
        """Make a limit of `number` of what `counted` says, in the plural: "callers of one function"."""
        self = super().__new__(cls, number)
        self.counted = counted
        return self

    def reached(self) -> None:
        """Tell that something is left out."""
        LOG.debug("%s", self)

    def is_exceeded_by(self, count: int) -> bool:
        """Tell whether a count is above the limit."""
        if count <= self:
            return False
        self.reached()
        return True

    def leaves(self, depth: int) -> bool:
        """Tell whether anything is left of a depth that is counted down to zero."""
        if depth > 0:
            return True
        self.reached()
        return False

    def first(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yield as many items as the limit allows."""
        rest = iter(items)
        yield from islice(rest, self)
        if next(rest, None) is not None:
            self.reached()

    def rounds(self) -> Iterator[int]:
        """Count rounds of a loop that is to `break` before the limit."""
        yield from range(self)
        self.reached()

    def __str__(self) -> str:
        return f"{int(self)} {self.counted}"

    __repr__ = __str__
