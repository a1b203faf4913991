"""Tasks and threads that run by themselves: nobody ends together with them, or is told when they fail."""

from collections.abc import Iterable, Iterator

from cancellint.analysis.callgraph.function_uses import FunctionUses, Reference, Use
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import Known
from cancellint.analysis.engine.reachability import precedes
from cancellint.analysis.flow.facts import FactsOf
from cancellint.analysis.flow.outcomes import Outcomes
from cancellint.model.ir import Await, AwaitKind, Call, Next, Raise, Temp
from cancellint.model.knowledge import RaceKind, Role
from cancellint.model.types import CallSite, FunctionKey


class LoneTasks:
    """Answers for what a task tells somebody who waits for it."""

    def __init__(self, effects: Effects, uses: FunctionUses, facts_of: FactsOf) -> None:
        self._effects = effects
        self._program = effects.program
        self._uses = uses
        self._facts_of = facts_of
        self._outcomes = Outcomes(effects)

    def is_timed(self, at: CallSite) -> bool:
        """Tell whether an await stands in the body of a timeout."""
        key, awaited = at.function, at.step
        flow, unwinding = self._program.flow(key), self._facts_of(key).unwinding
        raced = [unwinding.race(region) for region in flow.blocks[flow.block_of(awaited)].regions]
        return any(race is not None and race[0] is not RaceKind.SCOPE for race in raced)

    def is_near(self, starting: FunctionKey, waiting: FunctionKey) -> bool:
        """Tell whether the function that starts a task, or what it calls, waits for what it tells."""
        return starting == waiting or any(
            reference.site.function == starting and reference.use is not Use.GIVEN
            for reference in self._uses.of(waiting)
        )

    def started(self, key: FunctionKey, waiting: CallSite) -> tuple[Reference, bool] | None:
        """Return where a function is started by itself, and whether in a thread, None if it has company.

        Company is whoever is ended together with it: the task group that it is in, or the caller who waits
        for it before `waiting` does for what it tells.
        """
        found: tuple[Reference, bool] | None = None
        for reference in self._uses.of(key):
            known = self._starter(reference)
            if known is None or self._is_waited_for_first(reference.site, waiting):
                return None
            owner = self._effects.operations.knowledge.entry(known.name.rpartition(".")[0])
            if owner is not None and owner.race is RaceKind.SCOPE:
                return None
            found = found or (reference, known.entry.in_thread)
        return found

    def _starter(self, reference: Reference) -> Known | None:
        """Return what makes a task, or a call in a thread, of what a step refers to."""
        site = reference.site
        steps = self._program.function(site.function).steps
        if not isinstance(steps[site.step], Call):
            return None  # it is iterated over, or entered, which starts nothing
        calls: Iterable[int] = (site.step,)
        if reference.use is Use.CALLED:
            calls = [
                number
                for number, step in enumerate(steps)
                if isinstance(step, Call) and Temp(site.step) in step.args
            ]
        for number in calls:
            for callee in self._effects.types.callees(site.function, number):
                known = self._effects.operations.known(callee)
                if known is not None and (Role.SPAWNS in known.entry.roles or known.entry.in_thread):
                    return known
        return None

    def _is_waited_for_first(self, site: CallSite, waiting: CallSite) -> bool:
        awaited = self._uses.waiting_for(site)
        if awaited < 0:
            return False
        flow = self._program.flow(site.function)
        return not any(precedes(flow, step, awaited) for step in self._waits_in(site.function, waiting))

    def _waits_in(self, key: FunctionKey, waiting: CallSite) -> Iterator[int]:
        """Yield the steps of a function that come to a wait, by a call or themselves."""
        if key == waiting.function:
            yield waiting.step
            return
        for reference in self._uses.of(waiting.function):
            if reference.site.function == key and reference.use is not Use.GIVEN:
                yield reference.site.step

    def may_fail(self, key: FunctionKey, number: int, *, in_thread: bool) -> bool:
        """Tell whether a step may plainly raise an ordinary error."""
        match self._program.function(key).steps[number]:
            case Raise():
                return True
            case Await(kind=AwaitKind.NEXT):
                return True
            case Await(kind=AwaitKind.EXPRESSION):
                operations = self._effects.awaited(key, number)
                return not operations or self._outcomes.of_operations(operations).may_fail
            case Next(value=Temp()):
                return in_thread
            case _:
                return False
