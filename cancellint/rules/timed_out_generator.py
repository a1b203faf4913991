"""CAN104."""

from collections.abc import Iterator

from cancellint.analysis.hazards.dataloss.stepped_generators import Cut, cuts
from cancellint.model.finding import RawFinding, Severity, SiteNote
from cancellint.model.ir import Attr, Call, Expr, Name, Temp
from cancellint.model.types import site_at
from cancellint.rules.rule import Subject, rule

_CURE = "keep the task that waits for the next item and wait for it again, or make a new generator"


@rule("CAN104", Severity.ERROR)
def timed_out_generator(subject: Subject) -> Iterator[RawFinding]:
    """A timeout cancels one step of an asynchronous generator, which finishes it, and it is used again."""
    told: set[int] = set()
    for cut in cuts(subject.project.effects, subject.project.facts_of, subject.function):
        if cut.race in told:
            continue
        told.add(cut.race)
        yield RawFinding(
            at=subject.site(cut.race),
            message=f"{_shown(subject, cut.shown)} is finished when `{cut.name}` ends this early:"
            " it gives no more items afterwards",
            confidence=cut.confidence,
            notes=tuple(_notes(subject, cut)),
            help=_CURE,
        )


def _notes(subject: Subject, cut: Cut) -> Iterator[SiteNote]:
    if cut.made is not None:
        yield SiteNote(site_at(cut.made.function, cut.made.step), "the asynchronous generator is made here")
    if cut.stepped != cut.race:
        yield SiteNote(subject.site(cut.stepped), "cancelled here, the generator ends")
    yield SiteNote(subject.site(cut.again), "it is asked again here, and is over")


def _shown(subject: Subject, expr: Expr) -> str:
    """Return a generator as it is written."""
    names: list[str] = []
    while isinstance(expr, Attr):
        names.append(expr.name)
        expr = expr.base
    match expr:
        case Name(id=name):
            return f"`{'.'.join((name.partition('@')[0], *reversed(names)))}`"
        case Temp(step=step) if not names:
            made = subject.project.program.function(subject.function).steps[step]
            if isinstance(made, Call) and isinstance(made.func, Name | Attr):
                return f"the generator of {_shown(subject, made.func)}"
            return "the generator"
        case _:
            return f"`{names[0]}`" if names else "the generator"
