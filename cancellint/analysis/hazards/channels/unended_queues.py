"""Queues whose consumer waits for an end that their producer tells only when all goes well."""

from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.callgraph.cancellers import Cancellers
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import ERROR, NOT_CANCELLED
from cancellint.analysis.engine.reachability import after_block, leads_to
from cancellint.analysis.flow.facts import FactsOf
from cancellint.analysis.hazards.channels.lone_tasks import LoneTasks
from cancellint.analysis.hazards.channels.objects import Meant
from cancellint.analysis.hazards.channels.queue_steps import PUTS, Get, Put, QueueSteps
from cancellint.analysis.program.expressions import last_name
from cancellint.model.ir import (
    RAISE_EXIT,
    RETURN_EXIT,
    Attr,
    Await,
    Call,
    Expr,
)
from cancellint.model.types import CallSite, FunctionKey, ProjectFunction

_ENDS = frozenset({*PUTS, "shutdown", "close", "aclose"})
"""Methods of a queue by which whoever reads it learns something."""
_CALLS_BACK = "add_done_callback"


class UnendedQueue(Struct, frozen=True):
    """`told` tells the end of a queue, and the error of `failing`, of the same function, prevents that."""

    told: int
    failing: int
    queue: Expr
    waiting: CallSite
    """the await of the consumer"""
    started: CallSite
    """where the producer is started"""
    in_thread: bool
    is_near: bool
    """the function that starts the producer waits for the end itself: nobody is left to notice"""
    is_told_elsewhere: bool
    """other functions tell an end as well: whoever stops the whole, perhaps"""


class UnendedQueues:
    """Finds them for one producer at a time."""

    def __init__(
        self,
        effects: Effects,
        facts_of: FactsOf,
        cancellers: Cancellers,
        steps: QueueSteps,
        tasks: LoneTasks,
    ) -> None:
        self._effects = effects
        self._program = effects.program
        self._facts_of = facts_of
        self._cancellers = cancellers
        self._steps = steps
        self._tasks = tasks

    def of(self, key: FunctionKey) -> Iterator[UnendedQueue]:
        """Yield the queues to which a producer tells their end only when nothing fails, each once."""
        told: set[Meant] = set()
        for put in self._steps.puts.get(key, ()):
            meant = self._steps.meant(key, put.queue)
            for consumer in self._consumers if meant not in told else ():
                if consumer.key == key or not self._steps.may_be(meant, consumer):
                    continue
                if not self._steps.is_ending(consumer, put):
                    continue
                found = self._judged(put, meant, consumer)
                if found is not None:
                    told.add(meant)
                    yield found

    @cached_property
    def _consumers(self) -> tuple[Get, ...]:
        """What waits for items in a loop, without a time limit."""
        return tuple(
            get
            for gets in self._steps.gets.values()
            for get in gets
            if get.is_plain and not self._tasks.is_timed(get.at)
        )

    # ----------------------------------------------------------------- judging one

    def _judged(self, put: Put, meant: Meant, consumer: Get) -> UnendedQueue | None:
        key = put.at.function
        started = self._tasks.started(key, consumer.at)
        if started is None or self._is_told_by_callback(meant):
            return None
        failing = self._failing(put, meant, in_thread=started[1])
        if failing is None:
            return None
        reference, in_thread = started
        near = self._tasks.is_near(reference.site.function, consumer.at.function)
        if not near and any(True for _ in self._cancellers.cancel_sites(consumer.at.function)):
            return None
        others = {
            each.at.function
            for puts in self._steps.puts.values()
            for each in puts
            if each.item == put.item and each.at.function != key
            if self._steps.may_be(meant, each)
        }
        return UnendedQueue(
            put.at.step, failing, put.queue, consumer.at, reference.site, in_thread, near, bool(others)
        )

    def _is_told_by_callback(self, meant: Meant) -> bool:
        """Tell whether what is called back when a task is done puts something into the queue."""
        for site in self._program.calls.of_any((_CALLS_BACK,)):
            step = self._program.function(site.function).steps[site.step]
            for value in step.args if isinstance(step, Call) else ():
                kind = self._effects.types.of(site.function, value)
                if isinstance(kind, ProjectFunction) and any(
                    self._steps.may_be(meant, each) for each in self._steps.puts.get(kind.key, ())
                ):
                    return True
        return False

    # ----------------------------------------------------------------- the error

    def _failing(self, put: Put, meant: Meant, *, in_thread: bool) -> int | None:
        """Return the step whose error leaves a producer that has not told, and does not tell, the end."""
        key = put.at.function
        facts = self._facts_of(key)
        steps = facts.function.steps
        telling = {number for number in range(len(steps)) if self._tells(key, number, meant)}
        blocks = {facts.flow.block_of(number) for number in telling}
        ends = [each.at.step for each in self._steps.puts.get(key, ()) if each.item == put.item]
        for number in range(len(steps)):
            if number in telling or not self._tasks.may_fail(key, number, in_thread=in_thread):
                continue
            if not leads_to(facts.flow, None, number, avoiding=ends):
                continue
            after = after_block(facts.flow, facts.flow.block_of(number), ERROR, NOT_CANCELLED, blocks)
            if RAISE_EXIT in after or RETURN_EXIT in after:
                return number
        return None

    def _tells(self, key: FunctionKey, number: int, meant: Meant) -> bool:
        """Tell whether a step puts anything into a queue, ends it, or ends somebody's wait in another way."""
        step = self._program.function(key).steps[number]
        if not isinstance(step, Call | Await):
            return False
        if isinstance(step, Call):
            name = last_name(step.func)
            if name == "cancel":
                return True
            given = (*step.args, *(value for _, value in step.keywords))
            asked = [
                value.base for value in (step.func, *given) if isinstance(value, Attr) and value.name in _ENDS
            ]
            if any(not meant.isdisjoint(self._steps.meant(key, each)) for each in asked):
                return True
        return any(
            self._steps.may_be(meant, each)
            for callee in self._effects.callees(key, number)
            for each in self._steps.puts.get(callee, ())
        )
