"""What the transformations are made of: edits of syntax trees, and what a piece of code reads and binds."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import libcst as cst

Files = Mapping[str, str]
"""The text of each file of an example, by path."""

ADDED = "# added"
"""Ends a line that an edit has put in, so that the lines of the example can be counted without it."""


class Edit(cst.CSTTransformer):
    """A change that keeps the meaning, made at one of the places where it can be made, or at all of them.

    `place` is the number of the place, None for all of them. `offered` counts the places.
    """

    keeps_lines: ClassVar[bool] = False
    """no line of the example moves, but for whole lines that end in ADDED"""
    everywhere: ClassVar[bool] = False
    """whether it may be made at all places at once"""

    def __init__(self, place: int | None) -> None:
        super().__init__()
        self._place = place
        self.offered = 0
        self._functions: list[cst.FunctionDef] = []
        self._classes: list[cst.ClassDef] = []

    def take(self) -> bool:
        """Tell whether the change is to be made at this place."""
        self.offered += 1
        return self._place is None or self._place == self.offered - 1

    def edit(self, files: Files) -> Files:
        """Return the files with the change made."""
        return {path: self.edited(text) for path, text in files.items()}

    def edited(self, text: str) -> str:
        """Return one file with the change made."""
        return cst.parse_module(text).visit(self).code

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self._classes.append(node)

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self._functions.append(node)

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.CSTNode:
        self._classes.pop()
        return self.in_class(original_node, updated_node)

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.CSTNode:
        self._functions.pop()
        return self.in_function(original_node, updated_node)

    def in_class(self, original: cst.ClassDef, updated: cst.ClassDef) -> cst.CSTNode:
        """Return what becomes of a class."""
        return updated

    def in_function(self, original: cst.FunctionDef, updated: cst.FunctionDef) -> cst.CSTNode:
        """Return what becomes of a function."""
        return updated

    @property
    def function(self) -> cst.FunctionDef | None:
        """The function around, if it is a plain one of the module or of a class of it."""
        plain = len(self._functions) == 1 and len(self._classes) <= 1
        return self._functions[0] if plain else None

    @property
    def is_method(self) -> bool:
        """Whether the function around is a method with an object of its own."""
        return bool(self._classes) and self.function is not None and receiver(self.function) is not None


def variants(kind: type[Edit], files: Files) -> Iterator[tuple[str, Files]]:
    """Yield the files with an edit made: at all places, where it may be, else at each of them."""
    counting = kind(-1)
    counting.edit(files)
    if not counting.offered:
        return
    if kind.everywhere:
        yield "all", kind(None).edit(files)
        return
    for place in range(counting.offered):
        yield str(place), kind(place).edit(files)


# --------------------------------------------------------------------------- code from text


def statement(text: str) -> cst.SimpleStatementLine:
    """Return a simple statement."""
    (parsed,) = cst.parse_module(text + "\n").body
    assert isinstance(parsed, cst.SimpleStatementLine)
    return parsed


def statements(text: str) -> list[cst.BaseStatement]:
    """Return the statements of a text."""
    return [each for each in cst.parse_module(text).body if not isinstance(each, cst.EmptyLine)]


def code(node: cst.CSTNode) -> str:
    """Return the text of a node."""
    return cst.Module([]).code_for_node(node)


def block(lines: list[cst.BaseStatement]) -> cst.IndentedBlock:
    """Return a block of these statements."""
    return cst.IndentedBlock(lines)


def spaced(node: cst.FunctionDef) -> cst.FunctionDef:
    """Return a function with an empty line before it."""
    return node.with_changes(leading_lines=[cst.EmptyLine(indent=False)])


def added(line: cst.SimpleStatementLine) -> cst.SimpleStatementLine:
    """Return a statement that is marked as put in."""
    comment = cst.TrailingWhitespace(cst.SimpleWhitespace("  "), cst.Comment(ADDED))
    return line.with_changes(trailing_whitespace=comment)


def before(node: cst.BaseStatement, lines: list[cst.BaseStatement]) -> cst.FlattenSentinel[cst.BaseStatement]:
    """Return a statement with others before it, the comments above it on top."""
    first = lines[0].with_changes(leading_lines=node.leading_lines)
    return cst.FlattenSentinel([first, *lines[1:], node.with_changes(leading_lines=[])])


def only(line: cst.BaseStatement | cst.BaseSmallStatement) -> cst.BaseSmallStatement | None:
    """Return the small statement that a line consists of."""
    if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
        return line.body[0]
    return None


def after_imports(module: cst.Module, lines: list[cst.BaseStatement]) -> cst.Module:
    """Return a module with statements put in below its imports."""
    at = 0
    for number, each in enumerate(module.body):
        if is_import(each) or (number == 0 and is_text(each)):
            at = number + 1
    return module.with_changes(body=[*module.body[:at], *lines, *module.body[at:]])


def is_import(line: cst.CSTNode) -> bool:
    """Tell whether a statement imports something."""
    return isinstance(line, cst.SimpleStatementLine) and isinstance(line.body[0], cst.Import | cst.ImportFrom)


def is_text(line: cst.CSTNode) -> bool:
    """Tell whether a statement is a docstring."""
    expr = only(line) if isinstance(line, cst.SimpleStatementLine) else None
    return isinstance(expr, cst.Expr) and isinstance(expr.value, cst.SimpleString)


def receiver(function: cst.FunctionDef) -> str | None:
    """Return the name of a method's own object, None for what is no plain method."""
    params = function.params.params
    if any(code(each.decorator) in _NO_METHODS for each in function.decorators) or not params:
        return None
    return params[0].name.value if params[0].name.value == "self" else None


