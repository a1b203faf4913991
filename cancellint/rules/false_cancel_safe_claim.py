"""CAN112."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.traces import Line
from cancellint.model.finding import RawFinding, Severity, SiteNote
from cancellint.model.source import Site
from cancellint.model.summary import Loss
from cancellint.rules.rule import Subject, rule

_CURE = "keep what was read in an object that outlives the call, or take the promise back"


@rule("CAN112", Severity.ERROR)
def false_cancel_safe_claim(subject: Subject) -> Iterator[RawFinding]:
    """A function is declared cancel-safe, and loses something when it is cancelled."""
    result = subject.project.result(subject.function)
    if not result.refuted:
        return
    told = sorted((_told(subject, loss) for loss in result.refuted), key=_hard_to_follow)
    best = told[0]
    sources = dict.fromkeys(each.source for each in told if each.loss.confidence is best.loss.confidence)
    name = subject.project.program.function(subject.function).qualname
    yield RawFinding(
        at=subject.site(-1),
        message=f"`{name}` is declared cancel-safe, but a cancellation loses what it has taken from "
        f"{_listed(tuple(sources))}",
        confidence=best.loss.confidence,
        notes=(*_where_promised(subject), *(_note(line) for line in best.lines)),
        help=_CURE,
    )


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
        site = Site(made_at.module, made_at.function, -1)
        yield SiteNote(site, f"`{name}` promises it for all that override it")


def _listed(sources: tuple[str, ...]) -> str:
    shown = " and ".join(f"`{source}`" for source in sources[:2])
    return shown if len(sources) <= 2 else f"{shown} and {len(sources) - 2} more"


def _note(line: Line) -> SiteNote:
    return SiteNote(Site(line.function.module, line.function.function, line.step), line.message)
