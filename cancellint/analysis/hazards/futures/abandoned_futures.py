"""Futures whose waiter may be gone when they are completed: `set_result` then raises InvalidStateError."""

import enum
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct, structs

from cancellint.analysis.callgraph.homes import Home
from cancellint.analysis.engine.graph import CANCELLED, ERROR, ControlFlow
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import Halt, PathPoint, PathSearch
from cancellint.analysis.engine.reachability import after_block, after_step, precedes, reaches
from cancellint.analysis.hazards.futures.futures import Completion, Futures, Held, Made, Wait
from cancellint.analysis.library.exceptions import INVALID_STATE
from cancellint.analysis.program.type_algebra import options
from cancellint.model.finding import Confidence
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Attr,
    Await,
    Call,
    Catch,
    Closure,
    Const,
    Delete,
    Exit,
    Expr,
    Function,
    Item,
    Leaves,
    Name,
    Next,
    Step,
    Temp,
)
from cancellint.model.knowledge import Callback, Entry, Role
from cancellint.model.types import CallSite, FunctionKey, Instance, ProjectCallee, ProjectFunction


class Harm(enum.IntEnum):
    """What an InvalidStateError ends, worst first."""

    LOOP = 0
    """a loop that serves everybody"""
    OTHERS = 1
    """the loop over those who wait: the rest is never woken"""
    CONNECTION = 2
    """the connection, whose transport closes when its protocol raises"""
    CALL = 3
    """the function itself"""
    CAUGHT = 4
    """nothing: somebody handles it and goes on"""


class Unguarded(Struct, frozen=True):
    """A completion that may find its future cancelled."""

    completion: Completion
    made: Made
    wait: Wait | None
    """None: the future is handed to callers, who may wait for it as they like"""
    harm: Harm
    victim: CallSite
    """the function that the error ends, and where it gets there"""
    confidence: Confidence


_REMOVES = frozenset({"pop", "popleft", "popitem", "remove", "discard", "clear", "get_nowait", "__delitem__"})
_LATER = frozenset({"add_done_callback", "callback", "push_async_callback"})
"""Methods of futures and exit stacks that call a function when all is over."""
_ASKS = frozenset({"done", "cancelled"})
_DEEPEST = Limit(4, "callers of what completes a future")
"""Callers of a completion that are looked at to see what its error ends."""
ANY_KEY = Const("ellipsis", "...")
"""Stands for whatever key something has in a container."""
_DEEPEST_CLEANUP = Limit(2, "calls on a cancelled path that may deregister a future")
"""Calls on a cancelled path that are followed to see whether they deregister a future."""


