"""CAN603."""

from collections.abc import Iterator

from cancellint.analysis.hazards.threads.touched_loops import Touched
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote, weakest
from cancellint.model.types import site_of
from cancellint.rules.rule import Subject, rule

_CURE = "hand it to the loop by `call_soon_threadsafe`, or a coroutine by `run_coroutine_threadsafe`"


@rule("CAN603", Severity.ERROR)
def loop_touched_from_thread(subject: Subject) -> Iterator[RawFinding]:
    """An object of an event loop is used in another thread, which the loop is not told."""
    for touched in subject.project.touched_loops.of(subject.function):
        yield RawFinding(
            at=subject.site(touched.step),
            message=f"`{touched.name}` runs in another thread here: the event loop does not wake up, "
            "and whoever waits there may wait for ever",
            confidence=weakest(touched.confidence, Confidence.LIKELY),  # the loop may have ended by then
            notes=tuple(_notes(touched)),
            help=_CURE,
        )


def _notes(touched: Touched) -> Iterator[SiteNote]:
    yield SiteNote(site_of(touched.started), f"`{touched.by}` has it run in a thread")
    for each in touched.chain:
        yield SiteNote(site_of(each), "which calls this")
