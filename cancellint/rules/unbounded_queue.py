"""CAN301."""

from collections.abc import Iterator

from cancellint.analysis.flow.inflows import Growth
from cancellint.analysis.hazards.queues.backlogs import Backlog, BacklogKind
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule

_MOST_DRAINS = 2
"""Places that drain a queue which are shown."""

_MOST_CALLS = 2
"""Calls after which what rests on names is no longer likely."""

_CURES = {
    BacklogKind.QUEUE: "give it a `maxsize`",
    BacklogKind.STREAM: "give it a finite buffer",
    BacklogKind.CHANNEL: "give it a finite buffer",
    BacklogKind.DEQUE: "compare its length with a limit before more is appended",
    BacklogKind.LIST: "compare its length with a limit before more is appended",
}
_REST = {
    Growth.LOOP: "and let the loop wait while it is full, so that the peer has to",
    Growth.CALLBACK: "and pause reading, or close the connection, while it is full",
    Growth.HANDLER: "and let the handler wait, or refuse the request, while it is full",
}


@rule("CAN301", Severity.WARNING)
def unbounded_queue(subject: Subject) -> Iterator[RawFinding]:
    """A queue without a bound is fed by the network and drained at its own speed."""
    for backlog in subject.project.backlogs.made_in(subject.function):
        inflow = backlog.feed.inflow
        yield RawFinding(
            at=subject.site(backlog.made.step),
            message=f"`{backlog.shown}` grows without bound: {inflow.growth} feeds it with what a peer sends",
            confidence=_confidence(backlog),
            notes=tuple(_notes(backlog)),
            cause=subject.likeness(backlog.feed.at.function, backlog.feed.at.step),
            help=f"{_CURES[backlog.kind]} {_REST[inflow.growth]}",
        )


def _confidence(backlog: Backlog) -> Confidence:
    """Return how firmly a backlog stands.

    That a plain container is a queue is seen from its use alone. Where names tell that a peer sends,
    every call further on makes it less likely that everything it sends gets that far. Whether the consumer
    of a generator falls behind is not seen either.
    """
    stands = _fed(backlog)
    weaker = min(stands.rank + 1, len(tuple(Confidence)) - 1)
    return tuple(Confidence)[weaker] if backlog.handed_on else stands


def _fed(backlog: Backlog) -> Confidence:
    """Return how firmly it stands that a peer fills a queue faster than it is drained.

    A callback is called however much is waiting. What a loop reads for itself, and what a handler is asked,
    may be no more than what this side has asked for before, and the program mostly keeps up with what it
    drains by itself.
    """
    inflow = backlog.feed.inflow
    if inflow.growth is not Growth.CALLBACK and not backlog.asked_for:
        return Confidence.POSSIBLE
    if inflow.confidence is Confidence.CERTAIN:
        firm = inflow.growth is Growth.CALLBACK and not backlog.kind.is_plain and backlog.asked_for
        return Confidence.CERTAIN if firm else Confidence.LIKELY
    weak = len(inflow.calls) > _MOST_CALLS or (backlog.kind.is_plain and inflow.growth is Growth.LOOP)
    return Confidence.POSSIBLE if weak else inflow.confidence


def _notes(backlog: Backlog) -> Iterator[SiteNote]:
    inflow = backlog.feed.inflow
    match inflow.growth:
        case Growth.LOOP:
            yield SiteNote(site_of(inflow.source), "each turn of this loop waits for what a peer sends")
        case Growth.CALLBACK:
            yield SiteNote(site_of(inflow.source), "this is called back with whatever a peer sends")
        case Growth.HANDLER:
            yield SiteNote(site_of(inflow.source), "this runs for every request or connection")
    for call in inflow.calls:
        yield SiteNote(site_of(call), "this call hands it on")
    yield SiteNote(site_of(backlog.feed.at), f"the {backlog.kind} is fed here, however full it is")
    for drain in backlog.drains[:_MOST_DRAINS]:
        yield SiteNote(site_of(drain), "it is drained here, at the speed of this code")
