"""Cancellations that a task swallows, and goes on: with what, and who waits for its end then."""

import enum
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TypeAlias

from msgspec import Struct

from cancellint.analysis.callgraph.cancellers import Cancellation, Cancellers
from cancellint.analysis.callgraph.function_uses import FunctionUses, Use
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import ERROR, NORMAL
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.reachability import reachable
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.hazards.arrival.awaited_handles import AwaitedHandles
from cancellint.analysis.hazards.arrival.caught_tests import CaughtTests
from cancellint.analysis.hazards.arrival.going_on import Course, Goes, GoingOn, Onward
from cancellint.analysis.hazards.arrival.stop_flags import StopFlags
from cancellint.analysis.hazards.arrival.swallows import By, Swallow, swallows
from cancellint.analysis.library.exceptions import Modality
from cancellint.analysis.program.expressions import last_name
from cancellint.model.finding import Canceller, Confidence, weakest
from cancellint.model.ir import (
    RAISE_EXIT,
    Assign,
    Await,
    AwaitKind,
    Call,
    Const,
    Expr,
    Imported,
    Leaves,
    Return,
    Temp,
)
from cancellint.model.knowledge import Role
from cancellint.model.types import CallSite, FunctionKey

DEEPEST = Limit(3, "callers of callers that go on when a cancellation has been swallowed")
"""Callers of callers that go on in the place of a function that has swallowed a cancellation."""


class Kind(enum.Enum):
    """What becomes of a cancellation."""

    SWALLOWED = enum.auto()
    CONVERTED = enum.auto()
    """it reaches the caller as an ordinary error"""
    ANSWERED = enum.auto()
    """it reaches the caller as an answer"""


class Swallowed(Struct, frozen=True):
    """A cancellation ends in a function, and the task goes on in `within`: itself, or who awaits it."""

    kind: Kind
    swallow: Swallow
    goes: Goes | None
    within: FunctionKey
    through: tuple[CallSite, ...]
    """the awaits of the callers that go on, innermost first"""
    cancellation: Cancellation
    waiter: CallSite | None
    confidence: Confidence
    error: str | None = None
    """the class of the error that a cancellation is turned into"""


_Going: TypeAlias = tuple[Goes, FunctionKey, tuple[CallSite, ...]]
"""How a function goes on, which, and the awaits of the callers that lead to it."""


