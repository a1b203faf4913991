"""The rules of a project's own: they are listed without being run, and run only with consent.

A folder of rules has a module for each rule, or for several, and a page `<name>.md` for each rule beside it.
"""

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cancellint.bounded import Unusable, read_bytes
from cancellint.frontend.guards import MAX_BYTES
from cancellint.mistakes import Mistake
from cancellint.model.finding import Severity
from cancellint.model.report import OwnRule

if TYPE_CHECKING:
    from cancellint.rules.rule import Rule

_CODE: Final = re.compile(r"[A-Z]{2,10}[0-9]{1,5}")
_OURS: Final = "CAN"
_DECORATOR: Final = "rule"


class OwnRuleError(Mistake):
    """A file with rules of a project's own cannot be used."""


class Stated(Struct, frozen=True):
    """A rule as its file states it, read and not run."""

    code: str
    name: str
    severity: Severity
    pedantic: bool
    summary: str
    file: Path

    @property
    def page(self) -> Path:
        """Where its page belongs."""
        return self.file.with_name(f"{self.name}.md")


def files(folders: Sequence[Path]) -> tuple[Path, ...]:
    """The modules of folders of rules; those whose name begins with `_` hold none."""
    return tuple(
        file for folder in folders for file in sorted(folder.glob("*.py")) if not file.name.startswith("_")
    )


def sources(folders: Sequence[Path]) -> tuple[Path, ...]:
    """All files that the rules of folders depend on."""
    return tuple(file for folder in folders for file in sorted((*folder.rglob("*.py"), *folder.glob("*.md"))))


def stated(folders: Sequence[Path]) -> tuple[Stated, ...]:
    """The rules of folders, by code. Raises OwnRuleError."""
    found = [each for file in files(folders) for each in _stated_in(file)]
    for key in ("code", "name"):
        seen: dict[str, Stated] = {}
        for each in found:
            value = each.code if key == "code" else each.name
            if value in seen:
                raise OwnRuleError(f"{each.file}: {seen[value].file} has a rule of {key} `{value}` too")
            seen[value] = each
    return tuple(sorted(found, key=lambda each: each.code))


def described(folders: Sequence[Path]) -> tuple[OwnRule, ...]:
    """The rules of folders with their pages, as reports tell of them."""
    return tuple(
        OwnRule(each.code, each.name, each.severity, each.pedantic, each.summary, page_of(each))
        for each in stated(folders)
    )


def page_of(rule: Stated) -> str:
    """The page of a rule; where there is none, its summary."""
    try:
        return read_bytes(rule.page, MAX_BYTES).decode("utf-8")
    except (OSError, Unusable, UnicodeDecodeError):
        return f"# {rule.name} ({rule.code})\n\n## What it finds\n\n{rule.summary}\n"


@cache
def loaded(folders: tuple[Path, ...]) -> tuple["Rule", ...]:
    """The rules of folders, run: whoever asks has consented to that. Raises OwnRuleError."""
    return tuple(rule for each in files(folders) for rule in _loaded_from(each))


def _stated_in(file: Path) -> Iterator[Stated]:
    try:
        tree = ast.parse(read_bytes(file, MAX_BYTES))
    except (OSError, Unusable, SyntaxError, ValueError, RecursionError) as error:
        raise OwnRuleError(f"{file}: {error}") from None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and _is_rule(decorator.func):
                    yield _stated_by(file, node, decorator)


def _is_rule(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name == _DECORATOR
    return False


def _stated_by(file: Path, function: ast.FunctionDef, decorator: ast.Call) -> Stated:
    where = f"{file}:{decorator.lineno}"
    match decorator.args[:1]:
        case [ast.Constant(value=str(code))] if _CODE.fullmatch(code) and not code.startswith(_OURS):
            pass
        case _:
            raise OwnRuleError(
                f"{where}: a rule's code is capitals and digits in quotes, such as `APP001`, and not `CAN…`"
            )
    severity = Severity.WARNING
    for node in (
        *decorator.args[1:2],
        *(each.value for each in decorator.keywords if each.arg == "severity"),
    ):
        match node:
            case ast.Attribute(attr="ERROR" | "WARNING" as word):
                severity = Severity[word]
            case _:
                raise OwnRuleError(f"{where}: the severity is `Severity.ERROR` or `Severity.WARNING`")
    pedantic = any(
        each.arg == "pedantic" and isinstance(each.value, ast.Constant) and each.value.value is True
        for each in decorator.keywords
    )
    summary = (ast.get_docstring(function) or "").partition("\n")[0]
    return Stated(code, function.name.replace("_", "-"), severity, pedantic, summary, file)


def _loaded_from(file: Path) -> Iterator["Rule"]:
    from cancellint.rules.rule import Rule

    name = f"cancellint_own_rules_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise OwnRuleError(f"{file}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise OwnRuleError(f"{file}: {type(error).__name__}: {error}") from error
    known = {each.code for each in _stated_in(file)}
    for value in vars(module).values():
        if isinstance(value, Rule) and value.code in known:
            yield value
