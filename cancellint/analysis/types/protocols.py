"""What awaiting, entering and iterating over a value gives."""

from typing import TYPE_CHECKING

from cancellint.analysis.program import containers
from cancellint.analysis.program.containers import AWAITABLES, public_name
from cancellint.analysis.program.type_algebra import (
    NOTHING,
    UNKNOWN,
    instance,
    join,
    options,
)
from cancellint.analysis.types.annotations import self_operands
from cancellint.model import ir
from cancellint.model.types import (
    FunctionKey,
    Instance,
    NoneValue,
    Pending,
    Type,
)

if TYPE_CHECKING:
    from cancellint.analysis.types.inference import Inference


class ProtocolUses:
    """Types of what special methods give."""

    def __init__(self, core: "Inference") -> None:
        self._core = core
        self._program = core.program
        self._knowledge = core.knowledge
        self._annotations = core.annotations

    def awaiting(self, found: Type) -> Type:
        """What awaiting a value of this type gives."""
        return join(self.awaiting_one(option) for option in options(found))

    def awaiting_one(self, option: Type) -> Type:
        match option:
            case Pending(result):
                return result
            case Instance("collections.abc.Coroutine", (_, _, result)):
                return result
            case Instance(cls, (result, *_)) if cls in AWAITABLES:
                return result
            case Instance("collections.abc.Generator", (_, _, result)):
                return result
            case Instance(cls):
                return self.special_method(option, "__await__")
            case NoneValue():
                return NOTHING
            case _:
                return UNKNOWN

    def special_method(self, receiver: Instance, name: str) -> Type:
        """What a special method of an object gives (awaited, if it is a coroutine function)."""
        methods = self._program.methods(receiver.cls, name) if self._program.cls(receiver.cls) else ()
        if methods:
            found = [
                receiver if self._core.results.returns_receiver(key) else self._special_result(key, receiver)
                for key in methods
            ]
            return join(found)
        for cls in self.library_classes(receiver.cls):
            entry = self._knowledge.entry(f"{public_name(cls)}.{name}")
            if entry is not None and entry.returns is not None:
                return self._annotations.library_result(entry.returns, self_operands(receiver))
        return NOTHING

    def _special_result(self, key: FunctionKey, receiver: Instance) -> Type:
        function = self._program.function(key)
        if function.is_generator and function.is_async:
            return instance("collections.abc.AsyncGenerator", (self._core.read_yielded(key),))
        if function.is_generator and function.name != "__await__":
            return instance("collections.abc.Generator", (self._core.read_yielded(key),))
        if function.name == "__await__":
            return (
                self.awaiting(self._core.read_result(key))
                if function.returns
                else self._core.read_result(key)
            )
        result = self._core.read_result(key)
        return self._core.results.made_for(key, (receiver,)) if result == UNKNOWN else result

    def library_classes(self, cls: str) -> tuple[str, ...]:
        return self.library_bases(cls) if self._program.cls(cls) else (cls,)

    def library_bases(self, cls: str) -> tuple[str, ...]:
        """The library classes a project class inherits from, by canonical name, nearest first."""
        names = (self._annotations.class_name(base) for base in self._program.library_bases(cls))
        return tuple(dict.fromkeys(names))

    def entered(self, key: FunctionKey, value: ir.Expr, method: str) -> Type:
        found = self._core.expression(key, value)
        return join(self._enter(option, method) for option in options(found))

    def _enter(self, option: Type, method: str) -> Type:
        match option:
            case Instance(cls, args) if cls in containers.CONTEXT_MANAGERS:
                return args[0] if args else UNKNOWN
            case Instance():
                entered = self.special_method(option, method)
                return option if entered == NOTHING else entered
            case Pending(result, task=False):
                return result
            case NoneValue():
                return NOTHING
            case _:
                return UNKNOWN

    def items(self, found: Type) -> Type:
        return join(self.item_of(option) for option in options(found))

    def item_of(self, option: Type) -> Type:
        if not isinstance(option, Instance) or (option.args and not self._program.cls(option.cls)):
            return containers.element(option)
        for start, step in (("__aiter__", "__anext__"), ("__iter__", "__next__")):
            iterator = self.special_method(option, start)
            if iterator != NOTHING:
                return join(self._next_of(each, step) for each in options(iterator))
            item = self.special_method(option, step)
            if item != NOTHING:
                return item
        return containers.element(option)

    def _next_of(self, iterator: Type, step: str) -> Type:
        if isinstance(iterator, Instance) and (not iterator.args or self._program.cls(iterator.cls)):
            item = self.special_method(iterator, step)
            return UNKNOWN if item == NOTHING else item
        return containers.element(iterator)
