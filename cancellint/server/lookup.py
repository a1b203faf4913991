"""What stands at a place of a file: a function that is defined there, or a step of one."""

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from cancellint.analysis.project import Project
from cancellint.frontend.discover import Source
from cancellint.frontend.places import places
from cancellint.model import ir
from cancellint.model.ir import Await, Call
from cancellint.model.source import Site, Span
from cancellint.model.types import FunctionKey, site_at
from cancellint.pipeline import Examined
from cancellint.server.places import holds, size

_Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_DEFINED = -1


class File(Struct, frozen=True):
    """A file of an analysed project."""

    project: Project
    source: Source
    module: ir.Module

    @property
    def data(self) -> bytes:
        """Its text, as it was analysed."""
        return self.source.data or b""

    def key(self, function: int) -> FunctionKey:
        """What a function of it is known by."""
        return FunctionKey(self.source.module, function)


class Found(Struct, frozen=True):
    """The functions that are meant at a place, and what is underlined there."""

    functions: tuple[FunctionKey, ...]
    span: Span


def file_at(path: Path, examined: tuple[Examined, ...]) -> File | None:
    """The file of a path, if it was analysed."""
    for each in examined:
        for name, module in each.reading.modules.items():
            source = each.reading.sources[name]
            if source.path == path and each.project is not None and not source.cells:
                return File(each.project, source, module)
    return None


def function_at(file: File, line: int, column: int) -> Found | None:
    """The function that is defined, or else called, at a place."""
    return _defined_at(file, line, column) or _called_at(file, line, column)


def steps_at(file: File, line: int, column: int) -> tuple[Site, Span] | None:
    """The innermost call or await that stands at a place."""
    functions = _around(file, line)
    sites = [
        site_at(file.key(each), step) for each in functions for step in _waits(file.module.functions[each])
    ]
    found = places(file.source, file.module, sites) if sites else {}
    here = [(site, place.span) for site, place in found.items() if holds(place.span, line, column)]
    return min(here, key=lambda each: size(each[1]), default=None)


def promised(file: File) -> Iterator[tuple[FunctionKey, Span]]:
    """The functions of a file that are declared cancel-safe, with the places of their names."""
    keys = [file.key(number) for number in range(len(file.module.functions))]
    stated = [key for key in keys if file.project.contracts.made_at(key) is not None]
    found = places(file.source, file.module, [site_at(key, _DEFINED) for key in stated]) if stated else {}
    for key in stated:
        place = found.get(site_at(key, _DEFINED))
        if place is not None:
            yield key, place.span


def _defined_at(file: File, line: int, column: int) -> Found | None:
    functions = [number for number in _around(file, line) if file.module.functions[number].kind == "function"]
    sites = [site_at(file.key(number), _DEFINED) for number in functions]
    for site, place in (places(file.source, file.module, sites) if sites else {}).items():
        if holds(place.span, line, column):
            return Found((file.key(site.function),), place.span)
    return None


def _called_at(file: File, line: int, column: int) -> Found | None:
    here = steps_at(file, line, column)
    if here is None:
        return None
    callees = tuple(dict.fromkeys(_callees(file.project, here[0])))
    return Found(callees, here[1]) if callees else None


def _callees(project: Project, at: Site) -> Iterator[FunctionKey]:
    """The functions of the project that are called where a step was written.

    A small helper stands in the place of its call there; it is what its steps were written in.
    """
    key = FunctionKey(at.module, at.function)
    for number in range(len(project.program.function(key).steps)):
        chain = project.origins.of(site_at(key, number)).chain
        if chain[0] == at and len(chain) > 1:
            yield FunctionKey(chain[1].module, chain[1].function)
        elif chain[0] == at:
            yield from project.effects.callees(key, number)


def _waits(function: ir.Function) -> Iterator[int]:
    for number, step in enumerate(function.steps):
        if isinstance(step, Call | Await):
            yield number


def _around(file: File, line: int) -> list[int]:
    """The functions that a line may be a part of: all of the innermost definition's name."""
    name = _name_at(file.data, line)
    return [number for number, each in enumerate(file.module.functions) if name and each.qualname == name]


def _name_at(data: bytes, line: int) -> str:
    """The qualified name of the innermost definition at a line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            body: list[ast.stmt] = ast.parse(data).body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return ""
    name = ""
    while True:
        inner = next((each for each in _definitions(body) if _covers(each, line)), None)
        if inner is None:
            return name
        name = f"{name}.{inner.name}" if name else inner.name
        body = inner.body


def _definitions(body: list[ast.stmt]) -> Iterator[_Definition]:
    """The definitions in a body, in the statements in it too, but not in one another."""
    waiting: list[ast.AST] = list(reversed(body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, _Definition):
            yield node
        elif isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
            waiting.extend(ast.iter_child_nodes(node))


def _covers(node: _Definition, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)
