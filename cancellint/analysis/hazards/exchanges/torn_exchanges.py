"""What becomes of a connection whose exchange is cancelled: does the next one to use it read the old reply?

An exchange is an obligation, outstanding while the reply is awaited. It is discharged if the cancellation
path, through the function and then through the callers that wait for it, closes the connection, marks it, or
reads the reply after all. What is left is decided where the connection is kept: it goes back to a pool, or it
stays in an object that sends on it again.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.callgraph.callers import Caller, Callers
from cancellint.analysis.callgraph.function_uses import FunctionUses
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import Halt, Outcome, PathPoint, PathSearch
from cancellint.analysis.engine.reachability import behind
from cancellint.analysis.flow.cancellation_paths import cancellation_path
from cancellint.analysis.flow.connections import Group
from cancellint.analysis.flow.exchanges import (
    Exchange,
    Exchanges,
    Reply,
    is_matched,
    is_same,
    replies,
)
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.flow.held_locks import HeldLocks
from cancellint.analysis.flow.tainting import Taint
from cancellint.analysis.hazards.exchanges.settlements import given_back, is_closed_on_error, is_settled
from cancellint.analysis.memory.access_paths import cut
from cancellint.analysis.normal.rewriting import reads
from cancellint.analysis.program.expressions import parts
from cancellint.model.finding import Confidence, weakest
from cancellint.model.ir import RETURN_EXIT, Assign, Attr, Await, Call, Item, Name, Return, Temp
from cancellint.model.summary import Act, Path, Replaces, Take
from cancellint.model.types import CallSite, FunctionKey, ProjectCallee

DEEPEST = Limit(6, "calls between an exchange and whoever decides")
"""Calls that are followed, up to whoever decides and down to the stream."""


class Torn(Struct, frozen=True):
    """An exchange that a cancellation tears, and a connection that is used again."""

    at: CallSite
    """the await, in the function that decides what becomes of the connection"""
    connection: Path
    """as that function names it; of a method's own object, the part of it that replies come from"""
    sent: CallSite
    trail: tuple[CallSite, ...]
    """the awaits through which the reply is taken, from where it is asked for down to the stream"""
    back: int
    """the step that gives the connection back, -1 where it stays where it is"""
    confidence: Confidence


class _Level(Struct, frozen=True):
    """An exchange as one of the functions on the stack sees it."""

    key: FunctionKey
    step: int
    request: Path
    reply: Path

    @property
    def group(self) -> Group:
        return Group(self.request, self.reply)

    @property
    def connection(self) -> Path:
        return self.group.shared


class _Decided(Struct, frozen=True):
    """Where it is decided what becomes of the connection."""

    level: _Level
    back: int
    confidence: Confidence


