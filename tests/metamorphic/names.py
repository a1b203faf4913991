"""Other names for the same things: imports, aliases, locals, classes, helpers, annotations in quotes."""

import importlib
import inspect
from typing import ClassVar

import libcst as cst

from tests.metamorphic.editing import (
    ADDED,
    Edit,
    added,
    after_imports,
    before,
    code,
    is_import,
    local_names,
    statement,
)

MODULES = ("asyncio", "threading", "contextlib", "anyio", "trio", "time", "queue")
"""Modules whose members are looked up for their names."""


def _member(node: cst.BaseExpression) -> str | None:
    """Return the dotted name of a function or class that a module of MODULES has."""
    match node:
        case cst.Attribute(value=cst.Name(value=module), attr=cst.Name(value=name)) if module in MODULES:
            found = getattr(importlib.import_module(module), name, None)
            return None if found is None or inspect.ismodule(found) else f"{module}.{name}"
        case _:
            return None


class ModuleImportedAs(Edit):
    """`import asyncio as aio`."""

    keeps_lines = True
    everywhere = True

    def edited(self, text: str) -> str:
        self._names: dict[str, str] = {}
        return super().edited(text)

    def leave_ImportAlias(
        self, original_node: cst.ImportAlias, updated_node: cst.ImportAlias
    ) -> cst.ImportAlias:
        match original_node:
            case cst.ImportAlias(name=cst.Name(value=name), asname=None) if (
                name in MODULES and self._is_module
            ):
                self.offered += 1
                self._names[name] = f"{name}_lib"
                return updated_node.with_changes(
                    asname=cst.AsName(cst.Name(self._names[name]), cst.SimpleWhitespace(" "))
                )
            case _:
                return updated_node

    _is_module = False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        return False

    def visit_Import(self, node: cst.Import) -> None:
        self._is_module = True

    def leave_Import(self, original_node: cst.Import, updated_node: cst.Import) -> cst.Import:
        self._is_module = False
        return updated_node

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        match original_node.value:
            case cst.Name(value=name) if name in self._names:
                return updated_node.with_changes(value=cst.Name(self._names[name]))
            case _:
                return updated_node


class _Renaming(Edit):
    """Members of modules are called by another name, which a line below the imports makes."""

    everywhere = True
    keeps_lines = True

    def edited(self, text: str) -> str:
        self._made: dict[str, str] = {}
        return super().edited(text)

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        dotted = _member(original_node)
        if dotted is None or not self.is_renamed(dotted):
            return updated_node
        if self._made.get(dotted) is None and self.new_name(dotted) in self._made.values():
            return updated_node
        self.offered += 1
        self._made[dotted] = self.new_name(dotted)
        return cst.Name(self._made[dotted])

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        lines = [added(statement(self.line(dotted, name))) for dotted, name in self._made.items()]
        return after_imports(updated_node, lines) if lines else updated_node

    def is_renamed(self, dotted: str) -> bool:
        """Tell whether a member gets another name."""
        return not dotted.endswith("Error")

    def new_name(self, dotted: str) -> str:
        """Return the other name of a member."""
        raise NotImplementedError

    def line(self, dotted: str, name: str) -> str:
        """Return the line that makes the name."""
        raise NotImplementedError


class ImportedAs(_Renaming):
    """`from asyncio import wait as wait_a`."""

    def new_name(self, dotted: str) -> str:
        return f"{dotted.rpartition('.')[2]}_a"

    def line(self, dotted: str, name: str) -> str:
        module, _, member = dotted.rpartition(".")
        return f"from {module} import {member} as {name}"


class ImportedByName(_Renaming):
    """`from asyncio import wait`, where nothing else has that name."""

    def edited(self, text: str) -> str:
        self._text = text
        return super().edited(text)

    def is_renamed(self, dotted: str) -> bool:
        member = dotted.rpartition(".")[2]
        return all(
            f".{member}" in word or member not in word for word in self._text.split()
        ) and super().is_renamed(dotted)

    def new_name(self, dotted: str) -> str:
        return dotted.rpartition(".")[2]

    def line(self, dotted: str, name: str) -> str:
        module, _, member = dotted.rpartition(".")
        return f"from {module} import {member}"


class NamedInTheModule(_Renaming):
    """`first_done = asyncio.wait` below the imports."""

    def new_name(self, dotted: str) -> str:
        return f"own_{dotted.rpartition('.')[2]}"

    def line(self, dotted: str, name: str) -> str:
        return f"{name} = {dotted}"


class NamedInTheFunction(Edit):
    """`first_done = asyncio.wait` at the line before the statement that calls it."""

    keeps_lines = True

    def visit_SimpleStatementLine(self, node: cst.SimpleStatementLine) -> None:
        self._name: str | None = None
        self._is_inside = True

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        dotted = _member(original_node.func)
        if dotted is None or self.function is None or self._name is not None or not self._is_inside:
            return updated_node
        if not self.take():
            return updated_node
        self._name = dotted
        return updated_node.with_changes(func=cst.Name("called"))

    _name = None
    _is_inside = False

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        self._is_inside = False
        if self._name is None:
            return updated_node
        name, self._name = self._name, None
        return before(updated_node, [added(statement(f"called = {name}"))])


