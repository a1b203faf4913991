"""Annotations and library return types, read as types."""

import ast
import re
from collections.abc import Callable, Sequence

from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.program.containers import BUILTIN_CLASSES, plain_class_name, public_name
from cancellint.analysis.program.names import Denotation, External, Value
from cancellint.analysis.program.program import Program
from cancellint.analysis.program.type_algebra import (
    NONE,
    NOTHING,
    UNKNOWN,
    LibraryFacts,
    class_of,
    instance,
    join,
    options,
    tuple_of,
)
from cancellint.model import ir
from cancellint.model.types import ClassObject, FunctionKey, Instance, ModuleObject, ProjectFunction, Type

_MAX_NESTING = Limit(16, "annotations within annotations")

_OPAQUE = frozenset(
    {
        "typing.Any",
        "object",
        "collections.abc.Callable",
        "typing.TypeVar",
        "typing.ParamSpec",
        "typing.Concatenate",
        "typing.Generic",
        "typing.Protocol",
        "typing.Optional",
        "typing.Union",
        "typing.TypeAlias",
    }
)
"""Annotations that say nothing about the value."""

_TRANSPARENT = frozenset(
    {
        "typing.Annotated",
        "typing.Final",
        "typing.ClassVar",
        "typing.Required",
        "typing.NotRequired",
        "typing.ReadOnly",
        "dataclasses.InitVar",
        "typing.TypeGuard",
        "typing.TypeIs",
    }
)
"""Annotations that say something about the variable; the type is their first argument."""

_OPERAND = re.compile(r"\b(?:(task|awaited|made):)?(arg|self):(\w+)")
"""An operand in the `returns` of a library entry."""

_OPERAND_NAME = re.compile(r"operand_(task|awaited|made|plain)_(arg|self)_(\w+)")


Operands = Callable[[str, str, str], Type]
"""Gives the type of an operand of a library call: how it is taken (`task`, `awaited`, `made`, `plain`), of
what (`arg`, `self`), and which one."""


class TypeExpressions:
    """Reads annotations, in the frame of the function they stand in."""

    def __init__(self, program: Program, knowledge: LibraryFacts) -> None:
        self._program = program
        self._knowledge = knowledge

    def read(self, scope: FunctionKey, annotation: ir.Expr, nesting: int = 0) -> Type:
        """The type an annotation speaks of; Unknown for whatever says nothing."""
        if _MAX_NESTING.is_exceeded_by(nesting):
            return UNKNOWN
        match annotation:
            case ir.Const("none"):
                return NONE
            case ir.Const("str", text):
                parsed = parse_expression(text)
                return UNKNOWN if parsed is None else self.read(scope, parsed, nesting + 1)
            case ir.Op("|"):
                return join(self.read(scope, part, nesting + 1) for part in _alternatives(annotation))
            case ir.Item(base, key):
                arguments = key.items if isinstance(key, ir.Build) and key.kind == "tuple" else (key,)
                return self._subscripted(scope, base, arguments, nesting)
            case ir.Name() | ir.Attr():
                denoted = self._program.denotes(scope, annotation)
                return join(self._named(scope, each, nesting) for each in denoted) if denoted else UNKNOWN
            case ir.Temp(step):
                return self._made_type(scope, step, nesting)
            case _:
                return UNKNOWN

    def _made_type(self, scope: FunctionKey, step: int, nesting: int) -> Type:
        """The type that a call makes: the bound of a `TypeVar`, the base of a `NewType`."""
        match self._program.function(scope).steps[step]:
            case ir.Call(ir.Name("TypeVar") | ir.Attr(_, "TypeVar"), keywords=keywords):
                bounds = [value for name, value in keywords if name == "bound"]
                return self.read(scope, bounds[0], nesting + 1) if bounds else UNKNOWN
            case ir.Call(ir.Name("NewType") | ir.Attr(_, "NewType"), (_, base)):
                return self.read(scope, base, nesting + 1)
            case _:
                return UNKNOWN

    def _named(self, scope: FunctionKey, denoted: Denotation, nesting: int) -> Type:
        match denoted:
            case ClassObject(cls):
                return Instance(cls)
            case External(name):
                return self._library_type(scope, name)
            case Value(alias_scope, expr):
                return self.read(alias_scope, expr, nesting + 1)
            case ModuleObject() | ProjectFunction():
                return UNKNOWN

    def class_name(self, name: str) -> str:
        """The name by which a library class is known here."""
        return plain_class_name(self._knowledge.canonical(plain_class_name(name)))

    def _library_type(self, scope: FunctionKey | None, name: str) -> Type:
        cls = self.class_name(name)
        if name.startswith("builtins.") and cls not in BUILTIN_CLASSES:
            return UNKNOWN
        if cls == "typing.Self":
            enclosing = None if scope is None else self._program.class_of(scope)
            return UNKNOWN if enclosing is None else Instance(enclosing)
        if cls in {"typing.NoReturn", "typing.Never"}:
            return NOTHING
        if cls == "type":
            return UNKNOWN
        entry = self._knowledge.entry(public_name(cls))
        if cls in _OPAQUE or (entry is not None and entry.kind == "function"):
            return UNKNOWN
        return Instance(cls)

    def _subscripted(
        self, scope: FunctionKey, base: ir.Expr, arguments: Sequence[ir.Expr], nesting: int
    ) -> Type:
        denoted = self._program.denotes(scope, base)
        found = [self._generic(scope, each, arguments, nesting) for each in denoted]
        return join(found) if found else UNKNOWN

    def _generic(
        self, scope: FunctionKey, base: Denotation, arguments: Sequence[ir.Expr], nesting: int
    ) -> Type:
        def read(argument: ir.Expr) -> Type:
            return self.read(scope, argument, nesting + 1)

        match base:
            case ClassObject(cls):
                return instance(cls, [read(each) for each in arguments])
            case External(name):
                return self._library_generic(self.class_name(name), arguments, read)
            case Value(alias_scope, expr):
                return self.read(alias_scope, expr, nesting + 1)
            case ModuleObject() | ProjectFunction():
                return UNKNOWN

    def _library_generic(
        self, cls: str, arguments: Sequence[ir.Expr], read: Callable[[ir.Expr], Type]
    ) -> Type:
        if cls in _TRANSPARENT:
            return read(arguments[0])
        match cls:
            case "typing.Optional":
                return join((read(arguments[0]), NONE))
            case "typing.Union":
                return join(read(each) for each in arguments)
            case "type":
                return join(class_of(option) for option in options(read(arguments[0])))
            case "tuple":
                return _tuple_type(arguments, read)
            case "typing.Literal":
                return join(_literal(each) for each in arguments)
            case _ if cls in _OPAQUE:
                return UNKNOWN
            case _:
                return instance(cls, [read(each) for each in arguments])

    def library_result(self, returns: str, operands: Operands) -> Type:
        """The type that the `returns` of a library entry speaks of."""
        marked = _OPERAND.sub(_mark, returns)
        parsed = parse_expression(marked)
        return UNKNOWN if parsed is None else self._library_expression(parsed, operands, 0)

    def _library_expression(self, expr: ir.Expr, operands: Operands, nesting: int) -> Type:
        def read(argument: ir.Expr) -> Type:
            return self._library_expression(argument, operands, nesting + 1)

        match expr:
            case _ if _MAX_NESTING.is_exceeded_by(nesting):
                return UNKNOWN
            case ir.Const("none"):
                return NONE
            case ir.Op("|"):
                return join(read(part) for part in _alternatives(expr))
            case ir.Item(base, key):
                arguments = key.items if isinstance(key, ir.Build) and key.kind == "tuple" else (key,)
                name = dotted(base)
                if name is None:
                    return UNKNOWN
                return self._library_generic(self.class_name(name), arguments, read)
            case ir.Name(text) if marked := _OPERAND_NAME.fullmatch(text):
                return operands(marked[1], marked[2], marked[3])
            case ir.Name() | ir.Attr():
                name = dotted(expr)
                return UNKNOWN if name is None else self._library_type(None, name)
            case _:
                return UNKNOWN


