"""What a step waits for in the end: calls of libraries, behind whatever calls of the project."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import FUTURE, Effects
from cancellint.analysis.effects.operations import Known
from cancellint.analysis.engine.graph import ENTRY
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.flow.facts import FactsOf
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import Await, AwaitKind, Expr, Temp
from cancellint.model.types import Callee, CallSite, FunctionKey, Instance, ProjectCallee

_DEEPEST = Limit(4, "calls on the way to a wait")
_MOST = Limit(12, "waits of one function that are told to its callers")


class LeafWait(Struct, frozen=True):
    """A library's call, or a future, that is waited for.

    `hops` are the awaits that lead there, the outermost first.
    """

    hops: tuple[CallSite, ...]
    known: Known | None
    """what is called, None of a future"""
    receiver: Expr | None
    """the object whose method it is, or the future, in terms of the function of the last hop"""
    surely: bool
    """every path that returns comes there"""

    @property
    def leaf(self) -> CallSite:
        """The place where it waits."""
        return self.hops[-1]


class LeafWaits:
    """Follows awaits down to the libraries."""

    def __init__(self, effects: Effects, facts_of: FactsOf) -> None:
        self._effects = effects
        self._facts_of = facts_of
        self._found: dict[FunctionKey, tuple[LeafWait, ...]] = {}

    def of_step(self, key: FunctionKey, step: int, depth: int = _DEEPEST) -> Iterator[LeafWait]:
        """Yield what an await of a function waits for; nothing that other tasks do for it."""
        node = self._effects.program.function(key).steps[step]
        if not isinstance(node, Await) or node.kind is AwaitKind.EXIT:
            return
        here = CallSite(key, step)
        for callee in self._callees(key, step, node):
            if isinstance(callee, ProjectCallee):
                for each in self._of_function(callee.key, depth - 1) if _DEEPEST.leaves(depth) else ():
                    if here not in each.hops:
                        yield LeafWait((here, *each.hops), each.known, each.receiver, each.surely)
                continue
            known = self._effects.operations.known(callee)
            if known is not None:
                yield LeafWait((here,), known, callee.receiver, True)
        if not isinstance(node.value, Temp) and self._is_future(key, node.value):
            yield LeafWait((here,), None, node.value, True)

    def _is_future(self, key: FunctionKey, value: Expr) -> bool:
        found = options(self._effects.types.of(key, value))
        return any(isinstance(each, Instance) and each.cls == FUTURE for each in found)

    def _callees(self, key: FunctionKey, step: int, node: Await) -> Iterator[Callee]:
        if node.kind in (AwaitKind.ENTER, AwaitKind.NEXT):
            yield from self._effects.implicit_callees(key, node.value, node.kind)
            return
        operations = self._effects.awaited(key, step)
        for operation in operations:
            if operation.site.function == key and not operation.task:
                yield operation.callee
        if not operations:
            yield from self._effects.implicit_callees(key, node.value, node.kind)

    def _of_function(self, key: FunctionKey, depth: int) -> tuple[LeafWait, ...]:
        if key not in self._found:
            self._found[key] = ()  # what comes back to itself waits for nothing new
            self._found[key] = tuple(_MOST.first(self._in_function(key, depth)))
        return self._found[key]

    def _in_function(self, key: FunctionKey, depth: int) -> Iterator[LeafWait]:
        facts = self._facts_of(key)
        for block, step in facts.awaits():
            surely = facts.before_return.dominates(block, ENTRY)
            for each in self.of_step(key, step, depth):
                yield LeafWait(each.hops, each.known, each.receiver, each.surely and surely)
