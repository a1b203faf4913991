"""A program in normal form, and the way back from it to the places where things were written."""

import re
from collections.abc import Mapping, Set
from typing import NamedTuple

from msgspec import structs

from cancellint.analysis.normal.expansion import Library, expand
from cancellint.analysis.normal.inlining import Chains, Expanded
from cancellint.analysis.normal.propagation import (
    Replaced,
    Settled,
    names_read,
    propagate,
    without_synonyms,
)
from cancellint.analysis.normal.references import References
from cancellint.analysis.normal.synonyms import Synonyms, attributes_assigned, imports_of
from cancellint.analysis.normal.webs import split_variables
from cancellint.analysis.program.program import Program
from cancellint.kept import Kept, NothingKept
from cancellint.model.ir import Assign, Closure, Const, Evaluate, Expr, Function, Module, Step
from cancellint.model.source import Site
from cancellint.model.types import FunctionKey, site_of

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

    def __init__(self, chains: Mapping[FunctionKey, Chains], absorbed: frozenset[FunctionKey]) -> None:
        self._chains = chains
        self._absorbed = absorbed

    def of(self, site: Site) -> Written:
        """Return where a step was written."""
        chains = self._chains.get(FunctionKey(site.module, site.function))
        if chains is None or site.step < 0:
            return Written((site,), is_part=False)
        chain = chains[site.step]
        return Written(tuple(map(site_of, chain)), chain[-1].function in self._absorbed)


_RENAMED = re.compile(r"(?<=\w)(?:\$\d+)+")


def names_as_written(text: str) -> str:
    """Return a text with the variables of helpers under the names that their author gave them."""
    return _RENAMED.sub("", text)


class FormsKept:
    """What of normal forms is the same as in an earlier run of this process, because what was written is."""

    def __init__(self) -> None:
        self.named: Kept[list[str]] = Kept()
        self.inlined: Kept[Expanded] = Kept()
        self.modules: Kept[Module] = Kept()

    def turn(self) -> None:
        """Begin another run."""
        for each in (self.named, self.inlined, self.modules):
            each.turn()


class NoForms(FormsKept):
    """The same for a process that makes one run."""

    def __init__(self) -> None:
        self.named = NothingKept()
        self.inlined = NothingKept()
        self.modules = NothingKept()


def normal_form(
    program: Program, library: Library, kept: FormsKept, before: Program | None = None
) -> tuple[Program, Origins]:
    """Return the same program with all functions in normal form, and where their steps were written.

    `before`: what an earlier run has made of most of the same modules.
    """
    written = _Written(program, library, kept)
    modules = {name: written.in_normal_form(name) for name in program.modules()}
    absorbed = written.expansion.absorbed
    chains = {key: expanded.chains for key, expanded in written.expansion.functions.items()}
    return program.changed(modules, absorbed, before), Origins(chains, absorbed)


