"""Waits under a lock of an event loop for what comes only from somebody who needs that lock too.

There are two ways to hang so. Either all who could end the wait need the lock for it, or the wait is for the
next message, whenever that comes, and others need the lock meanwhile for something else.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import chain, repeat

from msgspec import Struct

from cancellint.analysis.callgraph.homes import Home
from cancellint.analysis.effects.effects import FUTURE, Effects
from cancellint.analysis.engine.path_search import Halt, Outcome, PathPoint, PathSearch
from cancellint.analysis.engine.reachability import behind, leads_to, precedes
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.hazards.locks.leaf_waits import LeafWait, LeafWaits
from cancellint.analysis.hazards.locks.lock_homes import LockHomes, Taken
from cancellint.analysis.program.expressions import last_name
from cancellint.model.finding import Confidence
from cancellint.model.ir import Attr, Await, AwaitKind, Call, Step, Temp
from cancellint.model.knowledge import RaceKind, Role, SourceKind
from cancellint.model.types import CallSite, FunctionKey

_ENDED_BY: Mapping[Role, Role] = {
    Role.WAITS: Role.NOTIFIES,
    Role.CONSUMES: Role.STORES,
    Role.STORES: Role.CONSUMES,
}
"""What ends a wait, by what waits: a queue's `get` waits for a `put`, and its `put` for a `get`."""


class LockWait(Struct, frozen=True):
    """A wait under a lock. `ending` are the steps that could end it and need the lock for it."""

    step: int
    taken: Taken
    wait: LeafWait
    ending: tuple[CallSite, ...]
    others: tuple[CallSite, ...]
    """where others take the lock, who have to wait until the next message comes"""
    timed: bool
    confidence: Confidence


