"""The inference proper: types of expressions and steps, each computed once, on demand."""

import enum
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from cancellint.analysis.engine.demand import Cells
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.program import containers
from cancellint.analysis.program.containers import FILLED_LATER, MAPPINGS
from cancellint.analysis.program.names import Denotation, External, Value
from cancellint.analysis.program.program import Program
from cancellint.analysis.program.type_algebra import (
    NONE,
    NOTHING,
    UNKNOWN,
    LibraryFacts,
    instance,
    instance_of,
    join,
    known,
    options,
    same,
    tuple_of,
    without_none,
)
from cancellint.analysis.types.annotations import TypeExpressions, no_operands
from cancellint.analysis.types.call_results import Calls
from cancellint.analysis.types.members import Members
from cancellint.analysis.types.protocols import ProtocolUses
from cancellint.analysis.types.returns import Results
from cancellint.analysis.types.variables import Variables
from cancellint.model import ir
from cancellint.model.types import (
    CallSite,
    ClassObject,
    FunctionKey,
    Instance,
    LibraryFunction,
    ModuleObject,
    NoneValue,
    ProjectFunction,
    TupleOf,
    Type,
)

_MAX_NESTING = Limit(30, "expressions within expressions")
"""An expression nested deeper than this is Unknown."""
_BOOLEAN_OPERATORS = frozenset(
    {"not", "==", "!=", "<", ">", "<=", ">=", "in", "not in", "is", "is not", "match"}
)


class _Kind(enum.IntEnum):
    LOCAL = 0
    """the local `name` of `function`"""
    OUTCOME = 1
    """the outcome of `step` of `function`"""
    RESULT = 2
    """what `function` returns"""
    YIELDED = 3
    """what `function` yields"""
    ATTRIBUTE = 4
    """the attribute `name` of instances of the class `owner`"""


class _Cell(Struct, frozen=True, gc=False, cache_hash=True):
    """One thing to infer, for the whole program."""

    kind: _Kind
    owner: str
    """a module, or the class of an ATTRIBUTE"""
    function: int = -1
    name: str = ""
    step: int = -1


