"""Races in a function: what they drop, and whether their sources are read on."""

from collections.abc import Iterator

from msgspec import Struct, structs

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import Operation, pendings
from cancellint.analysis.engine.graph import ERROR, NORMAL
from cancellint.analysis.flow.decided import NONE
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.flow.losses import Lost, exposed, is_needed
from cancellint.analysis.flow.reading_on import Loser, Start, reads_on
from cancellint.model.finding import weakest
from cancellint.model.ir import Attr, Call, Leaves
from cancellint.model.knowledge import RaceKind, Role
from cancellint.model.summary import Cause, Fact, Leaving, Loss, Take, Unsettled
from cancellint.model.types import CallSite, FunctionKey


class Candidate(Struct, frozen=True):
    """Something a race may drop, before it is known whether anyone reads on.

    `race` is the step of the race in this function, `name` the construct's name, `lost_at` the await
    that is cancelled (-1 where a callee's own race is meant), `token` as in `Lost`, `starts` where
    control goes on. `open` is the callee's unsettled race, if this is one.
    """

    race: int
    name: str
    loss: Loss
    lost_at: int
    token: int | None
    starts: tuple[Start, ...]
    open: Unsettled | None = None
    via: tuple[FunctionKey, Fact] | None = None
    """the callee's loss behind this one"""
    loser: Loser | None = None
    """the task that lost the race and is cancelled at `lost_at`"""


class RaceVerdict(Struct, frozen=True):
    """A candidate, with the step that reads its source again, or else how the function may end after it."""

    candidate: Candidate
    read_again: int | None
    leaving: tuple[Leaving, ...]


def verdicts(effects: Effects, facts: Facts, lost: tuple[Lost, ...]) -> Iterator[RaceVerdict]:
    """Yield every race of the function that drops data, settled or not."""
    for candidate in _candidates(effects, facts, lost):
        if candidate.open is not None and candidate.open.leaving is Leaving.RETRIES:
            yield RaceVerdict(candidate, candidate.race, ())
            continue
        loss = candidate.loss
        outcome = reads_on(facts, loss.source, loss.origin, candidate.starts, candidate.loser)
        if outcome.step is not None and outcome.take is not None:
            weaker = structs.replace(loss, confidence=weakest(loss.confidence, outcome.take.confidence))
            if loss.cause is Cause.PASSED:
                yield RaceVerdict(candidate, None, (Leaving.RETRIES,))
                continue
            yield RaceVerdict(structs.replace(candidate, loss=weaker), outcome.step, ())
        elif outcome.leaving:
            yield RaceVerdict(candidate, None, outcome.leaving)


def _candidates(effects: Effects, facts: Facts, lost: tuple[Lost, ...]) -> Iterator[Candidate]:
    yield from _region_races(facts, lost)
    for block, step in facts.awaits():
        race = facts.effect(step).race
        if race is not None and race.kind is RaceKind.CANCELS_RAISES:
            yield from _awaited_race(effects, facts, block, step, race.name)
        elif race is not None and race.kind is RaceKind.LEAVES_RUNNING:
            yield from _cancelled_losers(effects, facts, step, race.name, race.operations)
        yield from _callees_races(facts, block, step)


def _region_races(facts: Facts, lost: tuple[Lost, ...]) -> Iterator[Candidate]:
    """Races whose body lies in this function: `async with timeout(...)`."""
    for one in lost:
        for way in one.exits:
            if one.loss.native and facts.unwinding.is_scope(way.region):
                continue
            if is_needed(facts, one.loss, one.token, one.step, way.block):
                continue
            race = facts.unwinding.race(way.region)
            enter = facts.function.regions[way.region].enter
            known = facts.known_before(one.step)
            start = Start(way.block, way.travelling, known=known, region=way.region)
            yield Candidate(enter, race[1] if race else "", one.loss, one.step, one.token, (start,))


