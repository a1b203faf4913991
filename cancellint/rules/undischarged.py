"""What the rules about an obligation that a cancelled await leaves open report alike."""

from collections.abc import Iterable

from cancellint.analysis.explain.wording import left_undone
from cancellint.analysis.hazards.obligations.obligations import Debt
from cancellint.model.finding import Fix, RawFinding, SiteNote
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
    return subject.cancelled(found, debt.act.subject, debt.taken, debt.cancelled)
