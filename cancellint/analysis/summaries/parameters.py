"""What a function does with the data it is given: keeps it, stores it, hands it back, or only looks.

Flow does not matter here, so one growing table of names suffices.
"""

from msgspec import Struct

from cancellint.analysis.effects.effect import Fate
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.memory.values import Holder, holder, holders
from cancellint.model.ir import (
    Assign,
    Await,
    Call,
    Const,
    Enter,
    Expr,
    Load,
    Name,
    Next,
    Raise,
    Return,
    Temp,
    Yield,
)
from cancellint.model.summary import Path


class ParameterFates(Struct, frozen=True):
    """Parameters by number, as in `Summary`."""

    keeps: tuple[int, ...] = ()
    hands_back: tuple[int, ...] = ()
    stores: tuple[tuple[int, Path], ...] = ()


MOST_ROUNDS = Limit(10, "rounds over what becomes of parameters")
"""Rounds after which the table is taken as it is; each hands data on through one more assignment."""


def parameter_fates(facts: Facts) -> ParameterFates:
    """Return where the data of each parameter may end up."""
    if not facts.function.params:
        return ParameterFates()
    flow = _Flow(facts)
    for _ in MOST_ROUNDS.rounds():
        if not flow.round():
            break
    return flow.fates()


class _Flow:
    """The growing table: which parameters' data a holder may have, as a bit mask.

    Another round is needed where a holder grows after a step of this round has read it.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._held: dict[Holder, int] = {name: 1 << i for name, i in facts.frame.params.items()}
        self._kept = 0
        self._back = 0
        self._stored: dict[tuple[int, Path], None] = {}
        self._read: set[Holder] = set()
        self._outdated = False

    def round(self) -> bool:
        """Pass over all steps once; tell whether any has read what has grown since."""
        self._read.clear()
        self._outdated = False
        for number, step in enumerate(self._facts.function.steps):
            match step:
                case Assign(target=target, value=value):
                    self._assign(target, value)
                case Load(value=value):
                    self._hold(number, self._value(value))
                case Return(value=value) | Yield(value=value):
                    self._back |= self._value(value)
                case Raise(value=value) if value is not None:
                    self._kept |= self._value(value)
                case Call() | Await() | Next() | Enter():
                    self._call(number)
                case _:
                    pass
        return self._outdated

    def fates(self) -> ParameterFates:
        count = range(len(self._facts.function.params))
        return ParameterFates(
            tuple(i for i in count if self._kept >> i & 1),
            tuple(i for i in count if self._back >> i & 1),
            tuple(sorted(self._stored)),
        )

    def _value(self, expr: Expr) -> int:
        match expr:  # nearly all arguments are one of these
            case Const():
                return 0
            case Name(id=name):
                return self._bits(holder(self._facts.frame, name))
            case Temp(step=step):
                return self._bits(step)
            case _:
                pass
        bits = 0
        for place, content in holders(self._facts.frame, expr):
            if content:
                bits |= self._bits(place)
        return bits

    def _bits(self, place: Holder) -> int:
        self._read.add(place)
        return self._held.get(place, 0)

    def _hold(self, place: Holder, bits: int) -> None:
        old = self._held.get(place, 0)
        if bits & ~old:
            self._held[place] = old | bits
            self._outdated = self._outdated or place in self._read

    def _assign(self, target: Expr, value: Expr) -> None:
        bits = self._value(value)
        if not bits:
            return
        if isinstance(target, Name) and not self._facts.frame.outlives(target.id):
            self._hold(holder(self._facts.frame, target.id), bits)
            return
        self._store(self._facts.frame.path(target), bits)

    def _store(self, path: Path | None, bits: int) -> None:
        """Note that data is put into an object: a local one holds it, any other keeps it."""
        if path is None or not path.is_visible_to_callers or path.root == "kept":
            place = _place(path)
            if place is None:
                self._kept |= bits
            else:
                self._hold(place, bits)
            return
        if not path.root.startswith("param:"):
            self._kept |= bits
            return
        owner = int(path.root[6:])
        for index in range(len(self._facts.function.params)):
            if bits >> index & 1 and index != owner:
                self._stored[index, path] = None

    def _call(self, number: int) -> None:
        result = 0
        for argument in self._facts.effect(number).arguments:
            bits = self._value(argument.value)
            if not bits:
                continue
            match argument.fate:
                case Fate.PASSES:
                    result |= bits
                case Fate.STORES:
                    self._store(argument.into, bits)
                case Fate.KEEPS:
                    self._kept |= bits
                case Fate.LOOKS:
                    pass
        if result:
            self._hold(number, result)


def _place(path: Path | None) -> Holder | None:
    if path is None:
        return None
    kind, _, name = path.root.partition(":")
    if kind == "local":
        return name
    return int(name) if kind == "temp" else None
