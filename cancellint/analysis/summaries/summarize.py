"""From the solved analyses of one function to what its callers and its rules need."""

from collections.abc import Iterator, Mapping

from msgspec import Struct, structs

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import ENTRY
from cancellint.analysis.engine.reachability import precedes
from cancellint.analysis.flow.exchanges import may_exchange
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.flow.held_locks import HeldAcross, HeldLocks
from cancellint.analysis.flow.losses import Lost, losses, of_either_kind
from cancellint.analysis.flow.races import RaceVerdict, verdicts
from cancellint.analysis.flow.reading_on import Start, reads_on
from cancellint.analysis.flow.undoing import may_owe
from cancellint.analysis.summaries.kinds import kinds
from cancellint.analysis.summaries.parameters import parameter_fates
from cancellint.model.finding import Confidence
from cancellint.model.ir import Assign, Attr, Call, Name
from cancellint.model.knowledge import LockKind
from cancellint.model.summary import (
    KEPT,
    RESULT,
    Closes,
    Fact,
    Loss,
    Path,
    Replaces,
    Summary,
    Take,
    Unsettled,
    passed,
)
from cancellint.model.types import FunctionKey


class Origin(Struct, frozen=True):
    """Where a fact of a summary comes from: steps of this function, then perhaps a callee's fact.

    `taken` is the step that takes the data (-1 if that happens in the callee), `at` the await or race.
    """

    at: int
    taken: int = -1
    name: str = ""
    via: tuple[FunctionKey, Fact] | None = None
    lost_at: int = -1
    loss: Loss | None = None
    loser: bool = False
    passes: Loss | None = None
    """of a race left open by a callee: the loss in this function's terms, needed where the callee's race
    cancels what it was given from here"""
    passes_via: tuple[FunctionKey, Fact] | None = None


class Result(Struct, frozen=True):
    """What is known of one function: the summary for callers, the rest for rules and traces."""

    summary: Summary
    origins: Mapping[Fact, Origin] = {}
    races: tuple[RaceVerdict, ...] = ()
    locks: tuple[HeldAcross, ...] = ()
    fills: tuple[Path, ...] = ()
    drains: tuple[Path, ...] = ()
    """containers from which data is removed here, were they filled from a source"""
    race_origins: tuple[Origin, ...] = ()
    """for each of `races`, what it drops"""
    takes_lock: bool = False
    """a lock of the event loop is taken here, and may be held at a later await"""
    takes_thread_lock: bool = False
    """a lock of threads is taken here"""
    may_exchange: bool = False
    """a request is sent here, and what may be its reply is awaited"""
    may_owe: bool = False
    """something is taken on or undone here, round an await"""
    refuted: tuple[Loss, ...] = ()
    """what it loses although it is declared cancel-safe; callers are not told"""


def summarize(effects: Effects, facts: Facts, promised: bool = False) -> Result:
    """Solve one function under the summaries known so far. `promised`: it is declared cancel-safe."""
    lost = tuple(sorted(losses(facts), key=lambda each: _told_later(facts, each))) if _has_data(facts) else ()
    races = tuple(verdicts(effects, facts, lost))
    fates = parameter_fates(facts)
    takes = tuple(dict.fromkeys(_takes(facts)))
    leaving = tuple(one for one in lost if one.leaves and one.loss.source.is_visible_to_callers)
    broken = {one.loss for one in leaving if promised and _is_denied(one.loss)}
    unsettled = tuple(_unsettled(races))
    summary = Summary(
        suspends=any(True for _ in facts.awaits()),
        facts=(
            *sorted(_with_reopened(facts, takes)),
            *sorted(_firmest({one.loss for one in leaving} - broken)),
            *sorted({one for one, _ in unsettled}),
            *(fact for told in kinds() for fact in told(facts)),
        ),
        keeps=fates.keeps,
        hands_back=fates.hands_back,
        stores=fates.stores,
        stores_early=tuple(sorted(set(_stored_early(facts)))) if fates.stores else (),
        calls=tuple(sorted(set(_called_params(facts)))),
    )
    held = HeldLocks(facts)
    origins: dict[Fact, Origin] = {}
    for one in sorted(leaving, key=lambda each: _told_later(facts, each)):
        origins.setdefault(one.loss, loss_origin(facts, one.loss, one.step, one.token))
    for fact, verdict in unsettled:
        origins.setdefault(fact, race_origin(facts, verdict))
    return Result(
        summary,
        origins,
        tuple(verdict for verdict in races if verdict.read_again is not None),
        tuple(held.across_awaits()) if _runs_in_loop(facts) else (),
        tuple(sorted(path for path in _filled(facts) if path.is_visible_to_callers)),
        facts.drains,
        tuple(race_origin(facts, verdict) for verdict in races if verdict.read_again is not None),
        may_owe=may_owe(facts),
        takes_lock=held.takes(LockKind.ASYNC),
        takes_thread_lock=held.takes(LockKind.THREAD),
        may_exchange=may_exchange(facts),
        refuted=tuple(sorted(_firmest(broken))),
    )


def _is_denied(loss: Loss) -> bool:
    """Tell whether a function that is declared cancel-safe says that it does not lose this.

    It speaks of cancellation as its library has it, and not of what its caller gives it to await.
    """
    return not loss.native and passed(loss.source) is None


