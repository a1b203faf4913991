"""Calls that block the thread of an event loop, made by a coroutine through any chain of plain functions."""

from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.callgraph.exposure import Exposure
from cancellint.analysis.callgraph.function_uses import FunctionUses
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.program.names import decorator_names
from cancellint.model.finding import Confidence
from cancellint.model.ir import Call, Const, Function, Temp
from cancellint.model.knowledge import Entry, Role
from cancellint.model.types import Callee, CallSite, FunctionKey, LibraryCallee, ProjectCallee

DEEPEST = Limit(6, "plain functions between a coroutine and what blocks")
MOST_SHARED = Limit(32, "functions round one that blocks")
SHORTEST = 0.02
"""Seconds of a pause that anybody would notice."""
SHORT = 1.0
"""Seconds within which what is waited for, with that as a limit, is believed to come to its end anyway."""
_TRANSPARENT = frozenset({"staticmethod", "classmethod", "property", "cached_property", "override", "wraps"})
"""Decorators under which a function still runs where it is called."""
_TOGETHER = frozenset({Role.SPAWNS, Role.GATHERS, Role.SERVES, Role.RACES})


class Blocking(Struct, frozen=True):
    """A step of a coroutine at which the thread is blocked, by the last of the calls that it leads to."""

    step: int
    name: str
    chain: tuple[CallSite, ...]
    """the calls in between, outermost first, that which blocks last; none if the coroutine itself blocks"""
    confidence: Confidence

    @property
    def at(self) -> CallSite | None:
        return self.chain[-1] if self.chain else None


