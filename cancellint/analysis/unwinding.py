"""What the `with` regions and handlers of a function do to a travelling exception."""

from cancellint.analysis.effects import Effects
from cancellint.model.ir import Attr, Call, Catch, Expr, Function, Name, Op, Temp
from cancellint.model.knowledge import RaceKind, Role
from cancellint.model.types import FunctionKey, LibraryCallee

CANCELLATIONS = frozenset({"CancelledError", "Cancelled", "BaseException", "BaseExceptionGroup"})
"""Last names of the exception classes a cancellation is caught by."""

_TIMEOUTS = frozenset(
    {"TimeoutError", "Exception", "BaseException", "OSError", "IOError", "EnvironmentError", "TooSlowError"}
)
"""Last names of the exception classes a lost race's TimeoutError is caught by."""


class Unwinding:
    """Reads regions and handlers of one function."""

    def __init__(self, effects: Effects, key: FunctionKey) -> None:
        self._effects = effects
        self._key = key
        self._function = effects.program.function(key)
        self._races: dict[int, tuple[RaceKind, str] | None] = {}

    def race(self, region: int) -> tuple[RaceKind, str] | None:
        """Return how a region races its body and under what name, None for any other context manager."""
        if region not in self._races:
            self._races[region] = self._find_race(region)
        return self._races[region]

    def absorbs_cancellation(self, region: int) -> bool:
        """Tell whether a region is a `suppress` that names a cancellation."""
        call = self._call(region)
        if call is None:
            return False
        return any(
            isinstance(callee, LibraryCallee)
            and callee.name == "contextlib.suppress"
            and any(_last(value) in CANCELLATIONS for value in callee.args)
            for callee in self._effects.types.callees(self._key, call)
        )

    def absorbs_timeout(self, region: int) -> bool:
        """Tell whether a region is a `suppress` that names TimeoutError or more."""
        call = self._call(region)
        if call is None:
            return False
        return any(
            isinstance(callee, LibraryCallee)
            and callee.name == "contextlib.suppress"
            and any(_last(value) in _TIMEOUTS for value in callee.args)
            for callee in self._effects.types.callees(self._key, call)
        )

    def _call(self, region: int) -> int | None:
        value = self._function.regions[region].value
        if isinstance(value, Name):
            value = self._effects.frame(self._key).value_of(value.id) or value
        if isinstance(value, Temp) and isinstance(self._function.steps[value.step], Call):
            return value.step
        return None

    def _find_race(self, region: int) -> tuple[RaceKind, str] | None:
        call = self._call(region)
        if call is None:
            return None
        for callee in self._effects.types.callees(self._key, call):
            known = self._effects.operations.known(callee)
            if known is None or known.entry.race is None or known.entry.raced != "body":
                continue
            if Role.RACES in known.entry.roles:
                return known.entry.race, known.name
        return None


def catches_timeout(function: Function, block: int) -> tuple[bool, bool]:
    """Return whether the handler starting in a block may, and whether it surely does, catch a TimeoutError."""
    types = _caught(function, block)
    if types is None:
        return False, False
    if not types:
        return True, True
    names = [_last(value) for value in types]
    known = any(name in _TIMEOUTS for name in names)
    opaque = any(name is None or name.isupper() or name.islower() for name in names)
    return known or opaque, known


def catches_cancellation(function: Function, block: int) -> bool:
    """Tell whether the handler starting in a block may catch a cancellation."""
    types = _caught(function, block)
    if types is None:
        return False
    names = [_last(value) for value in types]
    return not types or any(
        name is None or name in CANCELLATIONS or "ancel" in name or name.isupper() or name.islower()
        for name in names
    )


def _caught(function: Function, block: int) -> tuple[Expr, ...] | None:
    """Return the types a handler names, None where the block starts no handler."""
    node = function.blocks[block]
    for number in range(node.first, node.last):
        step = function.steps[number]
        if isinstance(step, Catch):
            return step.types
    return None


def _last(expr: Expr) -> str | None:
    match expr:
        case Name(id=name) | Attr(name=name):
            return name
        case Op(op="call"):
            return "Cancelled"
        case Temp():
            return "Cancelled"
        case _:
            return None
