"""CAN501."""

from collections.abc import Iterator

from cancellint.analysis.explain.cancelling import cancelled_by
from cancellint.analysis.hazards.arrival.going_on import Goes, Onward
from cancellint.analysis.hazards.arrival.swallowed_cancellations import Kind, Swallowed
from cancellint.analysis.hazards.arrival.swallows import By
from cancellint.model.finding import Canceller, Confidence, RawFinding, Severity, SiteNote
from cancellint.model.types import CallSite, FunctionKey, site_of
from cancellint.rules.rule import Subject, rule

_CURES = {
    By.HANDLER: "raise the cancellation again, or catch only what is an error (`except Exception`)",
    By.MANAGER: "suppress only what is an error, and let the cancellation pass",
    By.JUMP: "do not leave a `finally` by `return`, `break` or `continue`",
}


@rule("CAN501", Severity.WARNING)
def swallowed_cancellation(subject: Subject) -> Iterator[RawFinding]:
    """A cancellation is swallowed, and the task that was to end goes on."""
    for found in subject.project.swallowed_cancellations.of(subject.function):
        again = found.goes is not None and found.goes.onward is Onward.AGAIN
        yield RawFinding(
            at=subject.site(found.swallow.at),
            message=_message(subject, found),
            confidence=_confidence(found),
            notes=tuple(_notes(subject, found)),
            help=_CURES[found.swallow.by],
            severity=Severity.ERROR if again else None,
            canceller=found.cancellation.canceller,
        )


def _confidence(found: Swallowed) -> Confidence:
    """Return how firmly it stands that the task was not to go on.

    A manager round each turn of a loop that has an end mostly sees to it that all turns are made.
    """
    turns = found.goes is not None and found.goes.onward is Onward.RETRIES
    return Confidence.POSSIBLE if turns and found.swallow.by is By.MANAGER else found.confidence


def _message(subject: Subject, found: Swallowed) -> str:
    if found.kind is Kind.ANSWERED:
        name = _name(subject, found.within)
        return f"this handler swallows a cancellation and `{name}` returns, so whoever called goes on"
    if found.goes is None:
        error = f"`{found.error.rpartition('.')[2]}`" if found.error is not None else "an ordinary error"
        return f"this handler turns a cancellation into {error}, so whoever cancels takes it for a failure"
    goes_on = _goes_on(subject, found, found.goes)
    return f"{_SWALLOWS[found.swallow.by]} swallows a cancellation and {goes_on}, so {_harm(subject, found)}"


_SWALLOWS = {
    By.HANDLER: "this handler",
    By.MANAGER: "this `with`",
    By.JUMP: "the way out of this `finally`",
}


def _goes_on(subject: Subject, found: Swallowed, goes: Goes) -> str:
    who = f"`{_name(subject, found.within)}`" if found.through else "the task"
    match goes.onward:
        case Onward.AGAIN:
            return f"the loop of {who} goes on" if found.through else "the loop goes on"
        case Onward.ELSEWHERE:
            return f"{who} goes on to a loop that nothing ends"
        case Onward.RETRIES:
            return f"{who} goes on with the next turn"
        case Onward.WAITS:
            return f"{who} goes on"


def _harm(subject: Subject, found: Swallowed) -> str:
    endless = found.goes is not None and found.goes.onward in (Onward.AGAIN, Onward.ELSEWHERE)
    canceller, site = found.cancellation.canceller, found.cancellation.site
    if found.waiter is not None:
        name = f"`{_name(subject, found.waiter.function)}`"
        return f"{name} waits for ever" if endless else f"{name} waits for all that it still does"
    if canceller is Canceller.RACE:
        race = f"`{found.cancellation.construct}`"
        return f"{race} never gives up" if endless else f"{race} does not give up in time"
    if canceller in (Canceller.CANCEL_SITE, Canceller.OWNER_ENDS, Canceller.GROUP) and site is not None:
        return f"`{_name(subject, site.function)}` does not end it"
    if canceller is Canceller.NONE_KNOWN:
        return (
            "the end of the event loop waits for it for ever" if endless else "it does not end when told to"
        )
    return (
        "whoever cancels it waits for ever"
        if endless
        else "whoever cancels it waits for all that it still does"
    )


def _name(subject: Subject, key: FunctionKey) -> str:
    return subject.project.program.function(key).qualname


def _notes(subject: Subject, found: Swallowed) -> Iterator[SiteNote]:
    yield SiteNote(subject.site(found.swallow.await_), "cancelled here")
    for site in found.through:
        yield SiteNote(site_of(site), "and this returns as if nothing had happened")
    if found.goes is not None:
        yield SiteNote(site_of(CallSite(found.within, found.goes.at)), "the task waits here next")
    note = cancelled_by(subject.project.program, found.cancellation)
    if note is not None:
        yield note
    if found.waiter is not None:
        yield SiteNote(site_of(found.waiter), "and waited for here")