class BlockingCalls:
    """Finds what blocks first, and then who calls that, outwards."""

    def __init__(self, effects: Effects, uses: FunctionUses, exposure: Exposure) -> None:
        self._effects = effects
        self._program = effects.program
        self._uses = uses
        self._exposure = exposure

    def of(self, key: FunctionKey) -> tuple[Blocking, ...]:
        """Return the steps of a coroutine that block the thread."""
        return tuple(self._all.get(key, ()))

    @cached_property
    def _all(self) -> dict[FunctionKey, list[Blocking]]:
        found: dict[FunctionKey, dict[int, Blocking]] = {}
        for site, name in self._stalls():
            for key, blocking in self._outwards(site, name):
                found.setdefault(key, {}).setdefault(blocking.step, blocking)
        return {key: [steps[at] for at in sorted(steps)] for key, steps in found.items()}

    # ----------------------------------------------------------------- what blocks

    def _stalls(self) -> Iterator[tuple[CallSite, str]]:
        """Yield the calls that block for as long as somebody else takes, by the tables."""
        for site in self._program.calls.of_any(self._stalling_names):
            callees = self._effects.types.callees(site.function, site.step)
            names = [self._stalls_at(site, callee) for callee in callees]
            if all(names) and self._uses.waiting_for(site) < 0:  # what is awaited is another one of that name
                yield site, str(names[0])

    def _stalls_at(self, site: CallSite, callee: Callee) -> str | None:
        known = self._effects.operations.known(callee) if isinstance(callee, LibraryCallee) else None
        if known is None or not known.entry.stalls or Role.BLOCKS not in known.entry.roles:
            return None
        return None if known.name in _PAUSES and self._is_short(site) else known.name

    @cached_property
    def _stalling_names(self) -> frozenset[str]:
        """The last parts of the names of what blocks."""
        knowledge = self._effects.operations.knowledge
        found: set[str] = set()
        for name in knowledge.with_role(Role.BLOCKS):
            entry = knowledge.entry(name)
            if entry is not None and entry.stalls:
                found.update(each.rpartition(".")[2] for each in (name, *entry.aliases))
        return frozenset(found)

    def _is_short(self, site: CallSite) -> bool:
        """Tell whether a pause is given as a number that nobody would notice."""
        step = self._program.function(site.function).steps[site.step]
        match step:
            case Call(args=(Const(kind="int" | "float", text=text), *_)):
                return float(text) < SHORTEST
            case _:
                return False

    # ----------------------------------------------------------------- who calls it

    def _outwards(self, site: CallSite, name: str) -> Iterator[tuple[FunctionKey, Blocking]]:
        """Yield the coroutines that reach a call, with the nearest chain to it."""
        waiting: list[tuple[CallSite, tuple[CallSite, ...]]] = [(site, ())]
        seen = {site.function}
        while waiting and not MOST_SHARED.is_exceeded_by(len(seen)):
            here, chain = waiting.pop(0)
            function = self._program.function(here.function)
            if function.is_async:
                confidence = self._confidence((here, *chain), name)
                yield here.function, Blocking(here.step, name, chain, confidence)
                continue
            if not DEEPEST.leaves(DEEPEST - len(chain)) or not self._runs_where_called(function):
                continue
            for caller in self._callers(here.function):
                if caller.function not in seen:
                    seen.add(caller.function)
                    waiting.append((caller, (here, *chain)))

    def _callers(self, key: FunctionKey) -> Iterator[CallSite]:
        """Yield the calls that run a plain function, those that construct an object included."""
        for site, _ in self._uses.calls(key):
            # what is awaited is a coroutine: of the methods that may be meant, not the plain one
            if self._uses.waiting_for(site) < 0 and self._is_the_only_one(site):
                yield site
        cls = self._program.class_of(key)
        if cls is None or self._program.function(key).name != "__init__":
            return
        names = {each.rpartition(".")[2] for each in (cls, *self._program.descendants(cls))}
        for site in self._program.calls.of_any(names):
            if any(
                isinstance(callee, ProjectCallee) and callee.key == key
                for callee in self._effects.types.callees(site.function, site.step)
            ):
                yield site

    def _is_the_only_one(self, site: CallSite) -> bool:
        """Tell whether a call reaches one function, and not one of several that override each other."""
        return len(self._effects.types.callees(site.function, site.step)) == 1

    def _runs_where_called(self, function: Function) -> bool:
        """Tell whether a plain function's body runs whenever it is called, in the thread that calls it."""
        if function.kind != "function" or function.is_generator:
            return False
        names = decorator_names(function)
        return len(names) == len(function.decorators) and _TRANSPARENT.issuperset(names)

    def _confidence(self, calls: tuple[CallSite, ...], name: str) -> Confidence:
        """Return how firmly it stands that others wait meanwhile: that there are any, and it is called.

        `calls` lead from the coroutine's own to the one that blocks.
        """
        coroutine = calls[0].function
        named = [self._program.function(each.function).name for each in calls]
        if not self._has_tasks and not self._exposure.is_exported(coroutine):
            return Confidence.POSSIBLE
        if any(word in self._effects.conventions.cleans_up for each in named for word in _words(each)):
            return Confidence.POSSIBLE
        if self._is_soon_over(calls[-1], name) or self._is_main(coroutine):
            return Confidence.POSSIBLE
        return Confidence.LIKELY  # nor is it seen how long it takes here

    def _is_soon_over(self, site: CallSite, name: str) -> bool:
        """Tell whether a wait has so short a limit that what it waits for must be about to end."""
        step = self._program.function(site.function).steps[site.step]
        if name in _PAUSES or not isinstance(step, Call):
            return False
        limits = [value for keyword, value in step.keywords if keyword == "timeout"] or step.args[:1]
        return any(
            isinstance(each, Const) and each.kind in ("int", "float") and float(each.text) <= SHORT
            for each in limits
        )

    def _is_main(self, key: FunctionKey) -> bool:
        """Tell whether a coroutine is what an event loop is started for: it begins, and ends, alone."""
        calls = [site for site, _ in self._uses.calls(key)]
        return bool(calls) and all(map(self._is_run, calls))

    def _is_run(self, site: CallSite) -> bool:
        """Tell whether the coroutine that a call makes is given to a call that blocks until it is done."""
        given = Temp(site.step)
        return any(
            isinstance(step, Call)
            and given in step.args
            and any(map(self._runs, self._effects.types.callees(site.function, number)))
            for number, step in enumerate(self._program.function(site.function).steps)
        )

    def _runs(self, callee: Callee) -> bool:
        known = self._effects.operations.known(callee) if isinstance(callee, LibraryCallee) else None
        return known is not None and {Role.SPAWNS, Role.BLOCKS}.issubset(known.entry.roles)

    @cached_property
    def _has_tasks(self) -> bool:
        """Whether anything in the program runs beside something else in an event loop."""
        knowledge = self._effects.operations.knowledge
        starting = [name for name in knowledge.names() if self._starts(knowledge.entry(name))]
        for site in self._program.calls.of_any(name.rpartition(".")[2] for name in starting):
            for callee in self._effects.types.callees(site.function, site.step):
                known = self._effects.operations.known(callee)
                if known is not None and self._starts(known.entry):
                    return True
        return False

    def _starts(self, entry: Entry | None) -> bool:
        """Tell whether a call runs something beside its caller: a task, or a callback for each client."""
        if entry is None or Role.BLOCKS in entry.roles:
            return False
        return not _TOGETHER.isdisjoint(entry.roles) or bool(entry.calls_with)


_PAUSES = frozenset({"time.sleep"})


def _words(name: str) -> tuple[str, str]:
    words = name.strip("_").split("_")
    return words[0], words[-1]
