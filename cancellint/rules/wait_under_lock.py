"""CAN204."""

from collections.abc import Iterator
from itertools import pairwise

from cancellint.analysis.explain.written import written
from cancellint.analysis.hazards.locks.lock_waits import LockWait
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.ir import Attr, Await, Call, Temp
from cancellint.model.types import CallSite, site_of
from cancellint.rules.rule import Subject, rule

_MOST_TOLD = 3


@rule("CAN204", Severity.ERROR)
def wait_under_lock(subject: Subject) -> Iterator[RawFinding]:
    """A lock is held while waiting for what only somebody can give who needs the lock."""
    if not subject.project.result(subject.function).takes_lock:
        return
    for found in subject.project.lock_waits.of(subject.function):
        yield RawFinding(
            at=subject.site(found.step),
            message=_message(subject, found),
            # the others may not come meanwhile
            confidence=Confidence.POSSIBLE if found.others else found.confidence,
            notes=tuple(_notes(subject, found)),
            help="release the lock before the wait, and take it again for what comes",
            severity=None if found.ending else Severity.WARNING,
        )


def _message(subject: Subject, found: LockWait) -> str:
    lock = subject.project.traces.shown(subject.function, found.taken.path)
    if found.others:
        names = _names(subject, found.others)
        return (
            f"{names} cannot get `{lock}` until `{_call(subject, found.wait.leaf)}` returns, whenever that is"
        )
    harm = "this can only time out" if found.timed else "this waits for ever"
    ends = " or ".join(dict.fromkeys(f"`{_call(subject, each)}`" for each in found.ending[:_MOST_TOLD]))
    return f"{harm}: {_names(subject, found.ending)} needs `{lock}`, which is held here, to call {ends}"


def _call(subject: Subject, at: CallSite) -> str:
    """Return a call, or a future that is awaited, as its author would write it."""
    effects = subject.project.effects
    step = effects.program.function(at.function).steps[at.step]
    if isinstance(step, Await) and isinstance(step.value, Temp):
        step = effects.program.function(at.function).steps[step.value.step]
    if isinstance(step, Call) and isinstance(step.func, Attr):
        path = effects.frame(at.function).path(step.func.base)
        return f"{written(effects, at.function, path) if path is not None else '...'}.{step.func.name}()"
    path = effects.frame(at.function).path(step.value) if isinstance(step, Await) else None
    return f"await {written(effects, at.function, path)}" if path is not None else "await"


def _names(subject: Subject, sites: tuple[CallSite, ...]) -> str:
    names = dict.fromkeys(subject.project.program.function(each.function).qualname for each in sites)
    shown = [f"`{name}`" for name in names][:_MOST_TOLD]
    return " or ".join(shown) + (" or others" if len(names) > _MOST_TOLD else "")


def _notes(subject: Subject, found: LockWait) -> Iterator[SiteNote]:
    yield SiteNote(subject.site(found.taken.step), "the lock is taken here")
    for at, callee in pairwise(found.wait.hops):
        name = subject.project.program.function(callee.function).qualname
        yield SiteNote(site_of(at), f"`{name}` is called here")
    if len(found.wait.hops) > 1:
        yield SiteNote(site_of(found.wait.leaf), "which waits here")
    for each in found.ending[:_MOST_TOLD]:
        yield SiteNote(site_of(each), "this would end the wait, and happens only with the lock in hand")
    for each in found.others[:_MOST_TOLD]:
        yield SiteNote(site_of(each), "the lock is waited for here meanwhile")
