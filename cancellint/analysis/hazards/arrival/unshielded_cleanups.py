"""Cleanups that wait, and that a cancelled scope of anyio or trio ends at their first wait."""

from collections.abc import Iterable, Iterator
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.effects.acts import UNDOES
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.reachability import after_step, leads_to
from cancellint.analysis.flow.cancellation_paths import cancellation_path, unshielded_path
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.program.expressions import parts
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import Assign, Attr, Await, AwaitKind, Call, Catch, Const, Delete, Expr, Temp
from cancellint.model.knowledge import Role, SourceKind
from cancellint.model.types import CallSite, FunctionKey, Instance, LibraryCallee

DEEPEST = Limit(3, "calls between a cleanup and the library that it waits by")

_SHIELD = ("shield", Const("bool", "True"))
"""How a scope is told to shield its body, also by those who wrap one."""
_BEGINNING = ("__init__", "__enter__", "__aenter__")
"""Where a manager makes what it enters."""


class UnshieldedCleanup(Struct, frozen=True):
    """The cancellation of `awaited` comes again at `cleanup`, so that `skipped` is not done."""

    awaited: int
    cleanup: int
    skipped: CallSite
    what: Expr | None
    """what is called there, or else what is changed"""
    is_call: bool
    is_in_memory: bool
    """it is a channel within the program that is not closed: often nobody misses that"""