def _mark(operand: re.Match[str]) -> str:
    return f"operand_{operand[1] or 'plain'}_{operand[2]}_{operand[3]}"


def _tuple_type(arguments: Sequence[ir.Expr], read: Callable[[ir.Expr], Type]) -> Type:
    match arguments:
        case (item, ir.Const("ellipsis")):
            return instance("tuple", (read(item),))
        case (ir.Build("tuple", ()),):
            return tuple_of(())
        case _:
            return tuple_of([read(each) for each in arguments])


def _literal(argument: ir.Expr) -> Type:
    match argument:
        case ir.Const("none"):
            return NONE
        case ir.Const(kind):
            return Instance(kind)
        case _:
            return UNKNOWN


def _alternatives(union: ir.Expr) -> list[ir.Expr]:
    """The parts of `a | b | c`, however deep they nest, in order."""
    parts: list[ir.Expr] = []
    stack = [union]
    while stack:
        match stack.pop():
            case ir.Op("|", operands):
                stack.extend(reversed(operands))
            case part:
                parts.append(part)
    return parts


def dotted(expr: ir.Expr) -> str | None:
    """`a.b.c` as text, or None for anything else."""
    names: list[str] = []
    while isinstance(expr, ir.Attr):
        names.append(expr.name)
        expr = expr.base
    if not isinstance(expr, ir.Name):
        return None
    return ".".join([expr.id, *reversed(names)])


def parse_expression(text: str) -> ir.Expr | None:
    """A type expression as IR; None if it is none."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return _converted(tree.body, 0)


def _converted(node: ast.expr, nesting: int) -> ir.Expr | None:
    if _MAX_NESTING.is_exceeded_by(nesting):
        return None

    def convert(part: ast.expr) -> ir.Expr:
        return _converted(part, nesting + 1) or ir.Const("ellipsis", "...")

    match node:
        case ast.Name(id=name):
            return ir.Name(name)
        case ast.Attribute(value=value, attr=name):
            return ir.Attr(convert(value), name)
        case ast.Subscript(value=value, slice=key):
            return ir.Item(convert(value), convert(key))
        case ast.Tuple(elts=items):
            return ir.Build("tuple", tuple(convert(item) for item in items))
        case ast.List(elts=items):
            return ir.Build("list", tuple(convert(item) for item in items))
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return ir.Op("|", (convert(left), convert(right)))
        case ast.Constant(value=None):
            return ir.Const("none", "None")
        case ast.Constant(value=str(text)):
            return ir.Const("str", text)
        case ast.Constant(value=value) if value is ...:
            return ir.Const("ellipsis", "...")
        case _:
            return None


def no_operands(_taken: str, _of: str, _which: str) -> Type:
    return UNKNOWN


def self_operands(owner: Instance) -> Callable[[str, str, str], Type]:
    """Operands of a method or attribute of this object: `self:0` is its first type argument."""

    def operand(_taken: str, of: str, which: str) -> Type:
        if of == "self" and which.isdigit() and int(which) < len(owner.args):
            return owner.args[int(which)]
        return UNKNOWN

    return operand
