"""Which names a module and its functions bind, before anything is linked."""

from collections.abc import Iterator, Mapping
from typing import Never, TypeAlias, TypeVar

from msgspec import Struct

from cancellint.model import ir
from cancellint.model.types import ClassObject, FunctionKey, ModuleObject, ProjectFunction

_K = TypeVar("_K")
_V = TypeVar("_V")

ADDING_METHODS: Mapping[str, int] = {
    "append": 0,
    "appendleft": 0,
    "add": 0,
    "insert": 1,
    "put": 0,
    "put_nowait": 0,
    "setdefault": 1,
}
"""Methods that put one argument into a container, and which argument."""

MERGING_METHODS = frozenset({"extend", "extendleft", "update"})
"""Methods that put the elements of their first argument into a container."""


class External(Struct, frozen=True):
    """A dotted name outside of the project, as written: not yet canonical."""

    name: str


class Value(Struct, frozen=True):
    """A name that stands for whatever this expression evaluates to, in the frame of `scope`."""

    scope: FunctionKey
    expr: ir.Expr


Denotation: TypeAlias = ModuleObject | ClassObject | ProjectFunction | External | Value
"""What a name may stand for."""


class Binding(Struct, frozen=True, gc=False):
    """One assignment to a name or attribute; `op` as in `ir.Assign`."""

    value: ir.Expr
    op: str


class Added(Struct, frozen=True, gc=False):
    """A value put into a container; `merged` if it is itself a container whose elements are put in."""

    value: ir.Expr
    merged: bool
    key: ir.Expr | None = None
    in_comprehension: bool = False
    """the value is the element of a comprehension: of a dict, the pair of key and value"""


class Bindings(Struct, frozen=True, gc=False):
    """What the steps of one function bind, in order of the steps.

    `stores` and `fills_attribute` speak of attributes, by the name of the local they hang on.
    """

    locals: frozenset[str]
    assigned: Mapping[str, tuple[Binding, ...]]
    stores: Mapping[tuple[str, str], tuple[Binding, ...]]
    fills: Mapping[str, tuple[Added, ...]]
    fills_attribute: Mapping[tuple[str, str], tuple[Added, ...]]
    annotations: Mapping[str, ir.Expr]
    returned: tuple[ir.Expr, ...]
    yielded: tuple[ir.Expr, ...]
    delegated: tuple[ir.Expr, ...]
    """the values of `yield from`"""
    stars: tuple[ir.StarImport, ...]
    params: Mapping[str, ir.Param]


class ClassBindings(Struct, frozen=True, gc=False):
    """What the methods of one class bind on `self`, each with the index of the function that does."""

    stores: Mapping[str, tuple[tuple[int, Binding], ...]]
    fills: Mapping[str, tuple[tuple[int, Added], ...]]
    annotations: Mapping[str, tuple[int, ir.Expr]]


_NO_NAMES: Mapping[str, Never] = {}
_NO_ATTRIBUTES: Mapping[tuple[str, str], Never] = {}
"""Most functions have no bindings of most kinds."""


def bindings_of(function: ir.Function) -> Bindings:
    """Scan a function's steps once."""
    builder = _BindingsBuilder()
    for step in function.steps:
        builder.scan(step)
    outer = {*function.global_names, *function.nonlocal_names}
    params = {param.name: param for param in function.params}
    return Bindings(
        locals=frozenset(({*function.locals, *builder.assigned, *params}) - outer),
        assigned=_frozen(builder.assigned),
        stores=_frozen(builder.stores) if builder.stores else _NO_ATTRIBUTES,
        fills=_frozen(builder.fills) if builder.fills else _NO_NAMES,
        fills_attribute=_frozen(builder.fills_attribute) if builder.fills_attribute else _NO_ATTRIBUTES,
        annotations={each.name: each.type for each in function.annotations} or _NO_NAMES,
        returned=tuple(builder.returned),
        yielded=tuple(builder.yielded),
        delegated=tuple(builder.delegated),
        stars=tuple(builder.stars),
        params=params or _NO_NAMES,
    )


