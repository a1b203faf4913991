"""CAN403."""

from collections.abc import Iterator

from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule


@rule("CAN403", Severity.WARNING)
def ignored_gather_errors(subject: Subject) -> Iterator[RawFinding]:
    """A gathering returns the errors of its tasks, and nobody looks at them."""
    for found in subject.project.gathered_errors.of(subject.function):
        site = found.operation.site
        yield RawFinding(
            at=subject.site(found.awaited),
            message=f"nobody sees it when `{found.runs}` fails: `{found.gathers}` returns its error, "
            "and that is dropped",
            confidence=Confidence.LIKELY if found.raises and found.started_here else Confidence.POSSIBLE,
            notes=(
                SiteNote(
                    site_of(site),
                    "it may raise an error of its own" if found.raises else "it may fail",
                ),
            ),
            help="look through the results for errors, or let it raise",
        )
