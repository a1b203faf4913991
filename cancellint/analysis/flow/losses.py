"""What an await loses when it is cancelled, and which way the cancellation takes out of the function."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import TypeVar

from msgspec import Struct, structs

from cancellint.analysis.effects.effect import CalleeFact
from cancellint.analysis.flow.custody import Moves, State, content
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.flow.reading_on import closes
from cancellint.analysis.flow.unwinding import Shield
from cancellint.analysis.memory.values import Holder, holders
from cancellint.model.ir import (
    CANCEL_EXIT,
    RAISE_EXIT,
    Assign,
    Await,
    AwaitKind,
    Call,
    Delete,
    Exit,
    Expr,
    Leaves,
    Temp,
)
from cancellint.model.knowledge import RaceKind
from cancellint.model.summary import Cause, Loss, Path

T = TypeVar("T")


class RaceExit(Struct, frozen=True):
    """Where control is after a race region of this function has cut its body short."""

    region: int
    block: int
    travelling: bool


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
        way = _way_out(facts, block, state, tokens)
        for loss, token in at_stake:
            cured = token is not None and way.cured & (1 << 2 * token)
            if not cured and not way.ends(loss.source, connected=facts.is_connection(loss.origin)):
                native = structs.replace(loss, native=loss.native or shield is Shield.OWN_SCOPES)
                yield Lost(native, step, token, way.leaves, way.exits)


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
    for edge in facts.function.blocks[block].edges:
        if edge.to >= 0 and edge.leaves in (Leaves.RESUMED, Leaves.ITEM):
            live.update(facts.live[edge.to])
    bits = 0
    made = facts.function.blocks[block].last - 1
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


# --------------------------------------------------------------------------- the cancelled way out


class _WayOut(Struct, frozen=True):
    """All that can happen between a cancelled await and the end of the cancellation's way."""

    cured: int
    ended: tuple[Path, ...]
    leaves: bool
    exits: tuple[RaceExit, ...]

    def ends(self, source: Path, *, connected: bool) -> bool:
        """Tell whether the source is closed or replaced on the way."""
        return any(closes(path, source, connected=connected) for path in self.ended)


def _way_out(facts: Facts, block: int, state: State, tokens: int) -> _WayOut:
    """Follow the cancellation through handlers, `finally` and exits, optimistically: any discharge cures."""
    walk = _Cancelled(facts, tokens)
    for edge in facts.function.blocks[block].edges:
        if edge.leaves is Leaves.CANCELLED:
            walk.enter(edge.to, state, -1)
    return walk.run()


def race_exits(facts: Facts, block: int) -> tuple[RaceExit, ...]:
    """Return the race regions of the function that end a cancellation at the await that ends a block."""
    return _way_out(facts, block, {}, 0).exits


class _Cancelled:
    """A search over the blocks a cancellation passes through."""

    def __init__(self, facts: Facts, tokens: int) -> None:
        self._facts = facts
        self._tokens = tokens
        self._cured = 0
        self._ended: dict[Path, None] = {}
        self._leaves = False
        self._exits: dict[RaceExit, None] = {}
        self._seen: set[tuple[int, int]] = set()
        self._waiting: deque[tuple[int, State, int]] = deque()

    def enter(self, block: int, state: State, region: int) -> None:
        if block < 0:
            self._leaves |= block in (CANCEL_EXIT, RAISE_EXIT)
        elif (block, region) not in self._seen:
            self._seen.add((block, region))
            self._waiting.append((block, state, region))

    def run(self) -> _WayOut:
        while self._waiting:
            self._through(*self._waiting.popleft())
        return _WayOut(self._cured, tuple(self._ended), self._leaves, tuple(self._exits))

    def _through(self, number: int, state: State, region: int) -> None:
        facts = self._facts
        block = facts.function.blocks[number]
        here = dict(state)
        moves = Moves()
        for step in range(block.first, block.last):
            self._note_end(step)
            if self._tokens:
                facts.custody.transfer(here, step, moves)
            match facts.function.steps[step]:
                case Exit(region=left) | Await(kind=AwaitKind.EXIT, region=left):
                    region = left
                case _:
                    pass
        self._cured |= (moves.kept | moves.returned) & self._tokens
        self._leave(number, here, region)

    def _note_end(self, step: int) -> None:
        effect = self._facts.effect(step)
        for path in (*effect.closes, *effect.replaces):
            self._ended[path] = None
        match self._facts.function.steps[step]:
            case Assign(target=target, op="") | Delete(target=target):
                stored = self._facts.frame.path(target)
                if stored is not None and stored.is_visible_to_callers:
                    self._ended[stored] = None
            case _:
                pass

    def _leave(self, number: int, state: State, region: int) -> None:
        block = self._facts.function.blocks[number]
        awaits = block.last > block.first and isinstance(self._facts.function.steps[block.last - 1], Await)
        for edge in block.edges:
            match edge.leaves:
                case Leaves.CANCELLED if awaits:
                    pass
                case Leaves.CANCELLED:
                    self.enter(edge.to, state, -1)
                case Leaves.CAUGHT:
                    if self._facts.handlers.catches_cancellation(edge.to):
                        self.enter(edge.to, state, -1)
                case Leaves.ABSORBED | Leaves.CONVERTED:
                    self._race_ends(edge.leaves, edge.to, state, region)
                case Leaves.RAISED if len(block.edges) > 1:
                    pass
                case _:
                    self.enter(edge.to, state, region)

    def _race_ends(self, leaves: Leaves, to: int, state: State, region: int) -> None:
        """Note where a race region of this function ends the cancellation it has caused itself."""
        if region < 0:
            return
        race = self._facts.unwinding.race(region)
        if race is None:
            if leaves is Leaves.ABSORBED and self._facts.unwinding.absorbs_cancellation(region):
                self.enter(to, state, -1)
            return
        raises = race[0] is RaceKind.CANCELS_RAISES
        if raises is (leaves is Leaves.CONVERTED) and race[0] is not RaceKind.SCOPE:
            self._exits[RaceExit(region, to, raises)] = None


def of_either_kind(noted: Mapping[CalleeFact, T], loss: Loss) -> T | None:
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
