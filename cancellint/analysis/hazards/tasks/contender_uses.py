"""What single steps, and the bodies of loops, do with a task that others are waited for together with."""

from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.hazards.tasks.contenders import (
    CHOICES,
    COPIES,
    FILLS,
    VIEWS,
    Carrier,
    Carriers,
    Contenders,
    Part,
    Waiting,
    is_own_container,
    meaning,
)
from cancellint.analysis.program.expressions import last_name, names_in
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Build,
    Call,
    Closure,
    Element,
    Enter,
    Expr,
    Item,
    Leaves,
    Name,
    Op,
    Return,
    Star,
    Step,
    Temp,
    Yield,
)

_LEAVES_ALONE = FILLS | VIEWS | {"discard", "remove", "clear", "difference_update", "intersection"}
_ASKS = frozenset({"done", "cancelled", "get_name", "set_name", "get_coro", "remove_done_callback"})
_OUTCOMES = frozenset({"result", "exception"})


class Use(Struct, frozen=True):
    """What one step does with a task."""

    settles: bool = False
    """it is dealt with"""
    starts: bool = False
    """the coroutine becomes a task"""
    loop: int = -1
    """the loop whose item is dealt with"""


NOTHING = Use()
SETTLED = Use(settles=True)


class ContenderUses:
    """Reads the steps of one function."""

    def __init__(self, contenders: Contenders, facts: Facts) -> None:
        self._contenders = contenders
        self._facts = facts
        self._function = facts.function

    def of(self, number: int, carriers: Carriers, started: bool) -> Use:
        """Return what a step does with the task that `carriers` lead to."""
        step = self._function.steps[number]
        match step:
            case Call():
                return self._called(number, step, carriers, started)
            case Assign(target=target, value=value):
                return self._assigned(target, value, carriers)
            case Return(value=value) | Yield(value=value) | Enter(value=value):
                return SETTLED if self.has(value, carriers) else NOTHING
            case Await(value=value, kind=AwaitKind.ENTER):
                return SETTLED if self.has(value, carriers) else NOTHING
            case _:
                return NOTHING

    def has(self, expr: Expr, carriers: Carriers) -> bool:
        """Tell whether an expression is the task, or has it, so that it may be unfinished."""
        return any(found.part not in (Part.DONE, Part.OUTCOME) for found in self.within(expr, carriers))

    def within(self, expr: Expr, carriers: Carriers) -> Iterator[Carrier]:
        """Yield what an expression and its parts mean to the task, closures included."""
        waiting = [expr]
        while waiting:
            current = waiting.pop()
            found = meaning(current, carriers)
            if found is not None:
                yield found
                continue
            match current:
                case Attr(base=value) | Element(value=value) | Star(value=value):
                    waiting.append(value)
                case Item(base=base, key=key):
                    waiting.extend((base, key))
                case Op(operands=parts) | Build(items=parts):
                    waiting.extend(parts)
                case _:
                    pass

    # ----------------------------------------------------------------- one step

    def _called(self, number: int, call: Call, carriers: Carriers, started: bool) -> Use:
        waiting = self._contenders.waiting(self._facts.key, number)
        given = (*call.args, *(value for _, value in call.keywords))
        if waiting is not None:
            begun = any(self.has(value, carriers) for value in waiting[1])
            if begun and not started and waiting[0] in (Waiting.LIMIT, Waiting.SHIELD):
                return SETTLED
            return Use(starts=begun)
        if isinstance(call.func, Attr):
            found = meaning(call.func.base, carriers)
            if found is not None and found.part not in (Part.DONE, Part.OUTCOME, Part.GROUP):
                return _method(call.func.name, found)
        if not any(self.has(value, carriers) for value in given):
            return NOTHING
        if self._contenders.is_same_task(self._facts.key, number):
            return NOTHING if started else SETTLED
        return NOTHING if self.only_looks(number, call) else SETTLED

    def only_looks(self, number: int, call: Call) -> bool:
        """Tell whether a call keeps nothing of what it is given, and does nothing to it."""
        if self._contenders.waiting(self._facts.key, number) is not None:
            return True
        match call.func:
            case Name(id=name) if name in COPIES or name in CHOICES:
                return True
            case Attr(base=Name(id=base), name=name) if name in _LEAVES_ALONE:
                return is_own_container(self._function, base)
            case func if last_name(func) == "cast":
                return True
            case _:
                return self._contenders.only_looks(self._facts.key, number)

    def _assigned(self, target: Expr, value: Expr, carriers: Carriers) -> Use:
        if not self.has(value, carriers):
            match target:
                case Item(base=Name(id=name), key=key) if self.has(key, carriers):
                    return NOTHING if is_own_container(self._function, name) else SETTLED
                case _:
                    return NOTHING
        match target:
            case Name(id=name) | Item(base=Name(id=name)):
                mine = is_own_container(self._function, name) and name not in self._read_by_closures
                return NOTHING if mine else SETTLED
            case _:
                return SETTLED

    @cached_property
    def _read_by_closures(self) -> frozenset[str]:
        """Variables that functions nested in this one read."""
        found: set[str] = set()
        waiting = list(_closures(self._function.steps))
        while waiting:
            nested = self._facts.frame.nested(waiting.pop())
            for step in nested.steps:
                for expr in _expressions(step):
                    found.update(names_in(expr))
            waiting.extend(_closures(nested.steps))
        return frozenset(found)

    # ----------------------------------------------------------------- loops

    def cleans(self, loop: int) -> bool:
        """Tell whether the body of a loop cancels its items or hands them on."""
        items: set[Expr] = {Temp(loop)}
        for number in self._body(loop):
            match self._function.steps[number]:
                case Assign(target=Name() as target, value=Temp(step=made) | Element(value=Temp(step=made))):
                    if made == loop:
                        items.add(target)
                case Call(func=Attr(base=base, name="cancel" | "add_done_callback")) if base in items:
                    return True
                case Call(args=args) as call if items.intersection(args):
                    if not self.only_looks(number, call):
                        return True
                case Assign(target=Attr() | Item(), value=value) if value in items:
                    return True
                case _:
                    pass
        return False

    def _body(self, loop: int) -> Iterator[int]:
        """Yield the steps of a loop's body: those that an item has to be found for, by their numbers."""
        flow = self._facts.flow
        head = flow.block_of(loop)
        for first in flow.targets(head, NORMAL - {Leaves.EXHAUSTED}):
            if first >= 0 and first != head:
                yield from flow.steps_of(flow.dominance.dominated(first))


def _method(name: str, found: Carrier) -> Use:
    """What a method of a task, or of what waits for one, does to it."""
    if name in _ASKS:
        return NOTHING
    if found.part is Part.MEMBER and found.step >= 0:
        return Use(loop=found.step)
    if found.part is Part.WAITER and name in _OUTCOMES:
        return NOTHING
    return SETTLED


def _closures(steps: tuple[Step, ...]) -> Iterator[int]:
    """Yield the functions that steps make."""
    for step in steps:
        waiting = list(_expressions(step))
        while waiting:
            match waiting.pop():
                case Closure(function=function):
                    yield function
                case Op(operands=parts) | Build(items=parts):
                    waiting.extend(parts)
                case _:
                    pass


def _expressions(step: Step) -> tuple[Expr, ...]:
    match step:
        case Call(func=func, args=args, keywords=keywords):
            return (func, *args, *(value for _, value in keywords))
        case Assign(value=value) | Await(value=value) | Return(value=value) | Yield(value=value):
            return (value,)
        case Enter(value=value):
            return (value,)
        case _:
            return ()