class SwallowedCancellations:
    """Finds them for one function at a time."""

    def __init__(
        self, effects: Effects, uses: FunctionUses, facts_of: FactsOf, cancellers: Cancellers
    ) -> None:
        self._effects = effects
        self._program = effects.program
        self._uses = uses
        self._facts_of = facts_of
        self._cancellers = cancellers
        self._flags = StopFlags(effects, uses)
        self._handles = AwaitedHandles(effects)

    def of(self, key: FunctionKey) -> Iterator[Swallowed]:
        """Yield the swallowed cancellations of a function, one for each place that swallows."""
        function = self._program.function(key)
        if not function.is_async or not self._may_swallow(key):
            return
        facts = self._facts_of(key)
        best: dict[int, Swallowed] = {}
        for block, _ in facts.awaits():
            for swallow in swallows(self._effects, facts, block):
                found = self._judged(key, facts, swallow)
                if found is None:
                    continue
                known = best.get(swallow.at)
                if known is None or _rank(found) < _rank(known):
                    best[swallow.at] = found
        yield from (best[at] for at in sorted(best))

    def _may_swallow(self, key: FunctionKey) -> bool:
        """Tell whether a cancellation meets anything on its way out of a function."""
        return any(
            edge.leaves is Leaves.CANCELLED and edge.to >= 0
            for block in self._program.function(key).blocks
            for edge in block.edges
        )

    def _judged(self, key: FunctionKey, facts: Facts, swallow: Swallow) -> Swallowed | None:
        going = GoingOn(self._effects, facts)
        if swallow.raised is not None:
            starts = tuple(self._caught_again(key, facts, swallow))
            if not starts:
                return self._converted(key, facts, swallow)
            course = going.course(starts, swallow.await_)
        else:
            course = going.course((swallow.start,), swallow.await_, swallow.catch)
            if swallow.catch >= 0 and CaughtTests(self._effects, facts, swallow.catch).is_kept:
                return None
        return self._weighed(key, facts, swallow, course)

    def _weighed(self, key: FunctionKey, facts: Facts, swallow: Swallow, course: Course) -> Swallowed | None:
        if self._examines(facts) or (course.raises_again and not self._may_go_on(course)):
            return None
        best: Swallowed | None = None
        for goes, within, through in self._going_on(key, course):
            found = self._of_goes(key, facts, swallow, goes, within, through, course.raises_again)
            if found is not None and (best is None or _rank(found) < _rank(best)):
                best = found
        answered = self._answered(key, facts, swallow, course)
        if answered is not None and (best is None or _rank(answered) < _rank(best)):
            return answered
        return best

    def _answered(self, key: FunctionKey, facts: Facts, swallow: Swallow, course: Course) -> Swallowed | None:
        """Return what a caller from outside takes for an answer, where a handler names cancellations.

        Who waits for no answer is told of the end of something, and ends as well.
        """
        if not course.returns or course.raises_again or swallow.by is not By.HANDLER or not swallow.sure:
            return None
        if not facts.handlers.names_cancellation(facts.flow.block_of(swallow.catch)):
            return None
        block = facts.flow.block_of(swallow.await_)
        if not _answers(facts, facts.flow.targets(block, frozenset({Leaves.RESUMED}))):
            return None
        if self._handles.may_be_cancelled(key, swallow.await_):
            return None
        cancellation = self._cancellers.of(key, owned=False, steps=(swallow.await_, swallow.at))
        if cancellation.canceller not in (Canceller.PUBLIC, Canceller.RACE):
            return None
        said = any(
            isinstance(facts.function.steps[each], Return) for each in _following(facts, swallow.start)
        )
        firm = Confidence.POSSIBLE if said else Confidence.LIKELY
        if self._finishes(facts, swallow) or self._is_delivered_again(key) or self._cleans_up(facts, swallow):
            firm = Confidence.POSSIBLE
        return Swallowed(Kind.ANSWERED, swallow, None, key, (), cancellation, None, firm)

    def _going_on(self, key: FunctionKey, course: Course) -> Iterator[_Going]:
        """Yield how a function goes on, and whoever awaits it."""
        yield from ((goes, key, ()) for goes in course.waits)
        yield from self._in_callers(key, course, (), DEEPEST)

    def _in_callers(
        self, key: FunctionKey, course: Course, through: tuple[CallSite, ...], depth: int
    ) -> Iterator[_Going]:
        """Yield how those go on who await a function that returns as if nothing had happened."""
        if not course.returns or not DEEPEST.leaves(depth):
            return
        for reference in self._uses.of(key):
            site = reference.site
            implicit = reference.use is Use.IMPLICIT
            awaited = site.step if implicit else self._uses.waiting_for(site)
            if awaited < 0 or site.function in (key, *(each.function for each in through)):
                continue
            facts = self._facts_of(site.function)
            block = facts.flow.block_of(awaited)
            starts = facts.flow.targets(block, frozenset({Leaves.RESUMED}))
            onward = GoingOn(self._effects, facts).course(starts, awaited)
            path = (*through, CallSite(site.function, awaited))
            yield from ((goes, site.function, path) for goes in onward.waits)
            yield from self._in_callers(site.function, onward, path, depth - 1)

    def _of_goes(
        self,
        key: FunctionKey,
        facts: Facts,
        swallow: Swallow,
        goes: Goes,
        within: FunctionKey,
        through: tuple[CallSite, ...],
        again: bool,
    ) -> Swallowed | None:
        steps = (swallow.await_, swallow.at) if within == key else (through[-1].step,)
        cancellation, waiter = self._canceller(within, steps)
        if goes.flags and self._flags.told(cancellation, goes.flags):
            return None
        confidence = self._confidence(facts, swallow, goes, cancellation)
        if through or again:
            confidence = weakest(confidence, self._by_callers(goes, len(through), again))
        return Swallowed(Kind.SWALLOWED, swallow, goes, within, through, cancellation, waiter, confidence)

    def _by_callers(self, goes: Goes, through: int, again: bool) -> Confidence:
        """Return how firmly it stands that callers go on, or what raises a cancellation again at times."""
        firm = through == 1 and goes.onward is Onward.AGAIN
        return Confidence.LIKELY if firm and not again else Confidence.POSSIBLE

    def _confidence(
        self, facts: Facts, swallow: Swallow, goes: Goes, cancellation: Cancellation
    ) -> Confidence:
        if not swallow.sure or self._handles.may_be_cancelled(facts.key, swallow.await_):
            return Confidence.POSSIBLE
        if self._finishes(facts, swallow):
            return Confidence.POSSIBLE
        if self._is_delivered_again(facts.key):
            return Confidence.POSSIBLE
        known = cancellation.canceller in _ENDS_ONE
        alone = cancellation.canceller is Canceller.NONE_KNOWN
        if goes.onward is Onward.AGAIN:
            if goes.flags:
                return Confidence.LIKELY if known else Confidence.POSSIBLE
            return Confidence.CERTAIN if known else Confidence.LIKELY
        if alone or goes.flags or self._cleans_up(facts, swallow):
            return Confidence.POSSIBLE
        if goes.onward is Onward.WAITS and not self._treats_alike(facts, swallow):
            return Confidence.POSSIBLE
        return Confidence.LIKELY

    def _may_go_on(self, course: Course) -> bool:
        return course.returns or any(goes.onward is Onward.AGAIN for goes in course.waits)

    def _examines(self, facts: Facts) -> bool:
        """Tell whether a function asks its task whether somebody cancels it."""
        return any(
            isinstance(step, Call) and last_name(step.func) in self._examining
            for step in facts.function.steps
        )

    @cached_property
    def _examining(self) -> frozenset[str]:
        knowledge = self._effects.operations.knowledge
        return frozenset(name.rpartition(".")[2] for name in knowledge.with_role(Role.EXAMINES))

    def _cleans_up(self, facts: Facts, swallow: Swallow) -> bool:
        """Tell whether a function, or what it waits for, is named like something that tidies up."""
        step = facts.function.steps[swallow.await_]
        if isinstance(step, Await) and step.kind is AwaitKind.EXIT:
            return True
        made = (
            facts.function.steps[step.value.step]
            if isinstance(step, Await) and isinstance(step.value, Temp)
            else None
        )
        called = last_name(made.func) if isinstance(made, Call) else None
        return any(map(self._is_cleanup, (facts.function.name, called or "")))

    def _is_cleanup(self, name: str) -> bool:
        words = name.strip("_").split("_")
        cleanups = self._effects.conventions.cleans_up
        return words[0] in cleanups or words[-1] in cleanups

    def _is_delivered_again(self, key: FunctionKey) -> bool:
        """Tell whether a module knows only libraries whose scopes cancel every checkpoint."""
        roots = {
            step.value.module.partition(".")[0]
            for step in self._program.module(key.module).functions[0].steps
            if isinstance(step, Assign) and isinstance(step.value, Imported)
        }
        return not roots.isdisjoint(self._scoped) and "asyncio" not in roots

    @cached_property
    def _scoped(self) -> frozenset[str]:
        """The libraries whose cancellation is level-triggered."""
        knowledge = self._effects.operations.knowledge
        return frozenset(
            name.partition(".")[0]
            for name in knowledge.names()
            if (entry := knowledge.entry(name)) is not None and entry.level
        )

    def _finishes(self, facts: Facts, swallow: Swallow) -> bool:
        """Tell whether a handler of cancellations stands round something shielded: it is to be finished."""
        if swallow.by is not By.HANDLER or not facts.handlers.names_cancellation(
            facts.flow.block_of(swallow.catch)
        ):
            return False
        return self._handles.is_shielded(facts.key, swallow.await_)

    def _treats_alike(self, facts: Facts, swallow: Swallow) -> bool:
        """Tell whether a handler names cancellations beside timeouts and does the same for both."""
        if swallow.by is not By.HANDLER:
            return False
        block = facts.flow.block_of(swallow.catch)
        return facts.handlers.names_cancellation(block) and facts.handlers.names_timeout(block)

    def _canceller(self, key: FunctionKey, steps: tuple[int, ...]) -> tuple[Cancellation, CallSite | None]:
        """Return who cancels a function: a timeout, or else one who waits for its end, with that await."""
        best = self._cancellers.of(key, owned=False, steps=steps)
        if best.canceller is not Canceller.RACE:
            for each in self._cancellers.cancel_sites(key):
                waiter = self._handles.waits_after_cancel(each.site) if each.site is not None else None
                if waiter is not None:
                    return each, waiter
        return best, None

    # ----------------------------------------------------------------- conversions

    def _caught_again(self, key: FunctionKey, facts: Facts, swallow: Swallow) -> Iterator[int]:
        """Yield the handlers of the function that catch what a handler raises in a cancellation's place."""
        assert swallow.raised is not None
        classes = self._classes(key, swallow.raised)
        waiting = list(facts.flow.targets(swallow.start, ERROR))
        seen: set[int] = set()
        while waiting:
            number = waiting.pop()
            if number < 0 or number in seen:
                continue
            seen.add(number)
            for edge in facts.flow.blocks[number].edges:
                if edge.leaves is Leaves.CAUGHT:
                    verdict = facts.handlers.catches_some(edge.to, classes) if classes else Modality.NEVER
                    if verdict is not Modality.NEVER:
                        yield edge.to
                    if verdict is Modality.MUST:
                        break
                elif edge.leaves is not Leaves.CANCELLED:
                    waiting.append(edge.to)

    def _classes(self, key: FunctionKey, raised: Expr) -> tuple[str, ...]:
        if isinstance(raised, Temp):
            made = self._program.function(key).steps[raised.step]
            raised = made.func if isinstance(made, Call) else raised
        found = (
            cls for classes in self._effects.operations.exceptions.named(key, (raised,)) for cls in classes
        )
        return tuple(cls for cls in found if cls is not None)

    def _converted(self, key: FunctionKey, facts: Facts, swallow: Swallow) -> Swallowed | None:
        assert swallow.raised is not None
        if RAISE_EXIT not in facts.flow.targets(swallow.start, ERROR):
            return None
        cancellation = self._cancellers.of(key, owned=False, steps=(swallow.await_, swallow.at))
        firm = Confidence.LIKELY
        if self._handles.may_be_cancelled(key, swallow.await_) or self._is_delivered_again(key):
            firm = Confidence.POSSIBLE
        block = facts.flow.block_of(swallow.catch)
        only = facts.handlers.is_for_cancellations_only(block) or self._treats_alike(facts, swallow)
        course = GoingOn(self._effects, facts).course((block,), swallow.await_, swallow.catch)
        if not swallow.sure or not only or course.returns or course.waits or course.raises_again:
            firm = Confidence.POSSIBLE
        nested = self._program.function(self._program.around(key)).kind == "function"
        if nested or cancellation.canceller not in (Canceller.PUBLIC, Canceller.RACE):
            firm = Confidence.POSSIBLE
        error = next(iter(self._classes(key, swallow.raised)), None)
        return Swallowed(Kind.CONVERTED, swallow, None, key, (), cancellation, None, firm, error)


def _answers(facts: Facts, starts: Iterable[int]) -> bool:
    """Tell whether a function may return something, not just nothing, from some blocks on."""
    steps = (facts.function.steps[number] for number in _following(facts, *starts))
    return any(isinstance(step, Return) and step.value != Const("none", "None") for step in steps)


def _following(facts: Facts, *starts: int) -> Iterator[int]:
    return facts.flow.steps_of(reachable(facts.flow, starts, NORMAL))


_ENDS_ONE = (Canceller.RACE, Canceller.CANCEL_SITE, Canceller.OWNER_ENDS)


def _rank(found: Swallowed) -> tuple[int, int, int]:
    onward = found.goes.onward if found.goes is not None else len(Onward)
    return (found.confidence.rank, onward, len(found.through))