class TornExchanges:
    """The exchanges of the whole program that a cancellation tears."""

    def __init__(
        self, effects: Effects, uses: FunctionUses, facts_of: FactsOf, may: frozenset[FunctionKey]
    ) -> None:
        self._effects = effects
        self._facts_of = facts_of
        self._may = may
        self._exchanges = Exchanges(self._facts_of)
        self._callers = Callers(effects, uses)

    def decided_in(self, key: FunctionKey) -> tuple[Torn, ...]:
        """Return the torn exchanges for which a function decides what becomes of the connection."""
        return self._by_function.get(key, ())

    @cached_property
    def _by_function(self) -> dict[FunctionKey, tuple[Torn, ...]]:
        found: dict[FunctionKey, dict[CallSite, Torn]] = {}
        for key in sorted(self._may):
            for torn in self._in(key):
                found.setdefault(torn.at.function, {}).setdefault(torn.at, torn)
        return {key: tuple(torn.values()) for key, torn in found.items()}

    # ------------------------------------------------------------------ one function

    def _in(self, key: FunctionKey) -> Iterator[Torn]:
        """Yield what is torn, once for each connection."""
        told: set[Path] = set()
        for exchange in self._exchanges.of(key):
            if exchange.group.shared in told:
                continue
            decided = self._decide(key, exchange)
            if decided is not None:
                told.add(exchange.group.shared)
                level = decided.level
                firmly = weakest(decided.confidence, exchange.confidence)
                yield Torn(
                    CallSite(level.key, level.step),
                    self._shown_as(level),
                    CallSite(key, exchange.sent),
                    self._trail(key, exchange),
                    decided.back,
                    firmly,
                )

    def _shown_as(self, level: _Level) -> Path:
        """Return the path by which users know the connection: their own variable, not one of ours."""
        if level.connection == Path("param:0"):
            return level.reply
        for step in self._effects.program.function(level.key).steps:
            match step:
                case Assign(target=Name(id=name), value=Name(id=held)) if (
                    held.startswith("$") and level.connection.root == f"local:{held}"
                ):
                    return Path(f"local:{name}", level.connection.fields)
                case _:
                    pass
        return level.connection

    def _decide(self, key: FunctionKey, exchange: Exchange) -> _Decided | None:
        level = _Level(key, exchange.reply.step, exchange.request.subject, exchange.reply.source)
        if self._is_cured(level) or self._is_settled_below(key, exchange):
            return None
        if not self._is_looked_at(key, exchange):
            return None
        reached = self._up(level)
        decided = [each for one in reached if (each := self._decided_at(one)) is not None]
        if decided:
            return min(decided, key=lambda each: each.confidence.rank)
        return self._kept(reached)

    def _kept(self, reached: Mapping[_Level, tuple[_Level | None, ...]]) -> _Decided | None:
        """Return where the error is for what stays in an object: where errors close it, or at the bottom."""
        settled = _settled(reached)
        kept = [level for level in reached if self._is_receivers(level) and level not in settled]
        if not any(self._is_public(level.key) for level in kept) or self._is_served(kept[0]):
            return None
        if self._effects.conventions.begins_or_ends(self._name(next(iter(reached)).key)):
            return None
        own = (level for level in kept if self._is_same_object(level, kept[0]))
        believing = next((level for level in own if self._closes_on_error(level)), next(iter(reached)))
        locked = any(self._is_locked(level) for level in reached)
        return _Decided(believing, -1, Confidence.CERTAIN if locked else Confidence.LIKELY)

    def _is_locked(self, level: _Level) -> bool:
        """Tell whether an exchange holds a lock of the loop: others do use the connection after it."""
        return HeldLocks(self._facts_of(level.key)).is_locked(level.step)

    def _is_same_object(self, level: _Level, other: _Level) -> bool:
        """Tell whether two methods have the connection in the same attribute of one family of classes."""
        cls, base = (self._effects.program.class_of(each.key) for each in (level, other))
        if cls is None or base is None or level.request != other.request:
            return False
        return self._effects.program.inherits(cls, base) or self._effects.program.inherits(base, cls)

    def _is_served(self, level: _Level) -> bool:
        """Tell whether another method of the object answers what comes in on the same connection."""
        cls = self._effects.program.class_of(level.key)
        family = {cls, *self._effects.program.bases(cls)} if cls is not None else set()
        return any(
            self._exchanges.serves(method, level.group)
            for each in family
            for method in self._methods.get(each, ())
        )

    @cached_property
    def _methods(self) -> dict[str | None, list[FunctionKey]]:
        """Coroutines by the class they belong to."""
        found: dict[str | None, list[FunctionKey]] = {}
        for key in self._effects.program.functions():
            if self._effects.program.function(key).is_async:
                found.setdefault(self._effects.program.class_of(key), []).append(key)
        return found

    def _is_public(self, key: FunctionKey) -> bool:
        """Tell whether a method is one that users call while the connection is in service."""
        public = not self._effects.program.function(key).name.startswith("_")
        return public and not self._effects.conventions.begins_or_ends(self._name(key))

    def _name(self, key: FunctionKey) -> str:
        return self._effects.program.function(key).name.lstrip("_")

    # ------------------------------------------------------------------ up the stack

    def _up(self, level: _Level) -> dict[_Level, tuple[_Level | None, ...]]:
        """Return the functions that a cancellation passes while the connection stays as it is, bottom up.

        Each comes with its callers as far as they wait for it, None for one that settles the matter.
        """
        reached: dict[_Level, tuple[_Level | None, ...]] = {}
        waiting = [(level, 0)] if not self._is_made_here(level) else []
        while waiting:
            current, depth = waiting.pop(0)
            if current in reached:
                continue
            followed = not DEEPEST.is_exceeded_by(depth + 1)
            callers = tuple(self._callers_of(current)) if followed else ()
            reached[current] = callers
            waiting.extend((caller, depth + 1) for caller in callers if caller is not None)
        return reached

    def _callers_of(self, level: _Level) -> Iterator[_Level | None]:
        if not level.connection.root.startswith(("param:", "free:")):
            return
        for caller in self._callers.of(level.key):
            above = self._seen_by(level, caller)
            if above is not None:
                settled = self._is_cured(above) or self._is_made_here(above) or self._is_dropped(above)
                yield None if settled else above

    def _seen_by(self, level: _Level, caller: Caller) -> _Level | None:
        """Return an exchange as a caller sees it, None where it does not wait for it, or cannot name it."""
        if caller.awaited < 0 and not caller.hands_on:
            return None
        request, reply = self._translated(level.request, caller), self._translated(level.reply, caller)
        if request is None or reply is None:
            return None
        step = caller.awaited if caller.awaited >= 0 else caller.site.step
        return _Level(caller.site.function, step, request, reply)

    def _translated(self, path: Path, caller: Caller) -> Path | None:
        frame = self._effects.frame(caller.site.function)
        if caller.encloses:
            prefix = f"free:{caller.site.function.module}#{caller.site.function.function}:"
            if not path.root.startswith(prefix):
                return path if path.root.startswith(("free:", "global:")) else None
            base = frame.path(Name(path.root.removeprefix(prefix)))
        elif path.root.startswith("param:"):
            value = dict(caller.given).get(int(path.root.removeprefix("param:")))
            base = frame.path(value) if value is not None else None
        else:
            return path
        return cut(base.child(*path.fields)) if base is not None else None

    # ------------------------------------------------------------------ where it is decided

    def _decided_at(self, level: _Level) -> _Decided | None:
        """Return how it is decided by a function that has the connection in a variable, or in a global."""
        root = level.connection.root
        if root.startswith("global:"):
            return _Decided(level, -1, Confidence.LIKELY)
        if not root.startswith(("local:", "temp:")):
            return None
        facts = self._facts_of(level.key)
        way = cancellation_path(facts, facts.block_of(level.step))
        for step in way.steps if way is not None else ():
            given = given_back(facts, step, level.group)
            if given is not None:
                return _Decided(level, step, given)
        return _Decided(level, -1, Confidence.LIKELY) if self._is_fetched(level) else None

    def _is_dropped(self, level: _Level) -> bool:
        """Tell whether a function has made the object itself, and keeps it no longer than it runs."""
        kind, _, made = level.connection.root.partition(":")
        if kind != "temp" or self._decided_at(level) is not None:
            return False
        return isinstance(self._effects.program.function(level.key).steps[int(made)], Call | Await)

    def _is_fetched(self, level: _Level) -> bool:
        """Tell whether a local connection comes from a method that keeps it in its object."""
        kind, _, made = level.connection.root.partition(":")
        if kind != "temp":
            return False
        facts = self._facts_of(level.key)
        node = facts.function.steps[int(made)]
        step = node.value.step if isinstance(node, Await) and isinstance(node.value, Temp) else int(made)
        return any(self._returns_kept(callee.key) for callee in self._callees(level.key, step))

    def _callees(self, key: FunctionKey, step: int) -> Iterator[ProjectCallee]:
        function = self._effects.program.function(key)
        if isinstance(function.steps[step], Call):
            for callee in self._effects.types.callees(key, step):
                if isinstance(callee, ProjectCallee):
                    yield callee

    def _returns_kept(self, key: FunctionKey) -> bool:
        """Tell whether a function returns what is, from then on at least, an attribute of its object."""
        frame = self._effects.frame(key)
        stored = {
            path
            for step in frame.function.steps
            if isinstance(step, Assign) and isinstance(step.target, Attr)
            if (path := frame.path(step.value)) is not None
        }
        for step in frame.function.steps:
            path = frame.path(step.value) if isinstance(step, Return) else None
            if path is not None and (path in stored or (path.root == "param:0" and path.fields)):
                return True
        return False

    def _is_receivers(self, level: _Level) -> bool:
        """Tell whether a connection belongs to the object whose method this is."""
        return level.connection.root == "param:0" and self._effects.program.class_of(level.key) is not None

    # ------------------------------------------------------------------ what settles it

    def _closes_on_error(self, level: _Level) -> bool:
        return is_closed_on_error(self._facts_of(level.key), level.step, level.group)

    def _is_cured(self, level: _Level) -> bool:
        return is_settled(self._facts_of(level.key), level.step, level.group)

    def _is_settled_below(self, key: FunctionKey, exchange: Exchange) -> bool:
        """Tell whether a callee settles it itself, or reads on until it has the reply that belongs here."""
        for below, found in self._takers(key, exchange):
            facts = self._facts_of(below)
            for reply in found:
                level = _Level(below, reply.step, reply.source, reply.source)
                if is_matched(facts, reply) or self._is_cured(level):
                    return True
        return False

    def _is_looked_at(self, key: FunctionKey, exchange: Exchange) -> bool:
        """Tell whether what is read is this request's: its value is used here, or in the function called.

        Where all that comes in is handed round by its kind, nobody who sends looks at what is read next.
        """
        if _is_handed_round(self._facts_of(key), exchange.reply.step):
            return False
        if _is_used(self._facts_of(key), exchange.reply.step):
            return True
        for taker, found in self._takers(key, exchange):
            facts = self._facts_of(taker)
            if not all(_is_only_returned(facts, reply.step) for reply in found):
                return any(_is_used(facts, reply.step) for reply in found)
        return False

    def _trail(self, key: FunctionKey, exchange: Exchange) -> tuple[CallSite, ...]:
        below = (CallSite(taker, found[0].step) for taker, found in self._takers(key, exchange))
        return (CallSite(key, exchange.reply.step), *below)

    def _takers(self, key: FunctionKey, exchange: Exchange) -> Iterator[tuple[FunctionKey, list[Reply]]]:
        """Yield the callees through which a reply is taken, each with the awaits that may take it."""
        reply = exchange.reply
        for _ in DEEPEST.rounds():
            via = self._facts_of(key).effect(reply.step).via.get(reply.fact)
            if via is None or not isinstance(via[1], Act | Take):
                return
            key, fact = via[0], via[1]
            found = [each for each in replies(self._facts_of(key)) if is_same(each.fact, fact)]
            if not found:
                return
            yield key, found
            reply = found[0]

    def _is_made_here(self, level: _Level) -> bool:
        """Tell whether a function has made the connection anew on every path to the await."""
        return self._makes_before(level.key, level.reply, level.step, DEEPEST) or self._makes_before(
            level.key, level.request, level.step, DEEPEST
        )

    def _makes_before(self, key: FunctionKey, end: Path, goal: int, depth: int) -> bool:
        """Tell whether no path leads to a step, or with RETURN_EXIT to the end, past the making of an end."""
        if not end.fields:
            return False
        facts = self._facts_of(key)

        def reached(here: PathPoint[tuple[()]], step: int) -> tuple[()] | Halt:
            if step == goal:
                return Halt.FOUND
            return Halt.STOP if self._makes(facts, step, end, depth) else ()

        found = PathSearch(facts.flow, reached, taken=NORMAL).run([behind(facts.flow, None)])
        returns = goal == RETURN_EXIT and any(each.exit == RETURN_EXIT for each in found.ends)
        return found.outcome is not Outcome.FOUND and not returns

    def _makes(self, facts: Facts, step: int, end: Path, depth: int) -> bool:
        """Tell whether a step surely puts a new object in the place of an end, or of what it is a part of."""
        match facts.function.steps[step]:
            case Assign(target=Attr() as target, op=""):
                path = facts.frame.path(target)
                return path is not None and end.is_within(path)
            case _:
                pass
        effect = facts.effect(step)
        for path in effect.paths(Replaces):
            via = effect.via.get(Replaces(path))
            if via is None or not isinstance(via[1], Replaces) or not end.is_within(path) or depth == 0:
                continue
            if self._makes_before(via[0], via[1].path, RETURN_EXIT, depth - 1):
                return True
        return False


