"""The whole program: summaries to a fixpoint, and what is known of each function afterwards."""

from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import NamedTuple

from msgspec import Struct
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from cancellint.analysis.callgraph.cancellers import Cancellers
from cancellint.analysis.callgraph.exposure import Exposure
from cancellint.analysis.callgraph.function_uses import FunctionUses
from cancellint.analysis.callgraph.handles import Handles
from cancellint.analysis.callgraph.tasks_of import TasksOf
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import Operations
from cancellint.analysis.engine.components import groups
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.explain.descriptions import Description, Evidence, as_written, describe
from cancellint.analysis.explain.traces import Traces
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.hazards.arrival.scoped_yields import ScopedYields
from cancellint.analysis.hazards.arrival.swallowed_cancellations import SwallowedCancellations
from cancellint.analysis.hazards.arrival.unshielded_cleanups import UnshieldedCleanups
from cancellint.analysis.hazards.blocking.blocking_calls import BlockingCalls
from cancellint.analysis.hazards.blocking.busy_waits import BusyWaits
from cancellint.analysis.hazards.channels.full_queues import FullQueues
from cancellint.analysis.hazards.channels.lone_tasks import LoneTasks
from cancellint.analysis.hazards.channels.lost_wakeups import LostWakeups
from cancellint.analysis.hazards.channels.queue_steps import QueueSteps
from cancellint.analysis.hazards.channels.split_paths import SplitPaths
from cancellint.analysis.hazards.channels.uncounted_jobs import UncountedJobs
from cancellint.analysis.hazards.channels.unended_queues import UnendedQueues
from cancellint.analysis.hazards.coroutines.dropped_coroutines import DroppedCoroutines
from cancellint.analysis.hazards.exchanges.torn_exchanges import TornExchanges
from cancellint.analysis.hazards.exchanges.unlimited_replies import UnlimitedReplies
from cancellint.analysis.hazards.futures.abandoned_futures import AbandonedFutures
from cancellint.analysis.hazards.futures.futures import EVENTS, Futures
from cancellint.analysis.hazards.futures.leaders import Leaders
from cancellint.analysis.hazards.futures.lost_grants import LostGrants
from cancellint.analysis.hazards.futures.shared_futures import SharedFutures
from cancellint.analysis.hazards.futures.unmarked_waiters import UnmarkedWaiters
from cancellint.analysis.hazards.locks.leaf_waits import LeafWaits
from cancellint.analysis.hazards.locks.lock_homes import LockHomes
from cancellint.analysis.hazards.locks.lock_orders import LockOrders
from cancellint.analysis.hazards.locks.lock_waits import LockWaits
from cancellint.analysis.hazards.locks.reentries import Reentries
from cancellint.analysis.hazards.locks.thread_locks import ThreadLocks
from cancellint.analysis.hazards.obligations.debts import Debts
from cancellint.analysis.hazards.obligations.obligations import Debt
from cancellint.analysis.hazards.promises.outstanding import Outstanding, orphans
from cancellint.analysis.hazards.promises.proofs import Proofs
from cancellint.analysis.hazards.promises.refutations import Refutations
from cancellint.analysis.hazards.queues.backlogs import Backlogs
from cancellint.analysis.hazards.queues.spawn_loops import SpawnLoops
from cancellint.analysis.hazards.queues.spawned_messages import SpawnedMessages
from cancellint.analysis.hazards.queues.undrained_writes import UndrainedWrites
from cancellint.analysis.hazards.sharing.changed_iterations import ChangedIterations
from cancellint.analysis.hazards.sharing.check_then_act import ChecksThenActs
from cancellint.analysis.hazards.sharing.late_counts import LateCount, late_counts
from cancellint.analysis.hazards.sharing.replacing import Replacement
from cancellint.analysis.hazards.sharing.second_callers import SecondCallers
from cancellint.analysis.hazards.sharing.stale_writes import stale_writes
from cancellint.analysis.hazards.tasks.contenders import Contenders
from cancellint.analysis.hazards.tasks.dropped_tasks import DroppedTasks
from cancellint.analysis.hazards.tasks.ignored_errors import GatheredErrors
from cancellint.analysis.hazards.tasks.orphaned_shields import OrphanedShields
from cancellint.analysis.hazards.tasks.unawaited_cancellations import UnawaitedCancellations
from cancellint.analysis.hazards.tasks.unobserved_tasks import UnobservedTasks
from cancellint.analysis.hazards.threads.touched_loops import TouchedLoops
from cancellint.analysis.library.knowledge import Knowledge
from cancellint.analysis.library.older_versions import OlderVersions, Supported
from cancellint.analysis.memory.owners import Owners
from cancellint.analysis.normal.form import FormsKept, NoForms, Origins, normal_form
from cancellint.analysis.program.program import Program
from cancellint.analysis.program.promises import Contracts
from cancellint.analysis.summaries.summarize import Result, summarize
from cancellint.analysis.types.types import Types
from cancellint.model.knowledge import LockKind, Role
from cancellint.model.summary import NOTHING, Path, Summary
from cancellint.model.types import FunctionKey


