"""CAN302."""

from collections.abc import Iterator

from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.types import site_at
from cancellint.rules.rule import Subject, rule


@rule("CAN302", Severity.WARNING)
def unbounded_spawn(subject: Subject) -> Iterator[RawFinding]:
    """A task is started for everything that comes in, and nothing limits their number."""
    program = subject.project.program
    for found in subject.project.spawn_loops.of(subject.function):
        if not found.is_unbounded:
            continue
        what = "whoever sends" if found.from_peer else "the source"
        work = program.function(found.work).qualname
        yield RawFinding(
            at=subject.site(found.at),
            message=f"as many tasks run `{work}` at once as come in: {what} is never held back",
            confidence=Confidence.LIKELY if found.from_peer else Confidence.POSSIBLE,
            notes=(
                SiteNote(subject.site(found.source), "each turn of the loop takes one item here"),
                SiteNote(site_at(found.work, -1), "and each is worked on here, at its own speed"),
            ),
            help="take a permit before the task is started, and give it back when it is done",
        )
