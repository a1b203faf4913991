"""Which exceptions a context manager swallows: by the tables, by its exit or its generator's handlers."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.effects.operations import operands
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.flow.exits import ExitCode
from cancellint.analysis.flow.handlers import FORWARD, Handlers, Raised
from cancellint.analysis.library.exceptions import Modality, join, some
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Await,
    AwaitKind,
    Block,
    Call,
    Exit,
    Expr,
    Function,
    Leaves,
    Name,
    Op,
    Raise,
    Temp,
    Yield,
)
from cancellint.model.knowledge import Entry
from cancellint.model.types import Callee, FunctionKey, Instance, ProjectCallee

_DEEPEST = Limit(3, "context managers that enter or leave others")
"""Managers whose exit calls, or whose generator enters, other managers: how many levels are followed."""


class Manager(Struct, frozen=True):
    """A context manager as a function uses it: the value it enters, and the step that does."""

    key: FunctionKey
    value: Expr
    is_async: bool
    enter: int = -1


class Managers:
    """Answers for one program; what nobody knows is taken to swallow nothing, as nearly all do."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._program = effects.program
        self._exceptions = effects.operations.exceptions

    def swallows(self, manager: Manager, raised: Raised, depth: int = _DEEPEST) -> Modality:
        """Whether an exception of a class that travels through a `with` ends at its exit."""
        if depth == 0:
            _DEEPEST.reached()
            return Modality.MAY
        return join(self._swallows_one(each, raised, depth) for each in self._meant(manager))

    def _meant(self, manager: Manager) -> Iterator[Manager]:
        """Yield the managers that a variable or a choice between two may stand for."""
        waiting: list[tuple[Expr, int]] = [(manager.value, _DEEPEST)]
        while waiting:
            value, depth = waiting.pop()
            match value:
                case Op(op="ifexp", operands=(_, *parts)) if depth:
                    waiting.extend((part, depth - 1) for part in parts)
                case Name(id=name) if depth and (bound := self._bound(manager.key, name)):
                    waiting.extend((each, depth - 1) for each in bound)
                case _:
                    yield Manager(manager.key, value, manager.is_async, manager.enter)

    def _bound(self, key: FunctionKey, name: str) -> tuple[Expr, ...]:
        """Return the values of a variable that is bound by plain assignments in its function alone."""
        function = self._program.function(key)
        if name not in function.locals or any(param.name == name for param in function.params):
            return ()
        return tuple(
            step.value
            for step in function.steps
            if isinstance(step, Assign) and step.target == Name(name) and not step.op
        )

    def _swallows_one(self, manager: Manager, raised: Raised, depth: int) -> Modality:
        exits = tuple(self._effects.exits(manager.key, manager.value, is_async=manager.is_async))
        own = [each.key for each in exits if isinstance(each, ProjectCallee)]
        if own:
            return join(self._swallows_by_code(key, raised, depth) for key in own)
        by_table = self._swallows_by_table(manager, raised)
        return some((by_table, self._swallows_by_stack(manager, raised, depth)))

    # ----------------------------------------------------------------- tables

    def _swallows_by_table(self, manager: Manager, raised: Raised) -> Modality:
        made = tuple(self._made(manager.key, manager.value))
        if made:
            return join(self._by_entry(manager.key, entry, callee, raised) for callee, entry in made)
        found = (self._instance_swallows(option.cls) for option in self._instances(manager))
        return Modality.MAY if any(found) else Modality.NEVER

    def _made(self, key: FunctionKey, value: Expr) -> Iterator[tuple[Callee, Entry | None]]:
        """Yield what the tables say of the call that makes a context manager."""
        if isinstance(value, Temp) and isinstance(self._program.function(key).steps[value.step], Call):
            for callee in self._effects.types.callees(key, value.step):
                known = self._effects.operations.known(callee)
                yield callee, known.entry if known is not None else None

    def _by_entry(self, key: FunctionKey, entry: Entry | None, callee: Callee, raised: Raised) -> Modality:
        found: list[Modality] = []
        for each in entry.swallows if entry is not None else ():
            given = tuple(operands(entry, each, callee)) if entry is not None else ()
            if given:
                found.extend(self._exceptions.catches(key, given, one) for one in raised)
            elif "." in each:
                found.extend(self._exceptions.catches_class(each, one) for one in raised)
        return some(found)

    def _instances(self, manager: Manager) -> Iterator[Instance]:
        for option in options(self._effects.types.of(manager.key, manager.value)):
            if isinstance(option, Instance):
                yield option

    def _instance_swallows(self, cls: str) -> bool:
        """Tell whether objects of a class swallow something, nobody knows what."""
        names = (cls, *self._effects.types.library_bases(cls)) if self._program.cls(cls) else (cls,)
        entries = (self._effects.operations.knowledge.entry(name) for name in names)
        return any(entry is not None and entry.swallows for entry in entries)

    # ----------------------------------------------------------------- stacks of managers

    def _swallows_by_stack(self, manager: Manager, raised: Raised, depth: int) -> Modality:
        """Whether a manager that an exit stack has entered swallows; when it has, is not asked."""
        stacks = self._effects.operations.knowledge.stacks
        if not any(option.cls in stacks for option in self._instances(manager)):
            return Modality.NEVER
        found = (self.swallows(each, raised, depth - 1) for each in self._entered(manager))
        return Modality.MAY if any(verdict is not Modality.NEVER for verdict in found) else Modality.NEVER

    def _entered(self, manager: Manager) -> Iterator[Manager]:
        """Yield the managers that are put on a stack by the name that the `with` binds."""
        steps = self._program.function(manager.key).steps
        names = {manager.value} | {
            step.target for step in steps if isinstance(step, Assign) and step.value == Temp(manager.enter)
        }
        for number, step in enumerate(steps):
            if not isinstance(step, Call) or manager.enter < 0:
                continue
            for callee in self._effects.types.callees(manager.key, number):
                if callee.receiver not in names:
                    continue
                known = self._effects.operations.known(callee)
                if known is not None and known.entry.enters is not None:
                    for value in operands(known.entry, known.entry.enters, callee):
                        yield from (Manager(manager.key, value, way) for way in (False, True))

    # ----------------------------------------------------------------- code of the project

    def _swallows_by_code(self, key: FunctionKey, raised: Raised, depth: int) -> Modality:
        if self._program.function(key).is_generator:
            return self._swallows_by_generator(key, raised, depth)
        code = ExitCode(self._effects, key, raised)
        return join(self._verdict(key, each, raised, depth) for each in code.outcomes())

    def _verdict(self, key: FunctionKey, outcome: Modality | int, raised: Raised, depth: int) -> Modality:
        """What an exit's outcome says; a call of another exit is what that one says."""
        if isinstance(outcome, Modality):
            return outcome
        callees = self._effects.types.callees(key, outcome)
        own = [each.key for each in callees if isinstance(each, ProjectCallee)]
        if len(own) == len(callees) and depth > 1:
            return join(self._swallows_by_code(each, raised, depth - 1) for each in own)
        return Modality.MAY

    def _swallows_by_generator(self, key: FunctionKey, raised: Raised, depth: int) -> Modality:
        """Whether the generator function behind a `@contextmanager` ends normally after it is thrown in."""
        return _Thrown(self, self._effects, key, raised, depth).verdict()


