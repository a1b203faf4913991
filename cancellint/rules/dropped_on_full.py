"""CAN304."""

from collections.abc import Iterator

from cancellint.analysis.hazards.channels.full_queues import Ends, FullQueue
from cancellint.analysis.hazards.queues.backlogs import shown
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule

_COMES_TO = {
    Ends.LOOP: "this loop ends with `{raised}` once `{queue}` is full, and all that comes later is lost",
    Ends.OTHERS: "once `{queue}` is full, `{raised}` ends this loop, and what it has not come to is left out",
    Ends.CONNECTION: "the connection is closed, by `{raised}`, once `{queue}` is full",
    Ends.CALL: "this call ends with `{raised}` once `{queue}` is full, and nobody handles that",
    Ends.ITEM: "whatever comes while `{queue}` is full is lost, and nobody is told",
}


@rule("CAN304", Severity.WARNING)
def dropped_on_full(subject: Subject) -> Iterator[RawFinding]:
    """Nothing is done about a queue that has no room for what is put into it."""
    for found in subject.project.full_queues.of(subject.function):
        words = _COMES_TO[found.ends]
        yield RawFinding(
            at=subject.site(found.at),
            message=words.format(raised=found.raised.rpartition(".")[2], queue=shown(found.queue)),
            confidence=_confidence(found),
            notes=tuple(_notes(subject, found)),
            help="wait until there is room, or handle the full queue: count, log or report what is dropped",
        )


def _confidence(found: FullQueue) -> Confidence:
    """Return how firmly it stands that somebody is hurt.

    An error that nobody handles is no choice; that it comes to that is seen only where a peer sets the pace.
    What is dropped without a word may well be what the author wants.
    """
    if found.ends in (Ends.ITEM, Ends.CALL) or found.is_small or found.inflow is None:
        return Confidence.POSSIBLE
    return Confidence.LIKELY if found.inflow.confidence is Confidence.CERTAIN else Confidence.POSSIBLE


def _notes(subject: Subject, found: FullQueue) -> Iterator[SiteNote]:
    yield SiteNote(site_of(found.made), "the queue is made here, with a limit")
    if found.inflow is not None:
        yield SiteNote(site_of(found.inflow.source), "what is put comes from a peer, at its own pace")
    if site_of(found.ended) != subject.site(found.at):
        yield SiteNote(site_of(found.ended), "this is what the error ends")
