"""CAN107."""

from collections.abc import Iterator

from cancellint.analysis.explain.wording import taken_on
from cancellint.analysis.hazards.obligations.obligations import Debt, ObligationKind
from cancellint.model.finding import Edit, Fix, RawFinding, Severity, SiteNote
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule
from cancellint.rules.undischarged import undischarged

_CURE = "undo it in the `finally` of a `try` that begins right after the change"


@rule("CAN107", Severity.ERROR)
def stranded_state(subject: Subject) -> Iterator[RawFinding]:
    """Shared state is changed before an await and changed back after it, but not if it is cancelled."""
    for debt in subject.project.debts(subject.function):
        if debt.kind is ObligationKind.STATE and debt.handler < 0:
            yield undischarged(subject, debt, _notes(subject, debt), _CURE, _fix(subject, debt))


def _notes(subject: Subject, debt: Debt) -> Iterator[SiteNote]:
    yield SiteNote(subject.site(debt.taken), taken_on(debt))
    witness = debt.witness
    if witness is None:
        return
    if witness.elsewhere is not None:
        at = witness.elsewhere
        site = site_of(at)
        yield SiteNote(site, "it is taken out here, if the answer ever comes")
    else:
        yield SiteNote(subject.site(witness.step), "it is undone here, out of a cancellation's way")


def _fix(subject: Subject, debt: Debt) -> Fix | None:
    if not debt.undone:
        return None
    return Fix(Edit.UNDO_IN_FINALLY, tuple(subject.site(step) for step in (debt.taken, *debt.undone)))
