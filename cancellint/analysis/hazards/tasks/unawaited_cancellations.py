"""Tasks that are cancelled and not waited for, although what follows gets into the way of their cleanup.

A cancellation only asks: the task runs its cleanup in later turns of the event loop. Nothing is wrong with
not waiting for that, unless the code goes on to start the same work anew, or to close what the cleanup needs.
"""

import enum
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.callgraph.handles import Handles
from cancellint.analysis.callgraph.homes import Home, Homes
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import pendings
from cancellint.analysis.engine.graph import ENTRY, NORMAL
from cancellint.analysis.engine.reachability import after_step, reachable
from cancellint.analysis.flow.cancellation_paths import unshielded_path
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.hazards.tasks.mentions import Mentions
from cancellint.analysis.memory.values import used_by
from cancellint.analysis.program.expressions import parts
from cancellint.model.ir import Assign, Attr, Await, Call, Expr, Function, Step
from cancellint.model.knowledge import Role
from cancellint.model.types import CallSite, FunctionKey, ProjectCallee


class Conflict(enum.Enum):
    """What gets into the way of a cleanup."""

    RESTART = enum.auto()
    """the same coroutine is started again"""
    CLOSE = enum.auto()
    """what the cleanup needs is closed"""


class Unawaited(Struct, frozen=True):
    """A task that is cancelled and not waited for. `cleanup` is the await of its cleanup."""

    cancelled: int
    conflict: Conflict
    at: int
    """the step that gets into the way"""
    runs: str
    cleanup: CallSite
    shared: str
    """what both use"""


