"""What a module calls asyncio and its `shield`, and where a new import goes."""

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

import libcst as cst

from cancellint.fixes.syntax import Statement, Syntax, below, blank_lines, code, suspends, with_leading_lines

_LEVEL_TRIGGERED = frozenset({"anyio", "trio"})


class ImportNames(NamedTuple):
    """What a module's own imports call asyncio and `asyncio.shield`."""

    asyncio: str | None
    shield: str | None


def bound_names(module: cst.Module) -> ImportNames:
    """The names that imports at the top of a module, not inside another statement, bind."""
    asyncio = shield = None
    for statement in module.body:
        match statement:
            case cst.SimpleStatementLine(body=[cst.Import(names=aliases)]):
                asyncio = _bound(aliases, "asyncio") or asyncio
            case cst.SimpleStatementLine(
                body=[cst.ImportFrom(module=cst.Name(value="asyncio"), names=[*aliases], relative=[])]
            ):
                shield = _bound(aliases, "shield") or shield
    return ImportNames(asyncio, shield)


def is_cancelled_too(syntax: Syntax, cleanup: cst.CSTNode) -> bool:
    """Whether cleanup waits, in a module that uses a library whose cancelled scopes cancel every await."""
    imports = (each for each in below(syntax.module) if isinstance(each, cst.Import | cst.ImportFrom))
    return suspends(cleanup) and any(not _LEVEL_TRIGGERED.isdisjoint(_imported(each)) for each in imports)


def _imported(node: cst.Import | cst.ImportFrom) -> frozenset[str]:
    """The top-level names of the modules that an import names."""
    match node:
        case cst.ImportFrom(module=module, relative=[]) if module is not None:
            return frozenset({code(module).partition(".")[0]})
        case cst.Import(names=aliases):
            return frozenset(code(alias.name).partition(".")[0] for alias in aliases)
    return frozenset()


def _bound(aliases: Sequence[cst.ImportAlias], wanted: str) -> str | None:
    for alias in aliases:
        match alias:
            case cst.ImportAlias(name=cst.Name(value=name), asname=None) if name == wanted:
                return name
            case cst.ImportAlias(
                name=cst.Name(value=name), asname=cst.AsName(name=cst.Name(value=bound))
            ) if name == wanted:
                return bound
    return None


def with_asyncio(module: cst.Module) -> cst.Module:
    """The module with `import asyncio` before its other imports, those from `__future__` left first."""
    first = len([*takewhile(_comes_first, module.body)])
    new = cst.SimpleStatementLine([cst.Import([cst.ImportAlias(cst.Name("asyncio"))])])
    before, after = module.body[:first], list(module.body[first:])
    if after and _is_import(after[0]):
        blank, rest = blank_lines(after[0])
        new = new.with_changes(leading_lines=blank)
        after[0] = with_leading_lines(after[0], rest)
    elif before:
        new = new.with_changes(leading_lines=[cst.EmptyLine(indent=False)])
    return module.with_changes(body=[*before, new, *after])


def _comes_first(statement: Statement) -> bool:
    """Whether a statement is the module's docstring or an import from `__future__`."""
    match statement:
        case cst.SimpleStatementLine(body=[cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString())]):
            return True
        case cst.SimpleStatementLine(body=[cst.ImportFrom(module=cst.Name(value="__future__")), *_]):
            return True
    return False


def _is_import(statement: Statement) -> bool:
    match statement:
        case cst.SimpleStatementLine(body=[cst.Import() | cst.ImportFrom(), *_]):
            return True
    return False
