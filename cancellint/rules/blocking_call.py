"""CAN801."""

from collections.abc import Iterator

from cancellint.analysis.hazards.blocking.blocking_calls import Blocking
from cancellint.model.finding import RawFinding, Severity, SiteNote
from cancellint.model.types import CallSite, site_of
from cancellint.rules.rule import Subject, rule

_CURE = "await its asynchronous counterpart, or run it in a thread (`asyncio.to_thread`)"


@rule("CAN801", Severity.WARNING)
def blocking_call(subject: Subject) -> Iterator[RawFinding]:
    """A coroutine makes a call, perhaps through plain functions, that blocks the event loop."""
    for blocking in subject.project.blocking_calls.of(subject.function):
        yield RawFinding(
            at=subject.site(blocking.step),
            message=f"{_what(blocking)}: until it returns no task runs, and no timeout fires",
            confidence=blocking.confidence,
            notes=tuple(_notes(blocking.chain, blocking.name)),
            help=_CURE,
            cause=None if blocking.at is None else subject.likeness(blocking.at.function, blocking.at.step),
        )


def _what(blocking: Blocking) -> str:
    if blocking.at is None:
        return f"`{blocking.name}` blocks the event loop"
    return f"this blocks the event loop in `{blocking.name}`"


def _notes(chain: tuple[CallSite, ...], name: str) -> Iterator[SiteNote]:
    for place, each in enumerate(chain):
        last = place == len(chain) - 1
        site = site_of(each)
        yield SiteNote(site, f"`{name}` blocks here" if last else "which calls this")