class UnawaitedCancellations:
    """Looks at what follows a cancellation, and at what the cancelled coroutine does then."""

    def __init__(self, effects: Effects, facts_of: FactsOf, handles: Handles) -> None:
        self._effects = effects
        self._program = effects.program
        self._facts_of = facts_of
        self._handles = handles
        self._homes = Homes(effects)
        self._given = Mentions(effects.program, _given)

    def of(self, key: FunctionKey) -> Iterator[Unawaited]:
        """Yield the cancellations in a function that something gets into the way of."""
        for number in self._cancelling.get(key, ()):
            found = next(self._of_call(key, number), None)
            if found is not None:
                yield found

    @cached_property
    def _cancelling(self) -> dict[FunctionKey, list[int]]:
        """The steps that cancel something, by function."""
        found: dict[FunctionKey, list[int]] = {}
        for at in self._program.calls.called.get("cancel", ()):
            callees = self._effects.types.callees(at.function, at.step)
            known = [self._effects.operations.known(callee) for callee in callees]
            if any(each is not None and Role.CANCELS in each.entry.roles for each in known):
                found.setdefault(at.function, []).append(at.step)
        return found

    def _of_call(self, key: FunctionKey, number: int) -> Iterator[Unawaited]:
        step = self._program.function(key).steps[number]
        if not isinstance(step, Call) or not isinstance(step.func, Attr):
            return
        handle = step.func.base
        flow = self._program.flow(key)
        rest, blocks = after_step(flow, number, NORMAL)
        later = [*rest, *flow.steps_of(blocks)]
        steps = self._program.function(key).steps
        if any(self._looks_at(steps[each], handle) for each in later) or self._is_awaited_somewhere(
            key, handle
        ):
            return
        for called in dict.fromkeys(self._entries(key, handle)):
            for cleanup in self._cleanups(called):
                yield from self._conflicts(key, number, later, called, cleanup)

    def _looks_at(self, step: Step, handle: Expr) -> bool:
        """Tell whether a step does something with a handle, but to forget it."""
        match step:
            case Assign(value=value):
                values: tuple[Expr, ...] = (value,)
            case _:
                values = used_by(step)
        return any(part == handle for value in values for part in parts(value))

    def _is_awaited_somewhere(self, key: FunctionKey, handle: Expr) -> bool:
        """Tell whether another function waits for the task that is kept there."""
        home = self._homes.of(key, handle)
        if home is None:
            return False
        return any(self._homes.of(where, each) == home for where, each in self._given.of(home))

    def _entries(self, key: FunctionKey, handle: Expr) -> Iterator[FunctionKey]:
        """Yield the coroutine functions of the project that a handle may be the task of."""
        for pending in pendings(self._effects.types.of(key, handle)):
            if pending.task:
                for callee in self._effects.types.callees(pending.site.function, pending.site.step):
                    if isinstance(callee, ProjectCallee) and self._program.function(callee.key).is_async:
                        yield callee.key

    def _cleanups(self, called: FunctionKey) -> Iterator[tuple[Facts, int]]:
        """Yield the awaits that a coroutine comes to only when it is cancelled, or fails.

        Where it swallows the cancellation and goes on with its work, it cleans up nothing.
        """
        facts = self._facts_of(called)
        working = reachable(facts.flow, (ENTRY,), NORMAL)
        told: set[int] = set()
        for block, _ in facts.awaits():
            for step in unshielded_path(facts, block).steps:
                waits = isinstance(facts.function.steps[step], Await) and facts.effect(step).suspends
                if waits and step not in told and facts.block_of(step) not in working:
                    told.add(step)
                    yield facts, step

    # ----------------------------------------------------------------- what gets into the way

    def _conflicts(
        self, key: FunctionKey, number: int, later: list[int], called: FunctionKey, cleanup: tuple[Facts, int]
    ) -> Iterator[Unawaited]:
        facts, at = cleanup
        runs = self._program.function(called).qualname
        site = CallSite(called, at)
        shared = self._shared_after(facts, at)
        if shared is not None:
            for step in later:
                if self._starts(key, step, called):
                    yield Unawaited(number, Conflict.RESTART, step, runs, site, shared)
        needed = self._needed(facts, at)
        for step in later:
            closed = self._closes(key, step)
            if closed & needed.keys():
                yield Unawaited(number, Conflict.CLOSE, step, runs, site, needed[min(closed & needed.keys())])

    def _starts(self, key: FunctionKey, step: int, called: FunctionKey) -> bool:
        """Tell whether a step starts a task of a coroutine, by itself or in a function that it calls."""
        sites = [CallSite(key, step)]
        node = self._program.function(key).steps[step]
        if isinstance(node, Call):
            for callee in self._effects.types.callees(key, step):
                if isinstance(callee, ProjectCallee) and callee.key != called:
                    steps = self._program.function(callee.key).steps
                    sites += [CallSite(callee.key, each) for each in range(len(steps))]
        return any(
            isinstance(operation.callee, ProjectCallee) and operation.callee.key == called
            for site in sites
            if self._is_starter(site)
            for operation in self._effects.operations.behind(
                site.function, _outcome(self._program.function(site.function).steps[site.step])
            )
        )

    def _is_starter(self, site: CallSite) -> bool:
        step = self._program.function(site.function).steps[site.step]
        if not isinstance(step, Call) or not step.args:
            return False
        known = (
            self._effects.operations.known(callee)
            for callee in self._effects.types.callees(site.function, site.step)
        )
        return any(each is not None and Role.SPAWNS in each.entry.roles for each in known)

    def _shared_after(self, facts: Facts, at: int) -> str | None:
        """Return an attribute that a cleanup assigns after, or by, an await, and that a new run uses too."""
        rest, blocks = after_step(facts.flow, at, NORMAL)
        following = [*rest, *facts.flow.steps_of(blocks)]
        for step in following:
            match facts.function.steps[step]:
                case Assign(target=Attr(name=name) as target) if self._is_own(facts, target):
                    return name
                case _:
                    pass
        return None

    def _is_own(self, facts: Facts, target: Expr) -> bool:
        path = facts.frame.path(target)
        return path is not None and path.root == "param:0" and len(path.fields) == 1

    def _needed(self, facts: Facts, at: int) -> dict[Home, str]:
        """Return whose objects a cleanup's await works on, with their names."""
        found: dict[Home, str] = {}
        for operation in self._effects.awaited(facts.key, at):
            receiver = operation.callee.receiver
            if isinstance(receiver, Attr):
                home = self._homes.of(facts.key, receiver)
                if home is not None:
                    found[home] = receiver.name
        return found

    def _closes(self, key: FunctionKey, step: int) -> frozenset[Home]:
        """Return whose objects a step closes by a library's method, or one that is named so."""
        match self._program.function(key).steps[step]:
            case Call(func=Attr(base=Attr() as base, name=name)) if name in self._effects.conventions.closes:
                home = self._homes.of(key, base)
                return frozenset((home,)) if home is not None else frozenset()
            case _:
                return frozenset()


def _given(_function: Function, step: Step) -> Iterator[Attr]:
    """Yield the attributes that a step waits for, or hands over to a call that may do so."""
    match step:
        case Await(value=value):
            values: tuple[Expr, ...] = (value,)
        case Call(args=args, keywords=keywords):
            values = (*args, *(value for _, value in keywords))
        case _:
            return
    yield from (part for value in values for part in parts(value) if isinstance(part, Attr))


def _outcome(step: Step) -> Expr:
    assert isinstance(step, Call)
    return step.args[0]
