"""Which locks a function holds at each step, those of threads and those of an event loop.

A lock is an access path. A `with`, an acquire and its release, and a helper that does either are one.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct, structs

from cancellint.analysis.engine.graph import CANCELLED, ERROR
from cancellint.analysis.engine.solver import Solution, solve
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
from cancellint.model.knowledge import LockKind
from cancellint.model.summary import Acquires, Path, Releases


class Holding(Struct, frozen=True):
    """The step that took a lock. `surely`: it is held on all paths, not only on some."""

    taken: int
    kind: LockKind
    surely: bool = True


Held = Mapping[Path, Holding]


class HeldAcross(Struct, frozen=True):
    """A thread lock is held while an await is suspended."""

    lock: Path
    taken: int
    awaited: int
    if_contended: bool = False
    """the await enters a lock of the event loop, which suspends only if somebody else has it"""


class HeldLocks:
    """The solved analysis of one function: a lock is held from its taking to its release."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._acquired = {
            step: effect.of_kind(Acquires)
            for step, effect in facts.effects.items()
            if effect.of_kind(Acquires) and not _leaves_region(facts, step)
        }
        self._solution: Solution[Held] | None = solve(facts.flow, self) if self._acquired else None

    def at(self, step: int) -> Held:
        """Return the locks that may be held when a step begins."""
        held = self._solution.before(self._facts.block_of(step), step) if self._solution is not None else None
        return held or {}

    def takes(self, kind: LockKind) -> bool:
        """Tell whether the function takes a lock of a kind at all."""
        return any(lock.kind is kind for locks in self._acquired.values() for lock in locks)

    def takings(self) -> Iterator[tuple[int, Acquires]]:
        """Yield the steps that take a lock, each with the lock."""
        for step, locks in self._acquired.items():
            yield from ((step, lock) for lock in locks)

    def is_locked(self, step: int) -> bool:
        """Tell whether a lock of the event loop is surely held: only one task at a time gets there."""
        return any(each.surely and each.kind is LockKind.ASYNC for each in self.at(step).values())

    def across_awaits(self) -> Iterator[HeldAcross]:
        """Yield, per place where a thread lock is taken, the first await it is held across."""
        found: dict[int, HeldAcross] = {}
        for _, step in sorted(self._facts.awaits(), key=lambda pair: pair[1]):
            contended = self._facts.waits_for_lock_only(step)
            for lock, holding in self.at(step).items():
                if holding.kind is not LockKind.THREAD:
                    continue
                taken = holding.taken
                if taken not in found or (found[taken].if_contended and not contended):
                    found[taken] = HeldAcross(lock, taken, step, contended)
        yield from found.values()

    def at_exit(self) -> Iterator[Acquires]:
        """Yield the locks that are still held when the function returns, or yields as a context manager.

        A lock that the function itself releases somewhere is not among them: where it takes and releases
        under one condition, the graph has paths on which the two come apart, and no run takes those.
        """
        released = {lock for effect in self._facts.effects.values() for lock in effect.paths(Releases)}
        if self._facts.function.is_generator:
            released = set()
        found = dict.fromkeys(Acquires(lock, holding.kind) for lock, holding in self._held_last())
        yield from (each for each in found if each.path not in released)

    def released(self) -> Iterator[Releases]:
        """Yield the locks that the function releases without having taken them."""
        taken = {lock.path for locks in self._acquired.values() for lock in locks}
        found = dict.fromkeys(
            lock for effect in self._facts.effects.values() for lock in effect.of_kind(Releases)
        )
        yield from (lock for lock in found if lock.path not in taken)

    def _held_last(self) -> Iterator[tuple[Path, Holding]]:
        """Yield the locks held on an edge to the return, or at a yield of a generator."""
        function, flow, solution = self._facts.function, self._facts.flow, self._solution
        if solution is None:
            return
        for number, block in enumerate(flow.blocks):
            last = flow.last_step(number)
            if function.is_generator:
                if last is not None and isinstance(function.steps[last], Yield):
                    yield from (solution.before(number, block.last) or {}).items()
                continue
            for edge in block.edges:
                if edge.to == RETURN_EXIT:
                    yield from (solution.along(number, edge) or {}).items()

    # ----------------------------------------------------------------- the analysis

    def start(self) -> Held:
        return {}

    def over_step(self, state: Held, step: int) -> Held:
        here = dict(state)
        for lock in self._facts.effect(step).paths(Releases):
            here.pop(lock, None)
        here.update((lock.path, Holding(step, lock.kind)) for lock in self._acquired.get(step, ()))
        match self._facts.function.steps[step]:
            case Exit(region=region) | Await(kind=AwaitKind.EXIT, region=region):
                entered = self._facts.function.regions[region].enter
                return {lock: holding for lock, holding in here.items() if holding.taken != entered}
            case _:
                return here

    def happens(self, step: int, edge: Edge) -> bool:
        return edge.leaves not in CANCELLED | ERROR or _leaves_region(self._facts, step)

    def over_edge(self, state: Held, block: int, edge: Edge) -> Held:
        """Return what is held where a test says that an acquire has failed."""
        test = self._facts.flow.blocks[block].test
        if test is None or edge.leaves not in (Leaves.TRUE, Leaves.FALSE):
            return state
        failed = self._failed(test, edge.leaves is Leaves.TRUE)
        return {lock: holding for lock, holding in state.items() if holding.taken != failed}

    def join(self, known: Held, arriving: Held) -> Held:
        joined = {}
        for lock, holding in {**arriving, **known}.items():
            surely = all(lock in each and each[lock].surely for each in (known, arriving))
            joined[lock] = structs.replace(holding, surely=surely)
        return known if joined == known else joined

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


def _leaves_region(facts: Facts, step: int) -> bool:
    """Tell whether a step is the exit of a `with`: even if it fails, the lock has been released."""
    match facts.function.steps[step]:
        case Exit() | Await(kind=AwaitKind.EXIT):
            return True
        case _:
            return False
