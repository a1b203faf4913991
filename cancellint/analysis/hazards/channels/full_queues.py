"""Items that are put into queues with a limit, without waiting, and what comes of it if these are full."""

import enum
from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.callgraph.function_uses import FunctionUses
from cancellint.analysis.callgraph.homes import Home, Homes
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import ERROR
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.flow.inflows import Growth, Inflow, Inflows
from cancellint.analysis.hazards.channels.objects import Objects
from cancellint.analysis.library.exceptions import Modality
from cancellint.analysis.program.expressions import parts
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    Build,
    Call,
    Catch,
    Const,
    Element,
    Expr,
    Item,
    Leaves,
    Name,
    Next,
    Return,
    Temp,
)
from cancellint.model.types import CallSite, FunctionKey

_DEEPEST = Limit(3, "callers of what puts into a queue")
_MINDING = frozenset({"full", "qsize", "empty", "statistics", "get", "get_nowait", "put", "join"})
"""Methods of a queue by which a function minds how full it is, makes room, or waits."""
_ADDING = frozenset({"add", "append"})

_NOTHING = Const("none", "None")


class Ends(enum.StrEnum):
    """What a full queue comes to, the worst first."""

    LOOP = "the loop"
    """an endless loop"""
    OTHERS = "the rest"
    """a loop over several things: it leaves out those after it"""
    CONNECTION = "the connection"
    CALL = "the call"
    ITEM = "the item"
    """nobody is told"""


class FullQueue(Struct, frozen=True):
    """A step puts something into a `queue`, made at `made`, that may be full then."""

    at: int
    queue: Expr
    made: CallSite
    raised: str
    ends: Ends
    ended: CallSite
    """the step that ends what it ends"""
    inflow: Inflow | None
    is_small: bool
    """no limit of more than one is known: it may well be a mark, and not a queue"""


