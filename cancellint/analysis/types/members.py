"""What reading an attribute gives."""

from typing import TYPE_CHECKING

from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.program.containers import public_name
from cancellint.analysis.program.names import decorator_names
from cancellint.analysis.program.type_algebra import (
    NOTHING,
    UNKNOWN,
    join,
    options,
    pending,
)
from cancellint.analysis.types.annotations import self_operands
from cancellint.model import ir
from cancellint.model.types import (
    CallSite,
    ClassObject,
    FunctionKey,
    Instance,
    LibraryFunction,
    ModuleObject,
    NoneValue,
    Pending,
    ProjectFunction,
    TupleOf,
    Type,
)

if TYPE_CHECKING:
    from cancellint.analysis.types.inference import Inference

MOST_OVERRIDES = Limit(4, "overrides of one method")
_SAYS_NOTHING_OF_MEMBERS = frozenset(
    {"typing.Generic", "typing.Protocol", "abc.ABC", "object", "typing.NamedTuple", "typing.TypedDict"}
)
_ENUMS = frozenset({"enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.Flag", "enum.IntFlag"})


class Members:
    """Types of attributes of instances, classes and modules."""

    def __init__(self, core: "Inference") -> None:
        self._core = core
        self._program = core.program
        self._knowledge = core.knowledge
        self._annotations = core.annotations

    def read(self, key: FunctionKey, expr: ir.Attr, nesting: int) -> Type:
        if self._is_super(key, expr.base):
            return self._super_member(key, expr.name)
        base = self._core.expression(key, expr.base, nesting)
        return join(self._member(key, option, expr.base, expr.name) for option in options(base))

    def _member(self, key: FunctionKey, option: Type, receiver: ir.Expr, name: str) -> Type:
        match option:
            case NoneValue():
                return NOTHING
            case Instance(cls) if self._program.cls(cls):
                return self._project_member(key, option, receiver, name)
            case Instance(cls):
                return self._library_member(key, cls, option, receiver, name)
            case TupleOf():
                return self._library_member(key, "tuple", Instance("tuple"), receiver, name)
            case ClassObject(cls) if self._program.cls(cls):
                return self._class_member(key, cls, receiver, name)
            case ClassObject(cls):
                return self._core.library_value(f"{public_name(cls)}.{name}")
            case ModuleObject(module):
                return self._module_member(module, name)
            case LibraryFunction(dotted_name, bound=False, leading=()):
                return self._core.library_value(f"{dotted_name}.{name}")
            case Pending(_, _, task):
                cls = _pending_class(name, task)
                return LibraryFunction(self._knowledge.canonical(f"{cls}.{name}"), True, receiver, key)
            case _:
                return UNKNOWN

    def _module_member(self, module: str, name: str) -> Type:
        if self._program.binds(module, name):
            return self._core.read_local(FunctionKey(module, 0), name)
        return (
            self._core.denoted(self._program.resolve(module, name))
            if self._program.is_module(module)
            else UNKNOWN
        )

    def _project_member(self, key: FunctionKey, owner: Instance, receiver: ir.Expr, name: str) -> Type:
        if name == "__class__":
            return ClassObject(owner.cls, exact=owner.made_at is not None)
        found: list[Type] = []
        methods = self._program.methods(owner.cls, name)
        if owner.made_at is None:
            methods += tuple(MOST_OVERRIDES.first(self._program.overrides(owner.cls, name)))
        for method in dict.fromkeys(methods):
            found.append(self._bound(key, method, receiver))
        if self._core.variables.has_attribute(owner.cls, name):
            found.append(self._core.read_attribute(owner.cls, name))
        if found:
            return join(found)
        for base in self._core.uses.library_bases(owner.cls):
            if base not in _SAYS_NOTHING_OF_MEMBERS:
                return self._library_member(key, base, owner, receiver, name)
        return UNKNOWN

    def _bound(self, key: FunctionKey, method: FunctionKey, receiver: ir.Expr) -> Type:
        """A method read from an instance: bound, or what the property gives."""
        function = self._program.function(method)
        decorators = decorator_names(function)
        if any(decorator.endswith("property") for decorator in decorators):
            result = self._core.results.result_for(ProjectFunction(method, True, receiver, key))
            return pending(result, CallSite(method, -1)) if function.is_async else result
        if "staticmethod" in decorators or function.cls < 0:
            return ProjectFunction(method, frame=key)
        return ProjectFunction(method, bound=True, receiver=receiver, frame=key)

    def _class_member(self, key: FunctionKey, cls: str, receiver: ir.Expr, name: str) -> Type:
        found: list[Type] = []
        for method in self._program.methods(cls, name):
            decorators = decorator_names(self._program.function(method))
            if "classmethod" in decorators:
                found.append(ProjectFunction(method, bound=True, receiver=receiver, frame=key))
            else:
                found.append(ProjectFunction(method, frame=key))
        if not found and not _ENUMS.isdisjoint(self._core.uses.library_bases(cls)):
            return Instance(cls)
        if self._core.variables.has_attribute(cls, name):
            found.append(self._core.read_attribute(cls, name))
        if found:
            return join(found)
        for base in self._core.uses.library_bases(cls):
            if base not in _SAYS_NOTHING_OF_MEMBERS:
                return self._core.library_value(f"{public_name(base)}.{name}")
        return UNKNOWN

    def _library_member(
        self, key: FunctionKey, cls: str, owner: Instance, receiver: ir.Expr, name: str
    ) -> Type:
        dotted_name = self._knowledge.canonical(f"{public_name(cls)}.{name}")
        entry = self._knowledge.entry(dotted_name)
        if entry is not None and entry.kind == "attribute":
            if entry.returns is None:
                return UNKNOWN
            return self._annotations.library_result(entry.returns, self_operands(owner))
        return LibraryFunction(dotted_name, bound=True, receiver=receiver, frame=key)

    def _is_super(self, key: FunctionKey, expr: ir.Expr) -> bool:
        if not isinstance(expr, ir.Temp):
            return False
        match self._program.function(key).steps[expr.step]:
            case ir.Call(ir.Name("super")):
                return True
            case _:
                return False

    def _super_member(self, key: FunctionKey, name: str) -> Type:
        cls = self._program.class_of(key)
        receiver_name = self._program.scopes(key.module).receiver_name(key.function)
        if cls is None or receiver_name is None:
            return UNKNOWN
        receiver = ir.Name(receiver_name)
        methods = self._program.methods_after(cls, name)
        if methods:
            return join(self._bound(key, method, receiver) for method in methods)
        for base in (*self._core.uses.library_bases(cls), "object"):
            if base not in _SAYS_NOTHING_OF_MEMBERS or base == "object":
                return self._library_member(key, base, Instance(cls), receiver, name)
        return UNKNOWN


def _pending_class(name: str, task: bool) -> str:
    """The class whose method `name` is, of a coroutine, a task or an async generator."""
    if task:
        return "asyncio.Task"
    if name in {"aclose", "asend", "athrow", "__anext__", "__aiter__"}:
        return "collections.abc.AsyncGenerator"
    if name in {"close", "send", "throw", "__await__"}:
        return "collections.abc.Coroutine"
    return "asyncio.Future"
