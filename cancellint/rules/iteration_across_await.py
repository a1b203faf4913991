"""CAN703."""

from collections.abc import Iterator

from cancellint.analysis.hazards.queues.backlogs import shown
from cancellint.analysis.hazards.sharing.changed_iterations import ChangedIteration, Changing
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule

_BY = {
    Changing.CALLED: "the loop itself calls this",
    Changing.CALLED_BACK: "this is called back when a task is done",
    Changing.REMOVES: "another task removes something here",
    Changing.ADDS: "another task adds something here",
    Changing.SELDOM: "another task may add or remove something here",
}


@rule("CAN703", Severity.WARNING)
def iteration_across_await(subject: Subject) -> Iterator[RawFinding]:
    """A loop over a shared container waits in between, and what others add or remove then breaks it."""
    for found in subject.project.changed_iterations.of(subject.function):
        container = shown(found.container)
        yield RawFinding(
            at=subject.site(found.at),
            message=f"{_harm(found)}: `{container}` may be changed while this loop waits",
            confidence=_confidence(found),
            notes=(
                SiteNote(subject.site(found.awaited), "it waits here, and goes on to the next item"),
                SiteNote(site_of(found.changed), _BY[found.changing]),
            ),
            cause=".".join(found.home),
            help="go over a copy: `for … in list(…)`",
        )


def _harm(found: ChangedIteration) -> str:
    if found.cls == "list":
        return "an item may be left out"
    return "this loop ends with a RuntimeError"


def _confidence(found: ChangedIteration) -> Confidence:
    if found.cls == "list" or found.changing > Changing.REMOVES:
        return Confidence.POSSIBLE
    return Confidence.LIKELY
