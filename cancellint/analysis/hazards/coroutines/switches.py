"""Code that a constant of the module switches off: `if SYNCHRONOUS:` where that is False."""

from cancellint.analysis.engine.graph import ENTRY
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.program.names import Value
from cancellint.analysis.program.program import Program
from cancellint.model.ir import Const, Edge, Expr, Leaves, Name, Op
from cancellint.model.types import FunctionKey

DEEPEST_TEST = Limit(10, "tests within a test of constants")


class Switches:
    """Knows which steps of a function no path comes to, as constants of modules stand."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def are_off(self, key: FunctionKey, number: int) -> bool:
        """Tell whether a step is never run because of a constant."""
        flow = self._program.flow(key)
        waiting, seen = [ENTRY], {ENTRY}
        while waiting:
            block = flow.blocks[waiting.pop()]
            fresh = {edge.to for edge in block.edges if edge.to >= 0 and self._is_on(key, block.test, edge)}
            waiting += fresh - seen
            seen |= fresh
        return flow.block_of(number) not in seen

    def _is_on(self, key: FunctionKey, test: Expr | None, edge: Edge) -> bool:
        if test is None or edge.leaves not in (Leaves.TRUE, Leaves.FALSE):
            return True
        holds = self._holds(key, test)
        return holds is None or holds == (edge.leaves is Leaves.TRUE)

    def _holds(self, key: FunctionKey, test: Expr, depth: int = DEEPEST_TEST) -> bool | None:
        """Return how a test comes out, None where nobody knows."""
        if not DEEPEST_TEST.leaves(depth):
            return None
        match test:
            case Name(id=name) if not self._program.scopes(key.module).scope(key.function, name):
                return self._constant(key, test)
            case Op(op="not", operands=(inner,)):
                holds = self._holds(key, inner, depth - 1)
                return None if holds is None else not holds
            case Op(op="and", operands=operands):
                return False if any(self._holds(key, each, depth - 1) is False for each in operands) else None
            case _:
                return None

    def _constant(self, key: FunctionKey, name: Name) -> bool | None:
        match self._program.denotes(key, name):
            case (Value(expr=Const(kind="bool", text=text)),):
                return text == "True"
            case _:
                return None
