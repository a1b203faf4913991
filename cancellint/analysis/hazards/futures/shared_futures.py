"""Futures and tasks that several callers wait for, so that cancelling one of them cancels it for all."""

import enum
from collections.abc import Iterator
from functools import cached_property
from itertools import islice

from msgspec import Struct

from cancellint.analysis.callgraph.exposure import Exposure
from cancellint.analysis.callgraph.homes import Home
from cancellint.analysis.effects.effects import FUTURE
from cancellint.analysis.engine.graph import CANCELLED, ENTRY, NORMAL, NOT_CANCELLED
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import Halt, Outcome, PathPoint, PathSearch
from cancellint.analysis.engine.reachability import after_block, behind, leads_to, may_follow, reaches
from cancellint.analysis.flow.cancellation_paths import unshielded_path
from cancellint.analysis.flow.facts import FactsOf
from cancellint.analysis.flow.held_locks import HeldLocks
from cancellint.analysis.hazards.futures.futures import Futures
from cancellint.analysis.program.expressions import last_name
from cancellint.analysis.program.names import decorator_names
from cancellint.analysis.program.type_algebra import options
from cancellint.model.finding import Confidence
from cancellint.model.ir import (
    CANCEL_EXIT,
    RETURN_EXIT,
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Const,
    Delete,
    Element,
    Expr,
    Function,
    Item,
    Leaves,
    Name,
    Op,
    Return,
    Step,
    Temp,
    Yield,
)
from cancellint.model.knowledge import RaceKind, Role
from cancellint.model.summary import Path
from cancellint.model.types import (
    CallSite,
    FunctionKey,
    Instance,
    Pending,
    ProjectCallee,
    Type,
)


class Sharing(enum.IntEnum):
    """How a future comes to have several waiters."""

    MADE_ONCE = 0
    """the first caller makes it, those after it wait for the same one"""
    HANDED_OUT = 1
    """the same, and the caller is given the future itself"""
    JOINED = 2
    """it is made elsewhere, and whoever calls waits for it"""


class Shared(Struct, frozen=True):
    """An await of a future, or a return of one, that is not the caller's own."""

    at: CallSite
    future: Expr
    sharing: Sharing
    is_task: bool
    is_alone: bool
    """it is awaited by itself or with a time limit, not as one of a group"""
    stored: CallSite | None
    """a step that puts it where everybody finds it"""
    confidence: Confidence


_KEEPERS = ("param:0", "free:", "global:")
"""Roots of what outlives a call of a method or closure."""
_MAKERS = frozenset({"create_task", "ensure_future", "create_future", "Future", "Task"})
MOST_PLACES = Limit(2000, "places between a function's entry and its await of a future")
"""Beyond them a future may be found."""
_DEEPEST = Limit(3, "calls that may make a future")
"""Calls that are followed to see whether they make a future."""


