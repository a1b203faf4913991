"""Which thread locks are held at each await."""

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush

from msgspec import Struct

from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.memory.values import holder
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Await,
    AwaitKind,
    Const,
    Edge,
    Exit,
    Expr,
    Leaves,
    Name,
    Op,
    Temp,
    Yield,
)
from cancellint.model.summary import Path

Held = Mapping[Path, int]
"""A lock and the step that took it."""


class HeldAcross(Struct, frozen=True):
    """A thread lock is held while an await is suspended."""

    lock: Path
    taken: int
    awaited: int
    if_contended: bool = False
    """the await enters a lock of the event loop, which suspends only if somebody else has it"""


class Locks:
    """The solved analysis of one function: a lock is held from its taking to its release."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._acquired = {
            step: effect.acquires
            for step, effect in facts.effects.items()
            if effect.acquires and not _leaves_region(facts, step)
        }
        self._entry: list[Held | None] = [None] * len(facts.function.blocks)
        if self._acquired:
            self._solve()

    @property
    def any(self) -> bool:
        return bool(self._acquired)

    def held_across(self) -> Iterator[HeldAcross]:
        """Yield, per place where a thread lock is taken, the first await it is held across."""
        found: dict[int, HeldAcross] = {}
        for block, step in sorted(self._facts.awaits(), key=lambda pair: pair[1]):
            contended = self._facts.waits_for_lock_only(step)
            for lock, taken in self._held_at(block, step):
                if taken not in found or (found[taken].if_contended and not contended):
                    found[taken] = HeldAcross(lock, taken, step, contended)
        yield from found.values()

    def held_at_exit(self) -> Iterator[Path]:
        """Yield the locks that are still held when the function returns, or yields as a context manager.

        A lock that the function itself releases somewhere is not among them: where it takes and releases
        under one condition, the graph has paths on which the two come apart, and no run takes those.
        """
        found: dict[Path, None] = {}
        for number, block in enumerate(self._facts.function.blocks):
            if self._facts.function.is_generator:
                if block.last > block.first and isinstance(self._facts.function.steps[block.last - 1], Yield):
                    found.update({lock: None for lock, _ in self._held_at(number, block.last)})
                continue
            for edge in block.edges:
                if edge.to == RETURN_EXIT:
                    found.update(dict.fromkeys(self._after(number, edge)))
        released = {lock for effect in self._facts.effects.values() for lock in effect.releases}
        if self._facts.function.is_generator:
            released = set()
        yield from (lock for lock in found if lock not in released)

    def released(self) -> Iterator[Path]:
        """Yield the locks that the function releases without having taken them."""
        taken = {lock for locks in self._acquired.values() for lock in locks}
        found: dict[Path, None] = {}
        for effect in self._facts.effects.values():
            found.update({path: None for path in effect.releases if path not in taken})
        yield from found

    def _held_at(self, block: int, last: int) -> Iterator[tuple[Path, int]]:
        state = self._entry[block]
        if state is not None:
            here = dict(state)
            for step in range(self._facts.function.blocks[block].first, last):
                self._transfer(here, step)
            yield from here.items()

    def _solve(self) -> None:
        self._entry[0] = {}
        waiting = [0]
        while waiting:
            number = heappop(waiting)
            for edge in self._facts.function.blocks[number].edges:
                if edge.to < 0:
                    continue
                state = self._after(number, edge)
                old = self._entry[edge.to]
                joined = state if old is None else {**state, **old}
                if old is None or len(joined) > len(old):
                    self._entry[edge.to] = joined
                    if edge.to not in waiting:
                        heappush(waiting, edge.to)

    def _after(self, number: int, edge: Edge) -> Held:
        state = self._entry[number]
        here = dict(state) if state is not None else {}
        block = self._facts.function.blocks[number]
        last = block.last
        if edge.leaves in (Leaves.CANCELLED, Leaves.RAISED) and not _leaves_region(self._facts, last - 1):
            last -= 1
        for step in range(block.first, last):
            self._transfer(here, step)
        if block.test is not None and edge.leaves in (Leaves.TRUE, Leaves.FALSE):
            failed = self._failed(block.test, edge.leaves is Leaves.TRUE)
            return {lock: taken for lock, taken in here.items() if taken != failed}
        return here

    def _failed(self, test: Expr, truth: bool) -> int | None:
        """Return the acquire that has not succeeded when the test comes out so."""
        match test:
            case Op(op="not", operands=(inner,)):
                return self._failed(inner, not truth)
            case Op(op="is" | "==" | "is not" | "!=" as op, operands=(inner, Const(kind="bool", text=text))):
                return self._failed(inner, (text == "True") is (truth is (op in ("is", "=="))))
            case Temp(step=step) if not truth:
                return step
            case Name(id=name) if not truth:
                place = holder(self._facts.frame, name)
                return place if isinstance(place, int) else self._assigned(name)
            case _:
                return None

    def _assigned(self, name: str) -> int | None:
        for step in self._facts.function.steps:
            match step:
                case Assign(target=Name(id=target), value=Temp(step=made)) if target == name:
                    if made in self._acquired:
                        return made
                case _:
                    pass
        return None

    def _transfer(self, state: dict[Path, int], step: int) -> None:
        effect = self._facts.effect(step)
        for lock in effect.releases:
            state.pop(lock, None)
        for lock in self._acquired.get(step, ()):
            state[lock] = step
        match self._facts.function.steps[step]:
            case Exit(region=region) | Await(kind=AwaitKind.EXIT, region=region):
                entered = self._facts.function.regions[region].enter
                for lock in [lock for lock, taken in state.items() if taken == entered]:
                    del state[lock]
            case _:
                pass


def _leaves_region(facts: Facts, step: int) -> bool:
    """Tell whether a step is the exit of a `with`: even if it fails, the lock has been released."""
    match facts.function.steps[step]:
        case Exit() | Await(kind=AwaitKind.EXIT):
            return True
        case _:
            return False