_NO_METHODS = frozenset({"staticmethod", "classmethod"})


def is_path(expr: cst.BaseExpression) -> bool:
    """Tell whether an expression is a name with attributes."""
    while isinstance(expr, cst.Attribute):
        expr = expr.value
    return isinstance(expr, cst.Name)


def is_still(expr: cst.BaseExpression) -> bool:
    """Tell whether to evaluate an expression does nothing, and gives the same a moment later."""
    return isinstance(expr, cst.BaseNumber | cst.SimpleString | cst.Name)


# --------------------------------------------------------------------------- what code reads and binds


class Uses(cst.CSTVisitor):
    """The names that a piece of code reads and binds, in its order, and what keeps it from being moved."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inputs: list[str] = []
        """read before they are bound"""
        self.stores: set[str] = set()
        self.awaits = False
        self.jumps = False
        """leaves the code by `return`, `break`, `continue` or `yield`"""
        self.nests = False
        """defines something, or has a scope of its own"""
        self._loops = 0

    def _store(self, target: cst.CSTNode) -> None:
        match target:
            case cst.Name(value=name):
                self.stores.add(name)
            case cst.Tuple(elements=elements) | cst.List(elements=elements):
                for each in elements:
                    self._store(each.value)
            case _:
                target.visit(self)

    def visit_Name(self, node: cst.Name) -> None:
        self.loads.append(node.value)
        if node.value not in self.stores and node.value not in self.inputs:
            self.inputs.append(node.value)

    def visit_Attribute(self, node: cst.Attribute) -> bool:
        node.value.visit(self)
        return False

    def visit_Arg(self, node: cst.Arg) -> bool:
        node.value.visit(self)
        return False

    def visit_Assign(self, node: cst.Assign) -> bool:
        node.value.visit(self)
        for each in node.targets:
            self._store(each.target)
        return False

    def visit_AnnAssign(self, node: cst.AnnAssign) -> bool:
        if node.value is not None:
            node.value.visit(self)
        self._store(node.target)
        return False

    def visit_AugAssign(self, node: cst.AugAssign) -> bool:
        node.value.visit(self)
        node.target.visit(self)
        self._store(node.target)
        return False

    def visit_NamedExpr(self, node: cst.NamedExpr) -> bool:
        node.value.visit(self)
        self._store(node.target)
        return False

    def visit_AsName(self, node: cst.AsName) -> bool:
        self._store(node.name)
        return False

    def visit_For(self, node: cst.For) -> bool:
        self.awaits |= node.asynchronous is not None
        node.iter.visit(self)
        self._store(node.target)
        self._loops += 1
        node.body.visit(self)
        self._loops -= 1
        if node.orelse is not None:
            node.orelse.visit(self)
        return False

    def visit_While(self, node: cst.While) -> None:
        self._loops += 1

    def leave_While(self, original_node: cst.While) -> None:
        self._loops -= 1

    def visit_With(self, node: cst.With) -> None:
        self.awaits |= node.asynchronous is not None

    def visit_Await(self, node: cst.Await) -> None:
        self.awaits = True

    def visit_Yield(self, node: cst.Yield) -> None:
        self.jumps = True

    def visit_Return(self, node: cst.Return) -> None:
        self.jumps = True

    def visit_Break(self, node: cst.Break) -> None:
        self.jumps |= not self._loops

    def visit_Continue(self, node: cst.Continue) -> None:
        self.jumps |= not self._loops

    def visit_Global(self, node: cst.Global) -> None:
        self.nests = True

    def visit_Nonlocal(self, node: cst.Nonlocal) -> None:
        self.nests = True

    def visit_Import(self, node: cst.Import) -> None:
        self.nests = True

    def visit_ImportFrom(self, node: cst.ImportFrom) -> None:
        self.nests = True

    def visit_Del(self, node: cst.Del) -> None:
        self.nests |= isinstance(node.target, cst.Name)

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.stores.add(node.name.value)
        self.nests = True

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self.stores.add(node.name.value)
        self.nests = True

    def visit_Lambda(self, node: cst.Lambda) -> None:
        self.nests = True

    def visit_CompFor(self, node: cst.CompFor) -> None:
        self.nests = True
        self.awaits |= node.asynchronous is not None


def uses(node: cst.CSTNode) -> Uses:
    """Return what a piece of code reads and binds."""
    found = Uses()
    node.visit(found)
    return found


def parameters(function: cst.FunctionDef) -> dict[str, cst.Annotation | None]:
    """Return the parameters of a function with their annotations."""
    params = function.params
    every = [*params.posonly_params, *params.params, *params.kwonly_params]
    every += [each for each in (params.star_arg, params.star_kwarg) if isinstance(each, cst.Param)]
    return {each.name.value: each.annotation for each in every}


def local_names(function: cst.FunctionDef) -> set[str]:
    """Return the names that are bound in a function."""
    return {*parameters(function), *uses(function.body).stores}