class LockWaits:
    """Finds such waits in the functions that take a lock."""

    def __init__(self, effects: Effects, locks: LockHomes, waits: LeafWaits, facts_of: FactsOf) -> None:
        self._effects = effects
        self._program = effects.program
        self._knowledge = effects.operations.knowledge
        self._locks = locks
        self._waits = waits
        self._facts_of = facts_of
        self._endings: dict[tuple[Home, str, Role], tuple[CallSite, ...] | None] = {}

    def of(self, key: FunctionKey) -> Iterator[LockWait]:
        """Yield the waits of a function, one per taking of a lock."""
        facts = self._facts_of(key)
        told: set[int] = set()
        for _, step in sorted(facts.awaits(), key=lambda pair: pair[1]):
            for taken in self._locks.at(key, step):
                if taken.surely and taken.step not in told and taken.step != step:
                    found = next(self._of_step(facts, step, taken), None)
                    if found is not None:
                        told.add(taken.step)
                        yield found

    def _of_step(self, facts: Facts, step: int, taken: Taken) -> Iterator[LockWait]:
        for wait in self._waits.of_step(facts.key, step):
            home = self._home(wait)
            if home is None or self._gives_back(wait, taken):
                continue
            timed = self._is_timed(facts, step, wait)
            ending = self._ending(home, wait)
            if ending is None:
                continue
            if ending and all(
                self._needs(each, taken.home) or self._takes_first(facts, step, taken, each)
                for each in ending
            ):
                yield LockWait(step, taken, wait, ending, (), timed, Confidence.LIKELY)
                continue
            others = tuple(self._others(facts, taken, wait, home)) if not timed else ()
            if others:
                firmness = Confidence.LIKELY if len(wait.hops) == 1 else Confidence.POSSIBLE
                yield LockWait(step, taken, wait, (), others, timed, firmness)

    def _home(self, wait: LeafWait) -> Home | None:
        if wait.receiver is None:
            return None
        home = self._locks.homes.of(wait.leaf.function, wait.receiver)
        is_local = home is not None and "#" in home[0] and not home[0].endswith("#0")
        return None if home is None or is_local or home[1].endswith("[]") else home

    def _gives_back(self, wait: LeafWait, taken: Taken) -> bool:
        """Tell whether it is a condition's wait, during which its own lock is free."""
        receiver = wait.receiver
        return receiver is not None and self._locks.of(wait.leaf.function, receiver) == taken.home

    def _needs(self, at: CallSite, lock: Home) -> bool:
        """Tell whether a step is only ever reached with a lock in hand."""
        return lock in self._locks.homes_at(at.function, at.step)

    # ----------------------------------------------------------------- who answers

    def _takes_first(self, facts: Facts, step: int, taken: Taken, ending: CallSite) -> bool:
        """Tell whether a step answers what only holders of a lock ask, and takes the lock in between."""
        flow = self._program.flow(ending.function)
        takings = {
            each.step for each in self._locks.takings.get(taken.home, ()) if each.function == ending.function
        }
        for home, cls in self._asked(facts, taken.step, step):
            heard = {
                each.step
                for each in self._sites(home, cls, Role.CONSUMES)
                if each.function == ending.function
            }
            if (
                heard
                and not leads_to(flow, None, ending.step, avoiding=heard)
                and not any(leads_to(flow, each, ending.step, avoiding=takings) for each in heard)
                and all(self._needs(each, taken.home) for each in self._sites(home, cls, Role.STORES))
            ):
                return True
        return False

    def _asked(self, facts: Facts, taken: int, step: int) -> Iterator[tuple[Home, str]]:
        """Yield the queues into which a function puts something between the taking of a lock and a wait."""
        for number, node in enumerate(facts.function.steps):
            if not isinstance(node, Call) or not isinstance(node.func, Attr):
                continue
            if precedes(facts.flow, taken, number) and precedes(facts.flow, number, step):
                for callee in self._effects.types.callees(facts.key, number):
                    known = self._effects.operations.known(callee)
                    home = self._locks.homes.of(facts.key, node.func.base)
                    if known is not None and home is not None and Role.STORES in known.entry.roles:
                        yield home, known.name.rpartition(".")[0]

    # ----------------------------------------------------------------- who ends a wait

    def _ending(self, home: Home, wait: LeafWait) -> tuple[CallSite, ...] | None:
        """Return the steps that may end a wait, None where others that nobody knows may do so."""
        cls, role = self._ended_by(wait)
        if role is None:
            return None
        asked = home, cls, role
        if asked not in self._endings:
            found = tuple(self._sites(home, cls, role))
            self._endings[asked] = None if self._is_handed_out(home) else found
        return self._endings[asked]

    def _ended_by(self, wait: LeafWait) -> tuple[str, Role | None]:
        if wait.known is None:
            return FUTURE, Role.COMPLETES
        cls = wait.known.name.rpartition(".")[0]
        if Role.ACQUIRES in wait.known.entry.roles:
            return cls, None
        role = next((role for role in _ENDED_BY if role in wait.known.entry.roles), None)
        return cls, _ENDED_BY[role] if role is not None else None

    def _sites(self, home: Home, cls: str, role: Role) -> Iterator[CallSite]:
        names = {
            name.rpartition(".")[2]
            for name in self._knowledge.with_role(role)
            if (entry := self._knowledge.entry(f"{cls}.{name.rpartition('.')[2]}")) is not None
            and role in entry.roles
        }
        for site in self._program.calls.of_any(names):
            step = self._program.function(site.function).steps[site.step]
            receiver = step.func.base if isinstance(step, Call) and isinstance(step.func, Attr) else None
            if receiver is not None and self._locks.homes.of(site.function, receiver) == home:
                yield site

    def _is_handed_out(self, home: Home) -> bool:
        """Tell whether an object, or a method of it, is given to others, to do with it what they like."""
        name = home[1]
        for site, value in self._program.calls.given.get(name, ()):
            if self._locks.homes.of(site.function, value) == home:
                return True
        return any(
            isinstance(value, Attr)
            and last_name(value.base) == name
            and self._locks.homes.of(site.function, value.base) == home
            for method in self._ending_names
            for site, value in self._program.calls.given.get(method, ())
        )

    @cached_property
    def _ending_names(self) -> frozenset[str]:
        """The names of all methods that end a wait."""
        roles = (Role.COMPLETES, *_ENDED_BY.values())
        return frozenset(
            name.rpartition(".")[2] for role in roles for name in self._knowledge.with_role(role)
        )

    # ----------------------------------------------------------------- who else needs the lock

    def _others(self, facts: Facts, taken: Taken, wait: LeafWait, home: Home) -> Iterator[CallSite]:
        """Yield where others take the lock, if the wait is for the next message and nothing asks for it."""
        if not self._is_for_next(self._facts_of(wait.leaf.function), wait, home):
            return
        if self._asks_first(taken, wait):
            return
        for site in self._locks.takings.get(taken.home, ()):
            if site.function != facts.key and not self._waits_too(site.function, home):
                yield site

    def _is_for_next(self, facts: Facts, wait: LeafWait, home: Home) -> bool:
        """Tell whether a wait is for what comes next: out of a queue, or an event that is cleared first."""
        if wait.known is None:
            return False
        if Role.CONSUMES in wait.known.entry.roles:
            return self._knowledge.source(wait.known.name) in (SourceKind.QUEUE, SourceKind.MESSAGES)
        return any(
            isinstance(each, Call)
            and isinstance(each.func, Attr)
            and each.func.name == "clear"
            and self._locks.homes.of(facts.key, each.func.base) == home
            for each in facts.function.steps
        )

    def _asks_first(self, taken: Taken, wait: LeafWait) -> bool:
        """Tell whether every path from the taking to the wait may ask for what is waited for."""
        starts = chain((taken.step,), repeat(None))
        return any(
            self._asks_between(self._facts_of(hop.function), start, hop.step, hop != wait.leaf)
            for start, hop in zip(starts, wait.hops, strict=False)
        )

    def _asks_between(self, facts: Facts, start: int | None, step: int, enters: bool) -> bool:
        """Tell whether every path to an await, from behind a step or the entry, may ask for something.

        Of an await that `enters` a function of the project its call does not count: that one is looked at.
        """
        entering = _call_of(facts.function.steps[step]) if enters else None

        def passed(_here: PathPoint[tuple[()]], at: int) -> tuple[()] | Halt:
            if at == step:
                return Halt.FOUND
            return Halt.STOP if at != entering and self._may_ask(facts, at) else ()

        search = PathSearch(facts.flow, passed)
        return search.run([behind(facts.flow, start)]).outcome is not Outcome.FOUND

    def _may_ask(self, facts: Facts, at: int) -> bool:
        node = facts.function.steps[at]
        if isinstance(node, Await):
            return node.kind is not AwaitKind.EXIT
        if not isinstance(node, Call):
            return False
        known = [self._effects.operations.known(each) for each in self._effects.types.callees(facts.key, at)]
        return any(each is None or {Role.SENDS, Role.SPAWNS} & set(each.entry.roles) for each in known)

    def _waits_too(self, key: FunctionKey, home: Home) -> bool:
        """Tell whether a function waits for the same things itself."""
        facts = self._facts_of(key)
        return any(
            self._home(wait) == home for _, step in facts.awaits() for wait in self._waits.of_step(key, step)
        )

    def _is_timed(self, facts: Facts, step: int, wait: LeafWait) -> bool:
        for hop in wait.hops:
            here = self._facts_of(hop.function)
            regions = here.function.blocks[here.block_of(hop.step)].regions
            races = (here.unwinding.race(region) for region in regions)
            if here.effect(hop.step).race is not None:
                return True
            if any(race is not None and race[0] is not RaceKind.SCOPE for race in races):
                return True
        return False


def _call_of(step: Step) -> int | None:
    """Return the call whose coroutine a step awaits."""
    match step:
        case Await(value=Temp(step=call)):
            return call
        case _:
            return None
