"""The facts of one function under the summaries known so far, each solved when first asked for."""

from collections.abc import Iterator
from functools import cached_property, lru_cache, partial

from msgspec import structs

from cancellint.analysis.effects.acts import acts_by_step
from cancellint.analysis.effects.effect import NO_EFFECT, Effect
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.dominance import Dominance
from cancellint.analysis.engine.graph import NORMAL, ControlFlow
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import Decided
from cancellint.analysis.flow.custody import MOST_TOKENS, Custody, Removal, Token
from cancellint.analysis.flow.decided import Agreed, DecidedTests
from cancellint.analysis.flow.decisions import decisions
from cancellint.analysis.flow.feasible import without_impossible_branches
from cancellint.analysis.flow.handlers import Handlers
from cancellint.analysis.flow.liveness import Live, live_at_entry
from cancellint.analysis.flow.unwinding import Unwinding
from cancellint.analysis.library.conventions import Conventions
from cancellint.analysis.memory.access_paths import Frame
from cancellint.analysis.memory.owners import Owners
from cancellint.model.finding import Confidence
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Attr,
    Await,
    Call,
    Delete,
    Enter,
    Exit,
    Expr,
    Function,
    Item,
    Name,
    Next,
    Op,
    Return,
)
from cancellint.model.knowledge import LockKind, Mode, SourceKind
from cancellint.model.summary import RESULT, Act, Cause, Locks, Path, Take
from cancellint.model.types import FunctionKey

DEEPEST_RETURN = Limit(3, "calls from a handler back to its own function")


