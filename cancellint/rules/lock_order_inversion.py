"""CAN203."""

from collections.abc import Iterator
from itertools import pairwise

from cancellint.analysis.hazards.locks.lock_orders import Nested
from cancellint.model.finding import RawFinding, Severity, SiteNote
from cancellint.model.types import CallSite, site_of
from cancellint.rules.rule import Subject, rule


@rule("CAN203", Severity.WARNING)
def lock_order_inversion(subject: Subject) -> Iterator[RawFinding]:
    """Two locks are taken in one order here and in the other elsewhere, so two tasks wait for each other."""
    if not subject.project.result(subject.function).takes_lock:
        return
    for found in subject.project.lock_orders.of(subject.function):
        here, there = found.here, found.there
        outer, inner = _shown(subject, here)
        yield RawFinding(
            at=subject.site(here.step),
            message=f"two tasks may wait for each other for ever: `{inner}` is taken under `{outer}` here, "
            f"and in the other order in `{_name(subject, there)}`",
            confidence=found.confidence,
            notes=(*_notes(subject, here), *_notes(subject, there)),
            help="take the two in one order everywhere, or one lock for both",
        )


def _notes(subject: Subject, nested: Nested) -> Iterator[SiteNote]:
    outer, inner = _shown(subject, nested)
    yield SiteNote(site_of(CallSite(nested.key, nested.outer.step)), f"`{outer}` is taken here")
    for at, callee in pairwise(nested.way.hops):
        name = subject.project.program.function(callee.function).qualname
        yield SiteNote(site_of(at), f"`{name}` is called here")
    yield SiteNote(site_of(nested.way.leaf), f"and `{inner}` here")


def _shown(subject: Subject, nested: Nested) -> tuple[str, str]:
    traces = subject.project.traces
    return traces.shown(nested.key, nested.outer.path), traces.shown(nested.key, nested.inner.path)


def _name(subject: Subject, nested: Nested) -> str:
    return subject.project.program.function(nested.key).qualname
