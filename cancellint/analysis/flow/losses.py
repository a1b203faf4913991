"""What an await loses when it is cancelled: custody that no cancellation path discharges."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from msgspec import Struct, structs

from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import Outcome
from cancellint.analysis.flow.cancellation_paths import CancellationPath, Passage, RaceExit, unshielded_path
from cancellint.analysis.flow.custody import Moves, State, content
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.flow.reading_on import closes
from cancellint.analysis.flow.unwinding import Shield
from cancellint.analysis.memory.values import Holder, holders
from cancellint.model.ir import (
    Assign,
    Await,
    Call,
    Delete,
    Expr,
    Leaves,
    Temp,
)
from cancellint.model.summary import Cause, Closes, Fact, Loss, Path, Replaces

T = TypeVar("T")


class Lost(Struct, frozen=True):
    """One thing a cancelled await loses.

    `token` is the number of the token in this function's custody, None for what a callee loses.
    `leaves` tells that the cancellation reaches the function's caller with the data gone; `exits` are
    the race regions on the way that end it here.
    """

    loss: Loss
    step: int
    token: int | None
    leaves: bool
    exits: tuple[RaceExit, ...]


def losses(facts: Facts) -> Iterator[Lost]:
    """Yield what each await of a function loses when it is cancelled."""
    for block, step in facts.awaits():
        at_stake = tuple(exposed(facts, block, step))
        shield = facts.unwinding.shield(facts.function.blocks[block].regions) if at_stake else Shield.ALL
        if shield is Shield.ALL:
            continue
        state = facts.custody.before_last(block) if facts.tokens else {}
        if state is None:
            continue
        tokens = sum(1 << 2 * number for number in {number for _, number in at_stake if number is not None})
        saved = _saved(facts, block, state, tokens)
        for loss, token in at_stake:
            cured = token is not None and saved.cured & (1 << 2 * token)
            if not cured and not saved.ends(loss.source, connected=facts.is_connection(loss.origin)):
                native = structs.replace(loss, native=loss.native or shield is Shield.OWN_SCOPES)
                yield Lost(native, step, token, saved.way.reaches_caller, saved.way.race_exits)


def exposed(facts: Facts, block: int, step: int) -> Iterator[tuple[Loss, int | None]]:
    """Yield what is at stake while an await is suspended: a loss, and the token if it is held here."""
    if facts.tokens:
        state = facts.custody.before_last(block)
        if state is None:
            return
        for number in facts.custody.named(_outstanding(facts, block, step, state)):
            take = facts.tokens[number].take
            yield Loss(take.source, Cause.HELD, take.origin, take.confidence), number
    for loss in facts.effect(step).losses:
        yield loss, None


# --------------------------------------------------------------------------- what is outstanding


def _outstanding(facts: Facts, block: int, step: int, state: State) -> int:
    """Return the tokens that are lost if this await is cancelled: still needed, or already acted on."""
    bits = _needed_later(facts, block, state)
    effect = facts.effect(step)
    sources = {take.source for take in effect.takes}
    if not sources:
        return bits
    decided = facts.decisions.get(step, 0)
    stored = {argument.value for argument in effect.arguments if argument.early}
    for expr in _operands(facts, step):
        carried = 0 if expr in stored else facts.custody.value(state, expr)
        decided |= content(carried) | content(carried >> 1)
    for number in facts.custody.named(decided):
        token = facts.tokens[number]
        if token.take.source in sources and token.step != step:
            bits |= 1 << 2 * number
    return bits


def _needed_later(facts: Facts, block: int, state: State) -> int:
    """Return the tokens whose content some path after the await still uses."""
    live: set[Holder] = set()
    for to in facts.flow.targets(block, NORMAL - {Leaves.EXHAUSTED}):
        if to >= 0:
            live.update(facts.live[to])
    bits = 0
    made = facts.flow.last_step(block)
    for place, carried in state.items():
        if place in live and place != made:
            bits |= content(carried)
    return bits


def _operands(facts: Facts, step: int) -> Iterator[Expr]:
    """Yield the arguments of the call that is awaited at a step."""
    match facts.function.steps[step]:
        case Await(value=Temp(step=made)):
            call = facts.function.steps[made]
            if isinstance(call, Call):
                yield from call.args
                yield from (value for _, value in call.keywords)
        case _:
            return


# --------------------------------------------------------------------------- cancellation paths


MOST_PLACES = Limit(1000, "places of one cancellation path")
"""Cap on the places of a cancellation path, each a block with its state of custody."""

Carried = frozenset[tuple[Holder, int]]
"""A state of custody, to be compared."""


class _Saved(Struct, frozen=True):
    """What a cancellation path discharges, and which sources it closes or replaces."""

    cured: int
    ended: tuple[Path, ...]
    way: CancellationPath

    def ends(self, source: Path, *, connected: bool) -> bool:
        """Tell whether the source is closed or replaced on the cancellation path."""
        return any(closes(path, source, connected=connected) for path in self.ended)


def _saved(facts: Facts, block: int, state: State, tokens: int) -> _Saved:
    """Follow the cancellation through handlers, `finally` and exits, optimistically: any discharge cures."""
    way = unshielded_path(facts, block)
    ended = dict.fromkeys(path for step in way.steps for path in _ended_by(facts, step))
    return _Saved(_discharged(facts, block, state, way) & tokens if tokens else 0, tuple(ended), way)


def _discharged(facts: Facts, block: int, state: State, way: CancellationPath) -> int:
    """Return the tokens that some cancellation path hands on: it stores or returns their data."""
    moves = Moves()

    def carry(carried: Carried, step: int) -> Carried:
        here = dict(carried)
        facts.custody.transfer(here, step, moves)
        return frozenset(here.items())

    held: Carried = frozenset(state.items())
    if Passage(facts, carry, MOST_PLACES).follow(block, held).outcome is Outcome.UNKNOWN:
        for step in way.steps:  # as if each were the first: the optimistic answer
            carry(held, step)
    return moves.kept | moves.returned


def race_exits(facts: Facts, block: int) -> tuple[RaceExit, ...]:
    """Return the race regions of the function that end a cancellation at the await that ends a block."""
    return unshielded_path(facts, block).race_exits


def _ended_by(facts: Facts, step: int) -> Iterator[Path]:
    """Yield what a step closes, or puts something else in the place of."""
    effect = facts.effect(step)
    yield from (*effect.paths(Closes), *effect.paths(Replaces))
    match facts.function.steps[step]:
        case Assign(target=target, op="") | Delete(target=target):
            stored = facts.frame.path(target)
            if stored is not None and stored.is_visible_to_callers:
                yield stored
        case _:
            pass


def of_either_kind(noted: Mapping[Fact, T], loss: Loss) -> T | None:
    """Return what is noted for a loss, even if a shield has narrowed it to asyncio's own cancellation."""
    found = noted.get(loss)
    return noted.get(structs.replace(loss, native=False)) if found is None else found


def is_needed(facts: Facts, loss: Loss, token: int | None, step: int, block: int) -> bool:
    """Tell whether what was taken is still used on a path from `block` on, so that it is not lost there.

    `step` is the await that was cancelled. A callee's loss may be kept in a task that is used again.
    """
    if block < 0:
        return False
    if token is None:
        tasks = facts.effect(step).tasks
        task = tasks.get(loss) or tasks.get(structs.replace(loss, native=False))
        return task is not None and any(place in facts.live[block] for place, _ in holders(facts.frame, task))
    state = facts.custody.before_last(facts.block_of(step))
    live = facts.live[block]
    return state is not None and any(place in live for place in facts.custody.held(state, 1 << 2 * token))
