"""CAN602."""

from collections.abc import Iterator

from cancellint.analysis.hazards.queues.backlogs import shown
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.types import site_at
from cancellint.rules.rule import Subject, rule


@rule("CAN602", Severity.WARNING)
def spawn_per_message(subject: Subject) -> Iterator[RawFinding]:
    """Each message of a source is worked on by a task of its own, and an earlier one may be done later."""
    for found in subject.project.spawned_messages.of(subject.function):
        target = shown(found.target)
        yield RawFinding(
            at=subject.site(found.loop.at),
            message=f"an earlier message may be done after the next one: `{target}` then tells of the past",
            confidence=Confidence.POSSIBLE,
            notes=(
                SiteNote(subject.site(found.loop.source), "the messages come in order here"),
                SiteNote(
                    site_at(found.loop.work, found.waits), "one task may wait longer here than the next"
                ),
                SiteNote(site_at(found.loop.work, found.written), f"and set `{target}` last"),
            ),
            help="work on the messages one after the other, or compare their order before anything is set",
        )
