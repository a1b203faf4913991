"""CAN303."""

from collections.abc import Iterator

from cancellint.analysis.hazards.queues.backlogs import shown
from cancellint.analysis.hazards.queues.undrained_writes import Pace, UndrainedWrite
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.rules.rule import Subject, rule

_MESSAGES = {
    Pace.PEER: "what a peer sends piles up in `{stream}`: this loop never waits until it is written",
    Pace.ANSWERS: "answers pile up in `{stream}` if whoever asks does not read them: this loop never waits",
    Pace.OWN: "all that this loop writes may pile up in `{stream}`: it never waits until it is written",
}


@rule("CAN303", Severity.WARNING)
def write_without_drain(subject: Subject) -> Iterator[RawFinding]:
    """A loop writes to a stream and never waits until that has room."""
    for found in subject.project.undrained_writes.of(subject.function):
        stream = shown(found.stream)
        yield RawFinding(
            at=subject.site(found.at),
            message=_MESSAGES[found.pace].format(stream=stream),
            confidence=Confidence.LIKELY if found.pace is Pace.PEER else Confidence.POSSIBLE,
            notes=tuple(_notes(subject, found)),
            help=f"await `{stream}.{found.waits}()` after it",
        )


def _notes(subject: Subject, found: UndrainedWrite) -> Iterator[SiteNote]:
    if found.source is not None:
        yield SiteNote(subject.site(found.source), "each turn of the loop reads from a peer here")
