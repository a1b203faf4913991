"""What a call gives."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from cancellint.analysis.program import containers
from cancellint.analysis.program.arguments import ELSEWHERE, given
from cancellint.analysis.program.containers import AWAITABLES, MAPPINGS, public_name
from cancellint.analysis.program.type_algebra import (
    NONE,
    NOTHING,
    UNKNOWN,
    class_of,
    instance,
    join,
    options,
    pending,
)
from cancellint.analysis.types.annotations import self_operands
from cancellint.analysis.types.callees import plain_arguments
from cancellint.model import ir
from cancellint.model.knowledge import Entry, Mode
from cancellint.model.types import (
    CallSite,
    ClassObject,
    FunctionKey,
    Instance,
    LibraryFunction,
    NoneValue,
    Pending,
    ProjectFunction,
    TupleOf,
    Type,
)

if TYPE_CHECKING:
    from cancellint.analysis.types.inference import Inference

_FIELD_FACTORIES = frozenset({"dataclasses.field", "attr.ib", "attr.attrib", "attrs.field", "attr.field"})


class Calls:
    """Types of the results of calls."""

    def __init__(self, core: "Inference") -> None:
        self._core = core
        self._program = core.program
        self._knowledge = core.knowledge
        self._annotations = core.annotations

    def call(self, site: CallSite, call: ir.Call, called: Type) -> Type:
        match called:
            case ProjectFunction():
                return self._core.results.call_project(called, site)
            case ClassObject(cls, args, exact) if self._program.cls(cls):
                return instance(cls, args, site if exact else None)
            case ClassObject(cls, args):
                return self._construct(site, call, cls, args)
            case LibraryFunction():
                return self._call_library(site, call, called)
            case Instance(cls) if self._program.cls(cls):
                methods = self._program.methods(cls, "__call__")
                return (
                    join(
                        self._core.results.call_project(
                            ProjectFunction(key, True, call.func, site.function), site
                        )
                        for key in methods
                    )
                    if methods
                    else UNKNOWN
                )
            case Instance("weakref.ref", (referent,)):
                return join((referent, NONE))
            case NoneValue():
                return NOTHING
            case _:
                return UNKNOWN

    def _argument(self, site: CallSite, call: ir.Call, position: int) -> Type:
        if position >= len(call.args) or any(isinstance(arg, ir.Star) for arg in call.args[: position + 1]):
            return UNKNOWN
        return self._core.expression(site.function, call.args[position])

    def _keyword(self, site: CallSite, call: ir.Call, name: str) -> Type:
        for keyword, value in call.keywords:
            if keyword == name:
                return self._core.expression(site.function, value)
        return UNKNOWN

    def _construct(self, site: CallSite, call: ir.Call, cls: str, args: tuple[Type, ...]) -> Type:
        if args:
            return instance(cls, args, site)
        if cls in containers.WRAPPERS:
            return instance(cls, (self._argument(site, call, 0),), site)
        if cls == "functools.partial":
            return self._partial(site, call)
        if cls == "collections.defaultdict" and call.args:
            return instance(cls, (UNKNOWN, self._made_by(site, call.args[0])), site)
        if cls == "type":
            return join(class_of(option) for option in options(self._argument(site, call, 0)))
        if cls == "super":
            return UNKNOWN
        if cls in containers.BUILTIN_CLASSES or cls in containers.SEQUENCES:
            arguments = tuple(self._argument(site, call, index) for index in range(len(call.args)))
            found = containers.builtin_result(cls, arguments)
            return Instance(cls) if found == UNKNOWN else found
        return Instance(cls, (), site)

    def _made_by(self, site: CallSite, factory: ir.Expr) -> Type:
        """What calling a factory without arguments gives."""
        return self._called_plainly(site, self._core.expression(site.function, factory))

    def _called_plainly(self, site: CallSite, called: Type) -> Type:
        """What calling something without arguments gives."""
        without_arguments = ir.Call(ir.Const("ellipsis", "..."), (), (), True)
        return join(self.call(site, without_arguments, option) for option in options(called))

    def _partial(self, site: CallSite, call: ir.Call) -> Type:
        """A function of which `functools.partial` has supplied some arguments."""
        found: list[Type] = []
        for option in options(self._argument(site, call, 0)):
            match option:
                case ProjectFunction(key, bound, receiver):
                    found.append(ProjectFunction(key, bound, receiver, *_supplied(site, call, option)))
                case LibraryFunction(name, bound, receiver):
                    found.append(LibraryFunction(name, bound, receiver, *_supplied(site, call, option)))
                case _:
                    found.append(option)
        return join(found)

    def _call_library(self, site: CallSite, call: ir.Call, called: LibraryFunction) -> Type:
        special = self._special_call(site, call, called)
        if special is not None:
            return special
        entry = self._knowledge.entry(called.name)
        result = UNKNOWN
        if entry is not None and entry.returns is not None:
            result = self._annotations.library_result(
                entry.returns, self._operands(site, call, called, entry)
            )
        elif called.name.startswith("builtins.") and not called.bound:
            arguments = tuple(self._argument(site, call, index) for index in range(len(call.args)))
            result = containers.builtin_result(called.name.removeprefix("builtins."), arguments)
        elif called.receiver is not None and called.frame is not None:
            result = self._container_method(called)
        return pending(result, site) if entry is not None and _is_run_later(entry) else result

    def _special_call(self, site: CallSite, call: ir.Call, called: LibraryFunction) -> Type | None:
        """Calls whose result depends on more than the types of their arguments."""
        match called.name:
            case "functools.partial":
                return self._partial(site, call)
            case "typing.cast":
                return self._annotations.read(site.function, call.args[0]) if call.args else UNKNOWN
            case name if name in _FIELD_FACTORIES:
                return self._field(site, call)
            case "copy.copy" | "copy.deepcopy" | "weakref.proxy":
                return self._argument(site, call, 0)
            case "builtins.getattr" if len(call.args) > 1 and isinstance(call.args[1], ir.Const):
                return self._core.expression(site.function, ir.Attr(call.args[0], call.args[1].text))
            case "builtins.anext":
                return pending(self._core.uses.items(self._argument(site, call, 0)), site)
            case "contextlib.ExitStack.enter_context" | "contextlib.AsyncExitStack.enter_context" if (
                call.args
            ):
                return self._core.uses.entered(site.function, call.args[0], "__enter__")
            case "contextlib.AsyncExitStack.enter_async_context" if call.args:
                return pending(self._core.uses.entered(site.function, call.args[0], "__aenter__"), site)
            case _:
                return None

    def _field(self, site: CallSite, call: ir.Call) -> Type:
        """The default of a dataclass or attrs field."""
        found: list[Type] = []
        for keyword, value in call.keywords:
            if keyword == "default":
                found.append(self._core.expression(site.function, value))
            elif keyword in {"default_factory", "factory"}:
                found.append(self._made_by(site, value))
        return join(found) if found else NOTHING

    def _container_method(self, called: LibraryFunction) -> Type:
        if called.receiver is None or called.frame is None:
            return UNKNOWN
        owner, _, method = called.name.rpartition(".")
        receivers = options(self._core.expression(called.frame, called.receiver))
        matching = [
            Instance("tuple", (join(each.items),)) if isinstance(each, TupleOf) else each
            for each in receivers
        ]
        found = [
            containers.method_result(each, method)
            for each in matching
            if isinstance(each, Instance) and public_name(each.cls) == owner
        ]
        return join(found) if found else UNKNOWN

    def _operands(
        self, site: CallSite, call: ir.Call, called: LibraryFunction, entry: Entry
    ) -> Callable[[str, str, str], Type]:
        def operand(taken: str, of: str, which: str) -> Type:
            if of == "self":
                return self._type_argument(called, which)
            found = self._operand_argument(site, call, called, entry, which)
            match taken:
                case "task":
                    return join(self._as_task(option, site) for option in options(found))
                case "awaited":
                    return self._core.uses.awaiting(found)
                case "made":
                    return self._called_plainly(site, found)
                case _:
                    return found

        return operand

    def _operand_argument(
        self, site: CallSite, call: ir.Call, called: LibraryFunction, entry: Entry, which: str
    ) -> Type:
        frame = called.frame or site.function
        named = {name: _Written(frame, value) for name, value in called.keywords}
        named.update((name, _Written(site.function, value)) for name, value in plain_arguments(call)[1])
        args = [*_written(frame, called.leading), *_written(site.function, call.args)]
        for found in given(entry.params, which, args, named.items()):
            if isinstance(found, _Written):
                return self._core.expression(found.frame, found.value)
        return UNKNOWN

    def _type_argument(self, called: LibraryFunction, which: str) -> Type:
        if called.receiver is None or called.frame is None:
            return UNKNOWN
        owners = options(self._core.expression(called.frame, called.receiver))
        found = [self_operands(each)("plain", "self", which) for each in owners if isinstance(each, Instance)]
        return join(found) if found else UNKNOWN

    def _as_task(self, option: Type, site: CallSite) -> Type:
        """A task that runs this awaitable; of a container of awaitables, a task for each."""
        match option:
            case Pending(_, _, True):
                return option
            case Pending(result, made_at):
                return pending(result, made_at, task=True, spawned_at=site)
            case Instance(cls, (result, *_)) if cls in AWAITABLES:
                return instance("asyncio.Task", (self._core.uses.awaiting_one(option),)) if result else option
            case Instance(cls, (_, *_)) if cls in containers.SEQUENCES | MAPPINGS | containers.ITERABLES:
                inner = containers.element(option)
                return join(self._as_task(each, site) for each in options(inner))
            case TupleOf(items):
                return join(self._as_task(each, site) for item in items for each in options(item))
            case NoneValue():
                return NOTHING
            case _:
                return Instance("asyncio.Task", (), site)


class _Written(Struct, frozen=True):
    """An expression, and the function that it stands in."""

    frame: FunctionKey
    value: ir.Expr


def _written(frame: FunctionKey, values: Iterable[ir.Expr]) -> Iterator[_Written | ir.Star]:
    yield from (value if isinstance(value, ir.Star) else _Written(frame, value) for value in values)


def _is_run_later(entry: Entry) -> bool:
    """Tell whether a library call makes a coroutine, or an asynchronous generator."""
    return entry.awaitable or entry.mode is Mode.KILLS_SOURCE


def _supplied(
    site: CallSite, call: ir.Call, function: ProjectFunction | LibraryFunction
) -> tuple[FunctionKey, tuple[ir.Expr, ...], tuple[tuple[str, ir.Expr], ...]]:
    """The frame, the leading arguments and the keywords of a function of which this call makes a `partial`.

    A function has one frame: where its receiver stands in another one, what is supplied here has no
    expression.
    """
    args, named = plain_arguments(call)
    leading, frame = args[1:], site.function
    if function.receiver is not None or function.leading or function.keywords:
        frame = function.frame or site.function
    if frame != site.function:
        leading, named = (ELSEWHERE,) * len(leading), tuple((name, ELSEWHERE) for name, _ in named)
    keywords = {**dict(function.keywords), **dict(named)}
    return frame, (*function.leading, *leading), tuple(keywords.items())
