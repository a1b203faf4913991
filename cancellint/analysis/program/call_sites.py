"""Where a function may be called, found by its name alone."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.program.program import Program
from cancellint.model import ir
from cancellint.model.types import CallSite, FunctionKey

MAX_SITES = 8
"""A function that may be called in more places than this is not followed to its callers."""


class Handover(Struct, frozen=True):
    """A call one of whose positional arguments is a function."""

    site: CallSite
    position: int


class CallSites:
    """The call steps of the program by the last part of the name they call."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._by_name: dict[str, list[CallSite]] | None = None
        self._handed_over: dict[str, list[Handover]] | None = None

    def may_reach(self, key: FunctionKey) -> tuple[CallSite, ...] | None:
        """The calls that may reach a function by their name, in order; None if they are too many."""
        found: list[CallSite] = []
        for name in self._names(key):
            found.extend(self._named(name))
            if len(found) > MAX_SITES:
                return None
        if self._program.function(key).name == "__init__":
            found.extend(self._from_subclasses(key))
        return tuple(found) if len(found) <= MAX_SITES else None

    def handed_over(self, key: FunctionKey) -> tuple[Handover, ...]:
        """Where a function of this name is an argument of a call; nothing if in too many places."""
        if self._handed_over is None:
            self._handed_over = self._index_handovers()
        found = self._handed_over.get(self._program.function(key).name, [])
        return tuple(found) if len(found) <= MAX_SITES else ()

    def _index_handovers(self) -> dict[str, list[Handover]]:
        names = {self._program.function(key).name for key in self._program.functions()}
        found: dict[str, list[Handover]] = {}
        for site, call in self._calls():
            for position, argument in enumerate(call.args):
                match argument:
                    case ir.Name(name) | ir.Attr(_, name) if name in names:
                        handovers = found.setdefault(name, [])
                        if len(handovers) <= MAX_SITES:
                            handovers.append(Handover(site, position))
                    case _:
                        pass
        return found

    def _calls(self) -> Iterator[tuple[CallSite, ir.Call]]:
        for key in self._program.functions():
            for number, step in enumerate(self._program.function(key).steps):
                if isinstance(step, ir.Call):
                    yield CallSite(key, number), step

    def _named(self, name: str) -> list[CallSite]:
        if self._by_name is None:
            self._by_name = self._index()
        return self._by_name.get(name, [])

    def _index(self) -> dict[str, list[CallSite]]:
        """One call more than MAX_SITES is kept for each name, to tell that there are too many."""
        found: dict[str, list[CallSite]] = {}
        for site, call in self._calls():
            match call.func:
                case ir.Name(name) | ir.Attr(_, name):
                    sites = found.setdefault(name, [])
                    if len(sites) <= MAX_SITES:
                        sites.append(site)
                case _:
                    pass
        return found

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