class UnshieldedCleanups:
    """Finds them for one coroutine at a time, if it uses a library whose scopes cancel again."""

    def __init__(self, effects: Effects, facts_of: FactsOf) -> None:
        self._effects = effects
        self._program = effects.program
        self._facts_of = facts_of
        self._level: dict[FunctionKey, bool] = {}

    def of(self, key: FunctionKey) -> Iterator[UnshieldedCleanup]:
        """Yield the waits of a coroutine's cleanups that are not shielded, each once."""
        function = self._program.function(key)
        cleans = any(block.cleanup for block in function.blocks) or any(
            isinstance(step, Catch) for step in function.steps
        )
        if not function.is_async or not cleans:
            return
        facts = self._facts_of(key)
        awaits = facts.awaits()
        told: set[int] = set()
        own = self._is_level(key)
        for block, awaited in awaits:
            path = cancellation_path(facts, block)
            for step in path.steps if path is not None else ():
                if step in told or not self._waits_unshielded(facts, step):
                    continue
                if not own and not self._waits_by_level(key, step):
                    continue
                told.add(step)
                skipped = self._skipped(facts, step, frozenset(path.steps if path is not None else ()))
                if skipped is not None:
                    yield UnshieldedCleanup(
                        awaited, step, skipped, *self._meant(skipped), self._is_in_memory(skipped)
                    )

    # ----------------------------------------------------------------- who cancels so

    @cached_property
    def _libraries(self) -> frozenset[str]:
        """The libraries whose scopes cancel at each wait, and not once."""
        knowledge = self._effects.operations.knowledge
        return frozenset(
            name.partition(".")[0]
            for name in knowledge.names()
            if (entry := knowledge.entry(name)) is not None and entry.level
        )

    def _is_level(self, key: FunctionKey) -> bool:
        """Tell whether a coroutine waits by one of these libraries, or has a scope of theirs."""
        if key not in self._level:
            self._level[key] = any(
                isinstance(callee, LibraryCallee) and callee.name.partition(".")[0] in self._libraries
                for number, step in enumerate(self._program.function(key).steps)
                if isinstance(step, Call)
                for callee in self._effects.types.callees(key, number)
            )
        return self._level[key]

    def _waits_by_level(self, key: FunctionKey, step: int, depth: int = DEEPEST) -> bool:
        """Tell whether what a wait calls waits by one of these libraries in the end: a lock of one's own."""
        return any(
            self._is_level(callee)
            or (
                DEEPEST.leaves(depth)
                and any(
                    self._waits_by_level(callee, number, depth - 1)
                    for number, each in enumerate(self._program.function(callee).steps)
                    if isinstance(each, Await)
                )
            )
            for callee in self._effects.callees(key, step)
            if self._program.function(callee).is_async
        )

    # ----------------------------------------------------------------- what is not done

    def _waits_unshielded(self, facts: Facts, number: int) -> bool:
        step = facts.function.steps[number]
        if not isinstance(step, Await) or step.kind not in (AwaitKind.EXPRESSION, AwaitKind.ENTER):
            return False
        return facts.effect(number).suspends and not self._is_shielded(facts, number)

    def _is_shielded(self, facts: Facts, number: int) -> bool:
        """Tell whether a step stands in a scope that shields it, be it for some time only."""
        block = facts.function.blocks[facts.flow.block_of(number)]
        managers = [facts.function.regions[region].value for region in block.regions]
        found = [self._effects.body_race(facts.key, manager) for manager in managers]
        return any(known is not None and Role.SHIELDS in known.entry.roles for known in found) or any(
            isinstance(manager, Temp)
            and isinstance(made := facts.function.steps[manager.step], Call)
            and (_SHIELD in made.keywords or self._makes_shield(facts.key, manager))
            for manager in managers
        )

    def _makes_shield(self, key: FunctionKey, manager: Expr) -> bool:
        """Tell whether a manager is of a class of the project that has a shielding scope of its own."""
        classes = [
            each.cls
            for each in options(self._effects.types.of(key, manager))
            if isinstance(each, Instance) and self._program.cls(each.cls) is not None
        ]
        methods = [
            method for cls in classes for name in _BEGINNING for method in self._program.methods(cls, name)
        ]
        return any(
            isinstance(step, Call) and _SHIELD in step.keywords
            for method in methods
            for step in self._program.function(method).steps
        )

    def _skipped(self, facts: Facts, cleanup: int, path: frozenset[int]) -> CallSite | None:
        """Return what is not undone if a cleanup ends at one of its waits."""
        rest, blocks = after_step(facts.flow, cleanup, NORMAL)
        done_anyway = self._rescued(facts, (cleanup,))
        for step in sorted({*rest, *facts.flow.steps_of(blocks)} & path):
            if self._undoes(facts, step) and self._name(facts.key, step) not in done_anyway:
                return CallSite(facts.key, step)
        for callee in self._effects.callees(facts.key, cleanup):
            found = self._skipped_in(callee)
            if found is not None:
                return found
        return None

    def _skipped_in(self, key: FunctionKey) -> CallSite | None:
        """Return what a coroutine undoes only after a wait, without a shield and outside of `finally`."""
        facts = self._facts_of(key)
        waits = [step for _, step in facts.awaits() if not self._is_shielded(facts, step)]
        done_anyway = self._rescued(facts, waits)
        for step in range(len(facts.function.steps)):
            if not self._undoes(facts, step) or self._name(key, step) in done_anyway:
                continue
            if waits and not leads_to(facts.flow, None, step, NORMAL, avoiding=waits):
                return CallSite(key, step)
        return None

    def _rescued(self, facts: Facts, waits: Iterable[int]) -> frozenset[tuple[str, ...]]:
        """Return the names of what the cleanups do that run when some waits are cancelled."""
        return frozenset(
            self._name(facts.key, step)
            for wait in waits
            for step in unshielded_path(facts, facts.flow.block_of(wait)).steps
        )

    def _name(self, key: FunctionKey, step: int) -> tuple[str, ...]:
        """Return the attributes by which a step names what it does: the same in every copy of a cleanup."""
        expr, _ = self._meant(CallSite(key, step))
        return () if expr is None else tuple(part.name for part in parts(expr) if isinstance(part, Attr))

    def _is_in_memory(self, at: CallSite) -> bool:
        """Tell whether a step does no more than close a channel within the program."""
        match self._program.function(at.function).steps[at.step]:
            case Await(value=Temp(step=made)):
                return self._is_in_memory(CallSite(at.function, made))
            case Call(func=Attr(base=base)):
                found = [
                    each.cls
                    for each in options(self._effects.types.of(at.function, base))
                    if isinstance(each, Instance)
                ]
                return bool(found) and all(map(self._is_channel, found))
            case _:
                return False

    def _is_channel(self, cls: str) -> bool:
        """Tell whether a class is one of the two ends of a channel within the program."""
        knowledge = self._effects.operations.knowledge
        entry, send = knowledge.entry(cls), knowledge.entry(f"{cls}.send")
        takes = entry is not None and entry.source is SourceKind.QUEUE
        return takes or (send is not None and Role.STORES in send.roles)

    def _undoes(self, facts: Facts, number: int) -> bool:
        if any(
            act.verb in UNDOES and act.subject.is_visible_to_callers for act in facts.acts.get(number, ())
        ):
            return True
        match facts.function.steps[number]:
            case Call(func=Attr(name=name)):
                return name in facts.conventions.closes or name in facts.conventions.gives_back
            case _:
                return False

    def _meant(self, at: CallSite) -> tuple[Expr | None, bool]:
        """Return what a step calls, or what it changes, and which of the two it is."""
        steps = self._program.function(at.function).steps
        step = steps[at.step]
        if isinstance(step, Await) and isinstance(step.value, Temp):
            step = steps[step.value.step]
        match step:
            case Call(func=func):
                return func, True
            case Assign(target=target) | Delete(target=target):
                return target, False
            case _:
                return None, False
