"""Jobs of a queue that are counted as done only if nothing fails, while somebody waits for all of them."""

from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import ERROR, NORMAL, NOT_CANCELLED
from cancellint.analysis.engine.reachability import after_block, leads_to
from cancellint.analysis.flow.facts import FactsOf
from cancellint.analysis.hazards.channels.lone_tasks import LoneTasks
from cancellint.analysis.hazards.channels.objects import Meant
from cancellint.analysis.hazards.channels.queue_steps import Get, QueueSteps
from cancellint.model.ir import RAISE_EXIT, RETURN_EXIT, Attr, Await, AwaitKind, Call, Expr, Temp
from cancellint.model.types import CallSite, FunctionKey

_DONE = "task_done"
_JOIN = "join"


class UncountedJob(Struct, frozen=True):
    """The error of `failing` leaves out `done`, for which `waiting` waits."""

    done: int
    failing: int
    queue: Expr
    waiting: CallSite
    started: CallSite
    is_near: bool
    """the function that starts the worker waits for the jobs itself"""
    goes_on: bool
    """the worker does not end with the error, it takes the next job"""


class UncountedJobs:
    """Finds them for one worker at a time."""

    def __init__(self, effects: Effects, facts_of: FactsOf, steps: QueueSteps, tasks: LoneTasks) -> None:
        self._program = effects.program
        self._effects = effects
        self._facts_of = facts_of
        self._steps = steps
        self._tasks = tasks

    def of(self, key: FunctionKey) -> Iterator[UncountedJob]:
        """Yield the jobs that a worker may leave uncounted, once for each queue."""
        told: set[Meant] = set()
        for get in self._steps.gets.get(key, ()) if key in self._workers else ():
            meant = self._steps.meant(key, get.queue)
            done = [number for number in self._done_in(key) if self._counts(key, number, meant)]
            if meant in told or not done:
                continue
            for waiting, joined in self._joins:
                if waiting.function == key or meant.isdisjoint(joined):
                    continue
                found = self._judged(get, done, waiting, meant)
                if found is not None:
                    told.add(meant)
                    yield found
                    break

    @cached_property
    def _workers(self) -> frozenset[FunctionKey]:
        return self._program.calls.functions_with((_DONE,)) if self._joins else frozenset()

    @cached_property
    def _joins(self) -> tuple[tuple[CallSite, Meant], ...]:
        """The awaits, without a time limit, until all jobs of a queue are done."""
        found: list[tuple[CallSite, Meant]] = []
        for site in self._program.calls.of_any((_JOIN,)):
            steps = self._program.function(site.function).steps
            match steps[site.step]:
                case Call(func=Attr(base=queue), args=()) if self._steps.is_queue(site.function, queue):
                    meant = self._steps.meant(site.function, queue)
                    found.extend(
                        (CallSite(site.function, number), meant)
                        for number, step in enumerate(steps)
                        if isinstance(step, Await)
                        and step.kind is AwaitKind.EXPRESSION
                        and step.value == Temp(site.step)
                        and not self._tasks.is_timed(CallSite(site.function, number))
                    )
                case _:
                    pass
        return tuple(found)

    def _done_in(self, key: FunctionKey) -> Iterator[int]:
        for number, step in enumerate(self._program.function(key).steps):
            match step:
                case Call(func=Attr(name=name)) if name == _DONE:
                    yield number
                case _:
                    pass

    def _counts(self, key: FunctionKey, number: int, meant: Meant) -> bool:
        match self._program.function(key).steps[number]:
            case Call(func=Attr(base=queue)):
                return not meant.isdisjoint(self._steps.meant(key, queue))
            case _:
                return False

    def _judged(self, get: Get, done: list[int], waiting: CallSite, meant: Meant) -> UncountedJob | None:
        started = self._tasks.started(get.key, waiting)
        if started is None:
            return None
        facts = self._facts_of(get.key)
        counting = {*done, *self._counted_by_others(get.key, meant)}
        blocks = {facts.flow.block_of(number) for number in counting}
        again = facts.flow.block_of(get.at.step)
        for number in range(len(facts.function.steps)):
            if number == get.at.step or number in counting:
                continue
            if not self._tasks.may_fail(get.key, number, in_thread=started[1]):
                continue
            if not leads_to(facts.flow, get.at.step, number, NORMAL, avoiding=(*counting, get.at.step)):
                continue
            after = after_block(facts.flow, facts.flow.block_of(number), ERROR, NOT_CANCELLED, blocks)
            if again in after or RAISE_EXIT in after or RETURN_EXIT in after:
                site = started[0].site
                near = self._tasks.is_near(site.function, waiting.function)
                return UncountedJob(done[0], number, get.queue, waiting, site, near, again in after)
        return None

    def _counted_by_others(self, key: FunctionKey, meant: Meant) -> Iterator[int]:
        """Yield the steps that run a function which counts a job as done."""
        for number, step in enumerate(self._program.function(key).steps):
            if isinstance(step, Call | Await) and any(
                self._counts(callee, inner, meant)
                for callee in self._effects.callees(key, number)
                for inner in self._done_in(callee)
            ):
                yield number