class _Written:
    """A program as it was written. What normal form leaves as it is stays the same object."""

    def __init__(self, program: Program, library: Library, kept: FormsKept) -> None:
        self._program = program
        self._modules = kept.modules
        self._references = References(program, kept.named)
        self.expansion = expand(program, self._references, library, kept.inlined)
        self._synonyms = Synonyms(program)
        settled, changed = attributes_assigned(program)
        self._settled = Settled(settled, changed=changed)

    def in_normal_form(self, name: str) -> Module:
        """Return a module with its functions in normal form."""
        return self._modules.of(name, lambda: self._made_of(name), lambda: self._formed(name))

    def _made_of(self, name: str) -> tuple[object, ...]:
        """Return all that decides what the normal form of a module is."""
        module = self._program.module(name)
        keys = [FunctionKey(name, index) for index in range(len(module.functions))]
        classes = [self._program.class_name(name, index) for index in range(len(module.classes))]
        return (
            module,
            tuple(self.expansion.functions.get(key) for key in keys),
            tuple(key in self.expansion.absorbed for key in keys),
            self._settled,
            tuple(self._synonyms.of_globals(name).items()),
            tuple(tuple(self._synonyms.of_class(cls).items()) for cls in classes),
        )

    def _formed(self, name: str) -> Module:
        module = self._program.module(name)
        shared = self._shared(module, name)
        settled = structs.replace(self._settled, imports=imports_of(self._program, name))
        functions = tuple(
            [
                self._function(FunctionKey(name, index), function, frozenset(shared.get(index, ())), settled)
                for index, function in enumerate(module.functions)
            ]
        )
        if all(new is old for new, old in zip(functions, module.functions, strict=True)):
            return module
        return structs.replace(module, functions=functions)

    def _function(
        self, key: FunctionKey, function: Function, shared: frozenset[str], settled: Settled
    ) -> Function:
        """Return a function in normal form. `shared`: its variables that functions inside of it use."""
        expanded = self.expansion.functions.get(key)
        whole = function if expanded is None else expanded.function
        if whole.kind == "module":
            return without_synonyms(whole, Replaced(self._global_synonyms(key, is_whole=expanded is None)))
        if key in self.expansion.absorbed:
            return whole
        replaced = self._replaced(key, whole, settled, is_whole=expanded is None)
        whole = propagate(whole if expanded is None else split_variables(whole, shared), shared, replaced)
        return _without_parts(whole, key.module, self.expansion.absorbed)

    def _replaced(self, key: FunctionKey, function: Function, settled: Settled, is_whole: bool) -> Replaced:
        """Return what is replaced in a function. `is_whole`: nothing was put into it."""
        scopes = self._program.scopes(key.module)
        names = {
            name: meant
            for name, meant in self._global_synonyms(key, is_whole).items()
            if name not in function.locals and scopes.scope(key.function, name) == 0
        }
        hidden = {*function.locals, *(param.name for param in function.params)}
        seen = structs.replace(settled, imports=settled.imports - hidden)
        return Replaced(names, self._property_synonyms(key, function, is_whole), seen)

    def _global_synonyms(self, key: FunctionKey, is_whole: bool) -> Mapping[str, Expr]:
        found = self._synonyms.of_globals(key.module)
        return found if found and self._may_say(key, found.keys(), is_whole) else {}

    def _property_synonyms(self, key: FunctionKey, function: Function, is_whole: bool) -> Mapping[Expr, Expr]:
        names = self._synonyms.property_names(key, function)
        if not names or not self._may_say(key, names, is_whole):
            return {}
        return self._synonyms.of_properties(key, function)

    def _may_say(self, key: FunctionKey, names: Set[str], is_whole: bool) -> bool:
        return not is_whole or self._references.mentions(key, names)

    def _shared(self, module: Module, name: str) -> Mapping[int, set[str]]:
        """Return the variables of each function that the functions inside of it read or write."""
        scopes = self._program.scopes(name)
        found: dict[int, set[str]] = {}
        for index, function in enumerate(module.functions):
            if function.parent <= 0 or FunctionKey(name, index) in self.expansion.absorbed:
                continue
            for each in names_read(function):
                scope = scopes.scope(index, each)
                if scope is not None and scope not in (0, index):
                    found.setdefault(scope, set()).add(each)
        return found


def _without_parts(function: Function, module: str, absorbed: frozenset[FunctionKey]) -> Function:
    """Return a function that defines no functions any more that are nothing but parts of it."""
    if not any(_is_definition_of(step, module, absorbed) for step in function.steps):
        return function
    steps = tuple(
        Evaluate(_NONE) if _is_definition_of(step, module, absorbed) else step for step in function.steps
    )
    return structs.replace(function, steps=steps)


def _is_definition_of(step: Step, module: str, functions: frozenset[FunctionKey]) -> bool:
    match step:
        case Assign(value=Closure(function=defined)):
            return FunctionKey(module, defined) in functions
        case _:
            return False
