"""CAN201."""

from collections.abc import Iterator

from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.rules.rule import Subject, rule


@rule("CAN201", Severity.ERROR)
def thread_lock_across_await(subject: Subject) -> Iterator[RawFinding]:
    """A threading lock is held while the event loop runs other tasks."""
    traces = subject.project.traces
    for held in subject.project.result(subject.function).locks:
        lock = traces.shown(subject.function, held.lock)
        yield RawFinding(
            at=subject.site(held.awaited),
            message=f"`{lock}` stays locked while this await is suspended",
            confidence=Confidence.CERTAIN,
            notes=(SiteNote(subject.site(held.taken), "the threading lock is taken here"),),
            help="release it before the await, or use the event loop's own lock with `async with`",
        )