def _is_used(facts: Facts, step: int) -> bool:
    node = facts.function.steps[step]
    return isinstance(node, Await) and node.used


def _is_handed_round(facts: Facts, step: int) -> bool:
    """Tell whether what is read says itself which function is to deal with it."""
    read = Taint(facts.function, [Temp(step)])
    return any(read.reaches(each.func) for each in _calls_of_chosen(facts))


def _calls_of_chosen(facts: Facts) -> Iterator[Call]:
    """Yield the calls of functions that are looked up: `handlers[kind](message)`."""
    for each in facts.function.steps:
        if isinstance(each, Call) and isinstance(each.func, Item):
            yield each


def _is_only_returned(facts: Facts, step: int) -> bool:
    """Tell whether a function does nothing with what it waits for but return it."""
    reading = [
        other for other in facts.function.steps if any(Temp(step) in parts(expr) for expr in reads(other))
    ]
    return bool(reading) and all(isinstance(each, Return) for each in reading)


def _settled(reached: Mapping[_Level, tuple[_Level | None, ...]]) -> set[_Level]:
    """Return the functions all of whose callers settle what they leave open, or whose callers' callers do."""
    found: set[_Level] = set()
    for _ in range(DEEPEST):
        found.update(
            level
            for level, callers in reached.items()
            if callers and all(caller is None or caller in found for caller in callers)
        )
    return found
