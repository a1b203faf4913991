"""CAN113."""

from collections.abc import Iterator
from typing import assert_never

from cancellint.analysis.explain.outstanding import left
from cancellint.analysis.hazards.promises.outstanding import cancelled_at
from cancellint.analysis.hazards.promises.proofs import Gap, Lack, RacedAwait, raced_awaits
from cancellint.analysis.hazards.queues.backlogs import shown
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.ir import Attr, Call, Expr, Temp
from cancellint.model.source import Site
from cancellint.model.types import (
    FunctionKey,
    LibraryCallee,
    ProjectCallee,
    UnresolvedCallee,
    site_at,
    site_of,
)
from cancellint.rules.rule import Subject, rule

_CURE = "declare it cancel-safe, describe it in a table of library knowledge, or do not race it"


@rule("CAN113", Severity.WARNING, pedantic=True, by_version=True)
def unproven_await_in_race(subject: Subject) -> Iterator[RawFinding]:
    """A race may cancel something that is not proven to be cancel-safe."""
    told: set[int] = set()
    lost = {verdict.candidate.race for verdict in subject.project.result(subject.function).races}
    for raced in raced_awaits(subject.project.effects, subject.function):
        if raced.race in told:
            continue
        gap = subject.project.proofs.gap_at(subject.function, raced.awaited, native=raced.native)
        if gap is None or (gap.lack is Lack.LOSES and raced.race in lost):
            continue
        told.add(raced.race)
        yield _finding(subject, raced, gap)


def _finding(subject: Subject, raced: RacedAwait, gap: Gap) -> RawFinding:
    verdict = "is not cancel-safe" if gap.lack is Lack.LOSES else "is not known to be cancel-safe"
    return RawFinding(
        at=subject.site(raced.race),
        message=f"`{raced.name}` may cancel `{_name(subject, gap)}`, which {verdict}",
        confidence=Confidence.POSSIBLE if gap.lack is Lack.GIVEN else Confidence.CERTAIN,
        notes=(*_way(subject, gap), *_reason(subject, gap)),
        help=_CURE,
    )


def _name(subject: Subject, gap: Gap) -> str:
    """Return what is not proven as the author of the code, or of the library, writes it."""
    match gap.callee:
        case LibraryCallee(name=name) if not name.endswith("__"):
            return subject.project.effects.operations.knowledge.canonical(name)
        case ProjectCallee(key=key):
            return subject.project.program.function(key).qualname
        case UnresolvedCallee(method=str(method), receiver=receiver) if receiver is not None:
            return shown(Attr(receiver, method)).removeprefix("it.")
        case _:
            return _written(subject, gap.at.function, gap.value)


def _written(subject: Subject, key: FunctionKey, value: Expr) -> str:
    step = subject.project.program.function(key).steps[value.step] if isinstance(value, Temp) else None
    return shown(step.func if isinstance(step, Call) else value).removeprefix("it.")


def _way(subject: Subject, gap: Gap) -> Iterator[SiteNote]:
    """Yield the awaits that lead from the race, or from what is given to it, to what is not proven."""
    if gap.given_at is not None:
        yield SiteNote(site_of(gap.given_at), "what it may cancel is given to it here")
    functions = (*(site.function for site in gap.way), gap.at.function)
    for site, function in zip(gap.way, functions[1:], strict=True):
        name = subject.project.program.function(function).qualname
        yield SiteNote(site_of(site), f"which awaits `{name}` here")


def _reason(subject: Subject, gap: Gap) -> Iterator[SiteNote]:
    """Yield why the last of these awaits is not proven."""
    here = site_of(gap.at)
    match gap.lack:
        case Lack.UNRESOLVED:
            yield SiteNote(here, "nobody knows what is awaited here")
        case Lack.UNKNOWN:
            yield SiteNote(here, "the tables of library knowledge say nothing of what is awaited here")
        case Lack.NAMED:
            yield SiteNote(here, "what is awaited here is known by its name only")
        case Lack.LOSES:
            yield from _loss(subject, gap)
        case Lack.ABSTRACT if isinstance(gap.callee, ProjectCallee):
            key = gap.callee.key
            yield SiteNote(Site(key.module, key.function, -1), "it has no body here, and promises nothing")
        case Lack.ABSTRACT | Lack.GIVEN:
            yield SiteNote(here, "what is awaited here is given by the caller")
        case _:
            assert_never(gap.lack)


def _loss(subject: Subject, gap: Gap) -> Iterator[SiteNote]:
    """Yield how something is known not to be cancel-safe."""
    here = site_of(gap.at)
    match gap.callee:
        case ProjectCallee(key=key):
            yield SiteNote(here, f"which awaits `{subject.project.program.function(key).qualname}` here")
            yield from _story(subject, key, gap)
        case LibraryCallee() as callee:
            known = subject.project.effects.operations.known(callee)
            why = known.entry.note or known.entry.mode if known is not None else None
            yield SiteNote(here, f"cancelled here, {why}" if why else "cancelled here")
        case _:
            yield SiteNote(here, "cancelled here, a task may already have its result, and nobody looks at it")


def _story(subject: Subject, key: FunctionKey, gap: Gap) -> Iterator[SiteNote]:
    """Yield what a project function loses, or leaves undone, and where."""
    traces = subject.project.traces
    if gap.loss is not None:
        origin = subject.project.result(key).origins[gap.loss]
        for line in traces.of_loss(key, gap.loss, origin.taken, origin.at, origin.via):
            yield SiteNote(site_at(line.function, line.step), line.message)
    elif gap.outstanding is not None:
        yield SiteNote(
            cancelled_at(key, gap.outstanding), f"cancelled here, {left(traces, key, gap.outstanding)}"
        )
