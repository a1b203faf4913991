"""What the expressions of the program are, and what its calls reach, over the whole project."""

from cancellint.analysis.program.program import Program
from cancellint.analysis.program.type_algebra import LibraryFacts
from cancellint.analysis.types.callees import Callees
from cancellint.analysis.types.inference import Inference
from cancellint.model import ir
from cancellint.model.types import Callee, FunctionKey, Type


class Types:
    """Infers types and callees. Flow-insensitive: a local is all that is assigned to it.

    Every answer is kept. Values that depend on each other are settled together.
    """

    def __init__(self, program: Program, knowledge: LibraryFacts) -> None:
        self._program = program
        self._inference = Inference(program, knowledge)
        self._callees = Callees(program)
        self._called: dict[tuple[FunctionKey, int], tuple[Callee, ...]] = {}

    def of(self, function: FunctionKey, expr: ir.Expr) -> Type:
        """The type of an expression of a function."""
        return self._inference.demand(lambda: self._inference.expression(function, expr))

    def attribute(self, cls: str, name: str) -> Type:
        """The type of a data attribute of a project class, over all its assignments and its bases'."""
        return self._inference.demand(lambda: self._inference.read_attribute(cls, name))

    def callees(self, function: FunctionKey, step: int) -> tuple[Callee, ...]:
        """What a call step may reach, at least one."""
        found = self._called.get((function, step))
        if found is None:
            call = self._inference.call_step(function, step)
            found = self._called[function, step] = self._callees.of(
                function, call, self.of(function, call.func)
            )
        return found

    def reached(self, function: FunctionKey, func: ir.Expr) -> tuple[Callee, ...]:
        """What calling a value would reach, at least one."""
        return self._callees.of(function, ir.Call(func, (), (), True), self.of(function, func))

    def annotated(self, function: FunctionKey, annotation: ir.Expr) -> Type:
        """The type that an annotation speaks of, in the frame of a function."""
        return self._inference.demand(lambda: self._inference.annotations.read(function, annotation))

    def awaited(self, function: FunctionKey, step: int) -> Type:
        """The type of the value that an await step awaits, enters, leaves or iterates over."""
        match self._program.function(function).steps[step]:
            case ir.Await(value):
                return self.of(function, value)
            case other:
                raise TypeError(f"step {step} of {self._program.symbol(function)} is no await: {other}")

    def enters(self, function: FunctionKey, step: int) -> Type:
        """The type of the context manager that a step enters or leaves."""
        match self._program.function(function).steps[step]:
            case ir.Enter(value) | ir.Exit(value) | ir.Await(value):
                return self.of(function, value)
            case other:
                raise TypeError(f"step {step} of {self._program.symbol(function)} enters nothing: {other}")

    def library_bases(self, cls: str) -> tuple[str, ...]:
        """The library classes a project class inherits from, by canonical name, nearest first."""
        return self._inference.uses.library_bases(cls)
