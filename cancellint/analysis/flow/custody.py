"""Who holds taken data at each point of a function: a forward analysis over tokens.

A token is one place where data is taken. It has two bits in a mask: the even one for its content,
the odd one for what was merely measured from it (a length, a comparison). The state maps each holder
(a local, or the outcome of a step) to a mask. Whoever keeps any holder of a token has kept the token.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from cancellint.analysis.effects.effect import Effect, Fate
from cancellint.analysis.engine.graph import UNFINISHED, ControlFlow
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.solver import Solution, solve
from cancellint.analysis.memory.access_paths import Frame
from cancellint.analysis.memory.values import Holder, holder, holders
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    Call,
    Const,
    Delete,
    Edge,
    Expr,
    Function,
    Item,
    Leaves,
    Name,
    Next,
    Op,
    Raise,
    Return,
    Step,
    Yield,
)
from cancellint.model.summary import RESULT, Path, Take

State = Mapping[Holder, int]


class Token(Struct, frozen=True):
    """One place where data is taken: what, and at which step."""

    take: Take
    step: int


class Removal(Struct, frozen=True):
    """Data read from a container in this function and then deleted from it at `step`."""

    store: Path
    step: int


class Moves(Struct):
    """What a transfer has seen happen to tokens, as masks of content bits."""

    kept: int = 0
    returned: int = 0
    stored: dict[Path, int] = field(default_factory=dict)
    """what was put into objects that outlive the call, by object"""


class Custody:
    """The solved analysis of one function.

    States only grow, and there are finitely many bits. A token that is discharged on one path may still be
    held on another: what is joined is held, and `moves` tells what became of it somewhere.
    """

    def __init__(
        self,
        frame: Frame,
        function: Function,
        flow: ControlFlow,
        effects: Mapping[int, Effect],
        tokens: tuple[Token, ...],
        removals: tuple[Removal, ...] = (),
    ) -> None:
        self.frame = frame
        self._function = function
        self._flow = flow
        self.effects = effects
        self.tokens = tokens
        self._given = _tokens_by_step(tokens)
        self._removed = {removal.step: removal for removal in removals}
        self._stores = {
            removal.store: 1 << 2 * (len(tokens) + index)
            for index, removal in enumerate(dict.fromkeys(removals))
        }
        self.moves = Moves()
        self._solution: Solution[State] = solve(flow, self)

    def mask(self, step: int) -> int:
        """Return the content bits of the tokens taken at a step."""
        bits = 0
        for number, _ in self._given.get(step, ()):
            bits |= 1 << 2 * number
        return bits

    def held(self, state: State, tokens: int) -> Iterator[Holder]:
        """Yield the holders of the content of any of these tokens."""
        for place, bits in state.items():
            if bits & tokens:
                yield place

    def named(self, tokens: int) -> Iterator[int]:
        """Yield the numbers of the tokens whose content bit is set."""
        return (number for number in range(len(self.tokens)) if tokens >> 2 * number & 1)

    def value(self, state: State, expr: Expr) -> int:
        """Return which tokens an expression's value carries, or was measured from."""
        bits = 0
        for place, content in holders(self.frame, expr):
            carried = state.get(place, 0)
            bits |= carried if content else measured(carried)
        if self._stores:
            path = self._store_read(expr)
            if path is not None:
                bits |= self._stores[path]
        return bits

    def before_last(self, block: int) -> State | None:
        """Return the state before the last step of a block, None where the block is unreachable."""
        last = self._flow.last_step(block)
        return self._within(block, self._flow.blocks[block].last if last is None else last)

    def at_end(self, block: int) -> State | None:
        """Return the state after the last step of a block, None where the block is unreachable."""
        return self._within(block, self._flow.blocks[block].last)

    def _within(self, block: int, end: int) -> State | None:
        state = self._solution.entry[block]
        if state is None:
            return None
        here = dict(state)
        for number in range(self._flow.blocks[block].first, end):
            self.transfer(here, number, Moves())
        return here

    # ----------------------------------------------------------------- the analysis

    def start(self) -> State:
        return {}

    def over_step(self, state: State, step: int) -> State:
        here = dict(state)
        self.transfer(here, step, self.moves)
        return here

    def happens(self, step: int, edge: Edge) -> bool:
        return edge.leaves not in UNFINISHED

    def over_edge(self, state: State, block: int, edge: Edge) -> State:
        """Return the state where a test has come out so: what it says is empty holds nothing."""
        test = self._flow.blocks[block].test
        if edge.leaves in (Leaves.TRUE, Leaves.FALSE) and test is not None:
            empty = empty_when(test, edge.leaves is Leaves.TRUE)
            if empty is not None:
                place = holder(self.frame, empty)
                return {held: bits for held, bits in state.items() if held != place}
        return state

    def join(self, known: State, arriving: State) -> State:
        """Return the union."""
        grown = {place: bits for place, bits in arriving.items() if bits & ~known.get(place, 0)}
        if not grown:
            return known
        return {**known, **{place: bits | known.get(place, 0) for place, bits in grown.items()}}

    def transfer(self, state: dict[Holder, int], number: int, moves: Moves) -> None:
        """Change the state by one step, as it is when the step has succeeded."""
        step = self._function.steps[number]
        match step:
            case Assign() if number in self._removed:
                pass
            case Assign():
                self._assign(state, number, step, moves)
            case Call() | Await() | Next():
                self._call(state, number, step, moves)
            case Return(value=value):
                self._discharge(state, self.value(state, value), moves, returned=True)
            case Yield(value=value):
                self._discharge(state, self.value(state, value), moves, returned=True)
            case Raise(value=value) if value is not None:
                self._discharge(state, self.value(state, value), moves)
            case Delete(target=Name(id=name)):
                place = holder(self.frame, name)
                if isinstance(place, str):
                    state.pop(place, None)
            case Delete():
                pass
            case _:
                effect = self.effects.get(number)
                if effect is not None:
                    self._call(state, number, step, moves)
        if number in self._removed:
            self._remove(state, number)

    def _assign(self, state: dict[Holder, int], number: int, step: Assign, moves: Moves) -> None:
        bits = self.value(state, step.value)
        match step.target:
            case Name(id=name) if not self.frame.outlives(name):
                place = holder(self.frame, name)
                if isinstance(place, int):
                    return
                if step.op:
                    bits |= state.get(place, 0)
                _set(state, place, bits)
                if step.op and name in self.frame.params and content(bits):
                    self._store(state, self.frame.path(Name(name)), content(bits), moves)
            case target:
                self._store(state, self.frame.path(target), content(bits), moves)

    def _store(self, state: dict[Holder, int], path: Path | None, bits: int, moves: Moves) -> None:
        """Put content into an object: a local one is one more holder, any other keeps it."""
        if not bits:
            return
        place = _local_root(path)
        if place is None:
            if path is not None:
                moves.stored[path] = moves.stored.get(path, 0) | bits
            self._discharge(state, bits, moves)
        else:
            state[place] = state.get(place, 0) | bits

    def _discharge(
        self, state: dict[Holder, int], bits: int, moves: Moves, *, returned: bool = False
    ) -> None:
        """Somebody else has the content now: nobody here is responsible for the token any more."""
        bits = content(bits)
        if not bits:
            return
        if returned:
            moves.returned |= bits
        else:
            moves.kept |= bits
        gone = ~(bits | measured(bits))
        for place in list(state):
            _set(state, place, state[place] & gone)

    def _call(self, state: dict[Holder, int], number: int, step: Step, moves: Moves) -> None:
        effect = self.effects.get(number)
        result = 0
        if effect is not None:
            sources = {take.source for take in effect.takes}
            for argument in effect.arguments:
                bits = self.value(state, argument.value)
                if bits:
                    result |= self._hand_over(state, bits, argument.fate, argument.into, sources, moves)
        match step:
            case Next(value=value):
                result |= self.value(state, value)
            case Await(value=value) if effect is None or not (effect.takes or effect.arguments):
                result |= self.value(state, value)
            case _:
                pass
        for number_, take in self._given.get(number, ()):
            bit = 1 << 2 * number_
            if take.into == RESULT:
                result |= bit
            else:
                self._store(state, take.into, bit, moves)
        _set(state, number, result)

    def _hand_over(
        self,
        state: dict[Holder, int],
        bits: int,
        fate: Fate,
        into: Path | None,
        sources: set[Path],
        moves: Moves,
    ) -> int:
        """Give an argument's data to a call; return what of it is in the result."""
        match fate:
            case Fate.LOOKS:
                return measured(bits)
            case Fate.PASSES:
                return bits
            case Fate.STORES:
                self._store(state, into, content(bits), moves)
                return measured(bits)
            case Fate.KEEPS:
                free = sum(
                    1 << 2 * number
                    for number in self.named(bits)
                    if self.tokens[number].take.source not in sources
                )
                self._discharge(state, free, moves)
                return measured(bits)

    def _store_read(self, expr: Expr) -> Path | None:
        """Return the watched container that an expression reads from, if any."""
        waiting = [expr]
        while waiting:
            match waiting.pop():
                case Attr() | Name() as current:
                    path = self.frame.path(current)
                    if path in self._stores:
                        return path
                case Item(base=base):
                    waiting.append(base)
                case Op(operands=parts, op=op) if op not in ("==", "!=", "not", "in"):
                    waiting.extend(parts)
                case _:
                    pass
        return None

    def _remove(self, state: dict[Holder, int], number: int) -> None:
        """What was copied out of a container has now left it: the copies are all there is."""
        seen = self._stores[self._removed[number].store]
        taken = self.mask(number)
        for place, bits in list(state.items()):
            if bits & seen:
                state[place] = (bits & ~seen) | taken


