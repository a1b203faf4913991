"""CAN103."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.hazards.tasks.abandonment import Departure, abandoned
from cancellint.analysis.hazards.tasks.dropped_winners import Drop, DroppedWinner, RaceEnding, dropped_winners
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote, weakest
from cancellint.model.ir import Assign, Const, Name, Return, Temp
from cancellint.model.summary import RESULT
from cancellint.rules.rule import Subject, rule

_CURE = "look at every task in `done`, or keep it for the next turn, before it is cancelled or forgotten"
_CANCELLED_CURE = "take without a task in between, or look whether it has finished before it is cancelled"


@rule("CAN103", Severity.WARNING, by_version=True)
def dropped_race_winner(subject: Subject) -> Iterator[RawFinding]:
    """Several tasks of a race may be done at once, and what one of them has taken is dropped."""
    project = subject.project
    found: dict[int, list[_Told]] = {}
    for dropped in dropped_winners(project.effects, project.facts_of, project.contenders, subject.function):
        judged = [(way, _confidence(subject, dropped, way)) for way in dropped.ways]
        told = [(confidence.rank, way, confidence) for way, confidence in judged if confidence is not None]
        if told:
            _, way, confidence = min(told)
            if not way.by_cancel and dropped.started in _left(subject):
                continue  # it is told of as left running
            at = way.at if way.by_cancel else way.wait
            found.setdefault(at, []).append(_Told(dropped, way, confidence))
    for at, alike in found.items():
        yield _finding(subject, at, alike)


def _left(subject: Subject) -> frozenset[int]:
    """Return the tasks that the function leaves running by a statement of its own."""
    project = subject.project
    found = abandoned(project.effects, project.facts_of, project.contenders, subject.function)
    return frozenset(
        one.started
        for one in found
        if any(left.way in (Departure.RENEWED, Departure.LEFT) for left in one.ways)
    )


class _Told(Struct, frozen=True):
    """A task, the way on which its result is dropped that says most, and how firmly that stands."""

    dropped: DroppedWinner
    way: Drop
    confidence: Confidence


def _confidence(subject: Subject, dropped: DroppedWinner, way: Drop) -> Confidence | None:
    """Return how firmly it stands that the result is missed, None where nobody misses it.

    Where the function ends with nothing, it is the end of the source that has won. One that is cancelled has
    to give what it takes to a caller who may call again; there the moment is short.
    """
    takes = dropped.stake.taken(again=way.ending is RaceEnding.READS_ON)
    if not takes or takes[0].into != RESULT:
        return None
    firmest = takes[0].confidence
    if way.cancelled:
        if not _gives(subject):
            return None
        return weakest(firmest, Confidence.LIKELY)
    match way.ending:
        case RaceEnding.READS_ON:
            return firmest
        case RaceEnding.RETURNS:
            return weakest(firmest, Confidence.LIKELY)
        case RaceEnding.ENDS:
            return None


def _gives(subject: Subject) -> bool:
    """Tell whether the function gives its caller something."""
    steps = subject.project.program.function(subject.function).steps
    return any(isinstance(step, Return) and step.value != Const("none", "None") for step in steps)


def _finding(subject: Subject, at: int, alike: list[_Told]) -> RawFinding:
    """Return one finding for the tasks whose results are dropped in one place, with the firmest of them."""
    best = min(alike, key=lambda told: (told.confidence.rank, told.way))
    names = " or ".join(dict.fromkeys(_name(subject, told.dropped) for told in alike))
    take = best.dropped.stake.taken(again=best.way.ending is RaceEnding.READS_ON)[0]
    source = subject.project.traces.shown(subject.function, take.source)
    taken = f"what it has taken from `{source}`" if len(alike) == 1 else "what it has taken"
    unseen = "is cancelled unseen, and may have finished"
    how = unseen if best.way.by_cancel else "may be done beside the others, and nobody looks"
    return RawFinding(
        at=subject.site(at),
        message=f"{names} {how}: {taken} is dropped",
        confidence=best.confidence,
        notes=tuple(_notes(subject, at, best, alike)),
        help=_CANCELLED_CURE if best.way.cancelled else _CURE,
    )


def _notes(subject: Subject, at: int, best: _Told, alike: list[_Told]) -> Iterator[SiteNote]:
    way = best.way
    for told in alike:
        started = told.dropped.started
        yield SiteNote(subject.site(started), f"{_name(subject, told.dropped)} is started here")
    if way.wait != at:
        raced = (
            "it may finish in the moment in which this wait is cancelled" if way.cancelled else "raced here"
        )
        yield SiteNote(subject.site(way.wait), raced)
    if way.ending is RaceEnding.READS_ON and not way.by_cancel:
        yield SiteNote(subject.site(way.at), "and the source is read on here")


def _name(subject: Subject, dropped: DroppedWinner) -> str:
    """Name a task as its author does."""
    for step in subject.project.program.function(subject.function).steps:
        match step:
            case Assign(target=Name(id=name), value=Temp(step=made), op="") if made == dropped.started:
                return f"`{name.partition('@')[0]}`"
            case _:
                pass
    return f"the task of `{dropped.stake.runs}`" if dropped.stake.runs else "a task"
