"""CAN106."""

from collections.abc import Iterator

from cancellint.analysis.explain.wording import taken_on
from cancellint.analysis.hazards.obligations.obligations import Debt, ObligationKind, Witness
from cancellint.model.finding import Confidence, Edit, Fix, RawFinding, Severity, SiteNote
from cancellint.model.source import Site
from cancellint.model.types import CallSite
from cancellint.rules.rule import Subject, rule
from cancellint.rules.undischarged import undischarged

_CURE = "hold it in `async with`, or give it back in the `finally` of a `try` that begins right after"


@rule("CAN106", Severity.ERROR)
def leaked_acquire(subject: Subject) -> Iterator[RawFinding]:
    """A lock, permit or pooled object is not given back if an await is cancelled while it is held."""
    for debt in subject.project.debts(subject.function):
        if debt.kind is ObligationKind.HELD and debt.handler < 0:
            yield undischarged(subject, debt, _notes(subject, debt), _CURE, _fix(subject, debt))


def _notes(subject: Subject, debt: Debt) -> Iterator[SiteNote]:
    if debt.taken >= 0:
        yield SiteNote(subject.site(debt.taken), taken_on(debt))
    match debt.witness:
        case Witness(elsewhere=CallSite(function=there, step=step)):
            site = Site(there.module, there.function, step)
            yield SiteNote(site, "only this gives it back, and it does not run if the taking is cancelled")
        case Witness(step=step):
            yield SiteNote(subject.site(step), "it is given back here, out of a cancellation's way")
        case None:
            pass


def _fix(subject: Subject, debt: Debt) -> Fix | None:
    if debt.witness is None or debt.witness.elsewhere is not None or debt.taken < 0:
        return None
    is_lock = debt.act.item is None and debt.confidence is Confidence.CERTAIN
    edit = Edit.HOLD_IN_ASYNC_WITH if is_lock else Edit.RELEASE_IN_FINALLY
    return Fix(edit, tuple(subject.site(step) for step in (debt.taken, *debt.undone)))
