"""What a rule is, and how all of them are found."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator

from msgspec import Struct, structs

from cancellint.analysis.project import Project
from cancellint.model.finding import RawFinding, Severity
from cancellint.model.source import Site
from cancellint.model.types import FunctionKey


class Subject(Struct, frozen=True):
    """The function a rule looks at, in its project."""

    project: Project
    function: FunctionKey

    def site(self, step: int) -> Site:
        """Return the place of one of the function's own steps."""
        return Site(self.function.module, self.function.function, step)


Check = Callable[[Subject], Iterator[RawFinding]]


class Rule(Struct, frozen=True):
    """A rule: a value, not a class. Its page is `rules/<name>.md`."""

    code: str
    name: str
    severity: Severity
    pedantic: bool
    summary: str
    check: Check
    by_version: bool = False
    """whether it rests on what a cancelled library call does with data, which versions of it change"""


def rule(
    code: str, severity: Severity, *, pedantic: bool = False, by_version: bool = False
) -> Callable[[Check], Rule]:
    """Turn a check into a rule that is named for its function and summed up by its docstring's first line."""

    def make(check: Check) -> Rule:
        lines = (check.__doc__ or "").strip().splitlines()
        name = check.__name__.replace("_", "-")
        return Rule(code, name, severity, pedantic, lines[0] if lines else "", check, by_version)

    return make


def findings(rule: Rule, subject: Subject) -> Iterator[RawFinding]:
    """Yield what a rule reports of a function, with what older Python versions do otherwise there."""
    for raw in rule.check(subject):
        if rule.by_version:
            sites = (raw.at, *(note.at for note in raw.notes))
            older = tuple(subject.project.older_versions.notes(sites))
            yield structs.replace(raw, notes=(*raw.notes, *older)) if older else raw
        else:
            yield raw


def all_rules() -> tuple[Rule, ...]:
    """Return the rules in this package's modules, by code."""
    package = importlib.import_module("cancellint.rules")
    found: list[Rule] = []
    for module in pkgutil.iter_modules(package.__path__):
        loaded = importlib.import_module(f"cancellint.rules.{module.name}")
        found.extend(value for value in vars(loaded).values() if isinstance(value, Rule))
    return tuple(sorted(found, key=lambda one: one.code))
