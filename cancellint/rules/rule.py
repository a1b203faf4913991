"""What a rule is, and how all of them are found."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import TypeVar

import msgspec
from msgspec import Struct, structs

from cancellint.analysis.explain.cancelling import cancelled_by
from cancellint.analysis.normal.form import Origins, names_as_written
from cancellint.analysis.project import Project
from cancellint.model.finding import Confidence, Fix, RawFinding, Severity, SiteNote, weakest
from cancellint.model.source import Site
from cancellint.model.summary import Path
from cancellint.model.types import FunctionKey


class Subject(Struct, frozen=True):
    """The function a rule looks at, in its project."""

    project: Project
    function: FunctionKey

    def likeness(self, function: FunctionKey, step: int) -> str:
        """Return what a step has in common with its copy, in a file of the same name under another root."""
        found = self.project.program.function(function)
        digest = blake2b(msgspec.msgpack.encode(found.steps), digest_size=16).hexdigest()
        return f"{function.module.rpartition('.')[2]}:{found.qualname}:{step}:{digest}"

    def site(self, step: int) -> Site:
        """Return the place of one of the function's own steps."""
        return Site(self.function.module, self.function.function, step)

    def cancelled(self, raw: RawFinding, on: Path, *steps: int, harms: bool = True) -> RawFinding:
        """Return a finding that needs a canceller with the one there is, no firmer than that allows.

        `on` is what suffers; a timeout round all the steps, in the function itself, counts as well. Where
        what is left behind may well harm nobody, only a canceller in sight makes it more than possible.
        """
        owned = on.root == "param:0" and self.project.program.class_of(self.function) is not None
        cancellation = self.project.cancellers.of(self.function, owned=owned, steps=steps)
        note = cancelled_by(self.project.program, cancellation)
        bears = cancellation.canceller.confidence
        if not harms and bears is not Confidence.CERTAIN:
            bears = Confidence.POSSIBLE
        return structs.replace(
            raw,
            confidence=weakest(raw.confidence, bears),
            notes=(*raw.notes, note) if note is not None else raw.notes,
            canceller=cancellation.canceller,
        )


T = TypeVar("T")

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
    elsewhere: bool = False
    """whether its findings may stand in another module than that of the function it looks at"""


def rule(
    code: str,
    severity: Severity,
    *,
    pedantic: bool = False,
    by_version: bool = False,
    elsewhere: bool = False,
) -> Callable[[Check], Rule]:
    """Turn a check into a rule that is named for its function and summed up by its docstring's first line."""

    def make(check: Check) -> Rule:
        lines = (check.__doc__ or "").strip().splitlines()
        name = check.__name__.replace("_", "-")
        return Rule(code, name, severity, pedantic, lines[0] if lines else "", check, by_version, elsewhere)

    return make


def findings(rule: Rule, subject: Subject) -> Iterator[RawFinding]:
    """Yield what a rule reports of a function, with what older Python versions do otherwise there.

    It stands where things were written: in the function itself, or in a helper that is a part of it.
    """
    for raw in rule.check(subject):
        assert rule.elsewhere or raw.at.module == subject.function.module, f"{rule.code} must say `elsewhere`"
        if rule.by_version:
            sites = (raw.at, *(note.at for note in raw.notes))
            older = tuple(subject.project.older_versions.notes(sites))
            raw = structs.replace(raw, notes=(*raw.notes, *older)) if older else raw
        cause = raw.cause or f"{raw.message}:{subject.likeness(subject.function, raw.at.step)}"
        yield _as_written(structs.replace(raw, cause=cause), subject.project.origins)


def _as_written(raw: RawFinding, origins: Origins) -> RawFinding:
    """Return a finding at the steps as they were written.

    It stands in the innermost helper that all of its story within the function is a part of.
    """
    at = origins.of(raw.at)
    story = [note.at for note in raw.notes if _function(note.at) == _function(raw.at) and note.at.step >= 0]
    around = [origins.of(site).chain for site in story]
    place = at.chain[0]
    for depth, site in enumerate(at.chain if at.is_part else ()):
        if any(len(chain) <= depth or _function(chain[depth]) != _function(site) for chain in around):
            break
        place = site
    return structs.replace(
        raw,
        at=place,
        message=names_as_written(raw.message),
        notes=tuple(
            SiteNote(origins.of(note.at).origin, names_as_written(note.message)) for note in raw.notes
        ),
        fix=_fix_as_written(raw.fix, origins) if raw.fix is not None else None,
        copy_of=at.origin if at.origin != at.own else None,
    )


def _function(site: Site) -> tuple[str, int]:
    return site.module, site.function


def _fix_as_written(fix: Fix, origins: Origins) -> Fix | None:
    """Return a fix at the steps as they were written, None where these lie in more than one function."""
    sites = tuple(origins.of(site).origin for site in fix.sites)
    one = len({(site.module, site.function) for site in sites}) == 1
    return structs.replace(fix, sites=sites) if one else None


def without_copies(found: Iterable[T], told: Callable[[T], tuple[str, RawFinding]]) -> Iterator[T]:
    """Yield the findings, but what stands in a helper for each of its calls only once, where it is firmest.

    What is found in the helper itself is not told of its calls again.
    """
    every = list(found)
    own = {(code, raw.at) for code, raw in map(told, every) if raw.copy_of is None}
    best: dict[tuple[str, Site], T] = {}
    for each in every:
        code, raw = told(each)
        if raw.copy_of is not None:
            known = best.get((code, raw.copy_of))
            if known is None or raw.confidence.rank < told(known)[1].confidence.rank:
                best[code, raw.copy_of] = each
    for each in every:
        code, raw = told(each)
        if raw.copy_of is None or ((code, raw.copy_of) not in own and best[code, raw.copy_of] is each):
            yield each


def all_rules() -> tuple[Rule, ...]:
    """Return the rules in this package's modules, by code."""
    package = importlib.import_module("cancellint.rules")
    found: list[Rule] = []
    for module in pkgutil.iter_modules(package.__path__):
        loaded = importlib.import_module(f"cancellint.rules.{module.name}")
        found.extend(value for value in vars(loaded).values() if isinstance(value, Rule))
    return tuple(sorted(found, key=lambda one: one.code))