def content(bits: int) -> int:
    """Return the even bits: tokens whose content is there."""
    return bits & _EVEN


def measured(bits: int) -> int:
    """Return the same tokens with only their odd bits set."""
    return (content(bits) << 1) | (bits & ~_EVEN & _ALL)


_EVEN = int("01" * 512, 2)
_ALL = (1 << 1024) - 1
MOST_TOKENS = Limit(400, "places of one function that take data")
"""A function that takes data in more places than this is not followed further."""


def _set(state: dict[Holder, int], place: Holder, bits: int) -> None:
    if bits:
        state[place] = bits
    else:
        state.pop(place, None)


def _tokens_by_step(tokens: tuple[Token, ...]) -> dict[int, tuple[tuple[int, Take], ...]]:
    given: dict[int, tuple[tuple[int, Take], ...]] = {}
    for number, token in enumerate(tokens):
        given[token.step] = (*given.get(token.step, ()), (number, token.take))
    return given


def _local_root(path: Path | None) -> Holder | None:
    if path is None:
        return None
    if path.root.startswith("local:"):
        return path.root.removeprefix("local:")
    if path.root.startswith("temp:"):
        return int(path.root.removeprefix("temp:"))
    return None


def empty_when(test: Expr, truth: bool) -> str | None:
    """Return the variable that holds nothing when the test comes out so: `x is None`, `not x`, `x == b""`."""
    match test:
        case Op(op="not", operands=(inner,)):
            return empty_when(inner, not truth)
        case Name(id=name) if not truth:
            return name
        case Op(op=op, operands=(Name(id=name), Const(kind=kind, text=text))):
            nothing = kind == "none" or text in ("", "0", "b''", 'b""')
            equal = op in ("is", "==")
            if nothing and (equal is truth) and op in ("is", "is not", "==", "!="):
                return name
    return None
