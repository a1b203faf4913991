"""What the rules about an obligation that a cancelled await leaves open report alike."""

from collections.abc import Iterable

from msgspec import structs

from cancellint.analysis.explain.wording import left_undone
from cancellint.analysis.hazards.obligations.obligations import Debt
from cancellint.model.finding import Canceller, Confidence, Fix, RawFinding, SiteNote
from cancellint.rules.rule import Subject


def undischarged(
    subject: Subject, debt: Debt, notes: Iterable[SiteNote], cure: str, fix: Fix | None
) -> RawFinding:
    """Return the finding at the await, with who cancels it."""
    left = left_undone(subject.project.traces, subject.function, debt)
    found = RawFinding(
        at=subject.site(debt.cancelled),
        message=f"{left} if this await is cancelled",
        confidence=debt.confidence,
        notes=tuple(notes),
        help=cure,
        fix=fix,
    )
    found = subject.cancelled(found, debt.act.subject, debt.taken, debt.cancelled)
    if debt.is_answered:
        in_time = subject.project.cancellers.times_out(subject.function) or found.canceller is Canceller.RACE
        if not debt.awaits_answer or not in_time:
            # the answer takes it out after all, unless there is none: that is what a timeout is for
            return structs.replace(found, confidence=Confidence.POSSIBLE)
    return found
