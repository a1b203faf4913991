"""CAN110."""

from collections.abc import Iterator

from cancellint.analysis.hazards.futures.shared_futures import Shared, Sharing
from cancellint.analysis.hazards.queues.backlogs import shown
from cancellint.model.finding import Edit, Fix, RawFinding, Severity, SiteNote
from cancellint.model.summary import Path
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule

_NOTES = {
    Sharing.MADE_ONCE: "whoever comes first puts it there, and those after find it",
    Sharing.HANDED_OUT: "whoever comes first puts it there, and those after are given the same",
    Sharing.JOINED: "it is put there for whoever waits",
}


@rule("CAN110", Severity.WARNING)
def shared_future_unshielded(subject: Subject) -> Iterator[RawFinding]:
    """A future that several callers wait for is awaited without a shield: any of them cancels it for all."""
    for shared in subject.project.shared_futures.of(subject.function):
        future = shown(shared.future)
        found = RawFinding(
            at=subject.site(shared.at.step),
            message=_message(subject, shared),
            confidence=shared.confidence,
            notes=tuple(_notes(shared)),
            help="return `asyncio.shield` of it"
            if shared.sharing is Sharing.HANDED_OUT
            else f"await `asyncio.shield({future})`",
            fix=_fix(subject, shared),
        )
        yield subject.cancelled(found, Path("param:0"), shared.at.step)


def _message(subject: Subject, shared: Shared) -> str:
    name = subject.project.program.function(subject.function).qualname
    kind = "task" if shared.is_task else "future"
    future = shown(shared.future)
    if shared.sharing is Sharing.HANDED_OUT:
        return f"callers of `{name}` get the same {kind} `{future}`: one who is cancelled cancels it for all"
    return f"cancelling one caller of `{name}` cancels the {kind} `{future}` for everybody"


def _notes(shared: Shared) -> Iterator[SiteNote]:
    if shared.stored is not None:
        at = shared.stored
        yield SiteNote(site_of(at), _NOTES[shared.sharing])


def _fix(subject: Subject, shared: Shared) -> Fix | None:
    if shared.sharing is Sharing.HANDED_OUT or not shared.is_alone:
        return None
    return Fix(Edit.SHIELD, (subject.site(shared.at.step),))