def _awaited_race(effects: Effects, facts: Facts, block: int, step: int, name: str) -> Iterator[Candidate]:
    """A race that is awaited in place: `await wait_for(...)`."""
    targets = facts.flow.targets(block, ERROR)
    losses = tuple(exposed(facts, block, step))
    ended = _awaits_of_ended(effects, facts, step) if losses else frozenset()
    for loss, token in losses:
        starts = tuple(Start(target, True, known=facts.known_before(step)) for target in targets)
        if not any(is_needed(facts, loss, token, step, target) for target in targets):
            loser = Loser(-1, ended, None) if ended else None
            yield Candidate(step, name, loss, step, token, starts, loser=loser)


def _awaits_of_ended(effects: Effects, facts: Facts, race: int) -> frozenset[int]:
    """Return the awaits of nothing but tasks that the race, or the function itself, has cancelled."""
    raced = {operation.site for operation in effects.awaited(facts.key, race) if operation.task}
    ended = raced | {site for _, site in cancelled_tasks(effects, facts.key)}
    return _awaits_within(effects, facts, ended) - {race}


def _cancelled_losers(
    effects: Effects, facts: Facts, step: int, name: str, operations: tuple[Operation, ...]
) -> Iterator[Candidate]:
    """Losers of `asyncio.wait` that this function cancels itself."""
    raced = {operation.site: operation for operation in operations}
    cancelled = tuple(cancelled_tasks(effects, facts.key))
    losers = {site for _, site in cancelled}
    for number, site in cancelled:
        if site not in raced:
            continue
        start = Start(facts.block_of(number), False, number + 1)
        effect = effects.of_operation(facts.key, raced[site])
        takes = {take.source: take for take in effect.takes}
        for loss in effect.losses:
            via = effect.via.get(loss)
            take = takes.get(loss.source)
            loser = _loser(effects, facts, site, losers, take) if take is not None else None
            yield Candidate(step, name, loss, number, None, (start,), via=via, loser=loser)


def _loser(effects: Effects, facts: Facts, site: CallSite, cancelled: set[CallSite], take: Take) -> Loser:
    awaited = _awaits_within(effects, facts, cancelled)
    return Loser(site.step if site.function == facts.key else -1, awaited, take)


def _awaits_within(effects: Effects, facts: Facts, sites: set[CallSite]) -> frozenset[int]:
    """Return the awaits that wait for nothing but what these calls have made."""
    return frozenset(
        step
        for _, step in facts.awaits()
        if (found := {operation.site for operation in effects.awaited(facts.key, step)}) and found <= sites
    )


def cancelled_tasks(effects: Effects, key: FunctionKey) -> Iterator[tuple[int, CallSite]]:
    """Yield each `task.cancel()` of a function with the calls whose task it may be."""
    for number, step in enumerate(effects.program.function(key).steps):
        if not isinstance(step, Call) or not isinstance(step.func, Attr):
            continue
        if step.func.name != "cancel":
            continue
        for callee in effects.types.callees(key, number):
            known = effects.operations.known(callee)
            if known is not None and Role.CANCELS not in known.entry.roles:
                continue
            for pending in pendings(effects.types.of(key, step.func.base)):
                yield number, pending.site


def _callees_races(facts: Facts, block: int, step: int) -> Iterator[Candidate]:
    """Races inside a callee that it leaves to us to settle."""
    for unsettled in facts.effect(step).unsettled:
        if unsettled.leaving is Leaving.RETRIES:
            yield Candidate(step, "", unsettled.loss, -1, None, (), open=unsettled)
            continue
        raises = unsettled.leaving is Leaving.RAISES
        wanted = ERROR if raises else NORMAL - {Leaves.EXHAUSTED}
        known = facts.known_before(step)
        if unsettled.leaving is Leaving.RETURNS_NONE:
            known = (*known, (step, NONE))
        starts = tuple(Start(to, raises, known=known) for to in facts.flow.targets(block, wanted))
        yield Candidate(step, "", unsettled.loss, -1, None, starts, open=unsettled)
