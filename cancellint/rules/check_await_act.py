"""CAN702."""

from collections.abc import Iterator

from cancellint.analysis.hazards.sharing.check_then_act import CheckThenAct, Harm
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule

_CURE = "do both under one `asyncio.Lock` and look again inside, or keep the task that does it and await that"


@rule("CAN702", Severity.WARNING)
def check_await_act(subject: Subject) -> Iterator[RawFinding]:
    """Shared state is tested, and changed after an await that a second task passes as well."""
    for found in subject.project.checks_then_acts.of(subject.function):
        written = site_of(found.written)
        yield RawFinding(
            at=subject.site(found.awaited),
            message=f"a second task that tests `self.{found.attribute}` while this waits {_harm(found)}",
            confidence=Confidence.POSSIBLE if found.harm is Harm.BEGINS else Confidence.LIKELY,
            notes=(
                SiteNote(subject.site(found.tested), f"`self.{found.attribute}` is tested here"),
                SiteNote(written, "and written here, after the wait"),
            ),
            help=_CURE,
        )
    for late in subject.project.late_counts(subject.function):
        yield RawFinding(
            at=subject.site(late.awaited),
            message=f"others find `self.{late.attribute}` below its limit while this waits, "
            "and it goes up only afterwards",
            confidence=Confidence.LIKELY,
            notes=(
                SiteNote(subject.site(late.tested), f"`self.{late.attribute}` is compared here"),
                SiteNote(subject.site(late.counted), "and goes up here, after the wait"),
            ),
            help="count before the wait, and take it back if that fails, or wait for a permit of a semaphore",
        )


def _harm(found: CheckThenAct) -> str:
    match found.harm:
        case Harm.OPENS:
            return "opens another one, and one of the two is never closed"
        case Harm.BEGINS:
            return "begins the same again"
        case Harm.SPENDS:
            return "does the same with what this is about to replace"
