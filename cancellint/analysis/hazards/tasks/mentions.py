"""Where an attribute is mentioned that keeps a task: one with an underscore in its own modules only."""

from collections.abc import Callable, Iterable, Iterator

from cancellint.analysis.callgraph.homes import Home
from cancellint.analysis.program.program import Program
from cancellint.model.ir import Attr, Step
from cancellint.model.types import FunctionKey


class Mentions:
    """An index of what `mentioned` yields of each step, made for each module when it is first asked for."""

    def __init__(self, program: Program, mentioned: Callable[[Step], Iterable[Attr]]) -> None:
        self._program = program
        self._mentioned = mentioned
        self._modules: dict[str, dict[str, list[tuple[FunctionKey, Attr]]]] = {}

    def of(self, home: Home) -> Iterator[tuple[FunctionKey, Attr]]:
        """Yield the mentions of attributes of a name, with the functions they are in."""
        for module in self._where(home):
            if module not in self._modules:
                self._modules[module] = self._index(module)
            yield from self._modules[module].get(home[1], ())

    def _where(self, home: Home) -> Iterator[str]:
        """Yield the modules in which the attribute of a class may be mentioned."""
        owner = self._program.cls(home[0])
        if owner is None or not home[1].startswith("_"):
            yield from self._program.modules()
            return
        family = (home[0], *self._program.bases(home[0]), *self._program.descendants(home[0]))
        classes = (self._program.cls(each) for each in family)
        yield from dict.fromkeys(each.module for each in classes if each is not None)

    def _index(self, module: str) -> dict[str, list[tuple[FunctionKey, Attr]]]:
        found: dict[str, list[tuple[FunctionKey, Attr]]] = {}
        for number, function in enumerate(self._program.module(module).functions):
            for step in function.steps:
                for attribute in self._mentioned(step):
                    found.setdefault(attribute.name, []).append((FunctionKey(module, number), attribute))
        return found
