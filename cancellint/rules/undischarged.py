"""What the rules about an obligation that a cancelled await leaves open report alike."""

from collections.abc import Iterable

from msgspec import structs

from cancellint.analysis.explain.wording import left_undone
from cancellint.analysis.hazards.obligations.obligations import Debt
from cancellint.model.finding import Canceller, Confidence, Fix, RawFinding, SiteNote
from cancellint.model.summary import Verb
from cancellint.rules.rule import Subject

_SELDOM_MISSED = frozenset({Verb.ADDS, Verb.RAISES})
"""An entry, or one more in a count, mostly just stays there; a flag or a lock turns the next call away."""


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
    found = subject.cancelled(
        found, debt.act.subject, debt.taken, debt.cancelled, harms=debt.act.verb not in _SELDOM_MISSED
    )
    if debt.is_answered:
        in_time = subject.project.cancellers.times_out(subject.function)
        if not in_time and found.canceller is not Canceller.RACE:
            # the answer takes it out after all, unless there is none: that is what a timeout is for
            return structs.replace(found, confidence=Confidence.POSSIBLE)
    return found
