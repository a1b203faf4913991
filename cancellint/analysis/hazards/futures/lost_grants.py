"""Waiters that are handed a permit or an item, and take it with them when they are cancelled.

Between the moment at which a future is given its result and the one at which its waiter runs again, the
waiter can be cancelled. What it was given then belongs to nobody.
"""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.engine.graph import CANCELLED
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.reachability import after_block, precedes
from cancellint.analysis.hazards.futures.futures import Completion, Futures, Made, Wait
from cancellint.analysis.program.expressions import last_name
from cancellint.model.finding import Confidence
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    Build,
    Call,
    Const,
    Element,
    Expr,
    Item,
    Leaves,
    Name,
    Next,
    Op,
    Temp,
)
from cancellint.model.types import CallSite, FunctionKey


class LostGrant(Struct, frozen=True):
    """A wait for one's turn, and the step that gives it."""

    wait: Wait
    made: Made
    grant: Completion
    hands_item: bool
    """it gives an object, and no mere permission"""
    confidence: Confidence
    by_event: bool = False
    """it waits for an event of its own, and not for a future"""


_GRANTS = frozenset({"set_result", "set"})
_ASKS = frozenset({"done", "cancelled", "is_set"})
_READS = frozenset({"result", "exception"})
_QUEUES = frozenset({"append", "appendleft", "add", "insert"})
_DEEPEST = Limit(3, "calls on a cancelled path that may wake the next waiter")
"""Calls on a cancelled path that are followed to see whether they wake the next one."""


class LostGrants:
    """Finds waits in line that keep what they were given when they are cancelled, by what they wait for."""

    def __init__(self, *kinds: Futures) -> None:
        self._lines = tuple(map(_Lines, kinds))

    def in_function(self, key: FunctionKey) -> Iterator[LostGrant]:
        """Yield the waits of a function that lose what they are given."""
        for lines in self._lines:
            yield from lines.in_function(key)


