"""Asynchronous generators that are asked for one item at a time, under a timeout, and asked again after it.

A cancellation inside `__anext__` is thrown into the generator and finishes it. Iterators that are objects of
a class with an `__anext__` of its own survive.
"""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import ERROR
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.flow.handlers import Handlers
from cancellint.analysis.flow.losses import race_exits
from cancellint.analysis.flow.reading_on import Loser, Start, reads_on
from cancellint.analysis.program.expressions import last_name
from cancellint.analysis.program.type_algebra import options
from cancellint.model.finding import Confidence
from cancellint.model.ir import Attr, Await, AwaitKind, Call, Expr, Function, Name, Temp
from cancellint.model.knowledge import Mode, RaceKind
from cancellint.model.summary import RESULT, Path, Take
from cancellint.model.types import (
    Callee,
    CallSite,
    FunctionKey,
    Instance,
    Pending,
    ProjectCallee,
    Type,
)

_METHODS = frozenset({"__anext__", "asend"})
_STEPS = _METHODS | {"anext"}
_GENERATOR = "collections.abc.AsyncGenerator"
_DEEPEST = Limit(4, "names of one generator")
"""Variables and calls of `aiter` between a generator and where it is asked."""


class Cut(Struct, frozen=True):
    """A step of a generator that a timeout may cancel, and the step that asks the generator again."""

    race: int
    """the step that runs the race: the awaited `wait_for`, or what enters the timeout"""
    name: str
    """the construct that races it"""
    stepped: int
    """the step that asks the generator"""
    again: int
    shown: Expr
    """the generator as it is written"""
    made: CallSite | None
    """where the generator is made, if that is a call of a project function"""
    confidence: Confidence


class _Step(Struct, frozen=True):
    """An await that asks a generator for its next item."""

    number: int
    generator: Expr
    path: Path


def cuts(effects: Effects, facts_of: FactsOf, key: FunctionKey) -> Iterator[Cut]:
    """Yield the steps of generators that a function cuts short and repeats."""
    function = effects.program.function(key)
    if not (_asks(function) and (function.regions or _has_limit(function))):
        return
    facts = facts_of(key)
    steps = tuple(_steps(effects, facts))
    for step in steps:
        made = _maker(effects, key, _original(effects, facts, step.generator))
        if made is None:
            continue
        site, confidence = made
        for race, name, starts in _races(facts, step):
            again = _asked_again(facts, step, steps, starts)
            if again is not None:
                yield Cut(race, name, step.number, again, step.generator, site, confidence)
                break


def _asks(function: Function) -> bool:
    """Tell whether a function may ask an asynchronous iterator for an item: the cheap look first."""
    return any(
        (isinstance(step, Await) and step.kind is AwaitKind.NEXT)
        or (isinstance(step, Call) and last_name(step.func) in _STEPS)
        for step in function.steps
    )


def _has_limit(function: Function) -> bool:
    return any(isinstance(step, Call) and last_name(step.func) == "wait_for" for step in function.steps)


def _steps(effects: Effects, facts: Facts) -> Iterator[_Step]:
    """Yield the awaits that ask something for its next item, with what they ask."""
    for _, number in facts.awaits():
        step = facts.function.steps[number]
        assert isinstance(step, Await)
        if step.kind is AwaitKind.NEXT:
            asked = [step.value]
        elif step.kind is AwaitKind.EXPRESSION:
            operations = effects.awaited(facts.key, number)
            sites = [operation.site.step for operation in operations if operation.site.function == facts.key]
            asked = [value for site in sites if (value := _asked_by(facts.function, site)) is not None]
        else:
            asked = []
        for value in asked:
            path = facts.frame.path(_original(effects, facts, value))
            if path is not None:
                yield _Step(number, value, path)