class AnalysisSettings(Struct, frozen=True):
    """What the analysis must be told.

    `target` is the newest Python the project supports, None for the newest there is.
    """

    assume_raced_public: bool = False
    underscore_drops: bool = False
    """a task bound to `_` is reported too"""
    target: Version | None = None
    older: tuple[Version, ...] = ()
    """older Pythons that it supports as well"""
    libraries: tuple[tuple[str, SpecifierSet], ...] = ()
    """import names of libraries, with the versions that it supports"""
    cancel_safe_decorators: tuple[str, ...] = ()
    """dotted names of decorators that declare a function cancel-safe"""


class Project:
    """A program whose functions have all been summarised."""

    def __init__(
        self,
        effects: Effects,
        owners: Owners,
        results: Mapping[FunctionKey, Result],
        called: Container[FunctionKey],
        contracts: Contracts,
        settings: AnalysisSettings,
        origins: Origins,
    ) -> None:
        self._called = called
        self.origins = origins
        self.contracts = contracts
        self.settings = settings
        self.program = effects.program
        self.effects = effects
        self._results = results
        self.traces = Traces(effects, results)
        self.facts_of = FactsOf(effects, owners)
        self.uses = FunctionUses(effects)
        self._debts = Debts(effects, self.uses, self.facts_of, results)

    def result(self, key: FunctionKey) -> Result:
        """Return what is known of a function; nothing for one that no coroutine reaches."""
        return self._results.get(key, _NO_RESULT)

    @cached_property
    def handles(self) -> Handles:
        """Which tasks are started, and who keeps them."""
        return Handles(self.program, self.effects.types, self.effects.operations)

    def debts(self, key: FunctionKey) -> tuple[Debt, ...]:
        """Return what a function leaves undone when it is cancelled."""
        return self._debts.of(key)

    def outstanding(self, key: FunctionKey) -> tuple[Outstanding, ...]:
        """Return all that a function leaves as it should not when it is cancelled."""
        return (
            *self.debts(key),
            *self.torn_exchanges.decided_in(key),
            *self.shared_futures.of(key),
            *orphans(self.effects, self.facts_of, self.contenders, key),
            *self.lost_grants.in_function(key),
        )

    def is_root(self, key: FunctionKey) -> bool:
        """Whether nothing in the project is known to call a function."""
        return key not in self._called

    @cached_property
    def dropped_tasks(self) -> DroppedTasks:
        """Tasks that nobody keeps, and what that can cost."""
        return DroppedTasks(self.effects, self.handles)

    @cached_property
    def unawaited_cancellations(self) -> UnawaitedCancellations:
        """Tasks that are cancelled and not waited for."""
        return UnawaitedCancellations(self.effects, self.facts_of, self.handles)

    @cached_property
    def unobserved_tasks(self) -> UnobservedTasks:
        """Tasks that nobody looks at."""
        return UnobservedTasks(self.effects, self.facts_of, self.handles)

    @cached_property
    def dropped_coroutines(self) -> DroppedCoroutines:
        """Coroutines that nobody awaits."""
        return DroppedCoroutines(self.effects, self.facts_of)

    @cached_property
    def gathered_errors(self) -> GatheredErrors:
        """Errors that gatherings return, and that nobody looks at."""
        return GatheredErrors(self.effects)

    @cached_property
    def orphaned_shields(self) -> OrphanedShields:
        """Shielded coroutines that go on alone."""
        return OrphanedShields(self.effects, self.facts_of)

    @cached_property
    def contenders(self) -> Contenders:
        """Which tasks are started to be waited for together."""
        return Contenders(self.effects, self.handles)

    @cached_property
    def exposure(self) -> Exposure:
        """Which functions users can call themselves."""
        return Exposure(self.program)

    @cached_property
    def cancellers(self) -> Cancellers:
        """Who can cancel a function, and what lives on then."""
        return Cancellers(self.effects, self.uses, self.exposure)

    @cached_property
    def older_versions(self) -> OlderVersions:
        """What older Pythons that the project supports do otherwise."""
        knowledge = self.effects.operations.knowledge
        settings = self.settings
        supported = Supported(settings.target, settings.older, dict(settings.libraries))
        return OlderVersions(self.program, self.effects.types, knowledge, supported)

    @cached_property
    def futures(self) -> Futures:
        """Futures of the whole program: who makes, keeps, completes and waits for them."""
        return Futures(self.effects, self.uses)

    @cached_property
    def abandoned_futures(self) -> AbandonedFutures:
        """Completions of futures whose waiter may be gone."""
        return AbandonedFutures(self.futures)

    @cached_property
    def refutations(self) -> Refutations:
        """What is owed behind promises to be cancel-safe."""
        return Refutations(self.effects, self.facts_of, self.contracts, self.outstanding)

    @cached_property
    def proofs(self) -> Proofs:
        """Which awaits are proven to be cancel-safe."""
        return Proofs(self.effects, self.uses, self.contracts, self.result, self.outstanding)

    @cached_property
    def torn_exchanges(self) -> TornExchanges:
        """Requests of the whole program whose replies a cancellation leaves to others."""
        may = frozenset(key for key, result in self._results.items() if result.may_exchange)
        return TornExchanges(self.effects, self.uses, self.facts_of, may)

    @cached_property
    def shared_futures(self) -> SharedFutures:
        """Awaits of futures that others wait for too."""
        return SharedFutures(self.futures, self.facts_of, self.exposure)

    @cached_property
    def lost_grants(self) -> LostGrants:
        """Waits that keep what they were given when they are cancelled."""
        return LostGrants(self.futures, self._events)

    @cached_property
    def leaders(self) -> Leaders:
        """Functions that work for all who ask for the same meanwhile."""
        return Leaders(self.facts_of, self.futures, self._events)

    @cached_property
    def _events(self) -> Futures:
        """Events that are made for one wait each."""
        return Futures(self.effects, self.uses, EVENTS)

    @cached_property
    def unmarked_waiters(self) -> UnmarkedWaiters:
        """Waits that do not say that they are over when they are cancelled."""
        return UnmarkedWaiters(self.futures)

    @cached_property
    def reentries(self) -> Reentries:
        """Locks that are waited for while they are held."""
        return Reentries(self.effects, self.lock_homes, self.facts_of)

    @cached_property
    def lock_homes(self) -> LockHomes:
        """Whose lock is held where."""
        takers = frozenset(key for key, result in self._results.items() if result.takes_lock)
        return LockHomes(self.effects, self.uses, self.facts_of, self.exposure, takers)

    @cached_property
    def lock_orders(self) -> LockOrders:
        """Locks that are taken in both orders."""
        return LockOrders(self.lock_homes, self._tasks_of, self.facts_of)

    @cached_property
    def thread_locks(self) -> ThreadLocks:
        """Locks of threads that are held across an await, and who takes them."""
        takers = frozenset(key for key, result in self._results.items() if result.takes_thread_lock)
        homes = LockHomes(self.effects, self.uses, self.facts_of, self.exposure, takers, LockKind.THREAD)
        return ThreadLocks(self.effects, homes, self._tasks_of, self.facts_of)

    @cached_property
    def _tasks_of(self) -> TasksOf:
        return TasksOf(self.effects, self.uses)

    @cached_property
    def leaf_waits(self) -> LeafWaits:
        """What an await waits for in the end."""
        return LeafWaits(self.effects, self.facts_of)

    @cached_property
    def lock_waits(self) -> LockWaits:
        """Waits under a lock that whoever would end them needs."""
        return LockWaits(self.effects, self.lock_homes, self.leaf_waits, self.facts_of)

    @cached_property
    def backlogs(self) -> Backlogs:
        """Queues of the whole program that nothing bounds."""
        return Backlogs(self.effects, self.uses, self.exposure)

    @cached_property
    def unended_queues(self) -> UnendedQueues:
        """Queues whose end is told only when nothing fails."""
        steps, tasks = self._queue_steps, self._lone_tasks
        return UnendedQueues(self.effects, self.facts_of, self.cancellers, steps, tasks)

    @cached_property
    def uncounted_jobs(self) -> UncountedJobs:
        """Jobs of queues that are counted as done only when nothing fails."""
        return UncountedJobs(self.effects, self.facts_of, self._queue_steps, self._lone_tasks)

    @cached_property
    def _lone_tasks(self) -> LoneTasks:
        return LoneTasks(self.effects, self.uses, self.facts_of)

    @cached_property
    def split_paths(self) -> SplitPaths:
        """Messages that a later one of the same sender may overtake."""
        return SplitPaths(self.effects, self.facts_of, self._queue_steps)

    @cached_property
    def _queue_steps(self) -> QueueSteps:
        """What is put into queues, and taken out of them."""
        return QueueSteps(self.effects, self.uses)

    @cached_property
    def spawn_loops(self) -> SpawnLoops:
        """Tasks that are started for everything that comes in."""
        return SpawnLoops(self.effects, self.facts_of)

    @cached_property
    def spawned_messages(self) -> SpawnedMessages:
        """Messages that are worked on by a task each, to the harm of their order."""
        return SpawnedMessages(self.spawn_loops, self.facts_of)

    @cached_property
    def undrained_writes(self) -> UndrainedWrites:
        """Loops that write to streams without ever waiting for them."""
        return UndrainedWrites(self.effects, self.uses, self.facts_of)

    @cached_property
    def full_queues(self) -> FullQueues:
        """Items that a full queue does not take, and what becomes of that."""
        return FullQueues(self.effects, self.uses, self.facts_of)

    @cached_property
    def lost_wakeups(self) -> LostWakeups:
        """Wake-ups that are forgotten, or given too early."""
        return LostWakeups(self.effects, self.uses, self.facts_of)

    @cached_property
    def scoped_yields(self) -> ScopedYields:
        """Generators that are suspended inside of a scope."""
        return ScopedYields(self.effects, self.uses, self.facts_of)

    @cached_property
    def swallowed_cancellations(self) -> SwallowedCancellations:
        """Cancellations that do not end what was cancelled."""
        return SwallowedCancellations(self.effects, self.uses, self.facts_of, self.cancellers)

    @cached_property
    def unshielded_cleanups(self) -> UnshieldedCleanups:
        """Cleanups that a cancelled scope ends at their first wait."""
        return UnshieldedCleanups(self.effects, self.facts_of)

    @cached_property
    def blocking_calls(self) -> BlockingCalls:
        """Calls of coroutines that block the event loop."""
        return BlockingCalls(self.effects, self.uses, self.exposure)

    @cached_property
    def unlimited_replies(self) -> UnlimitedReplies:
        """Replies that nobody gives up waiting for."""
        return UnlimitedReplies(self.facts_of, self.uses, self.cancellers)

    @cached_property
    def busy_waits(self) -> BusyWaits:
        """Loops that look again and again at what somebody could tell them."""
        return BusyWaits(self.effects)

    @cached_property
    def second_callers(self) -> SecondCallers:
        """Which functions two tasks may be in at a time."""
        return SecondCallers(self.effects, self.uses, self.facts_of, self.exposure)

    @cached_property
    def changed_iterations(self) -> ChangedIterations:
        """Loops over what others change while they wait."""
        return ChangedIterations(self.effects, self.facts_of, self._tasks_of)

    @cached_property
    def checks_then_acts(self) -> ChecksThenActs:
        """Tests of shared state that a second task passes as well."""
        return ChecksThenActs(self.effects, self.facts_of, self.second_callers)

    def late_counts(self, key: FunctionKey) -> Iterator[LateCount]:
        """Yield the counters that several tasks may find below their limit."""
        return late_counts(self.effects, self.facts_of, self.second_callers, key)

    def stale_writes(self, key: FunctionKey) -> tuple[Replacement, ...]:
        """Return the shared attributes that a function writes by a value from before a wait."""
        found = tuple(stale_writes(self.effects, self.facts_of, self.second_callers, key))
        callers = (key, *self._callers_of(key)) if found else ()
        told = any(self.checks_then_acts.tells_of(key, caller) for caller in callers)
        return () if told else found

    def _callers_of(self, key: FunctionKey) -> Iterator[FunctionKey]:
        yield from dict.fromkeys(reference.site.function for reference in self.uses.of(key))

    @cached_property
    def touched_loops(self) -> TouchedLoops:
        """Objects of event loops that other threads use."""
        return TouchedLoops(self.effects)

    def describe(self, key: FunctionKey) -> Description:
        """Return what the tool believes about a function and why, for people to read."""
        facts = self.facts_of(key)
        result = self._results.get(key)
        if result is None:
            result = summarize(self.effects, facts, self.contracts.made_at(key) is not None)
        evidence = Evidence(facts, result, self.outstanding(key), self.contracts.made_at(key))
        described = describe(self.effects, self.traces, evidence)
        return as_written(described, lambda site: self.origins.of(site).origin)


