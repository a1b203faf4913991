"""The functions and classes of one file, numbered as the lowering meets them."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern

import libcst as cst

from cancellint.frontend.children import children
from cancellint.model import ir

NO_RENAMES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Scope:
    """A body of code still to be lowered, with all that its surroundings decide.

    `renames` are the comprehension variables of the surroundings that are in sight. `iterated` is
    what a generator expression's first `for` runs over, which its surroundings have evaluated.
    `synthetic` is the number of synthetic locals already in sight.
    """

    index: int
    kind: str
    name: str
    qualname: str
    node: cst.CSTNode
    parent: int
    cls: int
    own_class: int = -1
    is_async: bool = False
    is_old_coroutine: bool = False
    params: tuple[ir.Param, ...] = ()
    returns: ir.Expr | None = None
    decorators: tuple[ir.Expr, ...] = ()
    contract: str | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    synthetic: int = 0
    iterated: ir.Expr | None = None

    @property
    def enclosing(self) -> int:
        """What the functions and classes made here have as `parent`: a class body is no scope for them."""
        return self.parent if self.kind == "class" else self.index

    def qualify(self, name: str) -> str:
        """The qualified name of something called `name` made here."""
        return name if self.kind == "module" else f"{self.qualname}.{name}"


class SyntaxScopes:
    """Hands out the indexes of functions and classes, and remembers which bodies are waiting.

    A body that stands in a copied `finally` or handler is met several times but is one function.
    """

    def __init__(self, tree: cst.Module) -> None:
        self.waiting: deque[Scope] = deque([Scope(0, "module", "<module>", "<module>", tree, -1, -1)])
        self.count = 1
        self.classes: list[ir.Class] = []
        self.names: dict[str, ir.Name] = {}
        self._attributes: dict[tuple[ir.Expr, str], ir.Attr] = {}
        self.own_names: set[str] = set()
        """names met so far that do not say what they stand for: assigned, or imported as something else"""
        self._known: dict[int, int] = {}

    def known(self, node: cst.CSTNode) -> int | None:
        """The index given to this definition before."""
        return self._known.get(id(node))

    def next_function(self, node: cst.CSTNode) -> int:
        """A new function's index; its body must be queued next."""
        index = self._known[id(node)] = self.count
        self.count += 1
        return index

    def add_class(
        self,
        node: cst.ClassDef,
        scope: Scope,
        bases: tuple[ir.Expr, ...],
        keywords: tuple[tuple[str, ir.Expr], ...],
        decorators: tuple[ir.Expr, ...],
        renames: Mapping[str, str],
    ) -> int:
        """Number a class and queue its body; the class's index."""
        index = len(self.classes)
        body = self.count
        self.count += 1
        self._known[id(node)] = index
        name = node.name.value
        self.classes.append(
            ir.Class(
                name=name,
                qualname=scope.qualify(name),
                parent=scope.enclosing,
                outer=scope.own_class,
                bases=bases,
                keywords=keywords,
                decorators=decorators,
                body=body,
            )
        )
        self.waiting.append(
            Scope(
                index=body,
                kind="class",
                name=name,
                qualname=scope.qualify(name),
                node=node,
                parent=scope.enclosing,
                cls=scope.own_class,
                own_class=index,
                renames=renames,
            )
        )
        return index

    def name(self, id_: str) -> ir.Name:
        """The one `Name` of this file for a variable."""
        found = self.names.get(id_)
        if found is None:
            found = self.names[id_] = ir.Name(intern(id_))
        return found

    def attribute(self, base: ir.Expr, name: str) -> ir.Attr:
        """The one `Attr` of this file for an attribute of what an expression gives."""
        asked = base, name
        found = self._attributes.get(asked)
        if found is None:
            found = self._attributes[asked] = ir.Attr(base, intern(name))
        return found


def bound_in(nodes: Sequence[cst.CSTNode]) -> tuple[frozenset[str], bool, bool]:
    """What code that never runs still decides: names it binds, names it declares global or nonlocal
    are not among them, whether it yields, and whether it yields from."""
    names: set[str] = set()
    outer: set[str] = set()
    yields = yields_from = False
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        match node:
            case cst.FunctionDef(name=cst.Name(value=name)) | cst.ClassDef(name=cst.Name(value=name)):
                names.add(name)
                continue
            case cst.Lambda() | cst.GeneratorExp() | cst.ListComp() | cst.SetComp() | cst.DictComp():
                continue
            case cst.Yield(value=value):
                yields = True
                yields_from = yields_from or isinstance(value, cst.From)
            case cst.Global(names=items) | cst.Nonlocal(names=items):
                outer.update(item.name.value for item in items)
                continue
            case cst.ImportAlias():
                names.add(bound_by_import(node))
                continue
        names.update(_targets(node))
        waiting.extend(children(node))
    return frozenset(names - outer), yields, yields_from


def bound_by_import(alias: cst.ImportAlias) -> str:
    """The name an import binds: `a` of `import a.b`."""
    if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
        return alias.asname.name.value
    name: cst.BaseExpression = alias.name
    while isinstance(name, cst.Attribute):
        name = name.value
    return name.value if isinstance(name, cst.Name) else ""


def _targets(node: cst.CSTNode) -> tuple[str, ...]:
    """The names that this node binds by itself."""
    match node:
        case (
            cst.AssignTarget(target=target)
            | cst.AnnAssign(target=target)
            | cst.AugAssign(target=target)
            | cst.For(target=target)
            | cst.NamedExpr(target=target)
            | cst.Del(target=target)
            | cst.AsName(name=target)
        ):
            return names_in(target)
        case cst.MatchAs(name=cst.Name(value=name)) | cst.MatchStar(name=cst.Name(value=name)):
            return (name,)
        case cst.MatchMapping(rest=cst.Name(value=name)):
            return (name,)
    return ()


def names_in(target: cst.BaseExpression) -> tuple[str, ...]:
    """The plain names of an assignment target, from left to right."""
    found: list[str] = []
    waiting = [target]
    while waiting:
        match waiting.pop():
            case cst.Name(value=name):
                found.append(name)
            case cst.Tuple(elements=elements) | cst.List(elements=elements):
                waiting.extend(element.value for element in reversed(elements))
    return tuple(found)
