"""Leaders: who makes a future, does the work, and completes the future for all who wait meanwhile.

If the leader is cancelled, or fails, before it has completed the future, its followers wait for ever.
"""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.callgraph.homes import Home
from cancellint.analysis.engine.graph import ERROR, NOT_CANCELLED
from cancellint.analysis.engine.reachability import after_block, leads_to
from cancellint.analysis.flow.cancellation_paths import cancellation_path
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.flow.outcomes import Outcomes
from cancellint.analysis.hazards.futures.futures import Completion, Futures, Made
from cancellint.model.ir import RAISE_EXIT, Attr, Await, AwaitKind, Call, Expr, Temp
from cancellint.model.knowledge import Role
from cancellint.model.types import CallSite, FunctionKey


class DesertedFollowers(Struct, frozen=True):
    """A leader whose await `awaited` ends it before `completed` has woken those who wait at `follower`."""

    made: Made
    kept: CallSite
    awaited: int
    completed: int
    follower: CallSite
    fails: bool
    """an error of what is awaited is enough, and no cancellation is needed"""


class Leaders:
    """Finds leaders that leave their followers waiting, one function at a time."""

    def __init__(self, facts_of: FactsOf, *kinds: Futures) -> None:
        self._facts_of = facts_of
        self._kinds = kinds

    def in_function(self, key: FunctionKey) -> Iterator[DesertedFollowers]:
        """Yield what a function that leads leaves to its followers, for each future that it makes."""
        for futures in self._kinds:
            if not futures.program.function(key).is_async:
                continue
            for made in futures.made_in(key):
                found = _Leader(futures, self._facts_of, made).deserted()
                if found is not None:
                    yield found


class _Leader:
    """A function that makes one future."""

    def __init__(self, futures: Futures, facts_of: FactsOf, made: Made) -> None:
        self._futures = futures
        self._effects = futures.effects
        self._facts_of = facts_of
        self._made = made
        self._key = made.site.function

    def deserted(self) -> DesertedFollowers | None:
        """Return the first await at which the leader may end without a word, by an error if possible."""
        kept = [each for each in self._made.kept_by if each.function == self._key]
        completions = self._own_completions()
        if not kept or not completions:
            return None
        facts = self._facts_of(self._key)
        if any(isinstance(step, Await) and self._is_it(step.value) for step in facts.function.steps):
            return None  # it waits for others itself
        telling = [step for step in range(len(facts.function.steps)) if self._tells(step)]
        awaits = [
            step
            for _, step in facts.awaits()
            if step not in telling and leads_to(facts.flow, kept[0].step, step, avoiding=telling)
        ]
        ending = [(step, True) for step in awaits if self._fails(facts, step, telling)]
        ending += [(step, False) for step in awaits if self._is_cut_short(facts, step, telling)]
        follower = self._follower() if ending else None
        if follower is None:
            return None
        awaited, fails = ending[0]
        return DesertedFollowers(self._made, kept[0], awaited, completions[0].at.step, follower, fails)

    def _own_completions(self) -> tuple[Completion, ...]:
        """Return the leader's own completions of its future; none if others complete it as well."""
        own: list[Completion] = []
        for each in self._futures.completions:
            if each.at.function == self._key and self._made.site in each.held.made:
                own.append(each)
            elif each.held.meets(self._made.held):
                return ()
        return tuple(own)

    # ----------------------------------------------------------------- how it ends

    def _fails(self, facts: Facts, awaited: int, telling: list[int]) -> bool:
        """Tell whether an error of what is awaited may leave the function without a word."""
        if not self._may_fail(facts, awaited):
            return False
        blocks = {facts.flow.block_of(step) for step in telling}
        return RAISE_EXIT in after_block(
            facts.flow, facts.flow.block_of(awaited), ERROR, NOT_CANCELLED, blocks
        )

    def _may_fail(self, facts: Facts, awaited: int) -> bool:
        step = facts.function.steps[awaited]
        if not isinstance(step, Await) or step.kind is not AwaitKind.EXPRESSION:
            return False
        return Outcomes(self._effects).of_operations(self._effects.awaited(self._key, awaited)).may_fail

    def _is_cut_short(self, facts: Facts, awaited: int, telling: list[int]) -> bool:
        """Tell whether a cancelled await ends the function, and nothing on its way out tells anybody."""
        path = cancellation_path(facts, facts.flow.block_of(awaited))
        return path is not None and path.reaches_caller and not set(path.steps) & set(telling)

    def _tells(self, number: int) -> bool:
        """Tell whether a step completes or cancels the future, looks whether it is done, or is given it."""
        step = self._effects.program.function(self._key).steps[number]
        if not isinstance(step, Call):
            return False
        if isinstance(step.func, Attr) and self._is_it(step.func.base):
            return step.func.name not in ("add_done_callback", "wait")
        values = (*step.args, *(value for _, value in step.keywords))
        return any(self._is_it(value) for value in values) and not self._stores(number)

    def _is_it(self, expr: Expr) -> bool:
        return self._made.site in self._futures.held(self._key, expr).made

    def _stores(self, number: int) -> bool:
        return any(each == CallSite(self._key, number) for each in self._made.kept_by)

    # ----------------------------------------------------------------- who follows

    def _follower(self) -> CallSite | None:
        """Return an await, in the module of the leader, of what its future is kept in."""
        homes = frozenset(home for home in self._made.held.homes if not self._is_own_variable(home))
        program = self._effects.program
        for index, function in enumerate(program.module(self._key.module).functions):
            key = FunctionKey(self._key.module, index)
            for number, step in enumerate(function.steps if function.is_async else ()):
                if isinstance(step, Await) and step.kind is AwaitKind.EXPRESSION:
                    for expr, timed in self._waited_for(key, step.value):
                        if not timed and not homes.isdisjoint(self._futures.held(key, expr).homes):
                            return CallSite(key, number)
        return None

    def _waited_for(self, key: FunctionKey, value: Expr) -> Iterator[tuple[Expr, bool]]:
        """Yield what an await waits for, a shielded one included, and whether that has a time limit."""
        yield from self._futures.awaited(key, value)
        step = self._effects.program.function(key).steps[value.step] if isinstance(value, Temp) else None
        for callee in self._effects.types.callees(key, value.step) if isinstance(value, Temp) else ():
            known = self._effects.operations.known(callee)
            if known is not None and Role.SHIELDS in known.entry.roles and isinstance(step, Call):
                yield from ((each, False) for each in step.args[:1])

    def _is_own_variable(self, home: Home) -> bool:
        return home[0] == f"{self._key.module}#{self._key.function}"
