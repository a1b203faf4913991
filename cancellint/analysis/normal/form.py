"""A program in normal form, and the way back from it to the places where things were written."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from msgspec import structs

from cancellint.analysis.normal.expansion import Expansion, Library, expand
from cancellint.analysis.normal.inlining import Expanded
from cancellint.analysis.normal.propagation import Replaced, names_read, propagate
from cancellint.analysis.normal.synonyms import Synonyms
from cancellint.analysis.normal.webs import split_variables
from cancellint.analysis.program.program import Program
from cancellint.model.ir import Function, Module
from cancellint.model.source import Site
from cancellint.model.types import CallSite, FunctionKey


class Written(NamedTuple):
    """Where a step of a function in normal form was written.

    `chain` leads from the step of the function itself that it belongs to, through the helpers that were put
    into it, to where it stands. `is_part` tells that the innermost helper is only a part of its callers.
    """

    chain: tuple[Site, ...]
    is_part: bool

    @property
    def own(self) -> Site:
        return self.chain[0]

    @property
    def origin(self) -> Site:
        return self.chain[-1]


class Origins:
    """The way back from steps in normal form to steps as they were written."""

    def __init__(self, expanded: Mapping[FunctionKey, Expanded], absorbed: frozenset[FunctionKey]) -> None:
        self._expanded = expanded
        self._absorbed = absorbed

    def of(self, site: Site) -> Written:
        """Return where a step was written."""
        expanded = self._expanded.get(FunctionKey(site.module, site.function))
        if expanded is None or site.step < 0:
            return Written((site,), is_part=False)
        chain = expanded.chains[site.step]
        return Written(tuple(map(_site, chain)), chain[-1].function in self._absorbed)


_RENAMED = re.compile(r"(?<=\w)(?:\$\d+)+")


def names_as_written(text: str) -> str:
    """Return a text with the variables of helpers under the names that their author gave them."""
    return _RENAMED.sub("", text)


def normal_form(program: Program, library: Library) -> tuple[Program, Origins]:
    """Return the same program with all functions in normal form, and where their steps were written."""
    expansion = expand(program, library)
    synonyms = Synonyms(program)
    modules = {name: _normal_module(program, expansion, synonyms, name) for name in program.modules()}
    return Program(modules, program.packages, expansion.absorbed), Origins(
        expansion.functions, expansion.absorbed
    )


def _normal_module(program: Program, expansion: Expansion, synonyms: Synonyms, name: str) -> Module:
    module = program.module(name)
    shared = _shared(program, module, name)
    functions = []
    for index, function in enumerate(module.functions):
        key = FunctionKey(name, index)
        expanded = expansion.functions.get(key)
        whole = function if expanded is None else expanded.function
        if whole.kind != "module" and key not in expansion.absorbed:
            named = _synonyms_in(program, synonyms, key, whole)
            outer = frozenset(shared.get(index, ()))
            whole = propagate(whole if expanded is None else split_variables(whole, outer), outer, named)
        functions.append(whole)
    return structs.replace(module, functions=tuple(functions))


def _synonyms_in(program: Program, synonyms: Synonyms, key: FunctionKey, function: Function) -> Replaced:
    scopes = program.scopes(key.module)
    names = {
        name: meant
        for name, meant in synonyms.of_globals(key.module).items()
        if name not in function.locals and scopes.scope(key.function, name) == 0
    }
    return Replaced(names, synonyms.of_properties(key, function))


def _shared(program: Program, module: Module, name: str) -> Mapping[int, set[str]]:
    """Return the variables of each function that the functions inside of it read or write."""
    scopes = program.scopes(name)
    found: dict[int, set[str]] = {}
    for index, function in enumerate(module.functions):
        if function.parent <= 0:
            continue
        for each in names_read(function):
            scope = scopes.scope(index, each)
            if scope is not None and scope not in (0, index):
                found.setdefault(scope, set()).add(each)
    return found


def _site(at: CallSite) -> Site:
    return Site(at.function.module, at.function.function, at.step)
