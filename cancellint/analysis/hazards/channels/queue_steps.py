"""What the functions of a program put into queues, and what they take out of them."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from cancellint.analysis.callgraph.function_uses import FunctionUses
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.hazards.channels.objects import Meant, Objects
from cancellint.model.ir import Assign, Attr, Await, AwaitKind, Call, Const, Expr, Name, Op, Temp
from cancellint.model.knowledge import SourceKind
from cancellint.model.types import CallSite, FunctionKey

PUTS = ("put", "put_nowait")
_GETS = ("get", "get_nowait")
_NOTHING = Const("none", "None")


class Put(Struct, frozen=True):
    """A step that puts `item` into a queue, or has the event loop do so."""

    at: CallSite
    queue: Expr
    item: Expr


class Get(Struct, frozen=True):
    """The step whose outcome is an item of a queue: an await, or the call itself."""

    at: CallSite
    queue: Expr
    is_plain: bool
    """it is an await of the queue itself, and of nothing round it"""

    @property
    def key(self) -> FunctionKey:
        return self.at.function

    @property
    def item(self) -> Expr:
        return Temp(self.at.step)


class QueueSteps:
    """Finds them by name first, and asks the types then."""

    def __init__(self, effects: Effects, uses: FunctionUses) -> None:
        self._effects = effects
        self._program = effects.program
        self._objects = Objects(effects, uses)

    def meant(self, key: FunctionKey, queue: Expr) -> Meant:
        """Return which queue an expression means."""
        return self._objects.meant(key, queue)

    def may_be(self, meant: Meant, step: Put | Get) -> bool:
        """Tell whether a step may use one of the queues that something means."""
        return not meant.isdisjoint(self.meant(step.at.function, step.queue))

    @cached_property
    def puts(self) -> Mapping[FunctionKey, tuple[Put, ...]]:
        """What is put, by function."""
        found: dict[FunctionKey, list[Put]] = {}
        for put in (*self._called(), *self._handed_over()):
            if self.is_queue(put.at.function, put.queue):
                found.setdefault(put.at.function, []).append(put)
        return {key: tuple(sorted(puts, key=lambda put: put.at)) for key, puts in found.items()}

    @cached_property
    def gets(self) -> Mapping[FunctionKey, tuple[Get, ...]]:
        """What is taken, by function."""
        found: dict[FunctionKey, list[Get]] = {}
        for site in self._program.calls.of_any(_GETS):
            match self._program.function(site.function).steps[site.step]:
                case Call(func=Attr(base=queue, name=name), args=args) if name != "get" or not args:
                    if self.is_queue(site.function, queue):
                        found.setdefault(site.function, []).append(self._get(site, queue))
                case _:
                    pass
        return {key: tuple(gets) for key, gets in found.items()}

    def is_queue(self, key: FunctionKey, expr: Expr) -> bool:
        """Tell whether an expression is known to be a queue."""
        return self._objects.is_of(key, expr, self._is_queue_class)

    def _is_queue_class(self, cls: str) -> bool:
        entry = self._effects.operations.knowledge.entry(cls)
        if entry is None:
            return False
        return entry.source is SourceKind.QUEUE or any(map(self._is_queue_class, entry.bases))

    def _called(self) -> Iterator[Put]:
        for site in self._program.calls.of_any(PUTS):
            match self._program.function(site.function).steps[site.step]:
                case Call(func=Attr(base=queue), args=(item, *_)):
                    yield Put(site, queue, item)
                case _:
                    pass

    def _handed_over(self) -> Iterator[Put]:
        """Yield the calls that have the event loop put something: `call_soon_threadsafe(q.put_nowait, x)`."""
        for name in PUTS:
            for site, value in self._program.calls.given.get(name, ()):
                step = self._program.function(site.function).steps[site.step]
                if isinstance(step, Call) and isinstance(value, Attr) and value in step.args[:-1]:
                    yield Put(site, value.base, step.args[step.args.index(value) + 1])

    def _get(self, site: CallSite, queue: Expr) -> Get:
        for number, step in enumerate(self._program.function(site.function).steps):
            if isinstance(step, Await) and step.kind is AwaitKind.EXPRESSION:
                if step.value == Temp(site.step):
                    return Get(CallSite(site.function, number), queue, True)
                if any(each.site == site for each in self._effects.awaited(site.function, number)):
                    return Get(CallSite(site.function, number), queue, False)
        return Get(site, queue, False)

    def endings(self, get: Get) -> Iterator[Expr]:
        """Yield what an item is compared with by tests that leave the loop in which it is taken."""
        function, flow = self._program.function(get.key), self._program.flow(get.key)
        loop = flow.loop_of(flow.block_of(get.at.step))
        if loop is None:
            return
        got = {get.item}
        got.update(
            step.target for step in function.steps if isinstance(step, Assign) and step.value == get.item
        )
        for number in sorted(loop.blocks):
            block = flow.blocks[number]
            end = self._compared(get.key, block.test, got) if block.test is not None else None
            if end is not None and any(each.to not in loop.blocks for each in block.edges):
                yield end

    def _compared(self, key: FunctionKey, test: Expr, got: set[Expr]) -> Expr | None:
        """Return what a test compares one of some expressions with, be it a class."""
        match test:
            case Op(op="is" | "is not" | "==" | "!=" | "match", operands=(one, end)) if one in got:
                return end
            case Op(op="not", operands=(inner,)):
                return _NOTHING if inner in got else self._compared(key, inner, got)
            case Temp(step=step) if test not in got:
                match self._program.function(key).steps[step]:
                    case Call(func=Name(id="isinstance"), args=(one, kind)) if one in got:
                        return kind
                    case _:
                        return None
            case Name() | Temp() if test in got:
                return _NOTHING
            case _:
                return None

    def is_ending(self, get: Get, put: Put) -> bool:
        """Tell whether what is put ends the loop that takes it: it is the mark, or of the class."""
        for end in self.endings(get):
            if end == put.item and (isinstance(end, Const) or get.key.module == put.at.function.module):
                return True
            made = self._made(put)
            if made is not None and made == self._named(get.key, end):
                return True
        return False

    def _made(self, put: Put) -> object:
        """Return what is called to make what is put."""
        step = (
            self._program.function(put.at.function).steps[put.item.step]
            if isinstance(put.item, Temp)
            else None
        )
        return self._named(put.at.function, step.func) if isinstance(step, Call) else None

    def _named(self, key: FunctionKey, expr: Expr) -> object:
        found = self._program.denotes(key, expr)
        return found[0] if len(found) == 1 else None