class LocalsRenamed(Edit):
    """Every variable that is one of functions alone has another name."""

    keeps_lines = True
    everywhere = True

    def edited(self, text: str) -> str:
        module = cst.parse_module(text)
        census = _Census()
        module.visit(census)
        self._renamed = census.locals - census.others
        return module.visit(self).code

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        name = original_node.value
        if name not in self._renamed or name.startswith("_"):
            return updated_node
        self.offered += 1
        return cst.Name(f"{name}_x")


class _Census(cst.CSTVisitor):
    """Which names are variables of functions, and which are something else as well."""

    def __init__(self) -> None:
        super().__init__()
        self.locals: set[str] = set()
        self.others: set[str] = {"self", "cls"}

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.others.add(node.name.value)
        self.locals |= local_names(node)

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self.others.add(node.name.value)
        for line in node.body.body:
            if isinstance(line, cst.SimpleStatementLine):
                line.visit(self)
                self._bound(line)

    def visit_Module(self, node: cst.Module) -> None:
        for line in node.body:
            if not isinstance(line, cst.FunctionDef | cst.ClassDef):
                self._bound(line)

    def _bound(self, line: cst.CSTNode) -> None:
        names = _Names()
        line.visit(names)
        self.others |= names.found

    def visit_Attribute(self, node: cst.Attribute) -> None:
        self.others.add(node.attr.value)

    def visit_Arg(self, node: cst.Arg) -> None:
        if node.keyword is not None:
            self.others.add(node.keyword.value)

    def visit_ImportAlias(self, node: cst.ImportAlias) -> None:
        self._bound(node)

    def visit_MatchKeywordElement(self, node: cst.MatchKeywordElement) -> None:
        self.others.add(node.key.value)

    def visit_Global(self, node: cst.Global) -> None:
        self._bound(node)


class _Names(cst.CSTVisitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def visit_Name(self, node: cst.Name) -> None:
        self.found.add(node.value)


class _Defined(Edit):
    """What the module defines has another name, in annotations too."""

    keeps_lines = True
    everywhere = True
    _of: ClassVar[type[cst.CSTNode]]

    def edit(self, files: dict[str, str]) -> dict[str, str]:
        self._renamed: dict[str, str] = {}
        self._bound: set[str] = set()
        for text in files.values():
            self._collect(cst.parse_module(text))
        return {path: cst.parse_module(text).visit(self).code for path, text in files.items()}

    def _collect(self, module: cst.Module) -> None:
        raise NotImplementedError

    def _rename(self, name: str, new: str) -> None:
        self.offered += 1
        self._renamed[name] = new

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        return cst.Name(self._renamed.get(original_node.value, original_node.value))

    def leave_SimpleString(
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.SimpleString:
        inner = original_node.value[1:-1]
        if inner not in self._renamed:
            return updated_node
        quote = original_node.value[0]
        return cst.SimpleString(quote + self._renamed[inner] + quote)


class ClassesRenamed(_Defined):
    """Every class of the example has another name."""

    def _collect(self, module: cst.Module) -> None:
        for each in module.body:
            if isinstance(each, cst.ClassDef):
                self._rename(each.name.value, f"Renamed{each.name.value}")


class HelpersRenamed(_Defined):
    """Every private function and method has another name."""

    def _collect(self, module: cst.Module) -> None:
        found = _Privates()
        module.visit(found)
        for name in sorted(found.names):
            self._rename(name, f"_other{name}")


class _Privates(cst.CSTVisitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        name = node.name.value
        if name.startswith("_") and not name.startswith("__"):
            self.names.add(name)


class AnnotationsInQuotes(Edit):
    """`reader: "asyncio.StreamReader"`."""

    keeps_lines = True
    everywhere = True

    def leave_Annotation(self, original_node: cst.Annotation, updated_node: cst.Annotation) -> cst.Annotation:
        text = code(original_node.annotation)
        if '"' in text or "'" in text or "\n" in text or "." not in text:
            return updated_node
        self.offered += 1
        return updated_node.with_changes(annotation=cst.SimpleString(f'"{text}"'))


class CommentsBetween(Edit):
    """A comment above every statement."""

    keeps_lines = True
    everywhere = True

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine:
        if is_import(original_node):
            return updated_node
        self.offered += 1
        line = cst.EmptyLine(comment=cst.Comment(ADDED))
        return updated_node.with_changes(leading_lines=[*updated_node.leading_lines, line])


NAMES: tuple[type[Edit], ...] = (
    ModuleImportedAs,
    ImportedAs,
    ImportedByName,
    NamedInTheModule,
    NamedInTheFunction,
    LocalsRenamed,
    ClassesRenamed,
    HelpersRenamed,
    AnnotationsInQuotes,
    CommentsBetween,
)