def _frozen(lists: Mapping[_K, list[_V]]) -> dict[_K, tuple[_V, ...]]:
    return {key: tuple(values) for key, values in lists.items()}


class _BindingsBuilder:
    def __init__(self) -> None:
        self.assigned: dict[str, list[Binding]] = {}
        self.stores: dict[tuple[str, str], list[Binding]] = {}
        self.fills: dict[str, list[Added]] = {}
        self.fills_attribute: dict[tuple[str, str], list[Added]] = {}
        self.returned: list[ir.Expr] = []
        self.yielded: list[ir.Expr] = []
        self.delegated: list[ir.Expr] = []
        self.stars: list[ir.StarImport] = []

    def scan(self, step: ir.Step) -> None:
        match step:
            case ir.Assign(target, value, op):
                self._assign(target, value, op)
            case ir.Call(func=ir.Attr(container, method), args=args):
                self._method_call(container, method, args)
            case ir.Return(value):
                self.returned.append(value)
            case ir.Yield(value):
                self.yielded.append(value)
            case ir.Await(value, ir.AwaitKind.YIELD_FROM):
                self.delegated.append(value)
            case ir.StarImport():
                self.stars.append(step)
            case _:
                pass

    def _assign(self, target: ir.Expr, value: ir.Expr, op: str) -> None:
        match target:
            case ir.Name(name) if op == "append":
                self._add(target, Added(value, merged=False, in_comprehension=True))
                self.assigned.setdefault(name, [])
            case ir.Name(name):
                self.assigned.setdefault(name, []).append(Binding(value, op))
            case ir.Attr(ir.Name(base), name):
                self.stores.setdefault((base, name), []).append(Binding(value, op))
            case ir.Item(container, key) if not op:
                self._add(container, Added(value, merged=_is_slice(key), key=key))
            case _:
                pass

    def _method_call(self, container: ir.Expr, method: str, args: tuple[ir.Expr, ...]) -> None:
        position = ADDING_METHODS.get(method)
        if position is not None and position < len(args):
            key = args[0] if position else None
            self._add(container, Added(args[position], merged=False, key=key))
        elif method in MERGING_METHODS and args:
            self._add(container, Added(args[0], merged=True))

    def _add(self, container: ir.Expr, added: Added) -> None:
        match container:
            case ir.Name(name):
                self.fills.setdefault(name, []).append(added)
            case ir.Attr(ir.Name(base), name):
                self.fills_attribute.setdefault((base, name), []).append(added)
            case _:
                pass


def _is_slice(key: ir.Expr) -> bool:
    return isinstance(key, ir.Op) and key.op == "slice"


