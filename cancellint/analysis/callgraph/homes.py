"""Who keeps an object: the class that has it in an attribute, or the scope that has it in a variable."""

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import Attr, Expr, Item, Name, Op
from cancellint.model.types import FunctionKey, Instance

Home = tuple[str, str]
"""The project class that assigns an attribute, and its name, or a scope and a variable.

All items of a container are one: its name ends in `[]`.
"""


class Homes:
    """Names the homes of objects, the same one for all methods of a family of classes."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._program = effects.program

    def of(self, key: FunctionKey, expr: Expr) -> Home | None:
        """Return who keeps the object that an expression means."""
        suffix = ""
        while isinstance(expr, Item) and not isinstance(expr.key, Op):
            expr = expr.base
            suffix = "[]"
        match expr:
            case Attr(base=base, name=name):
                home = self._of_attribute(key, base, name)
            case Name(id=name):
                home = self._of_variable(key, name)
            case _:
                home = None
        return None if home is None else (home[0], home[1] + suffix)

    def _of_attribute(self, key: FunctionKey, base: Expr, name: str) -> Home | None:
        cls = self._class_of(key, base)
        return (self.owning_class(cls, name), name) if cls is not None else None

    def _class_of(self, key: FunctionKey, expr: Expr) -> str | None:
        """Return the project's class of what an expression means, None where it is not known."""
        for option in options(self._effects.types.of(key, expr)):
            if isinstance(option, Instance) and self._program.cls(option.cls) is not None:
                return option.cls
        params = self._program.function(key).params
        is_own = bool(params) and expr == Name(params[0].name)
        return self._program.class_of(key) if is_own else None

    def holder(self, key: FunctionKey, expr: Expr) -> str | None:
        """Return the class of the object by whose attribute an expression means something, or None."""
        while isinstance(expr, Item):
            expr = expr.base
        return self._class_of(key, expr.base) if isinstance(expr, Attr) else None

    def owning_class(self, cls: str, name: str) -> str:
        """Return the topmost class of a family whose own methods assign an attribute."""
        for base in (*reversed(self._program.bases(cls)), cls):
            info = self._program.cls(base)
            if info is None:
                continue
            scopes = self._program.scopes(info.module)
            bound = scopes.bindings(info.definition.body).locals
            if name in bound or name in scopes.attributes(info.index).stores:
                return base
        return cls

    def _of_variable(self, key: FunctionKey, name: str) -> Home | None:
        frame = self._effects.frame(key)
        path = frame.path(Name(name))
        cls = self._program.class_of(key)
        if path is not None and path.root == "param:0" and len(path.fields) == 1 and cls is not None:
            return self.owning_class(cls, path.fields[0]), path.fields[0]
        scope = self._program.scopes(key.module).scope(key.function, name)
        if scope is None or name in frame.params:
            return None
        return f"{key.module}#{scope}", name
