"""What a call does with a coroutine among its arguments."""

import enum
from collections.abc import Callable

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import operands
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.hazards.coroutines.decorated import Decorated
from cancellint.analysis.hazards.coroutines.fates import Ended, Fate
from cancellint.analysis.hazards.coroutines.grips import Grip, Hold
from cancellint.analysis.program.arguments import bind, positional_arguments
from cancellint.analysis.program.expressions import decorating, last_name, names_in
from cancellint.model.finding import Confidence
from cancellint.model.ir import Assign, Call, Expr, Function, Name
from cancellint.model.knowledge import Role
from cancellint.model.types import Callee, FunctionKey, LibraryCallee, ProjectCallee

DEEPEST_CALL = Limit(4, "functions that hand a coroutine on to each other")

Follow = Callable[[FunctionKey, Expr, int, Grip], Ended]
"""Follows what a function has from its start (-1) or from a step on."""

_SAME_ELEMENTS = frozenset({"list", "tuple", "set", "frozenset", "sorted", "reversed", "iter", "deque"})
"""What makes a container or iterator of the elements of another."""
_PAIRS = frozenset({"zip", "enumerate", "dict"})
_READS = frozenset({"bool", "str", "repr", "type", "format", "getattr"})
_NEW_CONTAINERS = frozenset({"list", "set", "dict", "deque", "tuple", "defaultdict"})


class Given(enum.Enum):
    """What becomes of a coroutine that a call is given."""

    USED = enum.auto()
    IGNORED = enum.auto()
    """it is read, and no more"""
    PERHAPS = enum.auto()
    """it is used on some path"""
    OR_ANOTHER = enum.auto()
    """the call gives it back, or something else"""
    PASSED_ON = enum.auto()
    """the call gives a container that has it too"""
    PASSED_ON_DEEPER = enum.auto()
    """the call gives something that has it somewhere"""


class Field(Struct, frozen=True):
    """The call makes an object that has it as an attribute."""

    name: str


