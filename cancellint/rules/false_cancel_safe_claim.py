"""CAN112."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.explain.outstanding import began, left
from cancellint.analysis.explain.traces import Line
from cancellint.analysis.hazards.promises.outstanding import cancelled_at
from cancellint.analysis.hazards.promises.refutations import Refutation
from cancellint.model.finding import RawFinding, Severity, SiteNote
from cancellint.model.summary import Loss
from cancellint.model.types import site_at
from cancellint.rules.rule import Subject, rule

_CURE = "keep what was read in an object that outlives the call, or take the promise back"
_UNDO = "undo it in a `finally` that a cancellation passes too, or take the promise back"


@rule("CAN112", Severity.ERROR, by_version=True)
def false_cancel_safe_claim(subject: Subject) -> Iterator[RawFinding]:
    """A function is declared cancel-safe, and loses something when it is cancelled."""
    if subject.project.contracts.made_at(subject.function) is not None:
        yield from _losses(subject)
        yield from _outstanding(subject)


def _losses(subject: Subject) -> Iterator[RawFinding]:
    """Yield one finding for all that a function loses of what it has taken."""
    told = sorted(
        (_told(subject, loss) for loss in subject.project.result(subject.function).refuted),
        key=_hard_to_follow,
    )
    if not told:
        return
    best = told[0]
    sources = dict.fromkeys(each.source for each in told if each.loss.confidence is best.loss.confidence)
    taken = _listed(tuple(sources))
    yield RawFinding(
        at=subject.site(-1),
        message=f"{_claim(subject)}, but a cancellation loses what it has taken from {taken}",
        confidence=best.loss.confidence,
        notes=(*_where_promised(subject), *(_note(line) for line in best.lines)),
        help=_CURE,
    )


def _outstanding(subject: Subject) -> Iterator[RawFinding]:
    """Yield a finding for what a function, or what it awaits, leaves undone: the firmest, then nearest."""
    found = subject.project.refutations.of(subject.function)
    best = min(found, key=lambda each: (each.outstanding.confidence.rank, len(each.way)), default=None)
    if best is None:
        return
    where = f"in `{subject.project.program.function(best.function).qualname}` " if best.way else ""
    outstanding = left(subject.project.traces, best.function, best.outstanding)
    yield RawFinding(
        at=subject.site(-1),
        message=f"{_claim(subject)}, but {where}{outstanding} if it is cancelled",
        confidence=best.outstanding.confidence,
        notes=(*_where_promised(subject), *_how_left(subject, best)),
        help=_UNDO,
    )


def _how_left(subject: Subject, found: Refutation) -> Iterator[SiteNote]:
    """Yield the awaits that lead to what is left undone, where it began and where it is cancelled."""
    functions = (*(site.function for site in found.way), found.function)
    for site, function in zip(found.way, functions[1:], strict=True):
        name = subject.project.program.function(function).qualname
        yield SiteNote(site_at(site.function, site.step), f"which awaits `{name}` here")
    yield from began(found.function, found.outstanding)
    yield SiteNote(cancelled_at(found.function, found.outstanding), "cancelled here, it is left as it is")


def _claim(subject: Subject) -> str:
    return f"`{subject.project.program.function(subject.function).qualname}` is declared cancel-safe"


class _Told(Struct, frozen=True):
    """A loss that the promise denies, its source as the author writes it, and how it comes about."""

    loss: Loss
    source: str
    lines: tuple[Line, ...]


def _told(subject: Subject, loss: Loss) -> _Told:
    traces = subject.project.traces
    origin = subject.project.result(subject.function).origins[loss]
    lines = traces.of_loss(subject.function, loss, origin.taken, origin.at, origin.via)
    return _Told(loss, traces.shown(subject.function, loss.source), tuple(lines))


def _hard_to_follow(told: _Told) -> tuple[int, bool, int]:
    """Return a key that puts first what is firmest, then what is easiest to follow."""
    return told.loss.confidence.rank, any(line.earlier for line in told.lines), len(told.lines)


def _where_promised(subject: Subject) -> Iterator[SiteNote]:
    """Yield where the promise is made, if that is a method that this one overrides."""
    made_at = subject.project.contracts.made_at(subject.function)
    if made_at is not None and made_at != subject.function:
        name = subject.project.program.function(made_at).qualname
        yield SiteNote(site_at(made_at, -1), f"`{name}` promises it for all that override it")


def _listed(sources: tuple[str, ...]) -> str:
    shown = " and ".join(f"`{source}`" for source in sources[:2])
    return shown if len(sources) <= 2 else f"{shown} and {len(sources) - 2} more"


def _note(line: Line) -> SiteNote:
    return SiteNote(site_at(line.function, line.step), line.message)
