"""CAN105."""

from collections.abc import Iterator

from cancellint.analysis.explain.wording import left_undone, taken_on
from cancellint.analysis.hazards.obligations.obligations import Debt, ObligationKind
from cancellint.model.finding import Edit, Fix, RawFinding, Severity, SiteNote
from cancellint.model.summary import Verb
from cancellint.rules.rule import Subject, rule

_CURE = "catch `BaseException` here, clean up and raise again, or clean up in `finally`"


@rule("CAN105", Severity.ERROR)
def narrow_cleanup(subject: Subject) -> Iterator[RawFinding]:
    """The handler of an ordinary error cleans up after an await, and a cancellation passes it by."""
    for debt in subject.project.debts(subject.function):
        if debt.handler >= 0:
            left = left_undone(subject.project.traces, subject.function, debt)
            handler = subject.site(debt.handler)
            yield subject.cancelled(
                RawFinding(
                    at=handler,
                    message=f"{left} after a cancellation: this handler sees errors only",
                    confidence=debt.confidence,
                    notes=tuple(_notes(subject, debt)),
                    help=_CURE,
                    fix=Fix(Edit.WIDEN_HANDLER, (handler,)),
                ),
                debt.act.subject,
                debt.cancelled,
                debt.handler,
                harms=_harms(debt),
            )


def _harms(debt: Debt) -> bool:
    """Tell whether what is left is surely wrong, whoever has cancelled.

    What is closed that was there before may have been broken by the error alone, and what an answer takes out
    goes when the answer comes.
    """
    is_there = debt.kind is ObligationKind.CLEANUP and debt.act.verb not in (Verb.SETS, Verb.RESETS)
    return not is_there and not debt.is_answered


def _notes(subject: Subject, debt: Debt) -> Iterator[SiteNote]:
    if debt.taken >= 0:
        yield SiteNote(subject.site(debt.taken), taken_on(debt))
    yield SiteNote(subject.site(debt.cancelled), "cancelled here")
    if debt.witness is not None:
        yield SiteNote(subject.site(debt.witness.step), "and only an error is cleaned up here")