def _asked_by(function: Function, number: int) -> Expr | None:
    """Return the iterator that a call asks: `anext(it)`, `it.__anext__()`."""
    match function.steps[number]:
        case Call(func=Name(id="anext"), args=(value, *_)):
            return value
        case Call(func=Attr(base=base, name=name)) if name in _METHODS:
            return base
        case _:
            return None


def _original(effects: Effects, facts: Facts, expr: Expr) -> Expr:
    """Return what an expression is another name for, `aiter` of a generator being the generator."""
    for _ in _DEEPEST.rounds():
        bound = facts.frame.value_of(expr.id) if isinstance(expr, Name) else None
        expr = bound if bound is not None else expr
        made = facts.function.steps[expr.step] if isinstance(expr, Temp) else None
        match made:
            case Call(func=Attr(base=base, name="__aiter__"), args=()) if isinstance(expr, Temp):
                callees = effects.types.callees(facts.key, expr.step)
                if any(isinstance(callee, ProjectCallee) for callee in callees):
                    return expr  # it makes an iterator of its own
                expr = base
            case Call(func=Name(id="aiter"), args=(value,)):
                expr = value
            case _:
                return expr
    return expr


# --------------------------------------------------------------------------- is it a generator


def _maker(effects: Effects, key: FunctionKey, expr: Expr) -> tuple[CallSite | None, Confidence] | None:
    """Return where a generator is made, and how firmly it is one; None for any other iterator."""
    found = [_made_by(effects, option) for option in options(effects.types.of(key, expr))]
    makers = [maker for maker in found if maker is not None]
    return makers[0] if makers and len(makers) == len(found) else None


def _made_by(effects: Effects, option: Type) -> tuple[CallSite | None, Confidence] | None:
    match option:
        case Instance(cls=cls) if cls == _GENERATOR:
            return None, Confidence.LIKELY
        case Pending(site=site, task=False) if site.step >= 0:
            callees = effects.types.callees(site.function, site.step)
            if all(_ends_when_cancelled(effects, callee) for callee in callees):
                return site, Confidence.CERTAIN
    return None


def _ends_when_cancelled(effects: Effects, callee: Callee) -> bool:
    """Tell whether a call makes a generator that a cancellation finishes."""
    if not isinstance(callee, ProjectCallee):
        known = effects.operations.known(callee)
        return known is not None and known.entry.mode is Mode.KILLS_SOURCE
    function = effects.program.function(callee.key)
    if not (function.is_async and function.is_generator):
        return False
    waits = any(isinstance(step, Await) for step in function.steps)
    handlers = Handlers(effects, callee.key)
    survives = any(handlers.catches_cancellation(number) for number in range(len(function.blocks)))
    return waits and not survives


# --------------------------------------------------------------------------- races


def _races(facts: Facts, step: _Step) -> Iterator[tuple[int, str, tuple[Start, ...]]]:
    """Yield the races that may cancel a step: where they stand, their names and where control goes on."""
    known = facts.known_before(step.number)
    block = facts.block_of(step.number)
    race = facts.effect(step.number).race
    if race is not None and race.kind is RaceKind.CANCELS_RAISES:
        failed = facts.flow.targets(block, ERROR)
        yield step.number, race.name, tuple(Start(target, True, known=known) for target in failed)
    for way in race_exits(facts, block):
        region = facts.unwinding.race(way.region)
        if region is not None and region[0] is not RaceKind.SCOPE:
            start = Start(way.block, way.travelling, known=known, region=way.region)
            yield facts.function.regions[way.region].enter, region[1], (start,)


def _asked_again(
    facts: Facts, step: _Step, steps: tuple[_Step, ...], starts: tuple[Start, ...]
) -> int | None:
    """Return the step that asks the same generator once more after the race is lost."""
    awaits = frozenset(number for _, number in facts.awaits())
    for other in steps:
        if other.path == step.path:
            loser = Loser(other.number, awaits, Take(step.path, RESULT, ""))
            found = reads_on(facts, step.path, "", starts, loser)
            if found.step is not None:
                return found.step
    return None
