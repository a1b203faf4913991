"""What rules of one's own are written with: what is in `__all__` stays from one minor version to the next.

A rule is a function that is given one function of the checked project at a time, and yields what is wrong in
it. Code of the checked project is never imported; the rules themselves are.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from msgspec import Struct

from cancellint.analysis.hazards.promises.outstanding import Outstanding
from cancellint.model import ir
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.source import Site
from cancellint.model.summary import Loss
from cancellint.model.types import Callee, LibraryCallee, ProjectCallee, UnresolvedCallee
from cancellint.rules.rule import Rule, Subject
from cancellint.rules.rule import rule as _rule

__all__ = ["Call", "Check", "Confidence", "Function", "Problem", "Severity", "rule"]

Problem: TypeAlias = RawFinding
"""What a rule yields; `Function.problem` and `Call.problem` make it."""


class Call(Struct, frozen=True):
    """A call in a function."""

    _function: "Function"
    _step: int
    _call: ir.Call

    @property
    def names(self) -> tuple[str, ...]:
        """The dotted names of what is called, whatever it was imported as; none where that is not known.

        Of libraries as the tables call it (`asyncio.Queue.get`), of the project `package.module.Class.name`.
        """
        subject = self._function._subject
        callees = subject.project.effects.types.callees(subject.function, self._step)
        return tuple(dict.fromkeys(name for each in callees if (name := self._name(each)) is not None))

    @property
    def is_awaited(self) -> bool:
        """Whether what the call gives is awaited at once."""
        steps = self._function._steps
        return any(isinstance(step, ir.Await) and step.value == ir.Temp(self._step) for step in steps)

    @property
    def is_used(self) -> bool:
        """Whether what the call gives goes anywhere."""
        return self._call.used

    @property
    def keywords(self) -> tuple[str, ...]:
        """The names of the arguments that are given by name."""
        return tuple(name for name, _ in self._call.keywords if name is not None)

    @property
    def arguments(self) -> int:
        """How many arguments are given by position."""
        return len(self._call.args)

    def problem(
        self,
        message: str,
        *,
        help: str = "",
        confidence: Confidence = Confidence.CERTAIN,
        notes: Iterable[tuple["Call | Function", str]] = (),
    ) -> Problem:
        """Something that is wrong with the call; notes tell the steps that lead there, each at its place."""
        return RawFinding(self._site, message, confidence, _notes(notes), help)

    @property
    def _site(self) -> Site:
        return self._function._subject.site(self._step)

    def _name(self, callee: Callee) -> str | None:
        match callee:
            case ProjectCallee(key):
                return self._function._subject.project.program.symbol(key)
            case LibraryCallee(name):
                return name
            case UnresolvedCallee():
                return None


class Function:
    """A function of the checked project, methods, nested functions and the body of a module included.

    Small private helpers stand in the place of their calls; what is wrong in one is told where it was
    written.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._function = subject.project.program.function(subject.function)

    @property
    def name(self) -> str:
        """Its dotted name, `package.module.Class.name`."""
        return self._subject.project.program.symbol(self._subject.function)

    @property
    def module(self) -> str:
        """The dotted name of its module."""
        return self._subject.function.module

    @property
    def is_async(self) -> bool:
        """Whether it is a coroutine function or an asynchronous generator."""
        return self._function.is_async

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters, `self` included."""
        return tuple(each.name for each in self._function.params)

    @property
    def suspends(self) -> bool:
        """Whether it may be suspended, and so cancelled."""
        return self._subject.project.result(self._subject.function).summary.suspends

    @property
    def is_cancel_safe(self) -> bool:
        """Whether nothing is lost or left undone if it is cancelled, as far as is known."""
        return not self._losses and not self._outstanding

    @property
    def is_declared_cancel_safe(self) -> bool:
        """Whether a comment, a decorator or a base class says so."""
        return self._subject.project.contracts.made_at(self._subject.function) is not None

    def calls(self, *names: str) -> Iterator[Call]:
        """Yield its calls; with names, those of something that has one of them."""
        for number, step in enumerate(self._steps):
            if isinstance(step, ir.Call):
                call = Call(self, number, step)
                if not names or not set(names).isdisjoint(call.names):
                    yield call

    def problem(
        self,
        message: str,
        *,
        help: str = "",
        confidence: Confidence = Confidence.CERTAIN,
        notes: Iterable[tuple["Call | Function", str]] = (),
    ) -> Problem:
        """Something that is wrong with the function; it is told at its name."""
        return RawFinding(self._site, message, confidence, _notes(notes), help)

    @property
    def _site(self) -> Site:
        return self._subject.site(-1)

    @property
    def _steps(self) -> tuple[ir.Step, ...]:
        return self._function.steps

    @property
    def _losses(self) -> tuple[Loss, ...]:
        result = self._subject.project.result(self._subject.function)
        return (*result.summary.losses, *result.refuted)

    @property
    def _outstanding(self) -> tuple[Outstanding, ...]:
        return self._subject.project.outstanding(self._subject.function)


Check: TypeAlias = Callable[[Function], Iterator[Problem]]


def rule(
    code: str, severity: Severity = Severity.WARNING, *, pedantic: bool = False
) -> Callable[[Check], Rule]:
    """Make a check a rule: its name is the function's, its summary the first line of the docstring."""

    def make(check: Check) -> Rule:
        def of_subject(subject: Subject) -> Iterator[RawFinding]:
            try:
                yield from check(Function(subject))
            except Exception as error:
                text = f"the project's own rule {code} failed: {type(error).__name__}: {error}"
                raise RuntimeError(text) from error

        of_subject.__name__, of_subject.__doc__ = check.__name__, check.__doc__
        return _rule(code, severity, pedantic=pedantic)(of_subject)

    return make


def _notes(notes: Iterable[tuple[Call | Function, str]]) -> tuple[SiteNote, ...]:
    return tuple(SiteNote(at._site, message) for at, message in notes)
