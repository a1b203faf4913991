"""CAN505."""

from collections.abc import Iterator

from cancellint.analysis.hazards.arrival.unclosed_generators import Unclosed, unclosed_generators
from cancellint.model.finding import RawFinding, Severity, SiteNote
from cancellint.model.source import Site
from cancellint.rules.rule import Subject, rule

_CURE = "iterate within `async with contextlib.aclosing(...)`, or close it in `finally`"


@rule("CAN505", Severity.WARNING)
def unclosed_generator(subject: Subject) -> Iterator[RawFinding]:
    """A generator with a cleanup of its own is left early and not closed: it cleans up late, or never."""
    program = subject.project.program
    for found in unclosed_generators(subject.project.effects, subject.project.facts_of, subject.function):
        name = program.function(found.generator).qualname
        how = "when this generator is closed" if found.suspended else "when this loop is left early"
        cleanup = Site(found.generator.module, found.generator.function, found.cleanup)
        yield RawFinding(
            at=subject.site(found.asked),
            message=f"`{name}` is not closed {how}, {_harm(found)}",
            confidence=found.confidence,
            notes=(
                SiteNote(cleanup, "it is suspended here, inside of a `try` that cleans up"),
                *_kept(subject, found),
            ),
            help=_CURE,
        )


def _harm(found: Unclosed) -> str:
    if found.kept >= 0:
        return "so its cleanup does not run as long as something refers to it"
    return "so its cleanup runs later, in a task of its own"


def _kept(subject: Subject, found: Unclosed) -> tuple[SiteNote, ...]:
    return (SiteNote(subject.site(found.kept), "and this keeps it"),) if found.kept >= 0 else ()