def _told_later(facts: Facts, lost: Lost) -> tuple[bool, int]:
    """Return a key that puts first the loss that is easiest to follow: taken before, not a turn ago."""
    taken = facts.tokens[lost.token].step if lost.token is not None else None
    earlier = taken is not None and not precedes(facts.flow, taken, lost.step)
    return earlier, lost.step


def _firmest(found: set[Loss]) -> Iterator[Loss]:
    """Yield the losses without those that are also known more firmly, or for more cancellations."""
    for loss in found:
        ranks = tuple(Confidence)[: loss.confidence.rank]
        firmer = any(structs.replace(loss, confidence=rank) in found for rank in ranks)
        broader = loss.native and structs.replace(loss, native=False) in found
        if not firmer and not broader:
            yield loss


def _runs_in_loop(facts: Facts) -> bool:
    """Tell whether the awaits of a function are the event loop's, not a plain generator's."""
    return facts.function.is_async or facts.function.name == "__await__"


def _has_data(facts: Facts) -> bool:
    return bool(facts.tokens) or any(effect.losses for effect in facts.effects.values())


# --------------------------------------------------------------------------- takes


def _takes(facts: Facts) -> Iterator[Take]:
    """Yield what the function takes and where it ends up, as callers see it."""
    moves = facts.custody.moves if facts.tokens else None
    for number, token in enumerate(facts.tokens):
        if not token.take.source.is_visible_to_callers or moves is None:
            continue
        bit = 1 << 2 * number
        places = [path for path, bits in moves.stored.items() if bits & bit and path.is_visible_to_callers]
        if moves.returned & bit:
            yield structs.replace(token.take, into=RESULT)
        for path in places:
            yield structs.replace(token.take, into=path if path.root.startswith("param:") else KEPT)
        if not places and not moves.returned & bit:
            yield structs.replace(token.take, into=KEPT)
    for effect in facts.effects.values():
        for take in effect.takes:
            stays = take.into != RESULT and take.into.is_visible_to_callers
            if stays and take.source.is_visible_to_callers:
                yield take


def _with_reopened(facts: Facts, takes: tuple[Take, ...]) -> Iterator[Take]:
    """Mark takes from a source that every path closes or replaces first."""
    ends = any(effect.paths(Closes) or effect.paths(Replaces) for effect in facts.effects.values()) or any(
        isinstance(step, Assign) and isinstance(step.target, Attr) for step in facts.function.steps
    )
    fresh: dict[tuple[Path, str], bool] = {}
    for take in takes:
        asked = (take.source, take.origin)
        if ends and asked not in fresh:
            fresh[asked] = reads_on(facts, take.source, take.origin, [Start(0, False)]).step is None
        yield structs.replace(take, reopened=True) if ends and fresh[asked] else take


# --------------------------------------------------------------------------- the rest


def _unsettled(races: tuple[RaceVerdict, ...]) -> Iterator[tuple[Unsettled, RaceVerdict]]:
    for verdict in races:
        loss = verdict.candidate.loss
        if verdict.read_again is None and loss.source.is_visible_to_callers:
            for leaving in verdict.leaving:
                yield Unsettled(loss, leaving), verdict


def loss_origin(facts: Facts, loss: Loss, step: int, token: int | None) -> Origin:
    """Return where a loss happens: held here, or in the callee awaited at `step`."""
    taken = facts.tokens[token].step if token is not None else -1
    via = of_either_kind(facts.effect(step).via, loss) if token is None else None
    return Origin(at=step, taken=taken, via=via)


def race_origin(facts: Facts, verdict: RaceVerdict) -> Origin:
    """Return where a race drops data: in this function, or in the callee whose race is settled here."""
    candidate = verdict.candidate
    if candidate.open is not None:
        effect = facts.effect(candidate.race)
        return Origin(
            at=candidate.race,
            via=effect.via.get(candidate.open),
            passes=candidate.loss,
            passes_via=effect.via.get(candidate.loss),
        )
    inner = loss_origin(facts, candidate.loss, candidate.lost_at, candidate.token)
    return Origin(
        at=candidate.race,
        taken=inner.taken,
        name=candidate.name,
        via=candidate.via or inner.via,
        loser=candidate.loser is not None,
        lost_at=candidate.lost_at,
        loss=candidate.loss,
    )


def _called_params(facts: Facts) -> Iterator[int]:
    for step in facts.function.steps:
        if isinstance(step, Call) and isinstance(step.func, Name) and step.func.id in facts.frame.params:
            yield facts.frame.params[step.func.id]


def _stored_early(facts: Facts) -> Iterator[int]:
    """Yield the parameters that are stored in the entry block before anything is taken there."""
    for number in facts.flow.steps(ENTRY):
        if facts.takes(number):
            return
        match facts.function.steps[number]:
            case Assign(target=Attr(), value=Name(id=name)) if name in facts.frame.params:
                yield facts.frame.params[name]
            case _:
                pass


def _filled(facts: Facts) -> Iterator[Path]:
    """Yield the containers that taken data is put into."""
    if facts.tokens:
        yield from facts.custody.moves.stored
    for effect in facts.effects.values():
        for take in effect.takes:
            if take.into not in (RESULT, KEPT):
                yield take.into
