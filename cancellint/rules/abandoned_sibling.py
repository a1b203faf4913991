"""CAN102."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.hazards.tasks.abandonment import Abandoned, Departure, Left, abandoned
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote, weakest
from cancellint.model.ir import Assign, Await, Const, Name, Raise, Return, Temp
from cancellint.model.summary import RESULT
from cancellint.rules.rule import Subject, rule


@rule("CAN102", Severity.ERROR)
def abandoned_sibling(subject: Subject) -> Iterator[RawFinding]:
    """Tasks that are waited for together are left running on some path, and go on consuming."""
    project = subject.project
    groups: dict[int, list[_Told]] = {}
    for one in abandoned(project.effects, project.facts_of, project.contenders, subject.function):
        told = _told(subject, one)
        if told is not None:
            groups.setdefault(told.left.waits, []).append(told)
    for group in groups.values():
        yield _with_canceller(subject, group, _finding(subject, group))


def _with_canceller(subject: Subject, group: list["_Told"], found: RawFinding) -> RawFinding:
    """Return a finding with who cancels the wait, if it is by a cancellation that the tasks are left."""
    best = min(group, key=lambda told: (told.confidence.rank, told.left))
    if best.left.way is not Departure.CANCELLED:
        return found
    takes = best.task.stake.taken(again=False)
    takes_for_nobody = bool(takes) and takes[0].into == RESULT
    source = takes[0].source if takes else RESULT
    return subject.cancelled(found, source, best.left.at, harms=takes_for_nobody or not takes)


class _Told(Struct, frozen=True):
    """A task, the way on which it is left that says most, and how firmly that stands."""

    task: Abandoned
    left: Left
    confidence: Confidence


def _told(subject: Subject, task: Abandoned) -> _Told | None:
    """Return what is to be told of a task; nothing of one that only finishes what it is at."""
    ranked = [(confidence.rank, left, confidence) for left, confidence in _judged(subject, task)]
    if not ranked:
        return None
    _, left, confidence = min(ranked)
    return _Told(task, left, confidence)


def _judged(subject: Subject, task: Abandoned) -> Iterator[tuple[Left, Confidence]]:
    for left in task.ways:
        confidence = _confidence(subject, task, left)
        if confidence is not None:
            yield left, confidence if task.complete else Confidence.POSSIBLE


def _confidence(subject: Subject, task: Abandoned, left: Left) -> Confidence | None:
    """Return how firmly it stands that a task is missed, None where it merely ends by itself."""
    stake = task.stake
    takes = stake.taken(again=left.way is Departure.RENEWED)
    if takes:
        weight = _weight(subject, left, loses=takes[0].into == RESULT)
        return weakest(takes[0].confidence, weight)
    if stake.endless is not None:
        return Confidence.POSSIBLE if left.way is Departure.FAILED else Confidence.LIKELY
    if stake.given and left.way is Departure.LEFT:
        return Confidence.POSSIBLE  # what was given may well end by itself
    return None


def _weight(subject: Subject, left: Left, *, loses: bool) -> Confidence:
    """Return how surely it matters that a task goes on to take.

    It does where the source surely outlives the task: the task is started anew, or the next call takes from
    it. A coroutine that gives its caller what it has taken is called again; a worker that is cancelled may
    have been the last one to ask. What fails often takes its connection with it.
    """
    match left.way:
        case Departure.RENEWED:
            return Confidence.CERTAIN if loses else Confidence.LIKELY
        case Departure.FAILED:
            return Confidence.LIKELY if loses and not _is_gathered(subject, left) else Confidence.POSSIBLE
        case Departure.LEFT | Departure.CANCELLED:
            function = subject.project.program.function(subject.function)
            given = (step.value for step in function.steps if isinstance(step, Return))
            gives = any(value != Const("none", "None") for value in given)
            return Confidence.CERTAIN if loses and gives else Confidence.LIKELY


def _is_gathered(subject: Subject, left: Left) -> bool:
    """Tell whether the tasks are left by a `gather`, one of which has failed."""
    step = subject.project.program.function(subject.function).steps[left.at]
    return (
        isinstance(step, Await)
        and isinstance(step.value, Temp)
        and subject.project.contenders.waiting(subject.function, step.value.step) is not None
    )


def _finding(subject: Subject, group: list[_Told]) -> RawFinding:
    """Return one finding for what is waited for together, where it is left."""
    best = min(group, key=lambda told: (told.confidence.rank, told.left))
    alike = [told for told in group if _is_alike(told.left, best.left)]
    names = tuple(dict.fromkeys(_name(subject, told.task) for told in alike))
    alone = len(names) == 1
    at, when = _place(subject, best.left)
    return RawFinding(
        at=subject.site(at),
        message=f"{_listed(names)} {'is' if alone else 'are'} left running {when}:"
        f" {_harm(subject, best, alone=alone)}",
        confidence=best.confidence,
        notes=tuple(_notes(subject, best.left, at, alike)),
        help=_RENEWAL_CURE if best.left.way is Departure.RENEWED else _CURE,
    )


def _is_alike(left: Left, best: Left) -> bool:
    """Tell whether two tasks are left in the same place; started anew, they are so one after the other."""
    return left == best or (left.way is best.way is Departure.RENEWED)


_CURE = "cancel what still runs and await it, in a `finally` round the wait"
_RENEWAL_CURE = "keep the task for the next turn, or cancel it and await it before another one is started"


def _place(subject: Subject, left: Left) -> tuple[int, str]:
    """Return where a task is left, and how that is said."""
    match left.way:
        case Departure.RENEWED:
            return left.at, "when another one is started here"
        case Departure.CANCELLED:
            return left.at, "if this await is cancelled"
        case Departure.FAILED:
            return left.at, "if this await fails"
        case Departure.LEFT:
            steps = subject.project.program.function(subject.function).steps
            if left.at >= 0 and isinstance(steps[left.at], Return | Raise):
                return left.at, "here"
            return left.waits, "after this wait"


def _harm(subject: Subject, told: _Told, *, alone: bool) -> str:
    """Say what the task does from then on."""
    stake = told.task.stake
    it = "it" if alone else _name(subject, told.task)
    takes = stake.taken(again=told.left.way is Departure.RENEWED)
    if takes:
        take = takes[0]
        source = subject.project.traces.shown(subject.function, take.source)
        if take.into == RESULT:
            return f"what {it} takes from `{source}` next is lost"
        return f"{it} goes on to take from `{source}`"
    if stake.endless is not None:
        return f"`{stake.endless}` does not end by itself"
    return "nobody else can cancel it"


def _notes(subject: Subject, left: Left, at: int, alike: list[_Told]) -> Iterator[SiteNote]:
    starts = {_name(subject, told.task): told.task.started for told in reversed(alike)}
    for name, started in sorted(starts.items(), key=lambda pair: pair[1]):
        if started >= 0:
            yield SiteNote(subject.site(started), f"{name} is started here")
    if left.waits != at:
        yield SiteNote(subject.site(left.waits), "it is waited for here, together with others")


def _name(subject: Subject, task: Abandoned) -> str:
    """Name a task as its author does."""
    if task.started < 0:
        return f"what was given as `{task.stake.runs}`"
    for step in subject.project.program.function(subject.function).steps:
        match step:
            case Assign(target=Name(id=name), value=Temp(step=made), op="") if made == task.started:
                return f"`{name.partition('@')[0]}`"
            case _:
                pass
    return f"the task of `{task.stake.runs}`" if task.stake.runs else "a task made of what was given"


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
