"""Other names for the same thing: renamed imports, constants of a module that name a function, properties.

`from asyncio import wait as first_done`, `first_done = asyncio.wait` and `asyncio.wait` mean one function;
all that asks what is called sees its own name. A property that returns an attribute is that attribute.
"""

from collections.abc import Iterator, Mapping, Set

from cancellint.analysis.normal.references import has_no_receiver
from cancellint.analysis.program.names import External, decorator_names, first_parameter
from cancellint.analysis.program.program import Program
from cancellint.model.ir import Assign, Attr, Delete, Expr, Function, Imported, Name, Return
from cancellint.model.types import ClassObject, FunctionKey, ProjectFunction


class Synonyms:
    """The other names in one program, by module and class."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._globals: dict[str, Mapping[str, Expr]] = {}
        self._properties: dict[str, Mapping[str, Expr]] = {}

    def of_globals(self, module: str) -> Mapping[str, Expr]:
        """Return what the names of a module stand for that are not the own names of what they mean."""
        if module not in self._globals:
            self._globals[module] = dict(self._find_globals(module))
        return self._globals[module]

    def _find_globals(self, module: str) -> Iterator[tuple[str, Expr]]:
        assigned = self._program.scopes(module).bindings(0).assigned
        for name, bindings in assigned.items():
            if len(bindings) == 1 and isinstance(bindings[0].value, Imported | Attr | Name):
                found = self._program.resolve(module, name)
                meant = self._own_name(module, found[0]) if len(found) == 1 else None
                if meant is not None and meant.name != name:
                    yield name, meant

    def _own_name(self, module: str, denoted: object) -> Imported | None:
        match denoted:
            case External(name=dotted) if "." in dotted:
                owner, _, name = dotted.rpartition(".")
                return Imported(owner, 0, name)
            case ProjectFunction(key=key, receiver=None):
                function = self._program.function(key)
                is_global = function.parent == 0 and function.cls < 0
                return Imported(key.module, 0, function.name) if is_global else None
            case ClassObject(cls=dotted):
                info = self._program.cls(dotted)
                is_global = info is not None and "." not in info.definition.qualname
                return Imported(info.module, 0, info.definition.name) if info and is_global else None
            case _:
                return None

    def of_properties(self, key: FunctionKey, function: Function) -> Mapping[Expr, Expr]:
        """Return what the properties of a method's own object stand for."""
        receiver = first_parameter(function)
        if receiver is None:
            return {}
        return {
            Attr(Name(receiver), name): _with_root(value, receiver)
            for name, value in self._own_properties(key, function).items()
        }

    def property_names(self, key: FunctionKey, function: Function) -> Set[str]:
        """Return the names of these properties."""
        return self._own_properties(key, function).keys()

    def _own_properties(self, key: FunctionKey, function: Function) -> Mapping[str, Expr]:
        if function.cls < 0 or has_no_receiver(function):
            return {}
        cls = self._program.class_of(key)
        return {} if cls is None else self.of_class(cls)

    def of_class(self, cls: str) -> Mapping[str, Expr]:
        """Return what the properties of a class stand for, under the name `self` for their object."""
        if cls not in self._properties:
            self._properties[cls] = dict(self._find_properties(cls))
        return self._properties[cls]

    def _find_properties(self, cls: str) -> Iterator[tuple[str, Expr]]:
        """Yield the properties that return an attribute, under the name `self` for their object."""
        for base in reversed(self._program.order(cls)):
            info = self._program.cls(base)
            if info is None:
                continue
            for name in self._program.scopes(info.module).bindings(info.definition.body).assigned:
                for method in self._program.own_methods(base, name):
                    value = self._returned_attribute(method)
                    if value is not None and not self._program.overrides(cls, name):
                        yield name, value

    def _returned_attribute(self, key: FunctionKey) -> Expr | None:
        function = self._program.function(key)
        receiver = first_parameter(function)
        if decorator_names(function) != ("property",) or len(function.steps) != 1 or receiver is None:
            return None
        match function.steps[0]:
            case Return(value=Attr() as value) if _root(value) == receiver:
                return _with_root(value, "self")
            case _:
                return None


def attributes_assigned(program: Program) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of attributes that constructors alone assign, and of those that others do."""
    in_constructors: set[str] = set()
    elsewhere: set[str] = set()
    for key in program.functions():
        function = program.function(key)
        found = in_constructors if function.name == "__init__" else elsewhere
        for step in function.steps:
            match step:
                case Assign(target=Attr(name=name), op=""):
                    found.add(name)
                case Assign(target=Attr(name=name)) | Delete(target=Attr(name=name)):
                    elsewhere.add(name)
                case _:
                    pass
    return frozenset(in_constructors - elsewhere), frozenset(elsewhere)


def imports_of(program: Program, module: str) -> frozenset[str]:
    """Return the names of a module that imports alone bind."""
    assigned = program.scopes(module).bindings(0).assigned
    return frozenset(
        name
        for name, bindings in assigned.items()
        if bindings and all(isinstance(each.value, Imported) for each in bindings)
    )


def _root(expr: Expr) -> str | None:
    while isinstance(expr, Attr):
        expr = expr.base
    return expr.id if isinstance(expr, Name) else None


def _with_root(expr: Expr, root: str) -> Expr:
    return Attr(_with_root(expr.base, root), expr.name) if isinstance(expr, Attr) else Name(root)
