"""CAN201."""

from collections.abc import Iterator

from cancellint.analysis.hazards.locks.forbidden_holds import forbidden_holds
from cancellint.analysis.program.program import Program
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.ir import Assign, Imported
from cancellint.rules.rule import Subject, rule


@rule("CAN201", Severity.ERROR)
def thread_lock_across_await(subject: Subject) -> Iterator[RawFinding]:
    """A threading lock is held while the event loop runs other tasks."""
    yield from _forbidden(subject)
    traces = subject.project.traces
    for held in subject.project.result(subject.function).locks:
        firmly = subject.project.thread_locks.confidence(subject.function, held)
        if firmly is None:
            continue
        lock = traces.shown(subject.function, held.lock)
        yield RawFinding(
            at=subject.site(held.awaited),
            message=f"`{lock}` stays locked while this await is suspended",
            confidence=Confidence.POSSIBLE if held.if_contended else firmly,
            notes=(SiteNote(subject.site(held.taken), "the threading lock is taken here"),),
            help=_cure(subject.project.program, subject.function.module),
        )


def _forbidden(subject: Subject) -> Iterator[RawFinding]:
    """Yield what a table of the project forbids to hold so."""
    project = subject.project
    if not project.effects.operations.knowledge.forbids_awaits:
        return
    for held in forbidden_holds(project.effects, project.facts_of(subject.function)):
        yield RawFinding(
            at=subject.site(held.awaited),
            message=f"a `{held.name}` is held while this await is suspended: {held.reason}",
            confidence=Confidence.CERTAIN,
            notes=(SiteNote(subject.site(held.entered), "it is taken here"),),
            help=held.instead,
        )


_LIBRARIES = ("anyio", "asyncio", "trio")
_A_LOCK_FOR_TASKS = "the event loop's own lock"


def _cure(program: Program, module: str) -> str:
    """Return the advice, with the lock of the library that the module imports."""
    imported = frozenset(_imported(program, module))
    # Code that runs on either back end imports anyio, and now and then one of the others beside it.
    used = ("anyio",) if "anyio" in imported else tuple(name for name in _LIBRARIES if name in imported)
    locks = " or ".join(f"`{name}.Lock`" for name in used)
    return f"release it before the await, or use {locks or _A_LOCK_FOR_TASKS} with `async with`"


def _imported(program: Program, module: str) -> Iterator[str]:
    """Yield the top-level names of what a module and its functions import."""
    for function in program.module(module).functions:
        for step in function.steps:
            match step:
                case Assign(value=Imported(module=name, level=0)):
                    yield name.partition(".")[0]
                case _:
                    pass