class SharedFutures:
    """Finds the awaits that give away everybody's future. Rests on types and knowledge only."""

    def __init__(self, futures: Futures, facts_of: FactsOf, exposure: Exposure) -> None:
        self._futures = futures
        self._facts_of = facts_of
        self._program = futures.program
        self._types = futures.effects.types
        self._exposure = exposure

    def of(self, key: FunctionKey) -> Iterator[Shared]:
        """Yield the awaits and returns of shared futures in a function, in the order of its steps."""
        function = self._program.function(key)
        if function.name.startswith("__") or function.kind not in ("function", "lambda"):
            return
        for number, step in enumerate(function.steps):
            match step:
                case Await(value=value, kind=AwaitKind.EXPRESSION | AwaitKind.YIELD_FROM):
                    awaited = self._futures.awaited(key, value)
                    found = (self._shared(key, number, future) for future, _ in awaited)
                    yield from islice((each for each in found if each is not None), 1)
                case Return(value=Name() | Attr() | Item() as value) if not function.is_async:
                    shared = self._shared(key, number, value)
                    if shared is not None and shared.sharing is Sharing.HANDED_OUT:
                        yield shared
                case _:
                    pass

    def _shared(self, key: FunctionKey, number: int, future: Expr) -> Shared | None:
        kind = self._kind(key, future)
        if kind is None and not self._may_be_kept(future):
            return None
        homes = self._kept_in(key, future)
        if kind is None:
            kind = next((self._kept[home][1] for home in sorted(homes) if home in self._kept), None)
        ends = self._ends_when_cancelled(key, number)
        if kind is None or RETURN_EXIT in ends or not homes or self._cancels(key, future):
            return None
        if self._is_over(key, number, future) or self._is_after_a_cancellation(key, number):
            return None
        if self._is_deleted_after(key, number, homes):
            return None
        function = self._program.function(key)
        steps = range(len(function.steps))
        certain = frozenset(each for each in steps if self._always_fills(key, each, homes, _DEEPEST))
        if certain and not self._may_find(key, number, certain):
            return None
        makers = [each for each in steps if self._fills(key, each, homes)]
        made = [each for each in makers if self._is_made_for(key, each, number)]
        if made:
            awaits = isinstance(function.steps[number], Await)
            sharing = Sharing.MADE_ONCE if awaits else Sharing.HANDED_OUT
            stored: CallSite | None = CallSite(key, made[0])
        elif makers or CANCEL_EXIT not in ends or self._is_closing(function) or self._leaves(key, number):
            return None  # it is renewed after each use, or its end is expected
        elif self._is_called_by_makers_only(key):
            return None
        else:
            sharing = Sharing.JOINED
            stored = next((self._kept[home][0] for home in sorted(homes) if home in self._kept), None)
        confidence = self._confidence(CallSite(key, number), sharing, stored)
        return Shared(
            CallSite(key, number), future, sharing, kind, self._is_alone(key, number), stored, confidence
        )

    def _is_over(self, key: FunctionKey, number: int, future: Expr) -> bool:
        """Tell whether a test has found a future among those that are done: nobody waits for it any more."""
        flow = self._program.flow(key)
        for block in flow.blocks:
            match block.test:
                case Op(op="in", operands=(asked, container)) if asked == future:
                    found = (edge.to for edge in block.edges if edge.leaves is Leaves.TRUE)
                    through = any(flow.dominance.dominates(to, flow.block_of(number)) for to in found)
                    if through and self._has_the_done(key, container):
                        return True
                case _:
                    pass
        return False

    def _has_the_done(self, key: FunctionKey, container: Expr) -> bool:
        """Tell whether a variable has the first of what a wait for several gives."""
        steps = self._program.function(key).steps
        return any(
            self._leaves_the_rest_running(key, steps[each.value.value.step])
            for each in steps
            if isinstance(each, Assign) and each.target == container
            if isinstance(each.value, Element) and each.value.index == 0
            if isinstance(each.value.value, Temp)
        )

    def _leaves_the_rest_running(self, key: FunctionKey, step: Step) -> bool:
        if not isinstance(step, Await) or not isinstance(step.value, Temp):
            return False
        callees = self._types.callees(key, step.value.step)
        known = map(self._futures.effects.operations.known, callees)
        return any(each is not None and each.entry.race is RaceKind.LEAVES_RUNNING for each in known)

    def _is_deleted_after(self, key: FunctionKey, number: int, homes: frozenset[Home]) -> bool:
        """Tell whether whoever has waited deletes the entry, come what may: a second would not find it."""
        flow = self._futures.unwinding(key).flow
        block = flow.block_of(number)
        after = [after_block(flow, block, leaving) for leaving in (NORMAL, CANCELLED)]
        deleted = {
            flow.block_of(step)
            for step, each in enumerate(self._program.function(key).steps)
            if isinstance(each, Delete) and self._is_in(key, each.target, homes)
        }
        return all(deleted & found for found in after)

    def _is_after_a_cancellation(self, key: FunctionKey, number: int) -> bool:
        """Tell whether only a first cancellation leads to an await, so that it takes a second one to harm."""
        flow = self._futures.unwinding(key).flow
        return not reaches(flow, ENTRY, flow.block_of(number), NOT_CANCELLED)

    def _is_alone(self, key: FunctionKey, number: int) -> bool:
        match self._program.function(key).steps[number]:
            case Await(value=value, kind=AwaitKind.EXPRESSION):
                return all(alone or each == value for each, alone in self._futures.awaited(key, value))
            case _:
                return False

    def _kind(self, key: FunctionKey, future: Expr) -> bool | None:
        """Tell whether an expression is a task, or a bare future; None if it may be something else."""
        found = options(self._types.of(key, future))
        if any(_is_task(each) for each in found):
            return True
        if any(isinstance(each, Instance) and each.cls == FUTURE for each in found):
            return False
        return None

    def _kept_in(self, key: FunctionKey, future: Expr) -> frozenset[Home]:
        """Return the homes of a future that outlive the call."""
        found: set[Home] = set()
        waiting: list[Expr] = [future]
        seen: set[Expr] = set()
        while waiting:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            if self._outlives_call(key, current):
                home = self._futures.home(key, current)
                found |= {home} if home is not None else set()
            if not self._takes_out(key, current):
                sources = self._futures.sources(key, current, 0)
                waiting.extend(value for at, value, depth in sources if at == key and not depth)
        return frozenset(found)

    def _takes_out(self, key: FunctionKey, expr: Expr) -> bool:
        """Tell whether an outcome is taken out of its container, or is one of all that are in there."""
        if not isinstance(expr, Temp):
            return False
        match self._program.function(key).steps[expr.step]:
            case Call(func=Attr(name=name)):
                return name not in ("get", "setdefault")
            case _:
                return True

    def _outlives_call(self, key: FunctionKey, expr: Expr) -> bool:
        """Tell whether an attribute or variable is there for the next call too."""
        while isinstance(expr, Item):
            expr = expr.base
        frame = self._futures.effects.frame(key)
        if isinstance(expr, Name):
            return frame.outlives(expr.id)
        path = frame.path(expr)
        return isinstance(expr, Attr) and path is not None and path.root.startswith(_KEEPERS)

    def _may_find(self, key: FunctionKey, number: int, filling: frozenset[int]) -> bool:
        """Tell whether a path that its tests allow leads to an await past all that puts something there."""

        def passed(here: PathPoint[tuple[()]], step: int) -> tuple[()] | Halt:
            if step == number:
                return Halt.FOUND
            return Halt.STOP if step in filling else ()

        facts = self._facts_of(key)
        search = PathSearch(facts.flow, passed, tests=facts.tests, cap=MOST_PLACES)
        return search.run([behind(facts.flow, None)]).outcome is not Outcome.DONE

    def _fills(self, key: FunctionKey, number: int, homes: frozenset[Home]) -> bool:
        """Tell whether a step may put something into one of the homes, or calls what does."""
        return self._stores(key, number, homes) or any(
            self._stores(callee, inner, homes)
            for callee in self._called(key, number, _DEEPEST)
            for inner in range(len(self._program.function(callee).steps))
        )

    def _is_made_for(self, key: FunctionKey, maker: int, number: int) -> bool:
        """Tell whether what a step puts there is what the function, or its next caller, waits for."""
        if not self._keeps_new(key, maker) or self._has_own_key(key, maker):
            return False
        flow = self._futures.unwinding(key).flow
        if may_follow(flow, maker, number):
            return True
        calls = isinstance(self._program.function(key).steps[maker], Call)
        return not calls and not may_follow(flow, number, maker)

    def _has_own_key(self, key: FunctionKey, maker: int) -> bool:
        """Tell whether a step puts something under a key that each call counts up for itself first."""
        match self._program.function(key).steps[maker]:
            case Assign(target=Item(key=Attr() | Name() as counter)):
                flow = self._futures.unwinding(key).flow
                counting = frozenset(self._counts(key, counter))
                return bool(counting) and not leads_to(flow, None, maker, avoiding=counting)
            case _:
                return False

    def _counts(self, key: FunctionKey, counter: Expr) -> Iterator[int]:
        """Yield the steps of a function that give a counter its next value."""
        steps = self._program.function(key).steps
        for number, step in enumerate(steps):
            match step:
                case Assign(target=target, op="+" | "-") if target == counter:
                    yield number
                case Assign(target=target, value=Temp(step=made)) if target == counter:
                    match steps[made]:
                        case Call(func=Name(id="next")):
                            yield number
                        case _:
                            pass
                case _:
                    pass

    def _always_fills(self, key: FunctionKey, number: int, homes: frozenset[Home], depth: int) -> bool:
        """Tell whether a step puts something there whenever it comes back."""
        if self._stores(key, number, homes):
            return True
        callees = self._called(key, number, depth)
        return bool(callees) and all(self._returns_filled(callee, homes, depth - 1) for callee in callees)

    def _returns_filled(self, key: FunctionKey, homes: frozenset[Home], depth: int) -> bool:
        function = self._program.function(key)
        filling = (each for each in range(len(function.steps)) if self._always_fills(key, each, homes, depth))
        return not leads_to(self._program.flow(key), None, RETURN_EXIT, avoiding=frozenset(filling))

    def _called(self, key: FunctionKey, number: int, depth: int) -> tuple[FunctionKey, ...]:
        """Return the project functions of the same module that a call reaches."""
        if not depth or not isinstance(self._program.function(key).steps[number], Call):
            return ()
        return tuple(
            callee.key
            for callee in self._types.callees(key, number)
            if isinstance(callee, ProjectCallee) and callee.key.module == key.module
        )

    def _stores(self, key: FunctionKey, number: int, homes: frozenset[Home]) -> bool:
        match self._program.function(key).steps[number]:
            case Assign(target=Attr() | Item() | Name() as target, value=value):
                return value != Const("none", "None") and self._is_in(key, target, homes)
            case Call(func=Attr(base=base, name="setdefault")):
                return self._is_in(key, base, homes)
            case _:
                return False

    def _is_in(self, key: FunctionKey, target: Expr, homes: frozenset[Home]) -> bool:
        if isinstance(target, Name) and not self._futures.effects.frame(key).outlives(target.id):
            return False
        home = self._futures.home(key, target)
        return home is not None and home in homes

    def _keeps_new(self, key: FunctionKey, number: int) -> bool:
        """Tell whether a step that fills a home puts a future or task there."""
        match self._program.function(key).steps[number]:
            case Assign(value=value):
                return self._kind(key, value) is not None
            case _:
                return True

    def _cancels(self, key: FunctionKey, future: Expr) -> bool:
        """Tell whether the function means to cancel what it waits for."""
        held = self._futures.held(key, future)
        return any(
            isinstance(step, Call)
            and isinstance(step.func, Attr)
            and step.func.name == "cancel"
            and (step.func.base == future or self._futures.held(key, step.func.base).meets(held))
            for step in self._program.function(key).steps
        )

    def _ends_when_cancelled(self, key: FunctionKey, number: int) -> frozenset[int]:
        """Return how the function can end after a wait was cancelled."""
        flow = self._futures.unwinding(key).flow
        found = after_block(flow, flow.block_of(number), CANCELLED)
        return frozenset(each for each in found if each < 0)

    def _is_closing(self, function: Function) -> bool:
        """Tell whether a function is named like one that ends what it waits for."""
        words = function.name.strip("_").split("_")
        return words[0] in self._futures.effects.conventions.cleans_up

    def _leaves(self, key: FunctionKey, number: int) -> bool:
        """Tell whether a step is run by leaving the context manager that the function is the body of."""
        function, flow = self._program.function(key), self._program.flow(key)
        if "asynccontextmanager" not in decorator_names(function):
            return False
        entered = frozenset(at for at, step in enumerate(function.steps) if isinstance(step, Yield))
        return not leads_to(flow, None, number, avoiding=entered)

    @cached_property
    def _kept(self) -> dict[Home, tuple[CallSite, bool]]:
        """Where futures and tasks are put, by their homes, and whether they are tasks."""
        found: dict[Home, tuple[CallSite, bool]] = {}
        for key in sorted(self._program.calls.functions_with(_MAKERS)):
            for number, step in enumerate(self._program.function(key).steps):
                if isinstance(step, Assign) and isinstance(step.target, Attr | Item):
                    kind = self._kind(key, step.value)
                    home = self._futures.home(key, step.target)
                    if kind is not None and home is not None:
                        found.setdefault(home, (CallSite(key, number), kind))
        return found

    def _may_be_kept(self, future: Expr) -> bool:
        """Tell, without much ado, whether an expression of unknown type may be a future that is kept."""
        return isinstance(future, Item) and last_name(future) in self._kept_names

    @cached_property
    def _kept_names(self) -> frozenset[str]:
        return frozenset(name for _, name in self._kept)

    def _is_called_by_makers_only(self, key: FunctionKey) -> bool:
        """Tell whether every known caller has made the object whose method this is, or shields the call."""
        callers = list(self._futures.uses.calls(key))
        return bool(callers) and all(
            self._has_made(site.function, callee.receiver) or self._futures.is_given_to(site, Role.SHIELDS)
            for site, callee in callers
        )

    def _has_made(self, key: FunctionKey, receiver: Expr | None) -> bool:
        """Tell whether a function makes an object for itself alone."""
        if not isinstance(receiver, Name):
            return False
        steps = self._program.function(key).steps
        made = self._futures.effects.frame(key).value_of(receiver.id)
        if not isinstance(made, Temp) or not isinstance(steps[made.step], Call):
            return False
        if any(isinstance(step, Return) and step.value == receiver for step in steps):
            return False
        callees = self._types.callees(key, made.step)
        return all(isinstance(each, ProjectCallee) and each.constructs for each in callees)

    def _gives_up(self, at: CallSite) -> bool:
        """Tell whether the function, when cancelled, ends its object itself: nobody is to go on with it."""
        facts = self._facts_of(at.function)
        own = Path("param:0")
        return any(
            facts.frame.path(step.func.base) == own and self._is_closing(self._program.function(callee))
            for number in unshielded_path(facts, facts.block_of(at.step)).steps
            if isinstance(step := facts.function.steps[number], Call) and isinstance(step.func, Attr)
            for callee in self._futures.effects.callees(at.function, number)
        )

    def _confidence(self, at: CallSite, sharing: Sharing, stored: CallSite | None) -> Confidence:
        if self._gives_up(at):
            return Confidence.POSSIBLE
        key = at.function
        function = self._program.function(key)
        callers = [site for site, _ in self._futures.uses.calls(key)]
        waiting = [each for each in callers if not self._futures.is_given_to(each, Role.SPAWNS)]
        match sharing:
            case Sharing.MADE_ONCE if callers and not waiting:
                return Confidence.POSSIBLE
            case Sharing.MADE_ONCE if CANCEL_EXIT not in self._ends_when_cancelled(key, at.step):
                return Confidence.POSSIBLE
            case Sharing.MADE_ONCE:
                firm = not self._is_closing(function) and not self._is_locked(at)
                return Confidence.CERTAIN if firm else Confidence.LIKELY
            case Sharing.HANDED_OUT:
                in_container = stored is not None and self._fills_container(stored)
                firm = in_container and not function.name.startswith("_")
                return Confidence.LIKELY if firm else Confidence.POSSIBLE
            case Sharing.JOINED if stored is None:
                return Confidence.POSSIBLE
            case Sharing.JOINED:
                public = function.cls >= 0 and not any(
                    part.startswith("_") for part in function.qualname.split(".")
                )
                unknown = sum(1 for _ in self._futures.inflows.unknown_callers(key))
                several = len(waiting) + unknown > 1 or (not callers and self._is_offered(key))
                firm = public and several and not self._is_locked(at)
                return Confidence.LIKELY if firm else Confidence.POSSIBLE

    def _is_offered(self, key: FunctionKey) -> bool:
        """Tell whether users may call what the program does not call itself, by what its package exports."""
        return self._exposure.is_exported(key) or not self._exposure.declares_api(key.module)

    def _is_locked(self, at: CallSite) -> bool:
        """Tell whether a lock is held at a step, so that only one at a time can wait there."""
        return HeldLocks(self._facts_of(at.function)).is_locked(at.step)

    def _fills_container(self, site: CallSite) -> bool:
        match self._program.function(site.function).steps[site.step]:
            case Assign(target=Item()) | Call():
                return True
            case _:
                return False


def _is_task(found: Type) -> bool:
    match found:
        case Pending(task=task):
            return task
        case Instance(cls=cls):
            return cls == "asyncio.Task"
        case _:
            return False