class _Thrown:
    """A search over a generator from its `yield`s on, with an exception of one class travelling or not."""

    def __init__(
        self, managers: Managers, effects: Effects, key: FunctionKey, raised: Raised, depth: int
    ) -> None:
        self._managers = managers
        self._handlers = Handlers(effects, key)
        self._function = effects.program.function(key)
        self._exits = exits_of(self._function)
        self._key = key
        self._raised = raised
        self._depth = depth
        self._ends: set[Modality] = set()
        self._seen: set[tuple[int, bool]] = set()
        self._waiting: list[tuple[int, bool]] = []

    def verdict(self) -> Modality:
        for block in self._function.blocks:
            if self._ends_with(block, Yield):
                self._enter(block, frozenset({Leaves.RAISED}), travelling=True)
        while self._waiting:
            number, travelling = self._waiting.pop()
            block = self._function.blocks[number]
            if travelling:
                self._pass_on(number, block)
            elif self._ends_with(block, Raise):
                self._enter(block, frozenset({Leaves.RAISED}), travelling=True)
            elif not self._ends_with(block, Yield):  # to yield once more is an error of its own
                self._enter(block, FORWARD, travelling=False)
        return join(self._ends)

    def _ends_with(self, block: Block, kind: type) -> bool:
        return block.last > block.first and isinstance(self._function.steps[block.last - 1], kind)

    def _enter(self, block: Block, leaving: frozenset[Leaves], *, travelling: bool) -> None:
        for edge in block.edges:
            if edge.leaves in leaving:
                self._enter_block(edge.to, travelling=travelling and edge.leaves is not Leaves.RETURNED)

    def _enter_block(self, target: int, *, travelling: bool) -> None:
        if target < 0:
            self._ends.add(Modality.MUST if target == RETURN_EXIT else Modality.NEVER)
        elif (target, travelling) not in self._seen:
            self._seen.add((target, travelling))
            self._waiting.append((target, travelling))

    def _pass_on(self, number: int, block: Block) -> None:
        """Let the exception pass a block: to handlers, through an exit, or past the steps of a `finally`."""
        region = self._exits.get(number)
        if any(edge.leaves is Leaves.CAUGHT for edge in block.edges):
            self._dispatch(block)
        elif region is not None:
            manager = region_of(self._key, self._function, region)
            absorbed = self._managers.swallows(manager, self._raised, self._depth - 1)
            if absorbed is not Modality.NEVER:
                self._enter(block, frozenset({Leaves.ABSORBED}), travelling=False)
            if absorbed is not Modality.MUST:
                self._enter(block, frozenset({Leaves.RAISED}), travelling=True)
        elif any(edge.leaves in FORWARD for edge in block.edges):
            self._enter(block, FORWARD, travelling=True)
        else:
            self._enter(block, frozenset({Leaves.RAISED}), travelling=True)

    def _dispatch(self, block: Block) -> None:
        """Send the exception to the handlers that may catch it, and past them."""
        for edge in block.edges:
            caught = edge.leaves is Leaves.CAUGHT
            verdict = self._handlers.catches_some(edge.to, self._raised) if caught else Modality.MUST
            if verdict is not Modality.NEVER:
                self._enter_block(edge.to, travelling=not caught)
            if verdict is Modality.MUST:
                return
        self._ends.add(Modality.NEVER)


def region_of(key: FunctionKey, function: Function, region: int) -> Manager:
    """The context manager that a region of a function enters and leaves."""
    entered = function.regions[region]
    return Manager(key, entered.value, entered.is_async, entered.enter)


def exits_of(function: Function) -> dict[int, int]:
    """Return the region that is left, per block from which a swallowing edge may start."""
    found: dict[int, int] = {}
    for number, block in enumerate(function.blocks):
        last = function.steps[block.last - 1] if block.last > block.first else None
        match last:
            case Exit(region=region):
                found[number] = region
            case Await(kind=AwaitKind.EXIT, region=region):
                for edge in block.edges:
                    if edge.leaves is Leaves.RESUMED:
                        found[edge.to] = region
            case _:
                pass
    return found
