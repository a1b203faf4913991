"""A program in normal form, and the way back from it to the places where things were written."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from msgspec import structs

from cancellint.analysis.normal.expansion import Expansion, Library, expand
from cancellint.analysis.normal.inlining import Expanded
from cancellint.analysis.normal.propagation import (
    Replaced,
    Settled,
    names_read,
    propagate,
    without_synonyms,
)
from cancellint.analysis.normal.synonyms import Synonyms, attributes_assigned, imports_of
from cancellint.analysis.normal.webs import split_variables
from cancellint.analysis.program.program import Program
from cancellint.model.ir import Assign, Closure, Const, Evaluate, Function, Module, Step
from cancellint.model.source import Site
from cancellint.model.types import CallSite, FunctionKey

_NONE = Const("none", "None")


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
    settled, changed = attributes_assigned(program)
    attributes = Settled(settled, changed=changed)
    modules = {
        name: _normal_module(program, expansion, synonyms, attributes, name) for name in program.modules()
    }
    normal = Program(modules, program.packages, expansion.absorbed, before=program)
    return normal, Origins(expansion.functions, expansion.absorbed)


def _normal_module(
    program: Program, expansion: Expansion, synonyms: Synonyms, attributes: Settled, name: str
) -> Module:
    module = program.module(name)
    shared = _shared(program, module, name, expansion.absorbed)
    settled = structs.replace(attributes, imports=imports_of(program, name))
    functions = []
    for index, function in enumerate(module.functions):
        key = FunctionKey(name, index)
        expanded = expansion.functions.get(key)
        whole = function if expanded is None else expanded.function
        if whole.kind == "module":
            whole = without_synonyms(whole, Replaced(synonyms.of_globals(name)))
        elif key not in expansion.absorbed:
            named = _synonyms_in(program, synonyms, settled, key, whole)
            outer = frozenset(shared.get(index, ()))
            whole = propagate(whole if expanded is None else split_variables(whole, outer), outer, named)
            whole = _without_parts(whole, name, expansion.absorbed)
        functions.append(whole)
    return structs.replace(module, functions=tuple(functions))


def _without_parts(function: Function, module: str, absorbed: frozenset[FunctionKey]) -> Function:
    """Return a function that defines no functions any more that are nothing but parts of it."""
    steps = tuple(
        Evaluate(_NONE) if _is_definition_of(step, module, absorbed) else step for step in function.steps
    )
    return function if steps == function.steps else structs.replace(function, steps=steps)


def _is_definition_of(step: Step, module: str, functions: frozenset[FunctionKey]) -> bool:
    match step:
        case Assign(value=Closure(function=defined)):
            return FunctionKey(module, defined) in functions
        case _:
            return False


def _synonyms_in(
    program: Program, synonyms: Synonyms, settled: Settled, key: FunctionKey, function: Function
) -> Replaced:
    scopes = program.scopes(key.module)
    names = {
        name: meant
        for name, meant in synonyms.of_globals(key.module).items()
        if name not in function.locals and scopes.scope(key.function, name) == 0
    }
    hidden = {*function.locals, *(param.name for param in function.params)}
    seen = structs.replace(settled, imports=settled.imports - hidden)
    return Replaced(names, synonyms.of_properties(key, function), seen)


def _shared(
    program: Program, module: Module, name: str, absorbed: frozenset[FunctionKey]
) -> Mapping[int, set[str]]:
    """Return the variables of each function that the functions inside of it read or write."""
    scopes = program.scopes(name)
    found: dict[int, set[str]] = {}
    for index, function in enumerate(module.functions):
        if function.parent <= 0 or FunctionKey(name, index) in absorbed:
            continue
        for each in names_read(function):
            scope = scopes.scope(index, each)
            if scope is not None and scope not in (0, index):
                found.setdefault(scope, set()).add(each)
    return found


def _site(at: CallSite) -> Site:
    return Site(at.function.module, at.function.function, at.step)
