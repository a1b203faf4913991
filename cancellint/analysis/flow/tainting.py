"""Taint: what a function computes from given values, whatever the path."""

from collections.abc import Iterable

from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.program.expressions import parts
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    Call,
    Enter,
    Expr,
    Function,
    Item,
    Load,
    Name,
    Next,
    Temp,
)

_MOST_ROUNDS = Limit(8, "rounds over what is computed from what")
"""Passes over the steps after which what is known so far has to do."""


class Taint:
    """All expressions of a function that hold, or are computed from, some of `seeds`.

    In no particular order of time: what is assigned anywhere is so everywhere.
    """

    def __init__(self, function: Function, seeds: Iterable[Expr]) -> None:
        self._tainted: set[Expr] = set(seeds)
        for _ in _MOST_ROUNDS.rounds():
            before = len(self._tainted)
            for number, step in enumerate(function.steps):
                self._follow(number, step)
            if len(self._tainted) == before:
                break

    def reaches(self, expr: Expr) -> bool:
        """Whether an expression is computed from a seed."""
        return any(part in self._tainted for part in parts(expr))

    def _follow(self, number: int, step: object) -> None:
        match step:
            case Call(func=func, args=args, keywords=keywords):
                given = (*args, *(value for _, value in keywords))
                if any(self.reaches(each) for each in given):
                    self._tainted.add(Temp(number))
                    if isinstance(func, Attr):
                        self._fill(func.base)
                elif isinstance(func, Attr) and self.reaches(func.base):
                    self._tainted.add(Temp(number))
            case Await(value=value) | Next(value=value) | Enter(value=value) | Load(value=value) if (
                self.reaches(value)
            ):
                self._tainted.add(Temp(number))
            case Assign(target=Name() | Attr() as target, value=value) if self.reaches(value):
                self._tainted.add(target)
            case Assign(target=Item(base=base), value=value) if self.reaches(value):
                self._fill(base)
            case _:
                pass

    def _fill(self, container: Expr) -> None:
        """What data is put into holds it from then on: a list, a parser."""
        if isinstance(container, Name | Attr):
            self._tainted.add(container)
