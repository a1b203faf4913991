"""Where a function may be called, found by its name alone."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.program.program import Program
from cancellint.model import ir
from cancellint.model.types import CallSite, FunctionKey

MAX_SITES = Limit(8, "calls that may tell the type of a parameter")
"""A function that may be called in more places is not followed to its callers, and what it is given is not
known: which of them do reach it, only the types tell that are being looked for."""


class Handover(Struct, frozen=True):
    """A call one of whose positional arguments is a function."""

    site: CallSite
    position: int


class CallSites:
    """Where the functions of a program may be called, as far as that is to be followed for their types."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def may_reach(self, key: FunctionKey) -> tuple[CallSite, ...] | None:
        """The calls that may reach a function by their name, in order; None if they are too many."""
        found: list[CallSite] = []
        for name in self._names(key):
            sites = self._program.calls.called.get(name, ())
            found.extend(site for site in sites if self._may_mean(site, key))
            if MAX_SITES.is_exceeded_by(len(found)):
                return None
        if self._program.function(key).name == "__init__":
            found.extend(self._from_subclasses(key))
        return None if MAX_SITES.is_exceeded_by(len(found)) else tuple(found)

    def handed_over(self, key: FunctionKey) -> tuple[Handover, ...]:
        """Where a function of this name is an argument of a call; nothing if in too many places."""
        given = self._program.calls.given.get(self._program.function(key).name, ())
        found = dict.fromkeys(each for site, value in given for each in self._positions(site, value))
        return () if MAX_SITES.is_exceeded_by(len(found)) else tuple(found)

    def _positions(self, site: CallSite, value: ir.Expr) -> Iterator[Handover]:
        call = self._program.function(site.function).steps[site.step]
        for position, argument in enumerate(call.args if isinstance(call, ir.Call) else ()):
            if argument == value:
                yield Handover(site, position)

    def _may_mean(self, site: CallSite, key: FunctionKey) -> bool:
        """Tell whether a call of something that has a function's name may reach it: what is called on an
        object of one family of classes reaches no method of another."""
        call = self._program.function(site.function).steps[site.step]
        owner, caller = self._program.class_of(key), self._program.class_of(site.function)
        match call:
            case ir.Call(ir.Attr(ir.Name(receiver), _)) if owner is not None and caller is not None:
                if receiver == self._program.scopes(site.function.module).receiver_name(
                    site.function.function
                ):
                    return self._are_related(owner, caller)
            case _:
                pass
        return True

    def _are_related(self, one: str, other: str) -> bool:
        """Tell whether an object may be of both classes."""
        lines = [{cls, *self._program.descendants(cls)} for cls in (one, other)]
        return not lines[0].isdisjoint(lines[1])

    def _names(self, key: FunctionKey) -> Iterator[str]:
        """What a caller writes: the function's name, or for `__init__` that of a class that inherits it."""
        function = self._program.function(key)
        cls = self._program.class_of(key)
        if function.name != "__init__" or cls is None:
            yield function.name
            return
        yield _last_part(cls)
        for child in self._program.descendants(cls):
            if key in self._program.methods(child, "__init__"):
                yield _last_part(child)

    def _from_subclasses(self, key: FunctionKey) -> Iterator[CallSite]:
        """Calls of `super().__init__(...)` and `Base.__init__(...)` in the constructors of subclasses."""
        cls = self._program.class_of(key)
        if cls is None:
            return
        for child in self._program.descendants(cls)[: 4 * MAX_SITES]:
            for init in self._program.own_methods(child, "__init__"):
                for number, step in enumerate(self._program.function(init).steps):
                    match step:
                        case ir.Call(ir.Attr(_, "__init__")):
                            yield CallSite(init, number)
                        case _:
                            pass


def _last_part(dotted: str) -> str:
    return dotted.rpartition(".")[2].partition("@")[0]
