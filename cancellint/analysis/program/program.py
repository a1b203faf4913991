"""All modules that were read, linked by name."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.engine.graph import ControlFlow
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.program.calls_by_name import CallsByName
from cancellint.analysis.program.containers import BUILTINS
from cancellint.analysis.program.names import Denotation, External, Scopes, Value, decorator_names
from cancellint.model import ir
from cancellint.model.types import ClassObject, FunctionKey, ModuleObject, ProjectFunction

_ALIAS_DEPTH = Limit(24, "aliases of aliases")
"""Aliases of aliases are followed this far."""

_NOT_THE_IMPLEMENTATION = frozenset({"setter", "deleter", "getter", "overload"})


class ClassInfo(Struct, frozen=True):
    """A project class. `name` is its dotted name, `index` its place in `Module.classes`."""

    name: str
    module: str
    index: int
    definition: ir.Class


class Program:
    """All modules that were read, linked.

    Nothing is resolved before it is asked for; answers are kept. All answers are ordered.
    """

    def __init__(
        self,
        modules: Mapping[str, ir.Module],
        packages: Container[str],
        absorbed: frozenset[FunctionKey] = frozenset(),
        scopes: Mapping[str, Scopes] = {},
    ) -> None:
        self._modules = dict(sorted(modules.items()))
        self.packages = packages
        self._all_functions = tuple(
            FunctionKey(name, index)
            for name, tree in self._modules.items()
            for index in range(len(tree.functions))
        )
        self._functions = tuple(key for key in self._all_functions if key not in absorbed)
        self._flows: dict[FunctionKey, ControlFlow] = {}
        self._scopes = dict(scopes)
        self._namespaces = {prefix for name in self._modules for prefix in _prefixes(name)}
        self._classes: dict[str, ClassInfo] = {}
        self._class_names: dict[tuple[str, int], str] = {}
        for module, tree in self._modules.items():
            for index, definition in enumerate(tree.classes):
                self._add_class(module, index, definition)
        self._resolved: dict[tuple[str, str], tuple[Denotation, ...]] = {}
        self._resolving: set[tuple[str, str]] = set()
        self._exports: dict[str, frozenset[str] | None] = {}
        self._direct_bases: dict[str, tuple[str, ...]] = {}
        self._orders: dict[str, tuple[str, ...]] = {}
        self._methods: dict[tuple[str, str], tuple[FunctionKey, ...]] = {}
        self._subclasses: dict[str, tuple[str, ...]] | None = None
        self._descendants: dict[str, tuple[str, ...]] = {}
        self._overrides: dict[tuple[str, str], tuple[FunctionKey, ...]] = {}

    @cached_property
    def calls(self) -> CallsByName:
        """All calls, by the names in them."""
        return CallsByName(self)

    def changed(
        self,
        modules: Mapping[str, ir.Module],
        absorbed: frozenset[FunctionKey],
        before: "Program | None" = None,
    ) -> "Program":
        """Return the program with some functions of its modules changed, and others absorbed by them.

        What is known of the functions that are still the same objects is kept, and what was known of modules
        `before` that are.
        """
        scopes = {name: known.changed(modules[name]) for name, known in self._scopes.items()}
        if before is not None:
            scopes |= before.scopes_of(modules)
        return Program(modules, self.packages, absorbed, scopes)

    def scopes_of(self, modules: Mapping[str, ir.Module]) -> dict[str, Scopes]:
        """What is known of those of the modules that are the same objects here."""
        return {name: known for name, known in self._scopes.items() if modules.get(name) is known.module}

    def _add_class(self, module: str, index: int, definition: ir.Class) -> None:
        name = f"{module}.{definition.qualname}"
        if name in self._classes:
            name = f"{name}@{index}"
        self._classes[name] = ClassInfo(name, module, index, definition)
        self._class_names[module, index] = name

    # ----------------------------------------------------------------- what there is

    def modules(self) -> Iterator[str]:
        """Dotted names of all modules, sorted."""
        yield from self._modules

    def module(self, name: str) -> ir.Module:
        return self._modules[name]

    def function(self, key: FunctionKey) -> ir.Function:
        return self._modules[key.module].functions[key.function]

    def flow(self, key: FunctionKey) -> ControlFlow:
        """The control-flow graph of a function."""
        if key not in self._flows:
            self._flows[key] = ControlFlow(self.function(key).blocks)
        return self._flows[key]

    def functions(self) -> Iterator[FunctionKey]:
        """Every function, lambda, class body and module body, ordered by module name and index.

        Helpers that are no more than parts of their callers are left out.
        """
        yield from self._functions

    def all_functions(self) -> Iterator[FunctionKey]:
        """The same with those helpers."""
        yield from self._all_functions

    def classes(self) -> Iterator[ClassInfo]:
        yield from self._classes.values()

    def cls(self, name: str) -> ClassInfo | None:
        """The class of this dotted name. A second class of one name has `@index` at its end."""
        return self._classes.get(name)

    def class_name(self, module: str, index: int) -> str:
        """The dotted name of a class known by its place in `Module.classes`."""
        return self._class_names[module, index]

    def around(self, key: FunctionKey) -> FunctionKey:
        """The function, or the module's own, that a function is written in, past the classes between."""
        return FunctionKey(key.module, max(self.function(key).parent, 0))

    def class_of(self, key: FunctionKey) -> str | None:
        """The class whose method this function is or stands in, or whose body it is."""
        scopes = self.scopes(key.module)
        body_of = scopes.class_of_body(key.function)
        if body_of is not None:
            return self.class_name(key.module, body_of)
        method = scopes.method_around(key.function)
        if method is None:
            return None
        return self.class_name(key.module, self._modules[key.module].functions[method].cls)

    def symbol(self, key: FunctionKey) -> str:
        """The qualified name for users: `package.module.Class.method`."""
        function = self.function(key)
        return key.module if function.kind == "module" else f"{key.module}.{function.qualname}"

    def scopes(self, module: str) -> Scopes:
        """What the functions of a module bind."""
        found = self._scopes.get(module)
        if found is None:
            found = self._scopes[module] = Scopes(module, self._modules[module])
        return found

    def is_module(self, name: str) -> bool:
        """Whether the project has this module, package or namespace."""
        return name in self._modules or name in self._namespaces

    # ----------------------------------------------------------------- names

    def resolve(self, module: str, name: str) -> tuple[Denotation, ...]:
        """What a module-level name denotes, through imports, aliases, re-exports and star imports.

        Several candidates (a name bound in both arms of an `if` or `try`) are kept in order; an
        unbound name gives none.
        """
        known = self._resolved.get((module, name))
        if known is not None:
            return known
        if (module, name) in self._resolving or _ALIAS_DEPTH.is_exceeded_by(len(self._resolving)):
            return ()
        self._resolving.add((module, name))
        found = self._resolve(module, name)
        self._resolving.remove((module, name))
        if not self._resolving:
            self._resolved[module, name] = found
        return found

    def _resolve(self, module: str, name: str) -> tuple[Denotation, ...]:
        found: list[Denotation] = []
        if module in self._modules:
            for scope, value in self.assigned(FunctionKey(module, 0), name):
                found.extend(self.denotes(scope, value))
            if not found:
                found.extend(self._star_imported(module, name))
        if not found and self.is_module(f"{module}.{name}"):
            found.append(ModuleObject(f"{module}.{name}"))
        return _distinct(found)

    def binds(self, module: str, name: str) -> bool:
        """Whether the module itself binds this name, not through `import *`."""
        if module not in self._modules:
            return False
        scopes = self.scopes(module)
        return name in scopes.bindings(0).locals

    def assigned(self, scope: FunctionKey, name: str) -> Iterator[tuple[FunctionKey, ir.Expr]]:
        """The values plainly assigned to a local of `scope`, each with the function that assigns it."""
        scopes = self.scopes(scope.module)
        for writer in scopes.writers(scope.function, name):
            for binding in scopes.bindings(writer).assigned.get(name, ()):
                if not binding.op:
                    yield FunctionKey(scope.module, writer), binding.value

    def _star_imported(self, module: str, name: str) -> tuple[Denotation, ...]:
        outside: tuple[Denotation, ...] = ()
        for star in self.scopes(module).bindings(0).stars:
            source = self.absolute(module, star.module, star.level)
            if source in self._modules and self._exported(source, name):
                found = self.resolve(source, name)
                if found:
                    return found
            elif not self.is_module(source) and not name.startswith("_") and name not in BUILTINS:
                outside = (External(f"{source}.{name}"),)
        return outside

    def _exported(self, module: str, name: str) -> bool:
        if module not in self._exports:
            self._exports[module] = self._declared_exports(module)
        declared = self._exports[module]
        return not name.startswith("_") if declared is None else name in declared

    def _declared_exports(self, module: str) -> frozenset[str] | None:
        bound = self.scopes(module).bindings(0)
        names: set[str] = set()
        values = [each.value for each in bound.assigned.get("__all__", ())]
        values += [each.value for each in bound.fills.get("__all__", ())]
        for value in values:
            items = value.items if isinstance(value, ir.Build) else (value,)
            names.update(item.text for item in items if isinstance(item, ir.Const))
        return frozenset(names) if values else None

    def absolute(self, module: str, imported: str, level: int) -> str:
        """The absolute dotted name that an import inside `module` speaks of."""
        if not level:
            return imported
        parts = module.split(".")
        dropped = level - 1 if module in self.packages else level
        kept = parts[: max(len(parts) - dropped, 0)]
        return ".".join([*kept, imported] if imported else kept)

    def imported(self, module: str, what: ir.Imported) -> tuple[Denotation, ...]:
        """What an import inside `module` binds."""
        source = self.absolute(module, what.module, what.level)
        if what.name is None:
            return (ModuleObject(source),) if self.is_module(source) else (External(source),)
        if not self.is_module(source):
            return (External(f"{source}.{what.name}"),)
        found = self.resolve(source, what.name)
        if not found and self.is_module(f"{source}.{what.name}"):
            return (ModuleObject(f"{source}.{what.name}"),)
        return found

    def denotes(self, scope: FunctionKey, expr: ir.Expr, depth: int = 0) -> tuple[Denotation, ...]:
        """What an expression denotes as a dotted name. A computed value denotes itself."""
        if _ALIAS_DEPTH.is_exceeded_by(depth):
            return ()
        match expr:
            case ir.Closure(index):
                return (ProjectFunction(FunctionKey(scope.module, index), frame=scope),)
            case ir.ClassRef(index):
                return (ClassObject(self.class_name(scope.module, index)),)
            case ir.Imported():
                return self.imported(scope.module, expr)
            case ir.Name(name):
                return self._denotes_name(scope, name, depth)
            case ir.Attr():
                return self._denotes_attribute(scope, expr, depth)
            case _:
                return (Value(scope, expr),)

    def _denotes_name(self, scope: FunctionKey, name: str, depth: int) -> tuple[Denotation, ...]:
        holder = self.scopes(scope.module).scope(scope.function, name)
        if holder is None or holder == 0:
            found = self.resolve(scope.module, name)
            return found if found or holder == 0 else (External(f"builtins.{name}"),)
        found_here: list[Denotation] = []
        for writer, value in self.assigned(FunctionKey(scope.module, holder), name):
            found_here.extend(self.denotes(writer, value, depth + 1))
        return _distinct(found_here)

    def _denotes_attribute(self, scope: FunctionKey, expr: ir.Attr, depth: int) -> tuple[Denotation, ...]:
        names: list[str] = []
        root: ir.Expr = expr
        while isinstance(root, ir.Attr):
            names.append(root.name)
            root = root.base
        if not isinstance(root, ir.Name | ir.Imported):
            return (Value(scope, expr),)
        found = self.denotes(scope, root, depth + 1)
        for name in reversed(names):
            found = _distinct([each for base in found for each in self._member(base, name, depth)])
        return found

    def _member(self, base: Denotation, name: str, depth: int) -> tuple[Denotation, ...]:
        match base:
            case ModuleObject(module):
                return self.resolve(module, name)
            case External(dotted):
                return (External(f"{dotted}.{name}"),)
            case ClassObject(cls):
                return self.class_member(cls, name, depth)
            case _:
                return ()

    def class_member(self, cls: str, name: str, depth: int = 0) -> tuple[Denotation, ...]:
        """What a name bound in the body of a class, or of its nearest base that binds it, denotes."""
        for base in self.order(cls):
            info = self._classes.get(base)
            if info is None:
                continue
            body = FunctionKey(info.module, info.definition.body)
            found = [
                each
                for writer, value in self.assigned(body, name)
                for each in self.denotes(writer, value, depth + 1)
            ]
            if found:
                return _distinct(found)
        return ()

    # ----------------------------------------------------------------- classes

    def direct_bases(self, cls: str) -> tuple[str, ...]:
        """The bases as written, project and library classes by dotted name, in order."""
        known = self._direct_bases.get(cls)
        if known is not None:
            return known
        self._direct_bases[cls] = ()  # a class among its own bases ends the search
        found = self._find_direct_bases(self._classes[cls])
        self._direct_bases[cls] = found
        return found

    def _find_direct_bases(self, info: ClassInfo) -> tuple[str, ...]:
        scope = self._class_scope(info)
        names: list[str] = []
        for base in info.definition.bases:
            plain = base.base if isinstance(base, ir.Item) else base
            for denoted in self.denotes(scope, plain):
                match denoted:
                    case ClassObject(name) | External(name) if name != info.name:
                        names.append(name)
                    case _:
                        pass
        return tuple(dict.fromkeys(names))

    def _class_scope(self, info: ClassInfo) -> FunctionKey:
        """Where the names after `class` are looked up."""
        outer = info.definition.outer
        if outer >= 0:
            return FunctionKey(info.module, self._modules[info.module].classes[outer].body)
        return FunctionKey(info.module, max(info.definition.parent, 0))

    def order(self, cls: str) -> tuple[str, ...]:
        """The method resolution order, starting with the class itself; cyclic bases are cut."""
        known = self._orders.get(cls)
        if known is not None:
            return known
        stack = [cls]
        open_classes: set[str] = set()
        while stack:
            current = stack[-1]
            waiting = [
                base
                for base in self._project_bases(current)
                if base not in self._orders and base not in open_classes
            ]
            if current not in open_classes and waiting:
                open_classes.add(current)
                stack.extend(reversed(waiting))
                continue
            stack.pop()
            if current not in self._orders:
                self._orders[current] = self._linearise(current)
        return self._orders[cls]

    def _project_bases(self, cls: str) -> tuple[str, ...]:
        return tuple(base for base in self.direct_bases(cls) if base in self._classes)

    def _linearise(self, cls: str) -> tuple[str, ...]:
        direct = self.direct_bases(cls)
        sequences = [self._orders.get(base, (base,)) for base in direct]
        merged = sequences[0] if len(sequences) == 1 else _merge([*sequences, direct])
        return (cls, *(each for each in merged if each != cls))

    def bases(self, cls: str) -> tuple[str, ...]:
        """All project classes this one inherits from, nearest first."""
        return tuple(base for base in self.order(cls)[1:] if base in self._classes)

    def library_bases(self, cls: str) -> tuple[str, ...]:
        """All classes from outside of the project it inherits from, as imported, nearest first."""
        return tuple(base for base in self.order(cls) if base not in self._classes)

    def inherits(self, cls: str, base: str) -> bool:
        """Whether `cls` is `base` or a project class that inherits from it."""
        return cls == base or (cls in self._classes and base in self.order(cls))

    def methods(self, cls: str, name: str) -> tuple[FunctionKey, ...]:
        """What a method call on an instance of the class reaches: the definition of the nearest class."""
        return self._first_methods(self.order(cls), name)

    def methods_after(self, cls: str, name: str) -> tuple[FunctionKey, ...]:
        """The same as seen by `super()`."""
        return self._first_methods(self.order(cls)[1:], name)

    def _first_methods(self, order: tuple[str, ...], name: str) -> tuple[FunctionKey, ...]:
        for base in order:
            if base in self._classes:
                found = self.own_methods(base, name)
                if found:
                    return found
        return ()

    def own_methods(self, cls: str, name: str) -> tuple[FunctionKey, ...]:
        """The definition in the body of this very class, if any; the last one wins."""
        known = self._methods.get((cls, name))
        if known is None:
            known = self._methods[cls, name] = self._find_own_methods(self._classes[cls], name)
        return known

    def _find_own_methods(self, info: ClassInfo, name: str) -> tuple[FunctionKey, ...]:
        body = FunctionKey(info.module, info.definition.body)
        found: list[FunctionKey] = []
        for scope, value in self.assigned(body, name):
            match value:
                case ir.Closure(index):
                    found.append(FunctionKey(scope.module, index))
                case ir.Name() | ir.Attr():
                    found += [
                        each.key for each in self.denotes(scope, value) if isinstance(each, ProjectFunction)
                    ]
                case _:
                    pass
        implementations = [key for key in found if not self._only_declares(key)]
        return tuple((implementations or found)[-1:])

    def _only_declares(self, key: FunctionKey) -> bool:
        return not _NOT_THE_IMPLEMENTATION.isdisjoint(decorator_names(self.function(key)))

    def subclasses(self, cls: str) -> tuple[str, ...]:
        """Project classes that name this class (of the project or of a library) as a base."""
        if self._subclasses is None:
            found: dict[str, list[str]] = {}
            for name in self._classes:
                for base in self.direct_bases(name):
                    found.setdefault(base, []).append(name)
            self._subclasses = {base: tuple(names) for base, names in found.items()}
        return self._subclasses.get(cls, ())

    def descendants(self, cls: str) -> tuple[str, ...]:
        """All project classes below this one, nearest first."""
        known = self._descendants.get(cls)
        if known is None:
            found: dict[str, None] = {}
            queue = [cls]
            for current in queue:
                for child in self.subclasses(current):
                    if child not in found and child != cls:
                        found[child] = None
                        queue.append(child)
            known = self._descendants[cls] = tuple(found)
        return known

    def overrides(self, cls: str, name: str) -> tuple[FunctionKey, ...]:
        """The definitions of a method in project subclasses, nearest first."""
        known = self._overrides.get((cls, name))
        if known is None:
            known = self._overrides[cls, name] = tuple(
                key for child in self.descendants(cls) for key in self.own_methods(child, name)
            )
        return known


def _prefixes(name: str) -> Iterator[str]:
    for index, character in enumerate(name):
        if character == ".":
            yield name[:index]


def _distinct(found: list[Denotation]) -> tuple[Denotation, ...]:
    kept: list[Denotation] = []
    for each in found:
        if each not in kept:
            kept.append(each)
    return tuple(kept)


def _merge(sequences: list[tuple[str, ...]]) -> list[str]:
    """Merge linearised bases as Python does; where Python would refuse, the first candidate is taken."""
    merged: dict[str, None] = {}
    in_tails = Counter(name for sequence in sequences for name in sequence[1:])
    rest = [list(reversed(sequence)) for sequence in sequences if sequence]
    while rest:
        head = next((sequence[-1] for sequence in rest if not in_tails[sequence[-1]]), rest[0][-1])
        merged[head] = None
        for sequence in rest:
            while sequence and sequence[-1] in merged:
                sequence.pop()
                if sequence:
                    in_tails[sequence[-1]] -= 1
        rest = [sequence for sequence in rest if sequence]
    return list(merged)