class Inference:
    """Computes types of expressions, in the frame of the function they stand in.

    `NOTHING` is the type of what is still being computed, or never comes to be.
    """

    def __init__(self, program: Program, knowledge: LibraryFacts) -> None:
        self.program = self._program = program
        self.knowledge = self._knowledge = knowledge
        self.annotations = self._annotations = TypeExpressions(program, knowledge)
        self._cells: Cells[_Cell, Type] = Cells(self.compute, NOTHING, same)
        self._library_values: dict[str, Type] = {}
        self.variables = Variables(self)
        self.results = Results(self)
        self.uses = ProtocolUses(self)
        self.members = Members(self)
        self.calls = Calls(self)

    def demand(self, evaluate: Callable[[], Type]) -> Type:
        """What `evaluate` gives, which may ask for the types of expressions."""
        return known(self._cells.demand(evaluate))

    def compute(self, cell: _Cell) -> Type:
        match cell.kind:
            case _Kind.LOCAL:
                return self.variables.local(FunctionKey(cell.owner, cell.function), cell.name)
            case _Kind.OUTCOME:
                return self._outcome(FunctionKey(cell.owner, cell.function), cell.step)
            case _Kind.RESULT:
                return self.results.result(FunctionKey(cell.owner, cell.function))
            case _Kind.YIELDED:
                return self.results.yielded(FunctionKey(cell.owner, cell.function))
            case _Kind.ATTRIBUTE:
                return self.variables.attribute(cell.owner, cell.name)

    def read_local(self, key: FunctionKey, name: str) -> Type:
        return self._cells.read(_Cell(_Kind.LOCAL, key.module, key.function, name))

    def read_attribute(self, cls: str, name: str) -> Type:
        return self._cells.read(_Cell(_Kind.ATTRIBUTE, cls, name=name))

    def read_result(self, key: FunctionKey) -> Type:
        return self._cells.read(_Cell(_Kind.RESULT, key.module, key.function))

    def read_yielded(self, key: FunctionKey) -> Type:
        return self._cells.read(_Cell(_Kind.YIELDED, key.module, key.function))

    def expression(self, key: FunctionKey, expr: ir.Expr, nesting: int = 0) -> Type:
        match expr:
            case ir.Name(name):
                return self._name(key, name)
            case ir.Temp(step):
                return self._cells.read(_Cell(_Kind.OUTCOME, key.module, key.function, step=step))
            case ir.Const(kind):
                return NONE if kind == "none" else Instance(kind)
            case ir.Closure(index):
                return self._closure(key, FunctionKey(key.module, index))
            case ir.ClassRef(index):
                return ClassObject(self._program.class_name(key.module, index))
            case ir.Imported():
                return self.denoted(self._program.imported(key.module, expr))
            case _ if _MAX_NESTING.is_exceeded_by(nesting):
                return UNKNOWN
            case _:
                self._cells.descend()
                found = self._compound(key, expr, nesting + 1)
                self._cells.ascend()
                return found

    def _compound(self, key: FunctionKey, expr: ir.Expr, nesting: int) -> Type:
        match expr:
            case ir.Attr():
                return self.members.read(key, expr, nesting)
            case ir.Item():
                return self._subscript(key, expr, nesting)
            case ir.Op():
                return self._operation(key, expr, nesting)
            case ir.Build(kind, items):
                return self._display(key, kind, items, nesting)
            case ir.Element(value, index, starred):
                found = self.expression(key, value, nesting)
                return join(self._part(option, index, starred) for option in options(found))
            case ir.Star(value):
                return self.expression(key, value, nesting)
            case _:
                return UNKNOWN

    def _name(self, key: FunctionKey, name: str) -> Type:
        holder = self._program.scopes(key.module).scope(key.function, name)
        if holder is not None:
            return self.read_local(FunctionKey(key.module, holder), name)
        found = self._program.denotes(key, ir.Name(name))
        return self.denoted(found)

    def denoted(self, found: Iterable[Denotation]) -> Type:
        return join(self._denoted_one(each) for each in found)

    def _denoted_one(self, denoted: Denotation) -> Type:
        match denoted:
            case External(name):
                return self.library_value(name)
            case Value(scope, expr):
                return self.expression(scope, expr)
            case ModuleObject() | ClassObject() | ProjectFunction():
                return denoted

    def library_value(self, name: str) -> Type:
        """What a dotted name outside of the project stands for."""
        found = self._library_values.get(name)
        if found is None:
            found = self._library_values[name] = self._find_library_value(name)
        return found

    def _find_library_value(self, name: str) -> Type:
        cls = self._annotations.class_name(name)
        last = cls.rpartition(".")[2]
        if cls in containers.BUILTIN_CLASSES:
            return ClassObject(cls)
        if name.startswith("builtins."):
            known_builtin = name.split(".")[1] in containers.BUILTINS
            return LibraryFunction(name) if known_builtin else UNKNOWN
        entry = self._knowledge.entry(cls)
        if entry is not None and entry.kind == "attribute":
            return (
                UNKNOWN
                if entry.returns is None
                else self._annotations.library_result(entry.returns, no_operands)
            )
        if self._knowledge.is_class(cls) or cls in containers.CLASSES:
            return ClassObject(cls)
        looks_like_class = entry is None and last[:1].isupper() and not last.isupper()
        return ClassObject(cls) if looks_like_class else LibraryFunction(cls)

    def _closure(self, key: FunctionKey, made: FunctionKey) -> Type:
        function = self._program.function(made)
        if function.kind != "genexp":
            return ProjectFunction(made, frame=key)
        cls = "collections.abc.AsyncGenerator" if function.is_async else "collections.abc.Generator"
        return instance(cls, (self.read_yielded(made),))

    def _operation(self, key: FunctionKey, expr: ir.Op, nesting: int) -> Type:
        operands = [self.expression(key, each, nesting) for each in expr.operands[:8]]
        match expr.op:
            case "fstring":
                return Instance("str")
            case "slice":
                return Instance("slice")
            case "or":
                return join((*(without_none(each) for each in operands[:-1]), operands[-1]))
            case "and":
                return join(operands)
            case "ifexp":
                return join(operands[1:])
            case "call":
                called = operands[0] if operands else UNKNOWN
                return join(instance_of(option) for option in options(called))
            case op if op in _BOOLEAN_OPERATORS:
                return Instance("bool")
            case _:
                return (
                    join(_of_arithmetic(option) for option in options(operands[0])) if operands else UNKNOWN
                )

    def _display(self, key: FunctionKey, kind: str, items: Sequence[ir.Expr], nesting: int) -> Type:
        if kind == "dict":
            return self._dict_display(key, items, nesting)
        if kind == "tuple" and len(items) <= 16 and not any(isinstance(item, ir.Star) for item in items):
            return tuple_of([self.expression(key, item, nesting) for item in items])
        parts: list[Type] = []
        for item in items[:64]:
            found = self.expression(key, item, nesting)
            parts.append(containers.element(found) if isinstance(item, ir.Star) else found)
        return instance(kind, (join(parts),)) if parts else Instance(kind)

    def _dict_display(self, key: FunctionKey, items: Sequence[ir.Expr], nesting: int) -> Type:
        keys: list[Type] = []
        values: list[Type] = []
        queue = list(items[:128])
        while queue:
            first = queue.pop(0)
            if isinstance(first, ir.Star):
                for option in options(self.expression(key, first.value, nesting)):
                    if isinstance(option, Instance) and option.cls in MAPPINGS and len(option.args) == 2:
                        keys.append(option.args[0])
                        values.append(option.args[1])
            elif queue:
                keys.append(self.expression(key, first, nesting))
                values.append(self.expression(key, queue.pop(0), nesting))
        return instance("dict", (join(keys), join(values))) if keys else Instance("dict")

    def _part(self, option: Type, index: int, starred: bool) -> Type:
        match option:
            case TupleOf(items) if not starred:
                return items[index] if -len(items) <= index < len(items) else UNKNOWN
            case Instance(cls) if self._program.cls(cls):
                return self._named_tuple_part(cls, index)
            case NoneValue():
                return NOTHING
        item = self.uses.item_of(option)
        return instance("list", (item,)) if starred else item

    def _named_tuple_part(self, cls: str, index: int) -> Type:
        info = self._program.cls(cls)
        if info is None or "typing.NamedTuple" not in self.uses.library_bases(cls):
            return UNKNOWN
        annotated = self._program.function(FunctionKey(info.module, info.definition.body)).annotations
        if not -len(annotated) <= index < len(annotated):
            return UNKNOWN
        return self.read_attribute(cls, annotated[index].name)

    def _subscript(self, key: FunctionKey, expr: ir.Item, nesting: int) -> Type:
        found = self.expression(key, expr.base, nesting)
        return join(self._subscript_of(key, option, expr.key, nesting) for option in options(found))

    def _subscript_of(self, key: FunctionKey, option: Type, index: ir.Expr, nesting: int) -> Type:
        match option, index:
            case ClassObject(cls), _:
                arguments = index.items if isinstance(index, ir.Build) else (index,)
                read = [self._annotations.read(key, each) for each in arguments]
                return ClassObject(cls, tuple(read))
            case TupleOf(items), ir.Const("int", text):
                position = int(text)
                return items[position] if -len(items) <= position < len(items) else UNKNOWN
            case Instance(cls), ir.Const("int", text) if "typing.NamedTuple" in self.uses.library_classes(
                cls
            ):
                return self._named_tuple_part(cls, int(text))
            case LibraryFunction(), _:
                return option
            case Instance(cls), _ if self._program.cls(cls):
                given = self.uses.special_method(option, "__getitem__")
                return UNKNOWN if given == NOTHING else given
            case _:
                return containers.subscript(option, self.expression(key, index, nesting))

    def _outcome(self, key: FunctionKey, number: int) -> Type:
        step = self._program.function(key).steps[number]
        site = CallSite(key, number)
        match step:
            case ir.Call(func):
                called = self.expression(key, func)
                return join(self.calls.call(site, step, option) for option in options(called))
            case ir.Await(value, ir.AwaitKind.EXPRESSION | ir.AwaitKind.YIELD_FROM):
                return self.uses.awaiting(self.expression(key, value))
            case ir.Await(value, ir.AwaitKind.ENTER):
                return self.uses.entered(key, value, "__aenter__")
            case ir.Enter(value):
                return self.uses.entered(key, value, "__enter__")
            case ir.Await(value, ir.AwaitKind.NEXT) | ir.Next(value):
                return self.uses.items(self.expression(key, value))
            case ir.Catch(types):
                return self._caught(key, types)
            case ir.Load(value):
                return self.expression(key, value)
            case _:
                return UNKNOWN

    def _caught(self, key: FunctionKey, types: Sequence[ir.Expr]) -> Type:
        found = (self.expression(key, each) for each in types)
        return join(instance_of(option) for caught in found for option in options(caught))

    def call_step(self, function: FunctionKey, step: int) -> ir.Call:
        match self._program.function(function).steps[step]:
            case ir.Call() as call:
                return call
            case other:
                raise TypeError(f"step {step} of {self._program.symbol(function)} is no call: {other}")


def _of_arithmetic(option: Type) -> Type:
    """What an operator gives whose left operand is this: for built-in values, the same type."""
    match option:
        case Instance(cls) if cls in containers.BUILTIN_CLASSES or cls in FILLED_LATER:
            return option
        case TupleOf(items):
            return instance("tuple", (join(items),))
        case _:
            return UNKNOWN
