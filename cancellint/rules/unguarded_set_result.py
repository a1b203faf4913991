"""CAN109."""

from collections.abc import Iterator

from msgspec import structs

from cancellint.analysis.hazards.futures.abandoned_futures import Harm, Unguarded
from cancellint.analysis.hazards.queues.backlogs import shown
from cancellint.analysis.program.program import Program
from cancellint.model.finding import Edit, Fix, RawFinding, Severity, SiteNote
from cancellint.model.source import Site
from cancellint.model.summary import RESULT
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule


@rule("CAN109", Severity.WARNING)
def unguarded_set_result(subject: Subject) -> Iterator[RawFinding]:
    """A future is completed without a look at whether its waiter has been cancelled, which raises."""
    program = subject.project.program
    for unguarded in subject.project.abandoned_futures.unguarded_in(subject.function):
        completion = unguarded.completion
        future = shown(completion.future)
        found = RawFinding(
            at=subject.site(completion.at.step),
            message=f"if whoever waits for `{future}` was cancelled, this raises InvalidStateError"
            f"{_harm(program, unguarded)}",
            confidence=unguarded.confidence,
            notes=tuple(_notes(program, unguarded)),
            help=f"complete it only `if not {future}.done()`",
            fix=Fix(Edit.GUARD_COMPLETION, (subject.site(completion.at.step),), safe=True),
        )
        yield (
            found
            if _ends_itself(unguarded)
            else _waiting(subject, unguarded).cancelled(
                found, RESULT, harms=unguarded.harm is not Harm.OTHERS
            )
        )


def _ends_itself(unguarded: Unguarded) -> bool:
    """Tell whether the wait has a time limit of its own."""
    return unguarded.wait is not None and unguarded.wait.is_timed


def _waiting(subject: Subject, unguarded: Unguarded) -> Subject:
    """Return the function that waits for the future, or hands it to whoever does."""
    wait = unguarded.wait
    waiting = unguarded.made.handed_by[-1] if wait is None else (wait.helper or wait.at).function
    return structs.replace(subject, function=waiting)


def _harm(program: Program, unguarded: Unguarded) -> str:
    name = program.function(unguarded.victim.function).qualname
    match unguarded.harm:
        case Harm.LOOP:
            return f", and the loop of `{name}` ends"
        case Harm.OTHERS:
            return ", and those who wait behind it are never told"
        case Harm.CONNECTION:
            return ", and asyncio closes the connection"
        case Harm.CALL:
            return f", and `{name}` ends"
        case Harm.CAUGHT:
            return f", which only `{name}` handles"


def _notes(program: Program, unguarded: Unguarded) -> Iterator[SiteNote]:
    made, wait = unguarded.made, unguarded.wait
    yield SiteNote(site_of(made.site), "the future is made here")
    if made.kept_by and made.kept_by[0] != made.site:
        yield SiteNote(site_of(made.kept_by[0]), "it is registered here")
    if wait is None:
        giver = made.handed_by[-1]
        name = program.function(giver).qualname
        yield SiteNote(Site(giver.module, giver.function, -1), _handed(name))
    else:
        ends = "times out or is cancelled" if wait.is_timed else "is cancelled"
        yield SiteNote(
            site_of(wait.helper or wait.at),
            f"if this wait {ends}, so is the future, and it stays registered",
        )
    if unguarded.victim.function != unguarded.completion.at.function:
        yield SiteNote(site_of(unguarded.victim), "the error arrives here")


def _handed(name: str) -> str:
    return f"callers of `{name}` wait for it as they like, and cancelling them cancels the future"