class Scopes:
    """Which functions of one module see and write which names. Nothing here leaves the module."""

    def __init__(self, name: str, module: ir.Module, bindings: Mapping[int, Bindings] = {}) -> None:
        self.name = name
        self.module = module
        self._bindings = dict(bindings)
        self._holders: dict[tuple[int, str], int | None] = {}
        self._class_of_body = {cls.body: index for index, cls in enumerate(module.classes)}
        self._outer_writers: dict[tuple[int, str], list[int]] | None = None
        self._storing: dict[int, tuple[int, ...]] | None = None
        self._attributes: dict[int, ClassBindings] = {}

    def bindings(self, function: int) -> Bindings:
        found = self._bindings.get(function)
        if found is None:
            found = self._bindings[function] = bindings_of(self.module.functions[function])
        return found

    def changed(self, module: ir.Module) -> "Scopes":
        """Return the same for the module with some of its functions changed."""
        if module is self.module:
            return self
        kept = {
            index: bindings
            for index, bindings in self._bindings.items()
            if module.functions[index] is self.module.functions[index]
        }
        return Scopes(self.name, module, kept)

    def scope(self, function: int, name: str) -> int | None:
        """The function whose local `name` is, seen from `function`; None if no function here binds it."""
        asked = (function, name)
        if asked not in self._holders:
            self._holders[asked] = self._find_scope(function, name)
        return self._holders[asked]

    def _find_scope(self, function: int, name: str) -> int | None:
        start = self.module.functions[function]
        if name in start.global_names:
            return 0
        index = function
        if name in start.nonlocal_names:
            index = start.parent
        for _ in range(len(self.module.functions)):
            if index < 0:
                return None
            if name in self.bindings(index).locals:
                return index
            index = self.module.functions[index].parent
        return None

    def writers(self, function: int, name: str) -> Iterator[int]:
        """The functions that assign to this local: `function` itself, then inner ones that declare it."""
        yield function
        if self._outer_writers is None:
            self._outer_writers = self._find_outer_writers()
        yield from self._outer_writers.get((function, name), ())

    def _find_outer_writers(self) -> dict[tuple[int, str], list[int]]:
        found: dict[tuple[int, str], list[int]] = {}
        for index, function in enumerate(self.module.functions):
            for name in function.global_names:
                if index:
                    found.setdefault((0, name), []).append(index)
            for name in function.nonlocal_names:
                scope = self.scope(index, name)
                if scope is not None:
                    found.setdefault((scope, name), []).append(index)
        return found

    def method_around(self, function: int) -> int | None:
        """The method that `function` is or stands in."""
        functions = self.module.functions
        index = function
        for _ in range(len(functions)):
            if index <= 0:
                return None
            if functions[index].cls >= 0 and functions[index].kind == "function":
                return index
            index = functions[index].parent
        return None

    def class_of_body(self, function: int) -> int | None:
        return self._class_of_body.get(function)

    def storing(self, cls: int) -> tuple[int, ...]:
        """The methods of a class and the functions inside of them, in order."""
        if self._storing is None:
            storing: dict[int, list[int]] = {}
            for index in range(len(self.module.functions)):
                method = self.method_around(index)
                if method is not None:
                    storing.setdefault(self.module.functions[method].cls, []).append(index)
            self._storing = _frozen(storing)
        return self._storing.get(cls, ())

    def attributes(self, cls: int) -> ClassBindings:
        """What the methods of a class store on their receiver, in order of the functions."""
        found = self._attributes.get(cls)
        if found is None:
            found = self._attributes[cls] = self._find_attributes(cls)
        return found

    def _find_attributes(self, cls: int) -> ClassBindings:
        stores: dict[str, list[tuple[int, Binding]]] = {}
        fills: dict[str, list[tuple[int, Added]]] = {}
        annotations: dict[str, tuple[int, ir.Expr]] = {}
        for function in self.storing(cls):
            receiver = self.receiver_name(function)
            bindings = self.bindings(function)
            for (base, name), stored in bindings.stores.items():
                if base == receiver:
                    stores.setdefault(name, []).extend((function, each) for each in stored)
            for (base, name), added in bindings.fills_attribute.items():
                if base == receiver:
                    fills.setdefault(name, []).extend((function, each) for each in added)
            for annotated, annotation in bindings.annotations.items():
                base, _, name = annotated.partition(".")
                if name and base in {receiver, "self"}:
                    annotations.setdefault(name, (function, annotation))
        return ClassBindings(_frozen(stores), _frozen(fills), annotations)

    def receiver_name(self, function: int) -> str | None:
        """What the method around `function` calls its receiver (`self`, `cls`)."""
        method = self.method_around(function)
        if method is None:
            return None
        return first_parameter(self.module.functions[method])


def first_parameter(function: ir.Function) -> str | None:
    for param in function.params:
        return param.name if param.is_positional else None
    return None


def decorator_names(function: ir.Function) -> tuple[str, ...]:
    """The last name part of each decorator: `property`, `setter`, `asynccontextmanager`."""
    return tuple(name for name in map(_last_name, function.decorators) if name is not None)


def _last_name(decorator: ir.Expr) -> str | None:
    match decorator:
        case ir.Name(name) | ir.Attr(_, name):
            return name
        case ir.Op("call", (ir.Name(name) | ir.Attr(_, name), *_)):
            return name
        case _:
            return None
