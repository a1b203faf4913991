"""The part of a file that some functions are written in, at the same lines: a small text is parsed faster.

Functions and classes beside the wanted ones are left blank. Lowering what is left must give each wanted
function the steps that it has in the whole file; otherwise the file is parsed as a whole.
"""

import ast
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set

import libcst as cst
from msgspec import Struct

from cancellint.frontend.guards import Refusal
from cancellint.frontend.lower import lower
from cancellint.frontend.parse import parse
from cancellint.model import ir

SMALLEST = 8_000
"""Bytes below which a file is parsed as a whole."""

_MODULE = 0

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Excerpt(Struct, frozen=True):
    """A file, or a part of it, with its tree; and which function of the file is which one there."""

    data: bytes
    tree: cst.Module
    numbers: Mapping[int, int] | None = None
    """None where all of the file is there"""

    def number(self, function: int) -> int:
        """The number that a wanted function of the file has here."""
        return function if self.numbers is None else self.numbers[function]


def excerpt(data: bytes, module: ir.Module, wanted: Set[int]) -> Excerpt | Refusal:
    """What is to be parsed of a file to look at these functions."""
    part = _part(data, module, wanted)
    if part is not None:
        return part
    tree = parse(data)
    return tree if isinstance(tree, Refusal) else Excerpt(data, tree)


def _part(data: bytes, module: ir.Module, wanted: Set[int]) -> Excerpt | None:
    """The part of a file that these functions are written in, None where it is no smaller or not as sure."""
    if len(data) < SMALLEST or _MODULE in wanted or not _is_plain(data):
        return None
    text = _blanked(data, frozenset(module.functions[number].qualname for number in wanted))
    if text is None or len(text) > len(data) // 2:
        return None
    tree = parse(text)
    if isinstance(tree, Refusal):
        return None
    numbers = _numbers(module.functions, lower(tree).functions, wanted)
    return None if numbers is None else Excerpt(text, tree, numbers)


def _is_plain(data: bytes) -> bool:
    """Whether lines end in one way only, and the text is in UTF-8 unless Python refuses it."""
    first_lines = b"".join(data.split(b"\n", 2)[:2])
    return b"\r" not in data and b"\f" not in data and b"coding" not in first_lines


def _blanked(data: bytes, wanted: Set[str]) -> bytes | None:
    """A text without the definitions that none of the wanted functions stands in, line by line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(data)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return None
    lines = data.splitlines(keepends=True)
    for first, last in _unwanted(tree.body, "", wanted):
        lines[first - 1 : last] = [b"\n"] * (last - first + 1)
    return b"".join(lines)


def _unwanted(body: Sequence[ast.stmt], around: str, wanted: Set[str]) -> Iterator[tuple[int, int]]:
    """The first and last lines of definitions, directly in a body, that hold nothing wanted."""
    for statement in body:
        if not isinstance(statement, _Definition):
            continue
        name = around + statement.name
        if not any(each == name or each.startswith(f"{name}.") for each in wanted):
            decorators = [each.lineno for each in statement.decorator_list]
            yield min([statement.lineno, *decorators]), statement.end_lineno or statement.lineno
        elif isinstance(statement, ast.ClassDef) and name not in wanted:
            yield from _unwanted(statement.body, f"{name}.", wanted)


def _numbers(
    whole: Sequence[ir.Function], part: Sequence[ir.Function], wanted: Set[int]
) -> Mapping[int, int] | None:
    """The numbers of the wanted functions in a part, None where some function is not the same there."""
    in_whole, in_part = _by_name(whole), _by_name(part)
    found: dict[int, int] = {}
    for number in wanted:
        name = whole[number].qualname
        same, there = in_whole[name], in_part.get(name, [])
        if len(same) != len(there):
            return None
        found[number] = there[same.index(number)]
        if not _is_same(whole[number], part[found[number]]):
            return None
    return found


def _by_name(functions: Sequence[ir.Function]) -> Mapping[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for number, function in enumerate(functions):
        found[function.qualname].append(number)
    return found


def _is_same(one: ir.Function, other: ir.Function) -> bool:
    """Whether the steps of two functions are the same, but for the numbers of functions that they make."""
    return (
        one.kind == other.kind
        and one.blocks == other.blocks
        and [*map(type, one.steps)] == [*map(type, other.steps)]
    )
