"""Which object an expression means, as an access path from a parameter, a global or a local."""

from collections.abc import Mapping
from typing import Protocol

from cancellint.analysis.engine.limits import Limit
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    Call,
    Const,
    Element,
    Expr,
    Function,
    Item,
    Load,
    Name,
    Op,
    Temp,
)
from cancellint.model.summary import Path
from cancellint.model.types import FunctionKey

LONGEST = Limit(5, "fields of one access path")
"""Fields after which a path is cut: recursion through linked objects must not grow paths for ever."""


class Functions(Protocol):
    """Where functions are looked up by key."""

    def function(self, key: FunctionKey) -> Function: ...


def cut(path: Path) -> Path:
    """Return the path, shortened where it is longer than the analysis follows.

    What comes round to a field again (`stream.inner.inner`) is taken for the same object: wrappers within
    wrappers of one class are not told apart.
    """
    fields = path.fields
    if len(fields) > 1 and len(set(fields)) < len(fields):
        fields = tuple(dict.fromkeys(fields))
    if LONGEST.is_exceeded_by(len(fields)):
        fields = fields[:LONGEST]
    return path if fields == path.fields else Path(path.root, fields)


class Frame:
    """The variables of one function, and the paths of its expressions."""

    def __init__(self, functions: Functions, key: FunctionKey) -> None:
        self.key = key
        self.function = functions.function(key)
        self.params: Mapping[str, int] = {p.name: i for i, p in enumerate(self.function.params)}
        self._functions = functions
        self._locals = frozenset(self.function.locals)
        self._values = _single_assignments(self.function, self.params)
        self._paths: dict[Expr, Path | None] = {}

    def path(self, expr: Expr) -> Path | None:
        """Return the object that `expr` means, or None where it is a computed value."""
        if expr in self._paths:
            return self._paths[expr]
        found = self._follow(expr)
        self._paths[expr] = found
        return found

    def is_local(self, name: str) -> bool:
        return name in self._locals

    def outlives(self, name: str) -> bool:
        """Whether a variable lives on after the call: a global, or one of an enclosing function."""
        return name not in self._locals and name not in self.params

    def value_of(self, name: str) -> Expr | None:
        """Return what a local is bound to, where it is bound exactly once."""
        return self._values.get(name)

    def loaded(self, step: int) -> Expr | None:
        """Return what a step reads ahead of its use, None where its outcome is something new."""
        match self.function.steps[step]:
            case Load(value=value):
                return value
            case _:
                return None

    def nested(self, function: int) -> Function:
        """Return a function of the same module, such as a closure made here."""
        return self._functions.function(FunctionKey(self.key.module, function))

    def _follow(self, expr: Expr) -> Path | None:
        """Walk down to the root, through locals that are another name for something."""
        fields: list[str] = []
        seen: set[str] = set()
        while True:
            match expr:
                case Attr(base=base, name=name):
                    fields.append(name)
                    expr = base
                case Item(base=base, key=key):
                    if isinstance(key, Op):
                        return None
                    fields.append(f"[{key.text}]" if isinstance(key, Const) else "[]")
                    expr = base
                case Element(value=value, index=index):
                    fields.append(f"#{index}")
                    expr = value
                case Name(id=name):
                    bound = self._values.get(name)
                    if bound is None or name in seen:
                        return cut(Path(self._root(name), tuple(reversed(fields))))
                    seen.add(name)
                    expr = bound
                case Temp(step=step):
                    loaded = self.loaded(step)
                    if loaded is None:
                        return self._of_outcome(step, tuple(reversed(fields)))
                    expr = loaded
                case _:
                    return None

    def _of_outcome(self, step: int, fields: tuple[str, ...]) -> Path:
        """Name the object a step made; awaiting a call that is awaited at once names the await."""
        return cut(Path(f"temp:{step}", fields))

    def _root(self, name: str) -> str:
        if name in self.params:
            return f"param:{self.params[name]}"
        if name in self._locals:
            return f"global:{self.key.module}.{name}" if self.function.kind == "module" else f"local:{name}"
        return self._outer_root(name)

    def _outer_root(self, name: str) -> str:
        """Name a variable of an enclosing function or of the module."""
        key = self.key
        function = self.function
        while function.parent >= 0:
            key = FunctionKey(key.module, function.parent)
            function = self._functions.function(key)
            if function.kind == "module":
                break
            if function.kind != "class" and (
                name in function.locals or any(p.name == name for p in function.params)
            ):
                return f"free:{key.module}#{key.function}:{name}"
        return f"global:{self.key.module}.{name}"


def _single_assignments(function: Function, params: Mapping[str, int]) -> dict[str, Expr]:
    """Return the locals that are bound exactly once, to something that has a path."""
    bound: dict[str, Expr] = {}
    often: set[str] = set(function.global_names) | set(function.nonlocal_names)
    for step in function.steps:
        if not isinstance(step, Assign) or not isinstance(step.target, Name):
            continue
        name = step.target.id
        if name in bound or step.op or name in params:
            often.add(name)
            continue
        bound[name] = _unloaded(function, step.value)
    return {
        name: value
        for name, value in bound.items()
        if name not in often and _has_object(function, value) and function.kind != "module"
    }


def _unloaded(function: Function, value: Expr) -> Expr:
    """Return what a value was read from, where it was read ahead of its use."""
    match value:
        case Temp(step=step):
            read = function.steps[step]
            return read.value if isinstance(read, Load) else value
        case _:
            return value


def _has_object(function: Function, value: Expr) -> bool:
    """Tell whether the value is an existing object rather than data computed here."""
    while True:
        match value:
            case Attr(base=base) | Item(base=base) | Element(value=base):
                value = base
            case Name():
                return True
            case Temp(step=step):
                return isinstance(function.steps[step], Call | Await)
            case _:
                return False


def is_part(path: Path) -> bool:
    """Tell whether a path is one of several objects that an outcome was unpacked into."""
    return len(path.fields) == 1 and path.fields[0].startswith("#")
