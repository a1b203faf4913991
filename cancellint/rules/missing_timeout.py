"""CAN803."""

from collections.abc import Iterator

from cancellint.model.finding import RawFinding, Severity, SiteNote
from cancellint.rules.rule import Subject, rule


@rule("CAN803", Severity.WARNING, pedantic=True)
def missing_timeout(subject: Subject) -> Iterator[RawFinding]:
    """A reply is waited for without a limit, by a function that owns the connection until it is closed."""
    if not subject.project.result(subject.function).may_exchange:
        return
    for found in subject.project.unlimited_replies.of(subject.function):
        yield RawFinding(
            at=subject.site(found.at),
            message="a peer that never answers is waited for for ever, and the connection stays open as long",
            confidence=found.confidence,
            notes=(
                SiteNote(subject.site(found.sent), "it is asked here"),
                SiteNote(subject.site(found.closed), "only then the connection is closed"),
            ),
            help="put a timeout round the question and the answer, inside of the `try` that closes",
        )
