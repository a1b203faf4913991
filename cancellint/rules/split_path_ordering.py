"""CAN601."""

from collections.abc import Iterator

from cancellint.analysis.hazards.queues.backlogs import shown
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule


@rule("CAN601", Severity.WARNING)
def split_path_ordering(subject: Subject) -> Iterator[RawFinding]:
    """One sender's messages come to one receiver over two paths, and the later one may be there first."""
    for found in subject.project.split_paths.of(subject.function):
        receiver = subject.project.program.function(found.received.function).qualname
        harm = "and stops" if found.ends else "in the wrong order"
        way = "in a task of its own" if found.by_task else "through another queue"
        yield RawFinding(
            at=subject.site(found.later),
            message=f"this overtakes what was sent before: `{receiver}` may receive it first, {harm}",
            confidence=Confidence.LIKELY if found.ends else Confidence.POSSIBLE,
            notes=(
                SiteNote(subject.site(found.first), f"what was sent before goes {way}"),
                SiteNote(
                    site_of(found.forwarded),
                    f"and comes to `{shown(found.put.queue)}` from here, some time later",
                ),
                SiteNote(site_of(found.received), "both are received here"),
            ),
            help="send both over one path, or wait until the first has arrived",
        )
