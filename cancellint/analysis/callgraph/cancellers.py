"""Who can cancel a function while it waits, and whether anything is left then that could suffer from it.

A search from the function outwards: over those who call it, to races, scopes and groups around a call, to the
cancel sites of the task it runs in, and to names that users of the program can call.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.callgraph.exposure import Exposure
from cancellint.analysis.callgraph.function_uses import FunctionUses, Reference, Use, hands_on
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import Known, pendings
from cancellint.analysis.engine.graph import ALL, ERROR, NORMAL
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.reachability import after_block, may_follow
from cancellint.analysis.program.expressions import decorating
from cancellint.analysis.program.type_algebra import options
from cancellint.model.finding import Canceller, Confidence
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Build,
    Call,
    Enter,
    Expr,
    Item,
    Name,
    Return,
    Step,
    Temp,
)
from cancellint.model.knowledge import RaceKind, Role
from cancellint.model.types import (
    CallSite,
    ClassObject,
    FunctionKey,
    Instance,
    LibraryCallee,
    LibraryFunction,
    ProjectCallee,
    ProjectFunction,
    UnresolvedCallee,
)

MOST_FUNCTIONS = Limit(200, "functions between a cancellation and whoever cancels")
"""Functions that are looked at outwards from one; beyond them nothing is known."""
MOST_FACTORIES = Limit(2, "functions that make an object for one another")
"""Functions that make an object for one another, through which it is followed."""
_ON_CALLABLES = ("functools.", "builtins.")
"""Libraries whose functions make something of a callable, or look at it, and do not call it back."""
_CANCELS = (RaceKind.CANCELS_RAISES, RaceKind.CANCELS_FALLS_THROUGH)
_STARTS = frozenset({Role.SPAWNS, Role.SERVES})
"""What runs a coroutine or function that it is given in a task of its own."""


class Cancellation(Struct, frozen=True):
    """How a function can be cancelled. `site` is the step that does it, or a public function (step -1).

    `construct` is the library's name of a race.
    """

    canceller: Canceller
    site: CallSite | None = None
    construct: str = ""


NOBODY = Cancellation(Canceller.NONE_KNOWN)


class _Place(Struct, frozen=True):
    """A function on the way outwards. `owned`: what suffers hangs on the object whose method it is.

    `suffers` is the class of what suffers, None where that is no object of the program's own.
    """

    key: FunctionKey
    owned: bool
    suffers: str | None


class Cancellers:
    """Finds, for any function, who cancels it; solved when asked for, once."""

    def __init__(self, effects: Effects, uses: FunctionUses, exposure: Exposure) -> None:
        self._effects = effects
        self._program = effects.program
        self._uses = uses
        self._exposure = exposure
        self._found: dict[_Place, Cancellation] = {}

    def of(self, key: FunctionKey, *, owned: bool = True, steps: Iterable[int] = ()) -> Cancellation:
        """Return the canceller of a function that leaves most behind.

        `owned` tells that what suffers belongs to the object whose method the function is, and does not
        matter where that object dies with the one who cancels. `steps` are those the claim is about: a
        timeout around all of them, in the function itself, counts.
        """
        here = self._around(key, tuple(steps))
        if here is not None and here.canceller is Canceller.RACE:
            return here
        place = _Place(key, owned, self._program.class_of(key) if owned else None)
        if place not in self._found:
            self._found[place] = self._search(place)
        return min((each for each in (here, self._found[place]) if each is not None), key=_rank)

    def cancel_sites(self, key: FunctionKey) -> Iterator[Cancellation]:
        """Yield the cancel sites of the tasks that a function runs in, nearest first."""
        waiting = [key]
        seen = {key}
        while waiting and not MOST_FUNCTIONS.is_exceeded_by(len(seen)):
            for reference in self._uses.of(waiting.pop(0)):
                site = reference.site
                yield from self._cancelled_as_task(site)
                awaited = reference.use is Use.IMPLICIT or self._uses.waiting_for(site) >= 0
                if awaited and site.function not in seen:
                    seen.add(site.function)
                    waiting.append(site.function)

    def times_out(self, key: FunctionKey) -> bool:
        """Tell whether a function itself gives up waiting after some time."""
        awaits = (at for at, step in enumerate(self._program.function(key).steps) if isinstance(step, Await))
        return any(self._gives_up(key, number) for number in awaits)

    def _gives_up(self, key: FunctionKey, await_: int) -> bool:
        race = self._effects.of(key, await_).race
        if race is not None and race.kind in _CANCELS:
            return True
        around = self._around(key, (await_,))
        return around is not None and around.canceller is Canceller.RACE

    def _search(self, start: _Place) -> Cancellation:
        best = NOBODY
        waiting = [start]
        seen = {start}
        while waiting and not MOST_FUNCTIONS.is_exceeded_by(len(seen)):
            place = waiting.pop(0)
            for found in self._arriving(place):
                if isinstance(found, _Place):
                    if found not in seen:
                        seen.add(found)
                        waiting.append(found)
                elif found.canceller.rank < best.canceller.rank:
                    best = found
            if best.canceller.confidence is Confidence.CERTAIN:
                break
        return best

    def _arriving(self, place: _Place) -> Iterator[_Place | Cancellation]:
        """Yield the cancellations that begin at the uses of a function, and functions they come through."""
        for reference in self._uses.of(place.key):
            yield from self._through(place, reference)
        served = self._served_by(place.key)
        if served is not None:
            yield Cancellation(Canceller.FRAMEWORK, CallSite(place.key, -1), served)
        if self._is_public(place.key):
            yield Cancellation(Canceller.PUBLIC, CallSite(place.key, -1))

    def _is_public(self, key: FunctionKey) -> bool:
        """Tell whether users may call a function.

        What other modules of the program call, what it gives to a library that calls it, and what lies in
        an internal module is the program's own affair, unless a package exports it; and so is any function
        outside of classes that the program uses at all, in a package that exports other things.
        """
        if not self._exposure.is_nameable(key) or self._exposure.is_registered(key):
            return False
        if self._exposure.is_exported(key):
            return True
        if self._exposure.is_internal(key.module) or self._exposure.is_of_an_application(key.module):
            return False
        is_function = self._program.class_of(key) is None
        is_passed_over = is_function and self._exposure.declares_api(key.module)
        return not any(
            self._is_handed_over(reference)
            if reference.use is Use.GIVEN
            else is_passed_over or reference.site.function.module != key.module
            for reference in self._uses.of(key)
        )

    def _is_handed_over(self, reference: Reference) -> bool:
        """Tell whether a function is given to a library, which calls it: a route, a subscription."""
        site = reference.site
        return any(
            isinstance(callee, UnresolvedCallee)
            or (isinstance(callee, LibraryCallee) and not callee.name.startswith(_ON_CALLABLES))
            for callee in self._effects.types.callees(site.function, site.step)
        )

    # ------------------------------------------------------------------ frameworks

    def _served_by(self, key: FunctionKey) -> str | None:
        """Return what makes a function answer requests: a decorator, or the method that it overrides."""
        function = self._program.function(key)
        scope = self._program.around(key)
        for decorator in function.decorators:
            for option in options(self._effects.types.of(scope, decorating(decorator))):
                if isinstance(option, LibraryFunction) and self._serves(option.name):
                    return option.name
        cls = self._program.class_of(key)
        bases = self._effects.types.library_bases(cls) if cls is not None and function.cls >= 0 else ()
        overridden = (f"{base}.{function.name}" for base in bases)
        return next((name for name in overridden if self._serves(name)), None)

    def _serves(self, name: str) -> bool:
        entry = self._effects.operations.knowledge.entry(name)
        return entry is not None and Role.SERVES in entry.roles

    # ------------------------------------------------------------------ one use

    def _through(self, place: _Place, reference: Reference) -> Iterator[_Place | Cancellation]:
        site = reference.site
        owned = place.owned and self._is_own(site.function, reference.receiver)
        caller = _Place(site.function, owned, place.suffers)
        awaited = site.step if reference.use is Use.IMPLICIT else self._uses.waiting_for(site)
        made_here = place.owned and self._is_made_for_itself(reference)
        for found in self._cancelled_as_task(site):
            if not made_here or self._is_used_after(reference, found):
                yield found
        started = self._started(site) if reference.use is not Use.IMPLICIT else None
        if started is not None:
            yield from self._as_task(site, started)
        elif awaited >= 0 and not self._is_shielded(site, awaited):
            for found in self._while_awaited(site, awaited):
                if made_here and not self._is_used_after(reference, found):
                    continue
                if place.suffers is None or not self._is_closed_after(found, place.suffers):
                    yield found
            if not made_here:
                yield caller
        elif reference.use is Use.CALLED and hands_on(self._program.function(site.function), site.step):
            yield caller

    def _while_awaited(self, site: CallSite, awaited: int) -> Iterator[Cancellation]:
        """Yield the race or group that a call is awaited in."""
        race = self._effects.of(site.function, awaited).race
        if race is not None and race.kind in _CANCELS:
            yield Cancellation(Canceller.RACE, CallSite(site.function, awaited), race.name)
        around = self._around(site.function, (awaited,))
        if around is not None:
            yield around

    def _around(self, key: FunctionKey, steps: tuple[int, ...]) -> Cancellation | None:
        """Return the timeout, or else the group, whose body all the steps lie in."""
        if not steps or any(step < 0 for step in steps):
            return None
        function, flow = self._program.function(key), self._program.flow(key)
        common = frozenset.intersection(
            *(frozenset(flow.blocks[flow.block_of(step)].regions) for step in steps)
        )
        found: list[Cancellation] = []
        for region in sorted(common):
            known = self._effects.body_race(key, function.regions[region].value)
            if known is not None:
                scope = known.entry.race is RaceKind.SCOPE
                site = CallSite(key, function.regions[region].enter)
                found.append(Cancellation(Canceller.GROUP if scope else Canceller.RACE, site, known.name))
        return min(found, key=_rank, default=None)

    def _is_shielded(self, site: CallSite, awaited: int) -> bool:
        step = self._program.function(site.function).steps[awaited]
        if not isinstance(step, Await) or step.kind is not AwaitKind.EXPRESSION:
            return False
        return any(
            each.site == site and each.shielded for each in self._effects.awaited(site.function, awaited)
        )

    # ------------------------------------------------------------------ tasks

    def _started(self, site: CallSite) -> Known | None:
        """Return what starts the coroutine of a call, or the function it is given, as a task of its own."""
        for step in (site.step, *self._given_to(site)):
            for callee in self._effects.types.callees(site.function, step):
                known = self._effects.operations.known(callee)
                if known is None:
                    continue
                roles = known.entry.roles
                if not _STARTS.isdisjoint(roles) or (Role.BLOCKS in roles and step != site.step):
                    return known
        return None

    def _given_to(self, site: CallSite) -> Iterator[int]:
        """Yield the calls of the same function that are given the outcome of a call, or a list of it."""
        for number, step in enumerate(self._program.function(site.function).steps):
            if number > site.step and isinstance(step, Call):
                values = (*step.args, *(value for _, value in step.keywords))
                if any(_has(value, Temp(site.step)) for value in values):
                    yield number

    def _as_task(self, site: CallSite, started: Known) -> Iterator[Cancellation]:
        if Role.SERVES in started.entry.roles:
            yield Cancellation(Canceller.FRAMEWORK, site, started.name)
            return
        owner = self._effects.operations.knowledge.entry(started.name.rpartition(".")[0])
        if owner is not None and owner.race is RaceKind.SCOPE:
            yield Cancellation(Canceller.GROUP, None, started.name)

    def _cancelled_as_task(self, site: CallSite) -> Iterator[Cancellation]:
        """Yield the cancel sites of the task that runs a call."""
        for at in self._cancel_sites.get(site, ()):
            yield Cancellation(self._kind_of(at, site), at)

    def _kind_of(self, at: CallSite, made: CallSite) -> Canceller:
        if at.function == made.function:
            again = self._is_replaced(at, made)
            return Canceller.CANCEL_SITE if again else Canceller.GROUP
        if not self._is_closing(at.function):
            return Canceller.CANCEL_SITE
        return Canceller.CANCEL_SITE if self._goes_on(at.function, made) else Canceller.OWNER_ENDS

    def _is_replaced(self, at: CallSite, made: CallSite) -> bool:
        """Tell whether a function cancels a task before it starts the next one."""
        return at.step < made.step and isinstance(self._receiver(at), Attr | Item)

    def _receiver(self, at: CallSite) -> Expr | None:
        step = self._program.function(at.function).steps[at.step]
        return step.func.base if isinstance(step, Call) and isinstance(step.func, Attr) else None

    def _is_closing(self, key: FunctionKey) -> bool:
        """Tell whether a function is named like one that ends something for good."""
        words = self._program.function(key).name.strip("_").split("_")
        return (
            words[0] in self._effects.conventions.cleans_up
            or words[-1] in self._effects.conventions.cleans_up
        )

    def _goes_on(self, closing: FunctionKey, made: CallSite) -> bool:
        """Tell whether somebody ends the task and starts it again after that: a restart, a reconnect."""
        return any(
            may_follow(self._program.flow(reference.site.function), reference.site.step, number)
            for reference in self._uses.of(closing)
            for number in self._starts(reference.site.function, made)
        )

    def _starts(self, key: FunctionKey, made: CallSite) -> Iterator[int]:
        """Yield the steps of a function that start a task, or call the function that does."""
        if key == made.function:
            yield made.step
        for number, step in enumerate(self._program.function(key).steps):
            if isinstance(step, Call) and any(
                isinstance(callee, ProjectCallee) and callee.key == made.function
                for callee in self._effects.types.callees(key, number)
            ):
                yield number

    @cached_property
    def _cancel_sites(self) -> dict[CallSite, list[CallSite]]:
        """Where the tasks of calls are cancelled."""
        found: dict[CallSite, list[CallSite]] = {}
        for at in self._program.calls.called.get("cancel", ()):
            receiver = self._receiver(at)
            for pending in pendings(self._effects.types.of(at.function, receiver)) if receiver else ():
                if pending.task:
                    found.setdefault(pending.site, []).append(at)
        return found

    # ------------------------------------------------------------------ survival

    def _is_used_after(self, reference: Reference, found: Cancellation) -> bool:
        """Tell whether a function goes on to use an object of its own when it has cancelled a call on it."""
        key, site = reference.site.function, found.site
        if site is None or site.function != key:
            return True
        flow = self._program.flow(key)
        steps = self._program.function(key).steps
        at = steps[site.step]
        lost = isinstance(at, Await) and at.kind is AwaitKind.EXPRESSION
        after = after_block(flow, flow.block_of(site.step), ERROR if lost else ALL)
        following = range(site.step + 1, flow.steps(flow.block_of(site.step)).stop)
        return any(
            self._goes_on_with(steps[number], reference.receiver)
            for number in (*following, *flow.steps_of(after))
        )

    def _is_closed_after(self, found: Cancellation, cls: str) -> bool:
        """Tell whether a function that gives up waiting for a call closes an object of a class for that."""
        at = found.site
        if at is None or found.canceller is not Canceller.RACE:
            return False
        flow, steps = self._program.flow(at.function), self._program.function(at.function).steps
        block = flow.block_of(at.step)
        given_up = after_block(flow, block, ERROR, avoiding=(block, *flow.targets(block, NORMAL)))
        return any(self._is_closed_at(at.function, steps[number], cls) for number in flow.steps_of(given_up))

    def _is_closed_at(self, key: FunctionKey, step: Step, cls: str) -> bool:
        match step:
            case Call(func=Attr(base=base, name=name)) if name in self._effects.conventions.closes:
                found = options(self._effects.types.of(key, base))
                return any(isinstance(each, Instance) and each.cls == cls for each in found)
            case _:
                return False

    def _goes_on_with(self, step: Step, receiver: Expr | None) -> bool:
        """Tell whether a call is one of a method that does not end its object."""
        match step:
            case Call(func=Attr(base=base, name=name)):
                return base == receiver and name not in self._effects.conventions.closes
            case _:
                return False

    def _is_made_for_itself(self, reference: Reference) -> bool:
        """Tell whether the object whose method runs is one that the caller has made for itself alone."""
        key = reference.site.function
        receiver = reference.receiver
        if not isinstance(receiver, Name):
            return isinstance(receiver, Temp) and self._constructs(key, receiver)
        frame = self._effects.frame(key)
        made = frame.value_of(receiver.id)
        if not isinstance(made, Temp) or not self._constructs(key, made):
            return False
        steps, flow = self._program.function(key).steps, self._program.flow(key)
        return not any(
            self._is_let_out(step, receiver) and may_follow(flow, number, reference.site.step)
            for number, step in enumerate(steps)
        )

    def _constructs(self, key: FunctionKey, made: Temp, calls: int = MOST_FACTORIES) -> bool:
        """Tell whether a step makes a new object, be it by a function, or enters one that it leaves again."""
        step = self._program.function(key).steps[made.step]
        if isinstance(step, Enter) or (isinstance(step, Await) and step.kind is AwaitKind.ENTER):
            return True
        if isinstance(step, Await) and isinstance(step.value, Temp):
            return self._constructs(key, step.value, calls)
        if not isinstance(step, Call):
            return False
        found = options(self._effects.types.of(key, step.func))
        return bool(found) and all(
            isinstance(each, ClassObject)
            or (isinstance(each, ProjectFunction) and calls > 0 and self._returns_new(each.key, calls - 1))
            for each in found
        )

    def _returns_new(self, key: FunctionKey, calls: int) -> bool:
        """Tell whether all that a function returns are objects that it has made and let nobody else have."""
        function, frame = self._program.function(key), self._effects.frame(key)
        returned = [step.value for step in function.steps if isinstance(step, Return)]
        for value in returned:
            made = frame.value_of(value.id) if isinstance(value, Name) else value
            if not isinstance(made, Temp) or not self._constructs(key, made, calls):
                return False
            if isinstance(value, Name) and any(self._is_let_out(step, value) for step in function.steps):
                return False
        return bool(returned)

    def _is_let_out(self, step: object, name: Name) -> bool:
        """Tell whether a step stores an object where others find it, or gives it to a call."""
        match step:
            case Assign(target=Attr() | Item(), value=value):
                return _has(value, name)
            case Call(args=args, keywords=keywords):
                return any(_has(value, name) for value in (*args, *(value for _, value in keywords)))
            case _:
                return False

    def _is_own(self, key: FunctionKey, receiver: Expr | None) -> bool:
        """Tell whether an object is the caller's own `self`, or hangs on it."""
        params = self._program.function(key).params
        while isinstance(receiver, Attr | Item):
            receiver = receiver.base
        return bool(params) and self._program.class_of(key) is not None and receiver == Name(params[0].name)


def _rank(cancellation: Cancellation) -> int:
    return cancellation.canceller.rank


def _has(value: Expr, wanted: Expr) -> bool:
    """Tell whether a value is an expression, or a container written in place that holds it."""
    if value == wanted:
        return True
    return isinstance(value, Build) and any(_has(item, wanted) for item in value.items)
