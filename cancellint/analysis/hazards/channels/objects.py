"""Which queue or event an expression means, whatever function it stands in."""

from collections.abc import Callable, Iterator

from cancellint.analysis.callgraph.function_uses import FunctionUses
from cancellint.analysis.callgraph.homes import Home, Homes
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import Expr, Name
from cancellint.model.types import CallSite, FunctionKey, Instance

Meant = frozenset[CallSite | Home]
"""Where an object may have been made, and who keeps it. Two that share one may be the same object."""


class Objects:
    """Answers by types first, by who keeps the object then, and for a parameter by what callers give."""

    def __init__(self, effects: Effects, uses: FunctionUses) -> None:
        self._effects = effects
        self._uses = uses
        self._homes = Homes(effects)
        self._found: dict[tuple[FunctionKey, Expr], Meant] = {}

    def meant(self, key: FunctionKey, expr: Expr) -> Meant:
        """Return what an expression may mean; nothing where that is not known."""
        asked = (key, expr)
        if asked not in self._found:
            self._found[asked] = frozenset(self._find(key, expr))
        return self._found[asked]

    def is_of(self, key: FunctionKey, expr: Expr, belongs: Callable[[str], bool]) -> bool:
        """Tell whether an expression is known to be an object of a class that belongs to some kind."""
        found = [each for each in options(self._effects.types.of(key, expr)) if isinstance(each, Instance)]
        return bool(found) and all(belongs(each.cls) for each in found)

    def _find(self, key: FunctionKey, expr: Expr) -> Iterator[CallSite | Home]:
        yield from self._here(key, expr)
        params = self._effects.program.function(key).params
        place = next((i for i, param in enumerate(params) if expr == Name(param.name)), None)
        if place is None:
            return
        for site, callee in self._uses.calls(key):
            given = self._effects.given(callee).get(place)
            if given is not None:
                yield from self._here(site.function, given)

    def _here(self, key: FunctionKey, expr: Expr) -> Iterator[CallSite | Home]:
        for option in options(self._effects.types.of(key, expr)):
            if isinstance(option, Instance) and option.made_at is not None:
                yield option.made_at
        home = self._homes.of(key, expr)
        if home is not None:
            yield home