class AbandonedFutures:
    """Finds completions that nothing guards, of futures whose waiter leaves them where they are."""

    def __init__(self, futures: Futures) -> None:
        self._futures = futures
        self._program = futures.program
        self._types = futures.effects.types
        self._waits: dict[int, tuple[Wait, ...]] = {}
        self._abandoned: dict[tuple[int, frozenset[Home]], tuple[Wait, ...]] = {}

    def unguarded_in(self, key: FunctionKey) -> Iterator[Unguarded]:
        """Yield the completions of a function that may raise, in the order of its steps."""
        yield from self._all.get(key, ())

    @cached_property
    def _all(self) -> dict[FunctionKey, list[Unguarded]]:
        found: dict[FunctionKey, list[Unguarded]] = {}
        for completion in self._futures.completions:
            if self._is_guarded(completion.at, completion.future, completion.held):
                continue
            numbers = range(len(self._futures.made))
            judged = [each for number in numbers if (each := self._judge(completion, number))]
            if judged:
                best = min(judged, key=lambda each: (each.confidence.rank, each.wait is None))
                found.setdefault(completion.at.function, []).append(best)
        return {key: list(self._alike(key, each)) for key, each in found.items()}

    def _alike(self, key: FunctionKey, found: list[Unguarded]) -> Iterator[Unguarded]:
        """Say the same of all copies of a step, which a `finally` has for each way into it."""
        steps = self._program.function(key).steps
        worst: dict[Step, Unguarded] = {}
        for each in found:
            step = steps[each.completion.at.step]
            worst[step] = min(worst.get(step, each), each, key=lambda one: (one.confidence.rank, one.harm))
        for each in found:
            yield structs.replace(worst[steps[each.completion.at.step]], completion=each.completion)

    def _judge(self, completion: Completion, number: int) -> Unguarded | None:
        made = self._futures.made[number]
        if not self._may_be(completion.at, completion.held, made) or self._is_fresh(completion, made):
            return None
        here = completion.at.function
        homes = made.held.homes | self._leading_to(completion)
        wait = next((each for each in self._left_behind(number, homes) if each.at.function != here), None)
        if wait is None and (made.handed_to or not made.handed_by or self._is_awaited(number, here)):
            return None
        harm, victim = self._harm(completion)
        return Unguarded(completion, made, wait, harm, victim, self._confidence(completion, made, wait, harm))

    def _is_awaited(self, number: int, here: FunctionKey) -> bool:
        """Tell whether some other function may wait for a future."""
        return any(each.at.function != here for each in self._waits_for(number))

    def _waits_for(self, number: int) -> tuple[Wait, ...]:
        """Return the waits that may be for a future, the timed ones first."""
        if number not in self._waits:
            made = self._futures.made[number]
            waits = [each for each in self._futures.waits if self._may_be(each.at, each.held, made)]
            self._waits[number] = tuple(sorted(waits, key=lambda each: (not each.is_timed, each.at)))
        return self._waits[number]

    def _left_behind(self, number: int, homes: frozenset[Home]) -> tuple[Wait, ...]:
        """Return those of them that leave the future in one of these homes when they are cancelled."""
        asked = number, homes
        if asked not in self._abandoned:
            made = self._futures.made[number]
            waits = self._waits_for(number)
            self._abandoned[asked] = tuple(each for each in waits if self._is_abandoned(each, made, homes))
        return self._abandoned[asked]

    def _may_be(self, at: CallSite, held: Held, made: Made) -> bool:
        """Tell whether what a step speaks of may be a future: siblings do not share their attributes."""
        if not held.made.isdisjoint(made.held.made):
            return True
        common = held.homes & made.held.homes
        here, there = self._program.class_of(at.function), self._program.class_of(made.site.function)
        return any(
            here is None
            or there is None
            or not (self._program.inherits(here, cls) and self._program.inherits(there, cls))
            or self._program.inherits(here, there)
            or self._program.inherits(there, here)
            for cls, _ in common
        )

    def _is_fresh(self, completion: Completion, made: Made) -> bool:
        """Tell whether nobody can have waited yet for the future that is completed."""
        at, future = completion.at, completion.future
        function = self._program.function(at.function)
        if at.function == made.site.function or self._runs_first(at.function):
            return True
        flow = self._program.flow(at.function)
        if not isinstance(future, Name) and any(
            isinstance(step, Assign) and step.target == future and precedes(flow, number, at.step)
            for number, step in enumerate(function.steps)
        ):
            return True
        return isinstance(future, Name) and any(
            site.function == made.site.function for site, _ in self._given(at.function, future.id)
        )

    def _given(self, key: FunctionKey, name: str) -> Iterator[tuple[CallSite, Expr]]:
        """Yield what callers give for a parameter."""
        for site, callee in self._futures.uses.calls(key):
            for param, value in self._futures.arguments(callee):
                if param == name:
                    yield site, value

    def _leading_to(self, completion: Completion) -> frozenset[Home]:
        """Return who keeps the object in whose attribute a completion finds its future."""
        found: set[Home] = set()
        expr = completion.future
        while isinstance(expr, Attr):
            expr = expr.base
            found |= self._futures.held(completion.at.function, expr).homes
        return frozenset(found)

    def _is_abandoned(self, wait: Wait, made: Made, homes: frozenset[Home]) -> bool:
        return not self._deregisters(wait, made, homes) and not self._is_shielded(wait.at.function)

    def _is_shielded(self, key: FunctionKey) -> bool:
        """Tell whether all known callers of a coroutine shield it."""
        callers = [site for site, _ in self._futures.uses.calls(key)]
        return bool(callers) and all(self._futures.is_given_to(site, Role.SHIELDS) for site in callers)

    def _confidence(self, completion: Completion, made: Made, wait: Wait | None, harm: Harm) -> Confidence:
        """Return how firmly it stands that somebody is hurt.

        What is made once with its object and completed by it is mostly thrown away with it when the waiter
        is cancelled; who completes it from elsewhere still has the object. An error at the end of a function
        that nobody is known to call leaves a line in the log.
        """
        if harm is Harm.CAUGHT or self._is_thrown_away(completion, made):
            return Confidence.POSSIBLE
        if wait is None:
            public = any(self._is_public(each) for each in made.handed_by)
            return Confidence.LIKELY if public and harm is not Harm.CALL else Confidence.POSSIBLE
        if harm is Harm.CALL and self._is_last(completion.at):
            return Confidence.LIKELY if wait.is_timed else Confidence.POSSIBLE
        return made.confidence if wait.is_timed or harm is not Harm.CALL else Confidence.LIKELY

    def _is_thrown_away(self, completion: Completion, made: Made) -> bool:
        """Tell whether a future is made with an object, or a module, that completes it itself."""
        name = self._program.function(made.site.function).name
        if made.is_on_demand or name not in ("__init__", "__post_init__", "<module>"):
            return False
        here, there = map(self._program.class_of, (completion.at.function, made.site.function))
        if here is None or there is None:
            return there is None
        return self._program.inherits(here, there) or self._program.inherits(there, here)

    def _is_last(self, at: CallSite) -> bool:
        """Tell whether nothing is called after a step, and nothing kept in an object changes."""
        function = self._program.function(at.function)
        flow = self._program.flow(at.function)
        rest, blocks = after_step(flow, at.step)
        following = (*rest, *flow.steps_of(blocks))
        return not any(_has_effect(function.steps[each]) for each in following)

    def _is_public(self, key: FunctionKey) -> bool:
        parts = self._program.function(key).qualname.split(".")
        return not any(part.startswith("_") and not part.endswith("__") for part in parts)

    # ----------------------------------------------------------------- guards

    def _is_guarded(self, at: CallSite, future: Expr, held: Held) -> bool:
        return self._asked_before(at, future, held) or self._is_caught(at)

    def _asked_before(self, at: CallSite, future: Expr, held: Held) -> bool:
        """Tell whether the function asks a future that may be the one whether it is done."""
        flow = self._program.flow(at.function)
        for number, step in enumerate(self._program.function(at.function).steps):
            match step:
                case Call(func=Attr(base=base, name=name)) if name in _ASKS:
                    means = base == future or self._futures.held(at.function, base).meets(held)
                    if means and precedes(flow, number, at.step):
                        return True
                case _:
                    pass
        return False

    def _is_caught(self, at: CallSite) -> bool:
        """Tell whether a function survives what a call raises: it suppresses that, or handles it and goes on.

        To go on is to come round again where the call stands in a loop.
        """
        function = self._program.function(at.function)
        flow = self._program.flow(at.function)
        block = flow.block_of(at.step)
        unwinding = self._futures.unwinding(at.function)
        if any(unwinding.absorbs(region, INVALID_STATE) for region in function.blocks[block].regions):
            return True
        for handler in _handlers(function, flow, block):
            if unwinding.handlers.catches(handler, INVALID_STATE):
                goal = block if flow.cycle(block) else RETURN_EXIT
                return unwinding.handlers.names(handler, INVALID_STATE) or reaches(flow, handler, goal)
        return False

    # ----------------------------------------------------------------- what the waiter leaves behind

    def _deregisters(self, wait: Wait, made: Made, homes: frozenset[Home]) -> bool:
        """Tell whether the future is taken out of one of its homes when its waiter is cancelled."""
        sites = [wait.at] if wait.helper is None else [wait.at, wait.helper]
        if any(self._undone_on_cancel(each, homes) for each in sites):
            return True
        keys = {wait.at.function, made.site.function}
        if any(self._undone_by_callback(key, homes) for key in keys):
            return True
        return self._is_kept_weakly(made)

    def _undone_on_cancel(self, at: CallSite, homes: frozenset[Home]) -> bool:
        flow = self._futures.unwinding(at.function).flow
        return any(
            self._removes(at.function, number, homes, _DEEPEST_CLEANUP)
            for number in flow.steps_of(after_block(flow, flow.block_of(at.step), CANCELLED))
        )

    def _removes(self, key: FunctionKey, number: int, homes: frozenset[Home], depth: int) -> bool:
        """Tell whether a step takes something out of one of the homes, or puts something else there."""
        step = self._program.function(key).steps[number]
        match step:
            case Delete(target=target) | Assign(target=Attr() | Item() as target):
                return self._is_in(key, target, homes)
            case Call(func=Attr(base=base, name=name)) if name in _REMOVES and self._is_in(key, base, homes):
                return True
            case Call(args=args) if _DEEPEST_CLEANUP.leaves(depth) and any(
                self._gives_remover(key, each, homes, depth - 1) for each in args
            ):
                return True
            case Call() | Await() | Exit() if _DEEPEST_CLEANUP.leaves(depth):
                return self._removes_from_given(key, number, homes) or any(
                    self._function_removes(each, homes, depth - 1) for each in self._run(key, number)
                )
            case _:
                return False

    def _removes_from_given(self, key: FunctionKey, number: int, homes: frozenset[Home]) -> bool:
        """Tell whether what a step runs takes something out of a container that it is given."""
        for callee in self._called(key, number):
            for param, value in self._futures.arguments(callee):
                if self._is_in(key, Item(value, ANY_KEY), homes) and self._takes_from(callee.key, param):
                    return True
        return False

    def _takes_from(self, key: FunctionKey, container: str) -> bool:
        """Tell whether a function takes something out of a container that is its parameter."""
        for step in self._program.function(key).steps:
            match step:
                case Delete(target=Item(base=Name(id=name))) if name == container:
                    return True
                case Call(func=Attr(base=Name(id=name), name=method)) if name == container:
                    if method in _REMOVES:
                        return True
                case _:
                    pass
        return False

    def _called(self, key: FunctionKey, number: int) -> Iterator[ProjectCallee]:
        """Yield the calls that a step is, or that made what it leaves or waits for."""
        steps = self._program.function(key).steps
        made: int | None = None
        match steps[number]:
            case Call():
                made = number
            case Exit(value=Temp(step=step)) | Await(value=Temp(step=step)) if isinstance(steps[step], Call):
                made = step
            case _:
                pass
        for callee in self._types.callees(key, made) if made is not None else ():
            if isinstance(callee, ProjectCallee):
                yield callee

    def _run(self, key: FunctionKey, number: int) -> Iterator[FunctionKey]:
        """Yield the project functions that a step runs, the generator behind a context manager included."""
        yield from self._futures.effects.callees(key, number)
        if not isinstance(self._program.function(key).steps[number], Call):
            yield from (callee.key for callee in self._called(key, number))

    def _function_removes(self, key: FunctionKey, homes: frozenset[Home], depth: int) -> bool:
        return any(
            self._removes(key, number, homes, depth)
            for number in range(len(self._program.function(key).steps))
        )

    def _is_in(self, key: FunctionKey, expr: Expr, homes: frozenset[Home]) -> bool:
        home = self._futures.home(key, expr)
        return home is not None and home in homes

    def _gives_remover(self, key: FunctionKey, value: Expr, homes: frozenset[Home], depth: int) -> bool:
        """Tell whether a value is a function that deregisters, which a callee will call.

        Functions may be given to functions that give them on, and so round in a ring.
        """
        match value:
            case Attr(base=base, name=name) if name in _REMOVES and self._is_in(key, base, homes):
                return True
            case _:
                return any(self._function_removes(each, homes, depth) for each in self._meant(key, value))

    def _meant(self, key: FunctionKey, value: Expr) -> Iterator[FunctionKey]:
        """Yield the project functions that a value means."""
        match value:
            case Closure(function=index):
                yield FunctionKey(key.module, index)
            case Attr() | Name() | Temp():
                for each in options(self._types.of(key, value)):
                    if isinstance(each, ProjectFunction):
                        yield each.key
            case _:
                pass

    def _undone_by_callback(self, key: FunctionKey, homes: frozenset[Home]) -> bool:
        """Tell whether a function has the future deregistered when it is done, cancelled or not."""
        for step in self._program.function(key).steps:
            match step:
                case Call(func=Attr(name=name), args=args) if name in _LATER:
                    if any(self._gives_remover(key, each, homes, _DEEPEST_CLEANUP) for each in args):
                        return True
                    meant = [called for each in args for called in self._meant(key, each)]
                    if name == "add_done_callback" and any(self._settles(each) for each in meant):
                        return True
                case _:
                    pass
        return False

    def _settles(self, key: FunctionKey) -> bool:
        """Tell whether a done-callback takes something out of somewhere, or looks whether it was cancelled.

        What it takes out may be what leads to the future, and not the future itself.
        """
        for step in self._program.function(key).steps:
            match step:
                case Delete(target=Item() | Attr()):
                    return True
                case Call(func=Attr(name=name)) if name in _REMOVES or name == "cancelled":
                    return True
                case _:
                    pass
        return False

    def _is_kept_weakly(self, made: Made) -> bool:
        knowledge = self._futures.effects.operations.knowledge
        for site in made.kept_by:
            match self._program.function(site.function).steps[site.step]:
                case Assign(target=Item(base=base)) | Call(func=Attr(base=base)):
                    if any(
                        isinstance(each, Instance) and knowledge.is_weak(each.cls)
                        for each in options(self._types.of(site.function, base))
                    ):
                        return True
                case _:
                    pass
        return False

    # ----------------------------------------------------------------- what the error ends

    def _harm(self, completion: Completion) -> tuple[Harm, CallSite]:
        """Return the worst that the error ends, and where it gets to the function that it ends."""
        return min(self._harms(completion), default=(Harm.CALL, completion.at))

    def _harms(self, completion: Completion) -> Iterator[tuple[Harm, CallSite]]:
        waiting: list[tuple[CallSite, int]] = [(completion.at, 0)]
        seen: set[FunctionKey] = set()
        while waiting:
            at, depth = waiting.pop()
            if at.function in seen:
                continue
            seen.add(at.function)
            function = self._program.function(at.function)
            if depth and self._is_caught(at):
                yield Harm.CAUGHT, at
                continue
            flow = self._program.flow(at.function)
            cycle = flow.cycle(flow.block_of(at.step))
            turns = [function.steps[each] for each in flow.steps_of(cycle)]
            goes_over_some = any(isinstance(each, Next) for each in turns)
            if any(isinstance(each, Await) for each in turns) or (turns and not goes_over_some):
                yield Harm.LOOP, at
            elif cycle:
                yield Harm.OTHERS, at
            elif self._closes_transport(at.function):
                yield Harm.CONNECTION, at
            elif not _DEEPEST.is_exceeded_by(depth + 1):
                callers = [site for site, _ in self._futures.uses.calls(at.function)]
                awaiting = [each for each in callers if not self._futures.is_given_to(each, Role.SPAWNS)]
                waiting.extend((site, depth + 1) for site in awaiting)
                if not callers or len(awaiting) < len(callers):
                    yield Harm.CALL, at

    def _closes_transport(self, key: FunctionKey) -> bool:
        overridden = self._overridden(key)
        return overridden is not None and overridden.error_closes

    def _runs_first(self, key: FunctionKey) -> bool:
        """Tell whether a library calls a method before any other one of the object."""
        overridden = self._overridden(key)
        return overridden is not None and overridden.callback is Callback.FIRST

    def _overridden(self, key: FunctionKey) -> Entry | None:
        """Return what the tables say of the library's method that a method overrides."""
        cls = self._program.class_of(key)
        if cls is None:
            return None
        bases = self._types.library_bases(cls)
        return self._futures.effects.operations.knowledge.overridden(bases, self._program.function(key).name)


def _handlers(function: Function, flow: ControlFlow, block: int) -> tuple[int, ...]:
    """Return the blocks of the handlers that an exception raised in a block may meet, innermost first."""
    found: dict[int, None] = {}

    def caught(here: PathPoint[tuple[()]], step: int) -> tuple[()] | Halt:
        if not isinstance(function.steps[step], Catch) or step != flow.blocks[here.block].first:
            return ()
        found[here.block] = None
        return Halt.STOP

    raised = [PathPoint(to, ()) for to in flow.targets(block, ERROR) if to >= 0]
    PathSearch(flow, caught, taken=ERROR | {Leaves.CAUGHT, Leaves.NORMAL}).run(raised)
    return tuple(found)


def _has_effect(step: Step) -> bool:
    """Tell whether it matters to others that a step does not run."""
    match step:
        case Call() | Await() | Delete() | Assign(target=Attr() | Item()):
            return True
        case _:
            return False