class Facts:
    """One function: its effects by step and, on demand, custody and liveness."""

    def __init__(self, effects: Effects, owners: Owners, key: FunctionKey) -> None:
        self.key = key
        self.frame: Frame = effects.frame(key)
        self.unwinding = Unwinding(effects, key)
        self.handlers: Handlers = self.unwinding.handlers
        self.function: Function = without_impossible_branches(
            effects, key, self.unwinding.without_idle_edges()
        )
        self.flow = ControlFlow(self.function.blocks)
        self._owners = owners
        self._all_effects = effects
        self.effects: dict[int, Effect] = {}
        drains: dict[Path, None] = {}
        for number, step in enumerate(self.function.steps):
            if isinstance(step, Call | Await | Enter | Exit | Next):
                effect = effects.of(key, number)
                removals = [take for take in effect.takes if is_removal(take)]
                if removals:
                    drains.update(dict.fromkeys(take.source for take in removals))
                    effect = _without_idle_removals(effect, key, owners)
                self.effects[number] = effect
        self.removed_from = tuple(drains)

    def effect(self, step: int) -> Effect:
        return self.effects.get(step, NO_EFFECT)

    @cached_property
    def removals(self) -> tuple[Removal, ...]:
        """Places where data read from a filled container is deleted from it."""
        return tuple(self._removals())

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """Places where data comes into this function's custody."""
        found = [
            Token(take, step)
            for step, effect in self.effects.items()
            for take in effect.takes
            if take.into == RESULT or (not take.into.is_visible_to_callers and take.into.root != "kept")
        ]
        found.extend(Token(_removal_take(removal), removal.step) for removal in self.removals)
        return tuple(MOST_TOKENS.first(found))

    def closed_by_cancelling(self, step: int) -> Iterator[Path]:
        """Yield what a library call closes by itself if it is cancelled, as the tables say."""
        knowledge = self._all_effects.operations.knowledge
        for loss in self.effect(step).losses:
            entry = knowledge.entry(loss.origin) if loss.cause is Cause.PRIMITIVE else None
            if entry is not None and entry.mode is Mode.CLOSES:
                yield loss.source

    def takes(self, step: int) -> tuple[Take, ...]:
        """What a step takes, be it by a call or by cutting off the front of a filled container."""
        cut = tuple(_removal_take(removal) for removal in self.removals if removal.step == step)
        return (*self.effect(step).takes, *cut)

    @cached_property
    def custody(self) -> Custody:
        return Custody(self.frame, self.function, self.flow, self.effects, self.tokens, self.removals)

    @cached_property
    def live(self) -> tuple[Live, ...]:
        """Per block, the holders whose content is used from its start on."""
        return live_at_entry(self.frame, self.function, self.flow, self.effects)

    def waits_for_lock_only(self, step: int) -> bool:
        """Tell whether an await does nothing but wait for a lock of the event loop."""
        waits = any(lock.kind is LockKind.ASYNC for lock in self.effect(step).of_kind(Locks))
        return waits and not any(self._all_effects.callees(self.key, step))

    @cached_property
    def acts(self) -> dict[int, tuple[Act, ...]]:
        """What each step takes on that is to be undone, and what it undoes."""
        return acts_by_step(self.frame, self.function, self.effects)

    def is_collected(self, value: Expr) -> bool:
        """Tell whether a value is an object that its last reference closes."""
        return self._all_effects.is_collected(self.key, value)

    def is_waiter(self, value: Expr) -> bool:
        """Tell whether a value is a library's object to wait for: a future, an event, a stream, a queue."""
        return self._all_effects.is_waiter(self.key, value)

    def waits_for_somebody(self, await_: int) -> bool:
        """Tell whether an await is one of a future, an event or a condition, that others complete."""
        return self._all_effects.waits_for_somebody(self.key, await_)

    def may_call_itself(self, step: int) -> bool:
        """Tell whether what a step calls or awaits calls this function, directly or through a few others."""
        waiting = [(callee, 1) for callee in self._all_effects.callees(self.key, step)]
        seen: set[FunctionKey] = set()
        while waiting:
            key, depth = waiting.pop()
            if key == self.key:
                return True
            if key in seen or not DEEPEST_RETURN.leaves(DEEPEST_RETURN - depth):
                continue
            seen.add(key)
            numbers = range(len(self._all_effects.program.function(key).steps))
            waiting += [
                (callee, depth + 1) for each in numbers for callee in self._all_effects.callees(key, each)
            ]
        return False

    def acts_behind(self, value: Expr) -> tuple[Act, ...]:
        """Return what a function or a coroutine that has not been run yet will do, in its own terms."""
        return self._all_effects.acts_behind(self.key, value)

    @cached_property
    def decisions(self) -> dict[int, int]:
        """Per consuming await, the tokens whose data decided that it is the one that runs."""
        return decisions(self)

    def known_before(self, step: int) -> Decided:
        """Return what variables and attributes are known to hold whenever a step is reached."""
        return self._agreed.before(step)

    @cached_property
    def _agreed(self) -> Agreed:
        return Agreed(self.tests, self.flow)

    @cached_property
    def tests(self) -> DecidedTests:
        """What tests and assignments decide along a path."""
        return DecidedTests(
            self.frame, self.function, self.flow, self._all_effects.attributes, self._runs_others
        )

    def _runs_others(self, step: int) -> bool:
        """Tell whether other code of the program may run before a step is over."""
        effect = self.effect(step)
        return effect.suspends or effect.unknown or any(self._all_effects.callees(self.key, step))

    @cached_property
    def returns_value(self) -> bool:
        """Whether some `return` of the function hands over something."""
        return any(isinstance(step, Return) for step in self.function.steps)

    @cached_property
    def before_return(self) -> Dominance:
        """Which blocks lie on every normal path to the function's return."""
        return self.flow.post_dominance(NORMAL, (RETURN_EXIT,))

    def block_of(self, step: int) -> int:
        return self.flow.block_of(step)

    def awaits(self) -> Iterator[tuple[int, int]]:
        """Yield (block, step) for each await that may suspend."""
        for number in range(len(self.function.blocks)):
            step = self.flow.last_step(number)
            awaits = step is not None and isinstance(self.function.steps[step], Await)
            if step is not None and awaits and self.effect(step).suspends:
                yield number, step

    @cached_property
    def drains(self) -> tuple[Path, ...]:
        """Containers from which this function removes something, whoever fills them."""
        sliced = (store for store, _ in self._slices())
        return tuple(sorted({*sliced, *self.removed_from}))

    @property
    def conventions(self) -> Conventions:
        """What names suggest."""
        return self._all_effects.conventions

    def source_kind(self, origin: str) -> SourceKind | None:
        """What kind of source data comes from, by the function that takes it."""
        return self._all_effects.operations.knowledge.source(origin)

    def is_connection(self, origin: str) -> bool:
        """Tell whether what is consumed may come from a connection, whose parts are closed together."""
        return origin != STORE and self.source_kind(origin) is not SourceKind.QUEUE

    def is_filled(self, store: Path) -> bool:
        """Tell whether a container receives data taken from a source, here or elsewhere in the program."""
        return self._owners.is_filled(self.key, store)

    def is_source_name(self, name: str) -> bool:
        return self._owners.is_source_name(name)

    def _removals(self) -> Iterator[Removal]:
        for store, number in self._slices():
            if self._owners.is_filled(self.key, store):
                yield Removal(store, number)

    def _slices(self) -> Iterator[tuple[Path, int]]:
        """Yield where the front of a container is cut off: `del buf[:n]`, `buf = buf[n:]`."""
        for number, step in enumerate(self.function.steps):
            match step:
                case Delete(target=Item(base=base, key=Op(op="slice"))):
                    store = self.frame.path(base)
                case Assign(
                    target=Attr() | Name() as target, value=Item(base=base, key=Op(op="slice")), op=""
                ):
                    store = self.frame.path(target)
                    if store != self.frame.path(base):
                        continue
                case _:
                    continue
            if store is not None:
                yield store, number


class FactsOf:
    """The facts of functions when all are summarised. Whoever asks for them shares them."""

    def __init__(self, effects: Effects, owners: Owners) -> None:
        self._of = lru_cache(MOST_KEPT)(partial(Facts, effects, owners))

    def __call__(self, key: FunctionKey) -> Facts:
        """Return the facts of a function."""
        return self._of(key)


MOST_KEPT = 512
"""Functions whose facts are kept. Those of others are solved again, which costs time and changes nothing."""

STORE = "store"
"""Origin of data that was removed from a container the program itself fills."""

_CONTAINERS = ("builtins.", "collections.", "io.BytesIO.", "io.StringIO.")


def _removal_take(removal: Removal) -> Take:
    return Take(removal.store, RESULT, STORE, Confidence.CERTAIN)


def is_removal(take: Take) -> bool:
    """Tell whether something is removed from a plain container, which matters only if a source fills it."""
    return take.origin.startswith(_CONTAINERS)


def _without_idle_removals(effect: Effect, key: FunctionKey, owners: Owners) -> Effect:
    """Leave out removals from plain containers that nothing fills from a source."""
    takes = tuple(
        structs.replace(take, origin=STORE) if is_removal(take) else take
        for take in effect.takes
        if not is_removal(take) or (take.source.is_visible_to_callers and owners.is_filled(key, take.source))
    )
    return effect.with_kind(Take, takes)
