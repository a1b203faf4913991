"""What project functions return and yield, and what calling them gives."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cancellint.analysis.program import containers
from cancellint.analysis.program.names import decorator_names, first_parameter
from cancellint.analysis.program.type_algebra import (
    NONE,
    NOTHING,
    UNKNOWN,
    instance,
    instance_of,
    is_vague,
    join,
    options,
    pending,
)
from cancellint.analysis.types.annotations import dotted
from cancellint.analysis.types.refinement import is_awaitable, refined
from cancellint.model import ir
from cancellint.model.types import (
    CallSite,
    FunctionKey,
    Instance,
    ProjectFunction,
    Type,
)

if TYPE_CHECKING:
    from cancellint.analysis.types.inference import Inference

_CONTEXT_MANAGERS = {
    "contextmanager": "contextlib.AbstractContextManager",
    "asynccontextmanager": "contextlib.AbstractAsyncContextManager",
}


class Results:
    """Types of what functions give."""

    def __init__(self, core: "Inference") -> None:
        self._core = core
        self._program = core.program
        self._annotations = core.annotations

    def result(self, key: FunctionKey) -> Type:
        function = self._program.function(key)
        declared = NOTHING
        if function.returns is not None:
            declared = self._annotations.read(self.annotation_scope(key), function.returns)
        if not is_vague(declared) and not any(is_awaitable(each) for each in options(declared)):
            return declared
        returned = self._program.scopes(key.module).bindings(key.function).returned
        values = [self._core.expression(key, value) for value in returned]
        if not returned and any(
            edge.to == ir.RETURN_EXIT for block in function.blocks for edge in block.edges
        ):
            values.append(NONE)
        return refined(self._program, declared, join(values))

    def yielded(self, key: FunctionKey) -> Type:
        function = self._program.function(key)
        if function.returns is not None:
            declared = self._annotations.read(self.annotation_scope(key), function.returns)
            item = containers.known_element(declared)
            if item != UNKNOWN:
                return item
        bindings = self._program.scopes(key.module).bindings(key.function)
        values = [self._core.expression(key, value) for value in bindings.yielded]
        values += [self._core.uses.items(self._core.expression(key, value)) for value in bindings.delegated]
        return join(values)

    def annotation_scope(self, key: FunctionKey) -> FunctionKey:
        """Where the names in a function's signature are looked up."""
        function = self._program.function(key)
        if function.cls >= 0:
            return FunctionKey(key.module, self._program.module(key.module).classes[function.cls].body)
        return self._program.around(key)

    def returns_receiver(self, key: FunctionKey) -> bool:
        """Whether a method gives back the object it was called on."""
        function = self._program.function(key)
        receiver = first_parameter(function)
        if function.cls < 0 or receiver is None:
            return False
        if function.returns is not None:
            written = dotted(function.returns)
            if written is not None and written.rpartition(".")[2] == "Self":
                return True
            if function.params[0].annotation is not None:
                return function.params[0].annotation == function.returns
        returned = self._program.scopes(key.module).bindings(key.function).returned
        return bool(returned) and all(value == ir.Name(receiver) for value in returned)

    def call_project(self, called: ProjectFunction, site: CallSite) -> Type:
        function = self._program.function(called.key)
        for decorator in decorator_names(function):
            if decorator in _CONTEXT_MANAGERS:
                return instance(_CONTEXT_MANAGERS[decorator], (self._core.read_yielded(called.key),), site)
        if function.is_generator:
            item = self._core.read_yielded(called.key)
            if function.is_async:
                return pending(item, site)
            return instance("collections.abc.Generator", (item,), site)
        result = self.result_for(called)
        return pending(result, site) if function.is_async else result

    def result_for(self, called: ProjectFunction) -> Type:
        """What a call gives once awaited, with `Self` being the receiver's own class."""
        if called.receiver is None or called.frame is None or not called.bound:
            return self._core.read_result(called.key)
        if self.returns_receiver(called.key):
            receiver = self._core.expression(called.frame, called.receiver)
            return join(instance_of(option) for option in options(receiver))
        result = self._core.read_result(called.key)
        if result != UNKNOWN:
            return result
        return self.made_for(called.key, options(self._core.expression(called.frame, called.receiver)))

    def made_for(self, key: FunctionKey, receivers: Iterable[Type]) -> Type:
        """What a method of some objects gives that is declared to give what their class is generic over."""
        cls, returns = self._program.class_of(key), self._program.function(key).returns
        info = None if cls is None or returns is None else self._program.cls(cls)
        if info is None:
            return UNKNOWN
        parameters = [name for base in info.definition.bases for name in _type_parameters(base)]
        found = [
            argument
            for each in receivers
            if isinstance(each, Instance) and each.cls == cls
            for name, argument in zip(parameters, each.args, strict=False)
            if name == returns
        ]
        return join(found) if found else UNKNOWN


def _type_parameters(base: ir.Expr) -> tuple[ir.Expr, ...]:
    """What a class is generic over, by one of its bases."""
    match base:
        case ir.Item(ir.Name("Generic") | ir.Attr(_, "Generic"), ir.Build("tuple", parameters)):
            return parameters
        case ir.Item(ir.Name("Generic") | ir.Attr(_, "Generic"), parameter):
            return (parameter,)
        case _:
            return ()
