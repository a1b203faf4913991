"""CAN402."""

from collections.abc import Iterator

from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.source import Site
from cancellint.rules.rule import Subject, rule


@rule("CAN402", Severity.WARNING)
def unobserved_task(subject: Subject) -> Iterator[RawFinding]:
    """A task that is to run for ever is kept where nobody looks, so nobody sees it end."""
    for found in subject.project.unobserved_tasks.of(subject.function):
        entry = found.entry
        yield RawFinding(
            at=subject.site(found.started),
            message=f"when `{found.runs}` fails, it stays dead and nobody sees its error: "
            f"`{found.attribute}` keeps its task, and nobody looks at that",
            confidence=Confidence.LIKELY,
            notes=(SiteNote(Site(entry.module, entry.function, -1), "it is to run for ever, and may fail"),),
            help="handle errors in it, or give the task a done-callback that reports them",
        )