class Givens:
    """Tells what calls do with coroutines. Whatever is not known for sure uses them."""

    def __init__(self, effects: Effects, decorated: Decorated, follow: Follow) -> None:
        self._effects = effects
        self._program = effects.program
        self._decorated = decorated
        self._follow = follow
        self._followed: dict[tuple[FunctionKey, str, Grip], Ended] = {}
        self._depth = 0

    def what_becomes(self, key: FunctionKey, number: int, value: Expr, found: Grip) -> Given | Field:
        """Return what a call does with an argument that has hold of a coroutine."""
        callees = self._effects.types.callees(key, number)
        answers = {self._by(callee, value, found) for callee in callees}
        if answers == {Given.IGNORED, Given.PERHAPS}:
            return Given.PERHAPS
        return answers.pop() if len(answers) == 1 else Given.USED

    def asked(self, key: FunctionKey, number: int) -> FunctionKey | None:
        """Return the function of the project that a call surely runs."""
        match self._effects.types.callees(key, number):
            case (ProjectCallee(key=called),):
                return called
            case _:
                return None

    def makes_container(self, key: FunctionKey, number: int) -> bool:
        """Tell whether a call makes a new container of Python's own."""
        callees = self._effects.types.callees(key, number)
        return all(_plain_name(callee) in _NEW_CONTAINERS for callee in callees)

    def _by(self, callee: Callee, value: Expr, found: Grip) -> Given | Field:
        match callee:
            case ProjectCallee():
                return self._by_project(callee, value, found)
            case LibraryCallee(name=name) if self._program.cls(name):
                return self._by_fields(callee, value, found)
            case LibraryCallee():
                return self._by_library(callee, value, found)
            case _:
                return Given.USED

    # ----------------------------------------------------------------- libraries

    def _by_library(self, callee: LibraryCallee, value: Expr, found: Grip) -> Given:
        method = callee.name.rpartition(".")[2]
        if callee.receiver is not None and method in ("get", "setdefault"):
            return self._by_default(callee, value, found, method)
        plain = _plain_name(callee)
        if plain in _SAME_ELEMENTS:
            return Given.PASSED_ON if found.hold is Hold.INSIDE else Given.IGNORED
        if plain in _PAIRS:
            return Given.PASSED_ON_DEEPER if found.hold is Hold.INSIDE else Given.USED
        if plain in _READS:
            return Given.IGNORED
        known = self._effects.operations.known(callee)
        if known is None or known.confidence is not Confidence.CERTAIN:
            return Given.USED
        if known.entry.roles == (Role.LOOKS,):
            return Given.IGNORED
        if self._effects.operations.refuses_coroutines(known.entry) and callee.args[:1] == (value,):
            return Given.IGNORED
        wants_function = known.entry.calls is not None and found.hold is Hold.ITSELF
        if wants_function and value in operands(known.entry, known.entry.calls or "", callee):
            return Given.IGNORED
        return Given.USED

    def _by_default(self, callee: LibraryCallee, value: Expr, found: Grip, method: str) -> Given:
        """Return what a dictionary does with a default that it may not need."""
        is_default = callee.args[1:2] == (value,) and found.hold is Hold.ITSELF
        if not is_default or not callee.name.startswith(("builtins.dict.", "dict.")):
            return Given.USED
        return Given.PERHAPS if method == "setdefault" else Given.OR_ANOTHER

    # ----------------------------------------------------------------- the project

    def _by_fields(self, callee: LibraryCallee, value: Expr, found: Grip) -> Given | Field:
        """Return what a dataclass does, whose constructor Python writes: it keeps its arguments."""
        info = self._program.cls(callee.name)
        if info is None or found.hold is not Hold.ITSELF or self._program.direct_bases(callee.name):
            return Given.USED
        decorators = [last_name(decorating(each)) for each in info.definition.decorators]
        if decorators != ["dataclass"]:
            return Given.USED
        body = self._program.function(FunctionKey(info.module, info.definition.body))
        names = [each.name for each in body.annotations]
        given = dict(zip(names, callee.args, strict=False)) | {
            name: each for name, each in callee.keywords if name is not None
        }
        return next((Field(name) for name, each in given.items() if each == value), Given.USED)

    def _by_project(self, callee: ProjectCallee, value: Expr, found: Grip) -> Given:
        function = self._program.function(callee.key)
        if function.is_generator or not self._is_as_written(callee.key, function):
            return Given.USED
        bound = bind(function.params, positional_arguments(callee), callee.keywords)
        place = next((place for place, each in bound.given.items() if each == value), None)
        if place is None:
            return Given.USED
        ended = self._parameter(callee.key, function, function.params[place].name, found)
        if ended.by_error:
            return Given.USED
        return {Fate.USED: Given.USED, Fate.SOMETIMES: Given.PERHAPS, Fate.LOST: Given.IGNORED}[ended.fate]

    def _is_as_written(self, key: FunctionKey, function: Function) -> bool:
        """Tell whether calling a function runs what is written there, and that is more than a promise."""
        plain = all(self._decorated.keeps_kind(key, each) for each in function.decorators)
        return plain and not self._effects.is_abstract(ProjectCallee(key, None, False, (), ()))

    def _parameter(self, key: FunctionKey, function: Function, name: str, found: Grip) -> Ended:
        asked = (key, name, found)
        if asked not in self._followed:
            if DEEPEST_CALL.is_exceeded_by(self._depth) or (function.cls >= 0 and not _reads(function, name)):
                return Ended(Fate.USED)
            self._followed[asked] = Ended(Fate.USED)
            self._depth += 1
            self._followed[asked] = self._follow(key, Name(name), -1, found)
            self._depth -= 1
        return self._followed[asked]


def _reads(function: Function, name: str) -> bool:
    """Tell whether a function does anything with a parameter: a hook may not."""
    return any(
        name in _names_read(step) for step in function.steps if isinstance(step, Call | Assign)
    ) or any(block.test is not None and name in names_in(block.test) for block in function.blocks)


def _names_read(step: Call | Assign) -> set[str]:
    match step:
        case Call(func=func, args=args, keywords=keywords):
            values = (func, *args, *(value for _, value in keywords))
        case Assign(value=value):
            values = (value,)
    return {name for value in values for name in names_in(value)}


def _plain_name(callee: Callee) -> str:
    """Return the name of one of Python's own functions and containers, as it is written."""
    if not isinstance(callee, LibraryCallee) or callee.receiver is not None:
        return ""
    return callee.name.removeprefix("builtins.").removeprefix("collections.")