class _Lines:
    """Finds waits in a queue of futures, or of events, that keep what they were given."""

    def __init__(self, futures: Futures) -> None:
        self._futures = futures
        self._program = futures.program
        self._types = futures.effects.types

    def in_function(self, key: FunctionKey) -> Iterator[LostGrant]:
        """Yield the waits of a function that lose what they are given, in the order of its steps."""
        for made in self._futures.made_in(key):
            if not self._is_queued(made) or self._sends(made):
                continue
            for wait in self._futures.waits_in(key):
                if made.site in wait.held.made:
                    lost = self._lost(wait, made)
                    if lost is not None:
                        yield lost

    def _lost(self, wait: Wait, made: Made) -> LostGrant | None:
        grants = [each for each in self._futures.completions if self._is_grant(each, made)]
        if not grants or self._passes_on(wait, frozenset(each.at.function for each in grants)):
            return None
        if any(self._grants_on_cancellation(each, wait, made) for each in self._futures.completions):
            return None
        grant = grants[0]
        hands_item = self._hands_item(grant)
        counted = hands_item or self._counts_down(grant.at.function)
        in_line = counted and all(self._skips_the_gone(each) for each in grants)
        by_event = (
            self._futures.signal.waits is not None
        )  # not cancelled with its waiter, it may be set any time
        if not in_line and not by_event and not self._leaves_queue(wait, made):
            return None
        confidence = Confidence.CERTAIN if counted else Confidence.LIKELY
        return LostGrant(wait, made, grant, hands_item, confidence, by_event)

    # ----------------------------------------------------------------- the queue

    def _is_queued(self, made: Made) -> bool:
        """Tell whether a future stands in line by itself, and not beside a request.

        A line may be a dict that keeps the order: who gives turns then asks for the first one, and no key.
        """
        return any(
            self._queues(site, made.site) for site in made.kept_by if site.function == made.site.function
        )

    def _queues(self, at: CallSite, made: CallSite) -> bool:
        """Tell whether a step of the function that made a future puts it in line."""
        if at.function != made.function:
            return False
        match self._program.function(at.function).steps[at.step]:
            case Call(func=Attr(name=name), args=args) if name in _QUEUES:
                return not any(isinstance(each, Build) for each in args)
            case Assign(target=Item()):
                return True
            case _:
                return False

    def _sends(self, made: Made) -> bool:
        """Tell whether the function asks somebody for a reply, which is of use to nobody else."""
        frame = self._futures.effects.frame(made.site.function)
        asks = self._futures.effects.conventions.asks
        for step in frame.function.steps:
            match step:
                case Call(func=Attr(base=base, name=name)) if name in asks:
                    path = frame.path(base)
                    if path is not None and path.root == "param:0":
                        return True
                case _:
                    pass
        return False

    def _is_grant(self, completion: Completion, made: Made) -> bool:
        """Tell whether a completion wakes one of those in line, whoever that is."""
        return completion.at.function != made.site.function and self._serves_any(completion, made)

    def _grants_on_cancellation(self, completion: Completion, wait: Wait, made: Made) -> bool:
        """Tell whether a completion wakes another one of those in line when a wait is cancelled."""
        at = completion.at
        if at.function != wait.at.function or at.step not in self._cancelled_steps(wait):
            return False
        return self._serves_any(completion, made)

    def _serves_any(self, completion: Completion, made: Made) -> bool:
        """Tell whether a completion wakes one of those that stand in line with a future."""
        at = completion.at
        step = self._program.function(at.function).steps[at.step]
        if not completion.held.meets(made.held):
            return False
        if not isinstance(step, Call) or last_name(step.func) not in _GRANTS:
            return False
        flow = self._program.flow(at.function)
        return self._is_any_one(at.function, completion.future) and not flow.cycle(flow.block_of(at.step))

    def _is_any_one(self, key: FunctionKey, future: Expr) -> bool:
        """Tell whether an expression means the first, the last or a random one of a container."""
        waiting = [future]
        seen: set[Expr] = set()
        while waiting:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            match current:
                case Item(key=Const(kind="int")):
                    return True
                case Name(id=name):
                    waiting.extend(
                        step.value
                        for step in self._program.function(key).steps
                        if isinstance(step, Assign) and step.target == Name(name)
                    )
                case Element(value=value):
                    waiting.append(value)
                case Temp(step=number) if self._takes_any(key, number):
                    return True
                case _:
                    pass
        return False

    def _takes_any(self, key: FunctionKey, number: int) -> bool:
        match self._program.function(key).steps[number]:
            case Next() | Call(func=Name(id="next")) | Call(func=Attr(name="popleft" | "popitem")):
                return True
            case Call(func=Attr(name="pop"), args=() | (Const(kind="int"),)):
                return True
            case _:
                return False

    def _hands_item(self, grant: Completion) -> bool:
        step = self._program.function(grant.at.function).steps[grant.at.step]
        return isinstance(step, Call) and not all(isinstance(each, Const) for each in step.args)

    def _counts_down(self, key: FunctionKey) -> bool:
        """Tell whether the one who grants already notes that something is taken."""
        return any(
            isinstance(step, Assign) and isinstance(step.target, Attr) and step.op == "-"
            for step in self._program.function(key).steps
        )

    def _skips_the_gone(self, grant: Completion) -> bool:
        flow = self._program.flow(grant.at.function)
        return any(
            isinstance(step, Call)
            and isinstance(step.func, Attr)
            and step.func.name in ("done", "cancelled")
            and precedes(flow, number, grant.at.step)
            for number, step in enumerate(self._program.function(grant.at.function).steps)
        )

    # ----------------------------------------------------------------- the cancelled path

    def _passes_on(self, wait: Wait, granting: frozenset[FunctionKey]) -> bool:
        """Tell whether a cancelled waiter looks what it was given, or wakes the next one."""
        key = wait.at.function
        return any(
            self._asks(key, number, wait.value) or self._wakes(key, number, granting, _DEEPEST)
            for number in self._cancelled_steps(wait)
        )

    def _cancelled_steps(self, wait: Wait) -> Iterator[int]:
        flow = self._futures.unwinding(wait.at.function).flow
        yield from flow.steps_of(after_block(flow, flow.block_of(wait.at.step), CANCELLED))

    def _asks(self, key: FunctionKey, number: int, future: Expr) -> bool:
        match self._program.function(key).steps[number]:
            case Call(func=Attr(base=base, name=name)) if base == future:
                return name in _READS or (name in _ASKS and self._acts_on_answer(key, number))
            case _:
                return False

    def _acts_on_answer(self, key: FunctionKey, number: int) -> bool:
        """Tell whether anything is done only if a future is done; else it is no use to have asked."""
        flow = self._futures.unwinding(key).flow
        for block, node in enumerate(flow.blocks):
            match node.test:
                case Temp(step=step) if step == number:
                    served, gone = Leaves.TRUE, Leaves.FALSE
                case Op(op="not", operands=(Temp(step=step),)) if step == number:
                    served, gone = Leaves.FALSE, Leaves.TRUE
                case _:
                    continue
            return self._does_more(key, block, served, gone)
        return True

    def _does_more(self, key: FunctionKey, block: int, served: Leaves, gone: Leaves) -> bool:
        """Tell whether one branch of a test does something that the other does not."""
        flow = self._futures.unwinding(key).flow
        ways: dict[Leaves, set[int]] = {served: set(), gone: set()}
        for edge in flow.blocks[block].edges:
            if edge.leaves in ways and edge.to >= 0:
                ways[edge.leaves] |= {edge.to, *(each for each in after_block(flow, edge.to) if each >= 0)}
        steps = self._program.function(key).steps
        return any(
            isinstance(steps[number], Call | Await | Assign)
            for number in flow.steps_of(sorted(ways[served] - ways[gone]))
        )

    def _wakes(self, key: FunctionKey, number: int, granting: frozenset[FunctionKey], depth: int) -> bool:
        """Tell whether a step runs, or is part of, a function that gives somebody a turn."""
        if not isinstance(self._program.function(key).steps[number], Call | Await) or not _DEEPEST.leaves(
            depth
        ):
            return False
        for callee in self._futures.effects.callees(key, number):
            if callee in granting:
                return True
            if any(
                self._wakes(callee, inner, granting, depth - 1)
                for inner in range(len(self._program.function(callee).steps))
            ):
                return True
        return False

    def _leaves_queue(self, wait: Wait, made: Made) -> bool:
        """Tell whether a cancelled waiter takes its future out of the line."""
        key = wait.at.function
        for number in self._cancelled_steps(wait):
            match self._program.function(key).steps[number]:
                case Call(func=Attr(base=base, name="remove" | "discard" | "pop"), args=(Name() as left, *_)):
                    homes = self._futures.homes_of_container(key, base)
                    if left == wait.value and not homes.isdisjoint(made.held.homes):
                        return True
                case _:
                    pass
        return False
