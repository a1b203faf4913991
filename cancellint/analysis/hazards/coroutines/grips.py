"""What a value has of a coroutine that is followed: it is it, has it somewhere, or has nothing of it."""

import enum
from collections.abc import Mapping

from msgspec import Struct

from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.program.expressions import parts
from cancellint.model.ir import Attr, Build, Const, Element, Expr, Item, Op, Star

DEEPEST_EXPRESSION = Limit(20, "expressions within one that has a coroutine")

_TELLS_ONLY = frozenset(
    {"not", "==", "!=", "<", ">", "<=", ">=", "in", "not in", "is", "is not", "match", "fstring"}
)
"""Operators whose result has nothing of their operands."""
DRIVES = frozenset({"close", "send", "throw", "__await__"})
"""What whoever runs or ends a coroutine by hand asks of it."""

ANYWHERE = -1
"""The place of what is in a container, nobody knows where."""


class Hold(enum.IntEnum):
    """How a value has hold of a coroutine."""

    NOTHING = 0
    ITSELF = 1
    INSIDE = 2
    """it is a container or an object that has it at a place"""
    DEEPER = 3
    """it is inside of what is inside, or who knows"""


class Grip(Struct, frozen=True):
    """What a value has of a coroutine; if `perhaps`, only where a choice made at run time falls on it."""

    hold: Hold = Hold.NOTHING
    place: int | str = ANYWHERE
    perhaps: bool = False

    def chosen(self) -> "Grip":
        """Return the grip of a value that a choice may have fallen on."""
        return Grip(self.hold, self.place, True)


NO_GRIP = Grip()
ITSELF = Grip(Hold.ITSELF)
INSIDE = Grip(Hold.INSIDE)
DEEPER = Grip(Hold.DEEPER)

Holders = Mapping[Expr, Grip]


def grip(expr: Expr, holders: Holders, depth: int = DEEPEST_EXPRESSION) -> Grip:
    """Return what the value of an expression has, given which expressions have hold of the coroutine."""
    if expr in holders:
        return holders[expr]
    if not any(part in holders for part in parts(expr)):
        return NO_GRIP
    if not DEEPEST_EXPRESSION.leaves(depth):
        return DEEPER
    match expr:
        case Attr(base=base, name=name):
            return _attribute(grip(base, holders, depth - 1), name)
        case Item(base=base, key=key):
            return _item(grip(base, holders, depth - 1), key)
        case Element(value=value, index=index, starred=starred):
            return _element(grip(value, holders, depth - 1), index, starred)
        case Star(value=value):
            return grip(value, holders, depth - 1)
        case Build(kind=kind, items=items):
            return _built(kind, items, holders, depth - 1)
        case Op(op=op, operands=operands):
            return _computed(op, tuple(grip(each, holders, depth - 1) for each in operands))
        case _:
            return NO_GRIP


def _attribute(base: Grip, name: str) -> Grip:
    match base.hold:
        case Hold.ITSELF:
            return DEEPER if name in DRIVES else NO_GRIP
        case Hold.INSIDE if isinstance(base.place, str):
            return Grip(Hold.ITSELF, perhaps=base.perhaps) if name == base.place else NO_GRIP
        case Hold.NOTHING:
            return NO_GRIP
        case _:
            return DEEPER


def _item(base: Grip, key: Expr) -> Grip:
    if base.hold is not Hold.INSIDE:
        return DEEPER if base.hold is Hold.DEEPER else NO_GRIP
    if isinstance(base.place, str):
        return DEEPER
    match key:
        case Op(op="slice", operands=bounds):
            whole = all(bound == Const("none", "None") for bound in bounds)
            return Grip(Hold.INSIDE, ANYWHERE, base.perhaps or not whole)
        case Const(kind="int", text=text) if base.place >= 0 and not text.startswith("-"):
            return Grip(Hold.ITSELF, perhaps=base.perhaps) if int(text) == base.place else NO_GRIP
        case _:
            return ITSELF.chosen()


def _element(value: Grip, index: int, starred: bool) -> Grip:
    if value.hold is not Hold.INSIDE:
        return DEEPER if value.hold is Hold.DEEPER else NO_GRIP
    if starred:
        return INSIDE.chosen()
    if isinstance(value.place, int) and value.place >= 0 and index >= 0:
        return Grip(Hold.ITSELF, perhaps=value.perhaps) if index == value.place else NO_GRIP
    return ITSELF.chosen()


def _built(kind: str, items: tuple[Expr, ...], holders: Holders, depth: int) -> Grip:
    values = items[1::2] if kind == "dict" and not any(isinstance(each, Star) for each in items) else items
    found = [(place, each, grip(each, holders, depth)) for place, each in enumerate(values)]
    having = [one for one in found if one[2].hold is not Hold.NOTHING]
    if len(having) != 1:
        return DEEPER if having else NO_GRIP
    place, item, one = having[0]
    if isinstance(item, Star):
        return Grip(one.hold, ANYWHERE, one.perhaps)
    if one.hold is not Hold.ITSELF:
        return DEEPER
    ordered = kind in ("tuple", "list") and not any(isinstance(each, Star) for each in values)
    return Grip(Hold.INSIDE, place if ordered else ANYWHERE, one.perhaps)


def _computed(op: str, operands: tuple[Grip, ...]) -> Grip:
    if op in _TELLS_ONLY:
        return NO_GRIP
    match op, operands:
        case "ifexp", (_, one, other):
            return _either(one, other)
        case "or", (first, *rest):
            return first if first.hold is not Hold.NOTHING else _either(first, *rest)
        case "and", (*_, last):
            return NO_GRIP if last.hold is Hold.NOTHING else last.chosen()
        case "+", _:
            inside = any(each.hold is Hold.INSIDE for each in operands)
            return INSIDE if inside else _worst(operands)
        case _:
            return _worst(operands)


def _either(*arms: Grip) -> Grip:
    """Return what one of several values has, nobody knows which."""
    having = [arm for arm in arms if arm.hold is not Hold.NOTHING]
    if not having:
        return NO_GRIP
    same = len(set(having)) == 1
    one = having[0] if same else DEEPER
    return one if len(having) == len(arms) else one.chosen()


def _worst(operands: tuple[Grip, ...]) -> Grip:
    return DEEPER if any(each.hold in (Hold.INSIDE, Hold.DEEPER) for each in operands) else NO_GRIP