_NO_RESULT = Result(NOTHING)

MOST_ROUNDS = Limit(12, "rounds over functions that call one another")
"""Rounds over one group after which its summaries are taken as they are. Facts only grow, so this is
reached only where paths lengthen round a recursion, and what is missing then is a longer path."""


Boundary = Callable[[str], AbstractContextManager[None]]
"""Given a module's name, keeps a fault of ours in it from ending the run."""


def _no_boundary(_module: str) -> AbstractContextManager[None]:
    return nullcontext()


def analyse(
    program: Program,
    knowledge: Knowledge,
    settings: AnalysisSettings,
    boundary: Boundary = _no_boundary,
    kept: FormsKept | None = None,
    before: Project | None = None,
) -> Project:
    """Summarise all coroutines and whatever they reach, callees first, until nothing changes.

    `kept` and `before` are what an earlier run in this process has left, under the same knowledge.
    """
    known = None if before is None else before.program
    program, origins = normal_form(program, knowledge, kept or NoForms(), known)  # what was written may go
    return _Fixpoint(program, origins, knowledge, settings, boundary).project()


class _Inputs(NamedTuple):
    """What a summary was made of, and when."""

    began: int
    read: tuple[FunctionKey, ...]
    """the functions whose summaries were asked for"""
    filled: tuple[Path, ...]
    """containers it removes data from that were known to be filled"""


