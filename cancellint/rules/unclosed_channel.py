"""CAN305."""

from collections.abc import Iterator

from cancellint.analysis.hazards.channels.unended_queues import UnendedQueue
from cancellint.analysis.hazards.queues.backlogs import shown
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.summary import RESULT
from cancellint.model.types import CallSite, site_of
from cancellint.rules.rule import Subject, rule


@rule("CAN305", Severity.WARNING)
def unclosed_channel(subject: Subject) -> Iterator[RawFinding]:
    """A receiver waits for an end that its sender does not tell when it fails or is cancelled."""
    yield from _unended(subject)
    yield from _uncounted(subject)
    yield from _deserted(subject)


def _uncounted(subject: Subject) -> Iterator[RawFinding]:
    """Yield the workers that do not tell that a job is done when it fails."""
    for found in subject.project.uncounted_jobs.of(subject.function):
        after = "the next job is taken" if found.goes_on else "it ends the worker"
        yield RawFinding(
            at=subject.site(found.done),
            message=f"an error before this leaves `{_qualname(subject, found.waiting)}` waiting for ever: "
            f"a job of `{shown(found.queue)}` is counted as done only if nothing fails",
            confidence=Confidence.LIKELY if found.is_near or found.goes_on else Confidence.POSSIBLE,
            notes=(
                SiteNote(site_of(found.started), "this runs in a task of its own"),
                SiteNote(subject.site(found.failing), f"an error here, and {after}"),
                SiteNote(
                    site_of(found.waiting), "until all jobs are done is waited here, without a time limit"
                ),
            ),
            help="call `task_done` in `finally`",
        )


def _deserted(subject: Subject) -> Iterator[RawFinding]:
    """Yield the leaders that end before they have told their followers."""
    for found in subject.project.leaders.in_function(subject.function):
        how = "fails or is cancelled" if found.fails else "is cancelled"
        raw = RawFinding(
            at=subject.site(found.awaited),
            message=f"`{_qualname(subject, found.follower)}` waits for ever if this {how}: "
            "what it waits for is completed only afterwards",
            confidence=Confidence.LIKELY,
            notes=(
                SiteNote(site_of(found.kept), "from here on others find it, and wait for it"),
                SiteNote(site_of(found.follower), "they wait here, without a time limit"),
                SiteNote(subject.site(found.completed), "it is completed here, if all goes well"),
            ),
            help="complete or cancel it in `finally`, or in `except BaseException`, too",
        )
        yield raw if found.fails else subject.cancelled(raw, RESULT, found.awaited)


def _unended(subject: Subject) -> Iterator[RawFinding]:
    """Yield the producers that end without a word when they fail."""
    for found in subject.project.unended_queues.of(subject.function):
        yield RawFinding(
            at=subject.site(found.told),
            message=f"an error before this leaves `{_qualname(subject, found.waiting)}` waiting for ever: "
            f"the end of `{shown(found.queue)}` is told only if nothing fails",
            confidence=_confidence(found),
            notes=(
                SiteNote(
                    site_of(found.started),
                    "this runs in a task of its own" if not found.in_thread else "this runs in a thread",
                ),
                SiteNote(subject.site(found.failing), "an error here ends it"),
                SiteNote(site_of(found.waiting), "the end is waited for here, without a time limit"),
            ),
            help="tell the end in `finally`",
        )


def _qualname(subject: Subject, at: CallSite) -> str:
    return subject.project.program.function(at.function).qualname


def _confidence(found: UnendedQueue) -> Confidence:
    if found.is_told_elsewhere or not found.is_near:
        return Confidence.POSSIBLE
    return Confidence.LIKELY
