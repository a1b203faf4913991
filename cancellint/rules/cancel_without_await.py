"""CAN404."""

from collections.abc import Iterator

from cancellint.analysis.hazards.tasks.unawaited_cancellations import Conflict, Unawaited
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule


@rule("CAN404", Severity.WARNING)
def cancel_without_await(subject: Subject) -> Iterator[RawFinding]:
    """A task is cancelled and not waited for, and what follows gets into the way of its cleanup."""
    for found in subject.project.unawaited_cancellations.of(subject.function):
        site = found.cleanup
        yield RawFinding(
            at=subject.site(found.cancelled),
            message=_message(found),
            confidence=Confidence.LIKELY,
            notes=(
                SiteNote(
                    site_of(site),
                    "when it is cancelled, it still waits here",
                ),
                SiteNote(subject.site(found.at), _at(found)),
            ),
            help="await the task after `cancel()`, and expect its CancelledError",
        )


def _message(found: Unawaited) -> str:
    what = f"nobody waits until the cancelled `{found.runs}` has cleaned up"
    match found.conflict:
        case Conflict.RESTART:
            return f"{what}: it assigns `{found.shared}` when the new one already runs"
        case Conflict.CLOSE:
            return f"{what}: `{found.shared}`, which it needs for that, is closed first"


def _at(found: Unawaited) -> str:
    return "it is started again here" if found.conflict is Conflict.RESTART else "it is closed here"
