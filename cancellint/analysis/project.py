"""The whole program: summaries to a fixpoint, and what is known of each function afterwards."""

from collections.abc import Callable, Container, Iterator, Mapping

from msgspec import Struct
from packaging.version import Version

from cancellint.analysis.describe import Description, describe
from cancellint.analysis.effects import Effects
from cancellint.analysis.groups import groups
from cancellint.analysis.knowledge import Knowledge
from cancellint.analysis.operations import Operations
from cancellint.analysis.owners import Owners
from cancellint.analysis.program import Program
from cancellint.analysis.summarize import Result, summarize
from cancellint.analysis.traces import Traces
from cancellint.analysis.types import Types
from cancellint.model.knowledge import Role
from cancellint.model.summary import NOTHING, Summary
from cancellint.model.types import FunctionKey


class AnalysisSettings(Struct, frozen=True):
    """What the analysis must be told.

    `target` is the newest Python the project supports, None for the newest there is.
    """

    assume_raced_public: bool = False
    target: Version | None = None


class Project:
    """A program whose functions have all been summarised."""

    def __init__(
        self,
        effects: Effects,
        owners: Owners,
        results: Mapping[FunctionKey, Result],
        called: Container[FunctionKey],
        settings: AnalysisSettings,
    ) -> None:
        self._called = called
        self.settings = settings
        self.program = effects.program
        self.effects = effects
        self.owners = owners
        self._results = results
        self.traces = Traces(effects, results)

    def result(self, key: FunctionKey) -> Result:
        """Return what is known of a function; nothing for one that no coroutine reaches."""
        return self._results.get(key, _NO_RESULT)

    def is_root(self, key: FunctionKey) -> bool:
        """Whether nothing in the project is known to call a function."""
        return key not in self._called

    def describe(self, key: FunctionKey) -> Description:
        """Return what the tool believes about a function and why, for people to read."""
        result = self._results.get(key)
        if result is None:
            result = summarize(self.effects, self.owners, key)
        return describe(self.program, self._results, key, result)


_NO_RESULT = Result(NOTHING)

MOST_ROUNDS = 12
"""Rounds over one group after which its summaries are taken as they are. Facts only grow, so this is
reached only where paths lengthen round a recursion, and what is missing then is a longer path."""


def analyse(program: Program, knowledge: Knowledge, settings: AnalysisSettings) -> Project:
    """Summarise all coroutines and whatever they reach, callees first, until nothing changes."""
    results: dict[FunctionKey, Result] = {}

    def summary_of(key: FunctionKey) -> Summary:
        found = results.get(key)
        return NOTHING if found is None else found.summary

    types = Types(program, knowledge)
    operations = Operations(program, types, knowledge, settings.target)
    effects = Effects(program, types, operations, summary_of)
    owners = Owners(program, _consumers(knowledge))
    called: dict[FunctionKey, tuple[FunctionKey, ...]] = {}

    def callees(key: FunctionKey) -> tuple[FunctionKey, ...]:
        if key not in called:
            called[key] = _callees(effects, key)
        return called[key]

    order = tuple(groups(_roots(program), callees))
    for group in order:
        _settle(effects, owners, results, group, callees)
    _follow_fills(effects, owners, results, order, callees)
    reached = {callee for key, found in called.items() for callee in found if callee != key}
    return Project(effects, owners, results, reached, settings)


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


def _callees(effects: Effects, key: FunctionKey) -> tuple[FunctionKey, ...]:
    found: dict[FunctionKey, None] = {}
    for number in range(len(effects.program.function(key).steps)):
        found.update(dict.fromkeys(effects.callees(key, number)))
    return tuple(found)


Callees = Callable[[FunctionKey], tuple[FunctionKey, ...]]


def _settle(
    effects: Effects,
    owners: Owners,
    results: dict[FunctionKey, Result],
    group: tuple[FunctionKey, ...],
    callees: Callees,
) -> bool:
    """Summarise a group until it no longer changes; tell whether any summary differs from before.

    A group lists callers first: going backwards carries a fact round a whole ring in one round.
    """
    changed = False
    recursive = len(group) > 1 or group[0] in callees(group[0])
    for _ in range(MOST_ROUNDS if recursive else 1):
        moved = False
        for key in reversed(group):
            result = summarize(effects, owners, key)
            old = results.get(key)
            moved |= old is None or old.summary != result.summary
            results[key] = result
            for store in result.fills:
                owners.fill(key, store)
        changed |= moved
        if not moved:
            break
    return changed


def _follow_fills(
    effects: Effects,
    owners: Owners,
    results: dict[FunctionKey, Result],
    order: tuple[tuple[FunctionKey, ...], ...],
    callees: Callees,
) -> None:
    """Summarise again what removes data from a container that turned out to be filled from a source."""
    for _ in range(MOST_ROUNDS):
        before = owners.count
        changed: set[FunctionKey] = set()
        for group in order:
            drains = any(owners.is_filled(key, store) for key in group for store in results[key].drains)
            calls = changed and any(callee in changed for key in group for callee in callees(key))
            if (drains or calls) and _settle(effects, owners, results, group, callees):
                changed.update(group)
        if not changed and owners.count == before:
            return
