"""CAN401."""

from collections.abc import Iterator

from cancellint.analysis.callgraph.handle_trails import Ending
from cancellint.analysis.callgraph.handles import Dropped
from cancellint.analysis.hazards.tasks.dropped_tasks import DroppedTask
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote, weakest
from cancellint.model.types import CallSite, site_of
from cancellint.rules.rule import Subject, rule

_TASK_CURE = (
    "await it, start it in a task group, or keep it in a set that outlives this function until it is done"
)
_THREAD_CURE = "keep the future and look at its result, or handle errors in what is submitted"


@rule("CAN401", Severity.WARNING)
def dropped_task(subject: Subject) -> Iterator[RawFinding]:
    """Nobody keeps the handle of a task, so it may be collected in flight or its error is lost."""
    for task in subject.project.dropped_tasks.of(subject.function):
        dropped = task.dropped
        if dropped.ending is Ending.DISCARDED and not subject.project.settings.underscore_drops:
            continue
        started = dropped.started
        yield RawFinding(
            at=subject.site(dropped.step),
            message=f"{_what(dropped)}: {_harm(task)}",
            confidence=_confidence(task),
            notes=tuple(_notes(started.helpers)),
            help=_THREAD_CURE if started.in_thread else _TASK_CURE,
            severity=Severity.ERROR if task.raises else None,
            cause=_cause(subject, task),
        )


def _cause(subject: Subject, task: DroppedTask) -> str | None:
    """Return the helper that hands over what nobody takes, or what is run: it could keep its task itself.

    Where nobody knows what is run, it is what one class calls by one name.
    """
    started = task.dropped.started
    if started.helpers:
        return subject.likeness(started.helpers[-1].function, started.helpers[-1].step)
    if task.runs:
        return " or ".join(subject.likeness(key, 0) for key in task.runs)
    cls = subject.project.program.class_of(subject.function)
    return f"{cls}:{started.runs}" if cls is not None and started.runs else None


def _confidence(task: DroppedTask) -> Confidence:
    """Return how firmly it stands that something is lost that somebody would miss.

    A helper that keeps none of its tasks is one place to mend, and sooner or later runs one that matters.
    """
    if not task.matters or not (task.loses_error or task.dropped.started.helpers):
        return Confidence.POSSIBLE
    known = Confidence.CERTAIN if task.is_silent and task.raises else Confidence.LIKELY
    return weakest(known, task.dropped.started.confidence)


def _what(dropped: Dropped) -> str:
    kind = "future" if dropped.started.in_thread else "task"
    name = f"the {kind} of `{dropped.started.runs}`" if dropped.started.runs else f"this {kind}"
    match dropped.ending:
        case Ending.UNBOUND:
            return f"{name} is dropped"
        case Ending.UNUSED:
            return f"{name} is dropped, `{dropped.holder}` is never used"
        case Ending.DISCARDED:
            return f"{name} is dropped, `{dropped.holder}` keeps it no longer than this function runs"
        case Ending.UNSEEN if dropped.holder:
            return f"{name} is dropped with `{dropped.holder}`, which nobody looks at"
        case Ending.UNSEEN:
            return f"{name} is dropped"
        case Ending.WEAK:
            return f"{name} has only a weak reference"


def _harm(task: DroppedTask) -> str:
    started = task.dropped.started
    unseen = "nobody sees its error"
    if not task.may_be_collected:
        return unseen
    collected = "it may be garbage-collected before it is done"
    if started.told:
        return f"its done-callback sees the error but keeps no reference, so {collected}"
    if started.watched:
        collected = f"its done-callback keeps no reference, so {collected}"
    return f"{collected}, and {unseen}" if task.loses_error else collected


def _notes(helpers: tuple[CallSite, ...]) -> Iterator[SiteNote]:
    for helper in helpers:
        site = site_of(helper)
        yield SiteNote(site, "it is started here and returned, and nothing here keeps it")
