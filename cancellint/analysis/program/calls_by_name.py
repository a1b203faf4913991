"""The calls of the program by the names in them, for those who look by name before they ask the types."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from cancellint.analysis.program.expressions import last_name
from cancellint.model.ir import Attr, Call, Expr, Name
from cancellint.model.types import CallSite, FunctionKey

if TYPE_CHECKING:
    from cancellint.analysis.program.program import Program


class CallsByName:
    """Indexes of all calls, each made when first asked for, in the order of functions and steps."""

    def __init__(self, program: "Program") -> None:
        self._program = program

    def of_any(self, names: Iterable[str]) -> list[CallSite]:
        """Return the calls of whatever has one of these names, in order."""
        return sorted(site for name in frozenset(names) for site in self.called.get(name, ()))

    def functions_with(self, names: Iterable[str]) -> frozenset[FunctionKey]:
        """Return the functions that call something of one of these names."""
        return frozenset(site.function for name in frozenset(names) for site in self.called.get(name, ()))

    @cached_property
    def called(self) -> Mapping[str, Sequence[CallSite]]:
        """Call steps by the last name of what is called."""
        found: dict[str, list[CallSite]] = {}
        for key in self._program.functions():
            for number, step in enumerate(self._program.function(key).steps):
                if isinstance(step, Call) and (name := last_name(step.func)) is not None:
                    found.setdefault(name, []).append(CallSite(key, number))
        return found

    @cached_property
    def given(self) -> Mapping[str, Sequence[tuple[CallSite, Expr]]]:
        """Names and attributes that are arguments of calls, by their last name."""
        found: dict[str, list[tuple[CallSite, Expr]]] = {}
        for key in self._program.functions():
            for number, step in enumerate(self._program.function(key).steps):
                if isinstance(step, Call):
                    for value in (*step.args, *(value for _, value in step.keywords)):
                        if isinstance(value, Name | Attr) and (name := last_name(value)) is not None:
                            found.setdefault(name, []).append((CallSite(key, number), value))
        return found