class _Fixpoint:
    """The summaries while they grow."""

    def __init__(
        self,
        program: Program,
        origins: Origins,
        knowledge: Knowledge,
        settings: AnalysisSettings,
        boundary: Boundary,
    ) -> None:
        self._origins = origins
        types = Types(program, knowledge)
        operations = Operations(program, types, knowledge, settings.target)
        self._settings = settings
        self._boundary = boundary
        self._effects = Effects(program, types, operations, self._summary_of)
        self._owners = Owners(program, _consumers(knowledge))
        self._contracts = Contracts(program, settings.cancel_safe_decorators)
        self._results: dict[FunctionKey, Result] = {}
        self._called: dict[FunctionKey, tuple[FunctionKey, ...]] = {}
        self._made_of: dict[FunctionKey, _Inputs] = {}
        self._changed_at: dict[FunctionKey, int] = {}
        self._clock = 0
        """how many summaries have been made"""
        self._read: dict[FunctionKey, None] = {}
        """the functions whose summaries the one being made has asked for"""

    def project(self) -> Project:
        order = tuple(groups(_roots(self._effects.program), self._callees))
        for group in order:
            self._settle(group)
        self._follow_fills(order)
        reached = {callee for key, found in self._called.items() for callee in found if callee != key}
        return Project(
            self._effects,
            self._owners,
            self._results,
            reached,
            self._contracts,
            self._settings,
            self._origins,
        )

    def _summary_of(self, key: FunctionKey) -> Summary:
        self._read[key] = None
        found = self._results.get(key)
        return NOTHING if found is None else found.summary

    def _callees(self, key: FunctionKey) -> tuple[FunctionKey, ...]:
        """Return the functions whose summaries a function's own rests on."""
        if key not in self._called:
            found: dict[FunctionKey, None] = {}
            with self._boundary(key.module):
                for number in range(len(self._effects.program.function(key).steps)):
                    found.update(dict.fromkeys(self._effects.callees(key, number)))
            self._called[key] = tuple(found)
        return self._called[key]

    def _settle(self, group: tuple[FunctionKey, ...]) -> bool:
        """Summarise a group until it no longer changes; tell whether any summary differs from before.

        A group lists callers first: going backwards carries a fact round a whole ring in one round.
        """
        changed = False
        recursive = len(group) > 1 or group[0] in self._callees(group[0])
        for _ in MOST_ROUNDS.rounds() if recursive else range(1):
            moved = False
            for key in reversed(group):
                moved |= self._summarize(key)
            changed |= moved
            if not moved:
                break
        return changed

    def _summarize(self, key: FunctionKey) -> bool:
        """Summarise one function, unless it would come out as before; tell whether the summary differs."""
        if self._is_current(key):
            return False
        self._clock += 1
        began, filled = self._clock, self._owners.count
        self._read = {}
        result = Result(NOTHING)
        with self._boundary(key.module):
            promised = self._contracts.made_at(key) is not None
            facts = Facts(self._effects, self._owners, key)
            result = summarize(self._effects, facts, promised)
        old = self._results.get(key)
        self._results[key] = result
        for store in result.fills:
            self._owners.fill(key, store)
        if self._owners.count == filled:
            self._made_of[key] = _Inputs(began, tuple(self._read), self._filled_drains(key))
        else:
            self._made_of.pop(key, None)
        is_other = old is None or old.summary != result.summary
        if is_other:
            self._clock += 1
            self._changed_at[key] = self._clock
        return is_other

    def _is_current(self, key: FunctionKey) -> bool:
        """Tell whether nothing has changed that the summary of a function was made of."""
        made = self._made_of.get(key)
        return (
            made is not None
            and all(self._changed_at.get(each, 0) < made.began for each in made.read)
            and self._filled_drains(key) == made.filled
        )

    def _filled_drains(self, key: FunctionKey) -> tuple[Path, ...]:
        """Return what a function removes data from, as far as it is known to be filled from a source."""
        return tuple(store for store in self._results[key].drains if self._owners.is_filled(key, store))

    def _follow_fills(self, order: tuple[tuple[FunctionKey, ...], ...]) -> None:
        """Summarise again what removes data from a container that turned out to be filled from a source."""
        for _ in MOST_ROUNDS.rounds():
            before = self._owners.count
            changed: set[FunctionKey] = set()
            for group in order:
                if (self._drains_filled(group) or self._calls_any(group, changed)) and self._settle(group):
                    changed.update(group)
            if not changed and self._owners.count == before:
                return

    def _drains_filled(self, group: tuple[FunctionKey, ...]) -> bool:
        return any(self._owners.is_filled(key, store) for key in group for store in self._results[key].drains)

    def _calls_any(self, group: tuple[FunctionKey, ...], changed: set[FunctionKey]) -> bool:
        return bool(changed) and any(callee in changed for key in group for callee in self._callees(key))


def _consumers(knowledge: Knowledge) -> frozenset[str]:
    """Return the names of the methods that take data from a source."""
    return frozenset(
        name.rpartition(".")[2]
        for name in knowledge.names()
        if (entry := knowledge.entry(name)) is not None and Role.CONSUMES in entry.roles
    )


def _roots(program: Program) -> Iterator[FunctionKey]:
    for key in program.functions():
        function = program.function(key)
        if function.is_async or function.name == "__await__":
            yield key