class FullQueues:
    """Finds them for one function at a time."""

    def __init__(self, effects: Effects, uses: FunctionUses, facts_of: FactsOf) -> None:
        self._effects = effects
        self._program = effects.program
        self._uses = uses
        self._facts_of = facts_of
        self._objects = Objects(effects, uses)
        self._homes = Homes(effects)
        self._inflows = Inflows(effects, uses)
        knowledge = effects.operations.knowledge
        entries = ((name, knowledge.entry(name)) for name in knowledge.names())
        self._names = frozenset(
            name.rpartition(".")[2] for name, entry in entries if entry is not None and entry.full is not None
        )

    def of(self, key: FunctionKey) -> Iterator[FullQueue]:
        """Yield what a function puts into queues with a limit as if they had none."""
        for number, step in enumerate(self._program.function(key).steps):
            match step:
                case Call(func=Attr(base=queue, name=name), args=(item, *_)) if name in self._names:
                    found = self._full(CallSite(key, number), queue, item)
                    if found is not None:
                        yield found
                case _:
                    pass

    def _full(self, at: CallSite, queue: Expr, item: Expr) -> FullQueue | None:
        raised, limited = self._raised(at), self._limited(at.function, queue)
        if raised is None or limited is None or self._minds(at, queue):
            return None
        made, is_small = limited
        ended = self._ended(at, item, raised)
        inflow = self._inflows.of(at.function, at.step, (item,))
        if ended is None or self._is_for_callers(at, ended, inflow):
            return None
        return FullQueue(at.step, queue, made, raised, *ended, inflow, is_small)

    def _is_for_callers(self, at: CallSite, ended: tuple[Ends, CallSite], inflow: Inflow | None) -> bool:
        """Tell whether an error is the business of callers, or of one request."""
        ends, where = ended
        if ends is Ends.CALL:
            return inflow is None or inflow.growth is Growth.HANDLER
        return inflow is None and ends is not Ends.ITEM and where != at

    def _raised(self, at: CallSite) -> str | None:
        for callee in self._effects.types.callees(at.function, at.step):
            known = self._effects.operations.known(callee)
            if known is not None and known.entry.full is not None:
                return known.entry.full
        return None

    def _limited(self, key: FunctionKey, queue: Expr) -> tuple[CallSite, bool] | None:
        """Return where a queue is made, and whether it may have room for one only; None without a limit."""
        sites = sorted(self._made_at(key, queue))
        limits = [self._effects.queues.limit(site) for site in sites]
        if not sites or any(limit is None or limit == Const("int", "0") for limit in limits):
            return None
        if any(site.function == key for site in sites):
            return None  # what is made here has room for what is put here first
        small = any(not isinstance(limit, Const) or limit.text == "1" for limit in limits)
        return sites[0], small

    def _made_at(self, key: FunctionKey, queue: Expr) -> frozenset[CallSite]:
        """Return where a queue may be made, be it one of several that an attribute holds."""
        found: set[CallSite] = set()
        for each in self._objects.meant(key, queue):
            found.update((each,) if isinstance(each, CallSite) else self._kept_in.get(each, ()))
        container = self._container(key, queue) if not found else None
        home = self._homes.of(key, container) if container is not None else None
        return frozenset(found) if home is None else frozenset(self._kept_in.get(home, ()))

    def _container(self, key: FunctionKey, item: Expr) -> Expr | None:
        """Return what a loop goes over whose items a variable is bound to, also by way of a copy of it."""
        steps = self._program.function(key).steps
        values = [step.value for step in steps if isinstance(step, Assign) and step.target == item]
        match values:
            case [Temp(step=number)]:
                turn = steps[number]
            case _:
                return None
        over = turn.value if isinstance(turn, Next) else None
        for _ in _DEEPEST.rounds():
            if not isinstance(over, Temp):
                break
            match steps[over.step]:
                case Call(func=Name(), args=(inner,)) | Call(func=Attr(base=inner), args=()):
                    over = inner
                case _:
                    return None
        return over

    @cached_property
    def _kept_in(self) -> Mapping[Home, tuple[CallSite, ...]]:
        """Where the queues are made that are assigned to, or put into, an attribute or a variable."""
        found: dict[Home, list[CallSite]] = {}
        calls = self._program.calls
        makers = {name.rpartition(".")[2] for name in self._effects.operations.knowledge.queues()}
        for site in calls.of_any(sorted(makers)):
            made = self._program.function(site.function).steps[site.step]
            entry = self._effects.queues.constructor(site.function, made) if isinstance(made, Call) else None
            if entry is not None and entry.queue is not None:
                for keeper in self._keepers(site):
                    home = self._homes.of(site.function, keeper)
                    if home is not None:
                        found.setdefault(home, []).append(site)
        return {home: tuple(sites) for home, sites in found.items()}

    def _keepers(self, site: CallSite) -> Iterator[Expr]:
        """Yield what is assigned the outcome of a call, or a part of it, or is a container that gets it."""
        values: list[Expr] = [Temp(site.step)]
        steps = self._program.function(site.function).steps
        for step in steps:
            match step:
                case Assign(target=target, value=value, op="") if value in values or (
                    isinstance(value, Element) and value.value in values
                ):
                    yield target.base if isinstance(target, Item) else target
                    values += [target] if isinstance(target, Name) else []
                case Call(func=Attr(base=base, name=name), args=args) if name in _ADDING:
                    if any(each in values for each in args):
                        yield base
                case _:
                    pass

    def _minds(self, at: CallSite, queue: Expr) -> bool:
        """Tell whether a function looks how full a queue is, takes something out, or waits for room."""
        for step in self._program.function(at.function).steps:
            match step:
                case Call(func=Attr(base=base, name=name)) if base == queue and name in _MINDING:
                    return True
                case _:
                    pass
        return False

    # ----------------------------------------------------------------- what becomes of it

    def _ended(self, at: CallSite, item: Expr, raised: str) -> tuple[Ends, CallSite] | None:
        """Return the worst that comes of a full queue; None where somebody minds it."""
        caught = self._caught(at, raised)
        if caught is not None:
            silent = caught and not _is_mark(item)
            return (Ends.ITEM, at) if silent and not self._tells(at.function) else None
        found: list[tuple[Ends, CallSite]] = []
        waiting = [(at, 0)]
        seen = {at.function}
        while waiting:
            here, depth = waiting.pop()
            if depth and self._caught(here, raised) is not None:
                return None
            ends = self._ends(here)
            found.append((ends, here))
            if ends is Ends.CALL and not _DEEPEST.is_exceeded_by(depth + 1):
                callers = [site for site, _ in self._uses.calls(here.function) if site.function not in seen]
                seen.update(site.function for site in callers)
                waiting += [(site, depth + 1) for site in callers]
        order = list(Ends)
        return min(found, key=lambda each: (order.index(each[0]), each[1]))

    def _tells(self, key: FunctionKey) -> bool:
        """Tell whether a function returns something to its caller."""
        steps = self._program.function(key).steps
        return any(isinstance(step, Return) and step.value != _NOTHING for step in steps)

    def _ends(self, at: CallSite) -> Ends:
        """Return what an error that a function does not handle ends in it."""
        flow, steps = self._program.flow(at.function), self._program.function(at.function).steps
        turn = [steps[each] for each in flow.steps_of(flow.cycle(flow.block_of(at.step)))]
        if any(isinstance(each, Await) for each in turn):
            return Ends.LOOP
        if any(isinstance(each, Next) for each in turn):
            return Ends.OTHERS
        return Ends.CONNECTION if self._closes_transport(at.function) else Ends.CALL

    def _closes_transport(self, key: FunctionKey) -> bool:
        cls = self._program.class_of(key)
        if cls is None:
            return False
        bases = self._effects.types.library_bases(cls)
        name = self._program.function(key).name
        overridden = self._effects.operations.knowledge.overridden(bases, name)
        return overridden is not None and overridden.error_closes

    def _caught(self, at: CallSite, raised: str) -> bool | None:
        """Tell whether an exception of a step is caught without a word; None if it is not caught here."""
        facts = self._facts_of(at.function)
        block = facts.flow.block_of(at.step)
        regions = facts.function.blocks[block].regions
        if any(facts.unwinding.absorbs(region, raised) is not Modality.NEVER for region in regions):
            return True
        for handler in self._handlers(facts, block):
            if facts.handlers.catches(handler, raised) is not Modality.NEVER:
                return self._is_silent(facts, handler)
        return None

    def _handlers(self, facts: Facts, block: int) -> Iterator[int]:
        """Yield the handlers that what is raised in a block may meet, innermost first."""
        seen: set[int] = set()
        waiting = [to for to in facts.flow.targets(block, ERROR) if to >= 0]
        while waiting:
            here = waiting.pop(0)
            if here in seen:
                continue
            seen.add(here)
            if any(isinstance(facts.function.steps[each], Catch) for each in facts.flow.steps(here)):
                yield here
                continue
            onward = ERROR | {Leaves.CAUGHT, Leaves.NORMAL}
            waiting += [to for to in facts.flow.targets(here, onward) if to >= 0]

    def _is_silent(self, facts: Facts, handler: int) -> bool:
        """Tell whether a handler does nothing at all, but leave the function or the turn."""
        dominance = facts.flow.dominance
        own = [each for each in range(len(facts.flow.blocks)) if dominance.dominates(handler, each)]
        for number in facts.flow.steps_of(own):
            match facts.function.steps[number]:
                case Catch() | Return(value=Const(kind="none")):
                    pass
                case _:
                    return False
        return True


def _is_mark(item: Expr) -> bool:
    """Tell whether an item is made of constants only, and says no more than that there is one."""
    return all(isinstance(part, Const | Build) for part in parts(item))
