"""What the expressions of the program are: types, inferred on demand over the whole project."""

import enum
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from cancellint.analysis import containers
from cancellint.analysis.call_sites import CallSites
from cancellint.analysis.callees import Callees, plain_arguments
from cancellint.analysis.cells import Cells
from cancellint.analysis.containers import AWAITABLES, FILLED_LATER, MAPPINGS, public_name
from cancellint.analysis.names import Added, Denotation, External, Value, decorator_names, first_parameter
from cancellint.analysis.program import ClassInfo, Program
from cancellint.analysis.type_algebra import (
    NONE,
    NOTHING,
    UNKNOWN,
    LibraryFacts,
    instance,
    is_vague,
    join,
    known,
    options,
    pending,
    same,
    tuple_of,
    without_none,
)
from cancellint.analysis.type_expressions import TypeExpressions, dotted
from cancellint.model import ir
from cancellint.model.knowledge import Entry
from cancellint.model.types import (
    Callee,
    CallSite,
    ClassObject,
    FunctionKey,
    Instance,
    LibraryFunction,
    ModuleObject,
    NoneValue,
    Pending,
    ProjectCallee,
    ProjectFunction,
    TupleOf,
    Type,
    Unknown,
)

_MAX_NESTING = 30
"""An expression nested deeper than this is Unknown."""
_MAX_OVERRIDES = 4

_CONTEXT_MANAGERS = {
    "contextmanager": "contextlib.AbstractContextManager",
    "asynccontextmanager": "contextlib.AbstractAsyncContextManager",
}
_FIELD_FACTORIES = frozenset({"dataclasses.field", "attr.ib", "attr.attrib", "attrs.field", "attr.field"})
_SAYS_NOTHING_OF_MEMBERS = frozenset(
    {"typing.Generic", "typing.Protocol", "abc.ABC", "object", "typing.NamedTuple", "typing.TypedDict"}
)
_ENUMS = frozenset({"enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.Flag", "enum.IntFlag"})
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


class _Cell(NamedTuple):
    kind: _Kind
    owner: str
    """a module, or the class of an ATTRIBUTE"""
    function: int = -1
    name: str = ""
    step: int = -1


class Types:
    """Infers types and callees. Flow-insensitive: a local is all that is assigned to it.

    Every answer is kept. A value that depends on itself counts as nothing while it is computed.
    """

    def __init__(self, program: Program, knowledge: LibraryFacts) -> None:
        self._program = program
        self._knowledge = knowledge
        self._annotations = TypeExpressions(program, knowledge)
        self._callees = Callees(program)
        self._call_sites = CallSites(program)
        self._cells: Cells[_Cell, Type] = Cells(self._compute, NOTHING, same)

    # ----------------------------------------------------------------- questions

    def of(self, function: FunctionKey, expr: ir.Expr) -> Type:
        """The type of an expression of a function."""
        return known(self._cells.demand(lambda: self._expression(function, expr, 0)))

    def attribute(self, cls: str, name: str) -> Type:
        """The type of a data attribute of a project class, over all its assignments and its bases'."""
        return known(self._cells.demand(lambda: self._cells.read(_Cell(_Kind.ATTRIBUTE, cls, name=name))))

    def callees(self, function: FunctionKey, step: int) -> tuple[Callee, ...]:
        """What a call step may reach, at least one."""
        call = self._call_step(function, step)
        reached = self._cells.demand(lambda: self._expression(function, call.func, 0))
        return self._callees.of(function, call, reached)

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
        names = (self._annotations.class_name(base) for base in self._program.library_bases(cls))
        return tuple(dict.fromkeys(names))

    def _call_step(self, function: FunctionKey, step: int) -> ir.Call:
        match self._program.function(function).steps[step]:
            case ir.Call() as call:
                return call
            case other:
                raise TypeError(f"step {step} of {self._program.symbol(function)} is no call: {other}")

    # ----------------------------------------------------------------- cells

    def _compute(self, cell: _Cell) -> Type:
        match cell.kind:
            case _Kind.LOCAL:
                return self._local(FunctionKey(cell.owner, cell.function), cell.name)
            case _Kind.OUTCOME:
                return self._outcome(FunctionKey(cell.owner, cell.function), cell.step)
            case _Kind.RESULT:
                return self._result(FunctionKey(cell.owner, cell.function))
            case _Kind.YIELDED:
                return self._yielded(FunctionKey(cell.owner, cell.function))
            case _Kind.ATTRIBUTE:
                return self._attribute(cell.owner, cell.name)

    def _read_local(self, key: FunctionKey, name: str) -> Type:
        return self._cells.read(_Cell(_Kind.LOCAL, key.module, key.function, name))

    def _read_result(self, key: FunctionKey) -> Type:
        return self._cells.read(_Cell(_Kind.RESULT, key.module, key.function))

    def _read_yielded(self, key: FunctionKey) -> Type:
        return self._cells.read(_Cell(_Kind.YIELDED, key.module, key.function))

    # ----------------------------------------------------------------- locals

    def _local(self, key: FunctionKey, name: str) -> Type:
        scopes = self._program.scopes(key.module)
        bindings = scopes.bindings(key.function)
        declared, default = NOTHING, NOTHING
        if name in bindings.params:
            declared, default = self._parameter(key, bindings.params[name])
        elif name in bindings.annotations:
            declared = self._annotations.read(key, bindings.annotations[name])
        values = [default]
        added: list[tuple[FunctionKey, Added]] = []
        for index in scopes.writers(key.function, name):
            writer = FunctionKey(key.module, index)
            there = scopes.bindings(index)
            for binding in there.assigned.get(name, ()):
                values.append(self._assigned(writer, binding.value, binding.op))
            added.extend((writer, each) for each in there.fills.get(name, ()))
        is_parameter = name in bindings.params
        found = self._refined(declared, join(values), keep_unknown=is_parameter)
        return self._filled(found, added)

    def _assigned(self, key: FunctionKey, value: ir.Expr, op: str) -> Type:
        found = self._expression(key, value, 0)
        if not op:
            return found
        # `x += y` leaves x what it was, but for a list or set that takes in y's elements
        kept = (each for each in options(found) if isinstance(each, Instance) and each.cls in FILLED_LATER)
        return join(kept)

    def _parameter(self, key: FunctionKey, param: ir.Param) -> tuple[Type, Type]:
        """The declared type of a parameter, and that of its default and of what is passed for it."""
        receiver = self._receiver_type(key, param)
        if receiver is not None:
            return receiver, NOTHING
        scope = self._annotation_scope(key)
        declared = UNKNOWN
        if param.annotation is not None:
            declared = self._annotations.read(scope, param.annotation)
        if param.kind == "varargs":
            return instance("tuple", (declared,)), NOTHING
        if param.kind == "varkwargs":
            return instance("dict", (Instance("str"), declared)), NOTHING
        default = NOTHING if param.default is None else self._expression(scope, param.default, 0)
        if param.annotation is None and param.kind in {"positional", "keyword"}:
            return NOTHING, join((self._passed(key, param), default))
        if default == NONE and not is_vague(declared):
            declared = join((declared, NONE))
        return declared, default

    def _passed(self, key: FunctionKey, param: ir.Param) -> Type:
        """What the callers pass for a parameter without annotation, if all that are known agree."""
        function = self._program.function(key)
        sites = self._call_sites.may_reach(key) if function.kind == "function" else None
        if not sites:
            return UNKNOWN
        found: list[Type] = []
        reached = False
        for site in sites:
            call = self._call_step(site.function, site.step)
            called = self._expression(site.function, call.func, 0)
            for callee in self._callees.reached(site.function, call, called):
                if isinstance(callee, ProjectCallee) and callee.key == key:
                    reached = True
                    found.append(self._given(site.function, function, param, callee))
        passed = join(found)
        if not reached or any(isinstance(each, Unknown) for each in options(passed)):
            return UNKNOWN
        return passed

    def _given(
        self, caller: FunctionKey, function: ir.Function, param: ir.Param, callee: ProjectCallee
    ) -> Type:
        """What one call passes for a parameter; NOTHING if it leaves the default."""
        for name, value in callee.keywords:
            if name == param.name:
                return self._expression(caller, value, 0)
        spread = any(name is None for name, _ in callee.keywords)
        positional = [each.name for each in function.params if each.kind == "positional"]
        if param.name in positional:
            bound = callee.constructs or callee.receiver is not None
            position = positional.index(param.name) - (1 if bound else 0)
            before = callee.args[: position + 1]
            if any(isinstance(each, ir.Star) for each in before):
                return UNKNOWN
            if 0 <= position < len(callee.args):
                return self._expression(caller, callee.args[position], 0)
        return UNKNOWN if spread or param.default is None else NOTHING

    def _receiver_type(self, key: FunctionKey, param: ir.Param) -> Type | None:
        function = self._program.function(key)
        if function.cls < 0 or function.kind != "function" or first_parameter(function) != param.name:
            return None
        decorators = decorator_names(function)
        if "staticmethod" in decorators:
            return None
        cls = self._program.class_name(key.module, function.cls)
        if "classmethod" in decorators or function.name in {"__new__", "__init_subclass__", "__class_getitem__"}:
            return ClassObject(cls)
        return Instance(cls)

    def _annotation_scope(self, key: FunctionKey) -> FunctionKey:
        """Where the names in a function's signature are looked up."""
        function = self._program.function(key)
        if function.cls >= 0:
            return FunctionKey(key.module, self._program.module(key.module).classes[function.cls].body)
        return FunctionKey(key.module, max(function.parent, 0))

    def _refined(self, declared: Type, value: Type, *, keep_unknown: bool = False) -> Type:
        """A declared type, made more exact by what is really assigned."""
        if is_vague(declared):
            if value == NOTHING:
                return declared
            return join((declared, value)) if keep_unknown or declared != UNKNOWN else value
        found: list[Type] = []
        for option in options(declared):
            better = [self._refinement(each, option) for each in options(value)]
            exact = [each for each in better if each is not None]
            if not exact or (is_vague(value) and not any(_same_class(each, option) for each in exact)):
                found.append(option)
            found.extend(exact)
        return join(found)

    def _refinement(self, value: Type, declared: Type) -> Type | None:
        """The declared type as this value shows it, or None if the value says nothing more."""
        match value, declared:
            case Instance(cls, args, made_at), Instance(declared_cls, declared_args) if cls == declared_cls:
                if len(args) == len(declared_args):
                    pairs = zip(declared_args, args, strict=True)
                    args = tuple(self._refined(outer, inner) for outer, inner in pairs)
                return instance(cls, args if len(args) >= len(declared_args) else declared_args, made_at)
            case Instance(cls), Instance(declared_cls) if self._program.inherits(cls, declared_cls):
                return value
            case Pending(), Instance(cls) if cls in AWAITABLES or cls.startswith("collections.abc.Async"):
                return value
            case ClassObject(cls), ClassObject(declared_cls) if cls != declared_cls:
                return value if self._program.inherits(cls, declared_cls) else None
            case Instance("contextlib.AbstractAsyncContextManager" | "contextlib.AbstractContextManager"), _:
                return None
            case _:
                return None

    def _filled(self, found: Type, added: Sequence[tuple[FunctionKey, Added]]) -> Type:
        """A container type with the elements that other statements put into it."""
        if not added or not any(_lacks_elements(option) for option in options(found)):
            return found
        keys: list[Type] = []
        values: list[Type] = []
        is_mapping = any(isinstance(each, Instance) and each.cls in MAPPINGS for each in options(found))
        for writer, each in added:
            value = self._expression(writer, each.value, 0)
            if each.in_comprehension and is_mapping and isinstance(value, TupleOf):
                keys.append(value.items[0])
                values.append(value.items[-1])
                continue
            values.append(_elements_or_values(value) if each.merged else value)
            if each.key is not None:
                keys.append(self._expression(writer, each.key, 0))
        return join(self._with_elements(option, join(keys), join(values)) for option in options(found))

    def _with_elements(self, option: Type, keys: Type, values: Type) -> Type:
        if not isinstance(option, Instance) or not _lacks_elements(option):
            return option
        declared = option.args[-1] if option.args else NOTHING
        held = self._refined(UNKNOWN if declared == NOTHING else declared, values)
        if option.cls in MAPPINGS:
            return instance(option.cls, (join((*option.args[:1], keys)), held), option.made_at)
        return instance(option.cls, (held,), option.made_at)

    # ----------------------------------------------------------------- attributes of instances

    def _attribute(self, cls: str, name: str) -> Type:
        """NOTHING if neither the class nor a project base binds the attribute."""
        declared = NOTHING
        values: list[Type] = []
        added: list[tuple[FunctionKey, Added]] = []
        for base in self._program.order(cls):
            info = self._program.cls(base)
            if info is None:
                continue
            if is_vague(declared):
                declared = join((self._declared_attribute(info, name), declared))
            values.extend(self._stored(info, name))
            added.extend(self._added(info, name))
        return self._filled(self._refined(declared, join(values)), added)

    def _has_attribute(self, cls: str, name: str) -> bool:
        """Whether the class or a project base declares or assigns a data attribute of this name."""
        for base in self._program.order(cls):
            info = self._program.cls(base)
            if info is not None:
                scopes = self._program.scopes(info.module)
                body = scopes.bindings(info.definition.body)
                stored = scopes.attributes(info.index)
                if name in body.annotations or name in stored.annotations or name in stored.stores:
                    return True
                if any(not isinstance(each.value, ir.Closure) for each in body.assigned.get(name, ())):
                    return True
        return False

    def _declared_attribute(self, info: ClassInfo, name: str) -> Type:
        scopes = self._program.scopes(info.module)
        in_body = scopes.bindings(info.definition.body).annotations.get(name)
        if in_body is not None:
            return self._annotations.read(FunctionKey(info.module, info.definition.body), in_body)
        in_method = scopes.attributes(info.index).annotations.get(name)
        if in_method is not None:
            return self._annotations.read(FunctionKey(info.module, in_method[0]), in_method[1])
        return NOTHING

    def _stored(self, info: ClassInfo, name: str) -> list[Type]:
        found: list[Type] = []
        body = FunctionKey(info.module, info.definition.body)
        for scope, value in self._program.assigned(body, name):
            if not isinstance(value, ir.Closure):
                found.append(self._expression(scope, value, 0))
        attributes = self._program.scopes(info.module).attributes(info.index)
        for function, binding in attributes.stores.get(name, ()):
            found.append(self._assigned(FunctionKey(info.module, function), binding.value, binding.op))
        return found

    def _added(self, info: ClassInfo, name: str) -> list[tuple[FunctionKey, Added]]:
        attributes = self._program.scopes(info.module).attributes(info.index)
        return [(FunctionKey(info.module, index), each) for index, each in attributes.fills.get(name, ())]

    # ----------------------------------------------------------------- what functions give

    def _result(self, key: FunctionKey) -> Type:
        function = self._program.function(key)
        declared = NOTHING
        if function.returns is not None:
            declared = self._annotations.read(self._annotation_scope(key), function.returns)
        if not is_vague(declared) and not any(_is_awaitable(each) for each in options(declared)):
            return declared
        returned = self._program.scopes(key.module).bindings(key.function).returned
        values = [self._expression(key, value, 0) for value in returned]
        if not returned and any(edge.to == ir.RETURN_EXIT for block in function.blocks for edge in block.edges):
            values.append(NONE)
        return self._refined(declared, join(values))

    def _yielded(self, key: FunctionKey) -> Type:
        function = self._program.function(key)
        if function.returns is not None:
            declared = self._annotations.read(self._annotation_scope(key), function.returns)
            item = containers.known_element(declared)
            if item != UNKNOWN:
                return item
        bindings = self._program.scopes(key.module).bindings(key.function)
        values = [self._expression(key, value, 0) for value in bindings.yielded]
        values += [self._items(self._expression(key, value, 0)) for value in bindings.delegated]
        return join(values)

    def _returns_receiver(self, key: FunctionKey) -> bool:
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

    def _call_project(self, called: ProjectFunction, site: CallSite) -> Type:
        function = self._program.function(called.key)
        for decorator in decorator_names(function):
            if decorator in _CONTEXT_MANAGERS:
                return instance(_CONTEXT_MANAGERS[decorator], (self._read_yielded(called.key),), site)
        if function.is_generator:
            item = self._read_yielded(called.key)
            if function.is_async:
                return pending(item, site)
            return instance("collections.abc.Generator", (item,), site)
        result = self._result_for(called)
        return pending(result, site) if function.is_async else result

    def _result_for(self, called: ProjectFunction) -> Type:
        """What a call gives once awaited, with `Self` being the receiver's own class."""
        if called.bound and called.receiver is not None and called.frame is not None:
            if self._returns_receiver(called.key):
                receiver = self._expression(called.frame, called.receiver, 0)
                return join(_instance_of(option) for option in options(receiver))
        return self._read_result(called.key)

    # ----------------------------------------------------------------- steps

    def _outcome(self, key: FunctionKey, number: int) -> Type:
        step = self._program.function(key).steps[number]
        site = CallSite(key, number)
        match step:
            case ir.Call(func):
                called = self._expression(key, func, 0)
                return join(self._call(site, step, option) for option in options(called))
            case ir.Await(value, ir.AwaitKind.EXPRESSION | ir.AwaitKind.YIELD_FROM):
                return self.awaiting(self._expression(key, value, 0))
            case ir.Await(value, ir.AwaitKind.ENTER):
                return self._entered(key, value, "__aenter__")
            case ir.Enter(value):
                return self._entered(key, value, "__enter__")
            case ir.Await(value, ir.AwaitKind.NEXT) | ir.Next(value):
                return self._items(self._expression(key, value, 0))
            case ir.Catch(types):
                return self._caught(key, types)
            case _:
                return UNKNOWN

    def _caught(self, key: FunctionKey, types: Sequence[ir.Expr]) -> Type:
        found = (self._expression(key, each, 0) for each in types)
        return join(_instance_of(option) for caught in found for option in options(caught))

    def awaiting(self, found: Type) -> Type:
        """What awaiting a value of this type gives."""
        return join(self._awaiting(option) for option in options(found))

    def _awaiting(self, option: Type) -> Type:
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
                return self._special_method(option, "__await__")
            case NoneValue():
                return NOTHING
            case _:
                return UNKNOWN

    def _special_method(self, receiver: Instance, name: str) -> Type:
        """What a special method of an object gives (awaited, if it is a coroutine function)."""
        methods = self._program.methods(receiver.cls, name) if self._program.cls(receiver.cls) else ()
        if methods:
            found = [receiver if self._returns_receiver(key) else self._special_result(key) for key in methods]
            return join(found)
        for cls in self._library_classes(receiver.cls):
            entry = self._knowledge.entry(f"{public_name(cls)}.{name}")
            if entry is not None and entry.returns is not None:
                return self._annotations.library_result(entry.returns, _self_operands(receiver))
        return NOTHING

    def _special_result(self, key: FunctionKey) -> Type:
        function = self._program.function(key)
        if function.is_generator and function.is_async:
            return instance("collections.abc.AsyncGenerator", (self._read_yielded(key),))
        if function.is_generator and function.name != "__await__":
            return instance("collections.abc.Generator", (self._read_yielded(key),))
        if function.name == "__await__":
            return self.awaiting(self._read_result(key)) if function.returns else self._read_result(key)
        return self._read_result(key)

    def _library_classes(self, cls: str) -> tuple[str, ...]:
        return self.library_bases(cls) if self._program.cls(cls) else (cls,)

    def _entered(self, key: FunctionKey, value: ir.Expr, method: str) -> Type:
        found = self._expression(key, value, 0)
        return join(self._enter(option, method) for option in options(found))

    def _enter(self, option: Type, method: str) -> Type:
        match option:
            case Instance(cls, args) if cls in _CONTEXT_MANAGERS.values() or cls in containers.WRAPPERS:
                return args[0] if args else UNKNOWN
            case Instance():
                entered = self._special_method(option, method)
                return option if entered == NOTHING else entered
            case Pending(result, task=False):
                return result
            case NoneValue():
                return NOTHING
            case _:
                return UNKNOWN

    def _items(self, found: Type) -> Type:
        return join(self._item_of(option) for option in options(found))

    def _item_of(self, option: Type) -> Type:
        if not isinstance(option, Instance) or (option.args and not self._program.cls(option.cls)):
            return containers.element(option)
        for start, step in (("__aiter__", "__anext__"), ("__iter__", "__next__")):
            iterator = self._special_method(option, start)
            if iterator != NOTHING:
                return join(self._next_of(each, option, step) for each in options(iterator))
            item = self._special_method(option, step)
            if item != NOTHING:
                return item
        return containers.element(option)

    def _next_of(self, iterator: Type, iterable: Instance, step: str) -> Type:
        if isinstance(iterator, Instance) and not iterator.args:
            item = self._special_method(iterator, step)
            return UNKNOWN if item == NOTHING else item
        return containers.element(iterator)

    # ----------------------------------------------------------------- expressions

    def _expression(self, key: FunctionKey, expr: ir.Expr, nesting: int) -> Type:
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
                return self._denoted(self._program.imported(key.module, expr))
            case _ if nesting > _MAX_NESTING:
                return UNKNOWN
            case _:
                self._cells.descend()
                found = self._compound(key, expr, nesting + 1)
                self._cells.ascend()
                return found

    def _compound(self, key: FunctionKey, expr: ir.Expr, nesting: int) -> Type:
        match expr:
            case ir.Attr():
                return self._read_attribute(key, expr, nesting)
            case ir.Item():
                return self._subscript(key, expr, nesting)
            case ir.Op():
                return self._operation(key, expr, nesting)
            case ir.Build(kind, items):
                return self._display(key, kind, items, nesting)
            case ir.Element(value, index, starred):
                found = self._expression(key, value, nesting)
                return join(self._part(option, index, starred) for option in options(found))
            case ir.Star(value):
                return self._expression(key, value, nesting)
            case _:
                return UNKNOWN

    def _name(self, key: FunctionKey, name: str) -> Type:
        holder = self._program.scopes(key.module).scope(key.function, name)
        if holder is not None:
            return self._read_local(FunctionKey(key.module, holder), name)
        found = self._program.denotes(key, ir.Name(name))
        return self._denoted(found)

    def _denoted(self, found: Iterable[Denotation]) -> Type:
        return join(self._denoted_one(each) for each in found)

    def _denoted_one(self, denoted: Denotation) -> Type:
        match denoted:
            case External(name):
                return self._library_value(name)
            case Value(scope, expr):
                return self._expression(scope, expr, 0)
            case ModuleObject() | ClassObject() | ProjectFunction():
                return denoted

    def _library_value(self, name: str) -> Type:
        """What a dotted name outside of the project stands for."""
        cls = self._annotations.class_name(name)
        last = cls.rpartition(".")[2]
        if cls in containers.BUILTIN_CLASSES:
            return ClassObject(cls)
        if name.startswith("builtins."):
            known_builtin = name.split(".")[1] in containers.BUILTINS
            return LibraryFunction(name) if known_builtin else UNKNOWN
        entry = self._knowledge.entry(cls)
        if entry is not None and entry.kind == "attribute":
            return UNKNOWN if entry.returns is None else self._annotations.library_result(entry.returns, _no_operands)
        if self._knowledge.is_class(cls) or cls in containers.CLASSES:
            return ClassObject(cls)
        looks_like_class = entry is None and last[:1].isupper() and not last.isupper()
        return ClassObject(cls) if looks_like_class else LibraryFunction(cls)

    def _closure(self, key: FunctionKey, made: FunctionKey) -> Type:
        function = self._program.function(made)
        if function.kind != "genexp":
            return ProjectFunction(made, frame=key)
        cls = "collections.abc.AsyncGenerator" if function.is_async else "collections.abc.Generator"
        return instance(cls, (self._read_yielded(made),))

    def _operation(self, key: FunctionKey, expr: ir.Op, nesting: int) -> Type:
        operands = [self._expression(key, each, nesting) for each in expr.operands[:8]]
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
                return join(_instance_of(option) for option in options(called))
            case op if op in _BOOLEAN_OPERATORS:
                return Instance("bool")
            case _:
                return join(_of_arithmetic(option) for option in options(operands[0])) if operands else UNKNOWN

    def _display(self, key: FunctionKey, kind: str, items: Sequence[ir.Expr], nesting: int) -> Type:
        if kind == "dict":
            return self._dict_display(key, items, nesting)
        if kind == "tuple" and len(items) <= 16 and not any(isinstance(item, ir.Star) for item in items):
            return tuple_of([self._expression(key, item, nesting) for item in items])
        parts: list[Type] = []
        for item in items[:64]:
            found = self._expression(key, item, nesting)
            parts.append(containers.element(found) if isinstance(item, ir.Star) else found)
        return instance(kind, (join(parts),)) if parts else Instance(kind)

    def _dict_display(self, key: FunctionKey, items: Sequence[ir.Expr], nesting: int) -> Type:
        keys: list[Type] = []
        values: list[Type] = []
        queue = list(items[:128])
        while queue:
            first = queue.pop(0)
            if isinstance(first, ir.Star):
                for option in options(self._expression(key, first.value, nesting)):
                    if isinstance(option, Instance) and option.cls in MAPPINGS and len(option.args) == 2:
                        keys.append(option.args[0])
                        values.append(option.args[1])
            elif queue:
                keys.append(self._expression(key, first, nesting))
                values.append(self._expression(key, queue.pop(0), nesting))
        return instance("dict", (join(keys), join(values))) if keys else Instance("dict")

    def _part(self, option: Type, index: int, starred: bool) -> Type:
        match option:
            case TupleOf(items) if not starred:
                return items[index] if -len(items) <= index < len(items) else UNKNOWN
            case Instance(cls) if self._program.cls(cls):
                return self._named_tuple_part(cls, index)
            case NoneValue():
                return NOTHING
        item = self._item_of(option)
        return instance("list", (item,)) if starred else item

    def _named_tuple_part(self, cls: str, index: int) -> Type:
        info = self._program.cls(cls)
        if info is None or "typing.NamedTuple" not in self.library_bases(cls):
            return UNKNOWN
        annotated = self._program.function(FunctionKey(info.module, info.definition.body)).annotations
        if not -len(annotated) <= index < len(annotated):
            return UNKNOWN
        return self._cells.read(_Cell(_Kind.ATTRIBUTE, cls, name=annotated[index].name))

    def _subscript(self, key: FunctionKey, expr: ir.Item, nesting: int) -> Type:
        found = self._expression(key, expr.base, nesting)
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
            case Instance(cls), ir.Const("int", text) if "typing.NamedTuple" in self._library_classes(cls):
                return self._named_tuple_part(cls, int(text))
            case Instance(cls), _ if self._program.cls(cls):
                given = self._special_method(option, "__getitem__")
                return UNKNOWN if given == NOTHING else given
            case _:
                return containers.subscript(option, self._expression(key, index, nesting))

    # ----------------------------------------------------------------- attributes

    def _read_attribute(self, key: FunctionKey, expr: ir.Attr, nesting: int) -> Type:
        if self._is_super(key, expr.base):
            return self._super_member(key, expr.name)
        base = self._expression(key, expr.base, nesting)
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
                return self._library_value(f"{public_name(cls)}.{name}")
            case ModuleObject(module):
                return self._module_member(module, name)
            case LibraryFunction(dotted_name, bound=False, leading=()):
                return self._library_value(f"{dotted_name}.{name}")
            case Pending(_, _, task):
                cls = _pending_class(name, task)
                return LibraryFunction(self._knowledge.canonical(f"{cls}.{name}"), True, receiver, key)
            case _:
                return UNKNOWN

    def _module_member(self, module: str, name: str) -> Type:
        if self._program.binds(module, name):
            return self._read_local(FunctionKey(module, 0), name)
        return self._denoted(self._program.resolve(module, name)) if self._program.is_module(module) else UNKNOWN

    def _project_member(self, key: FunctionKey, owner: Instance, receiver: ir.Expr, name: str) -> Type:
        if name == "__class__":
            return ClassObject(owner.cls)
        found: list[Type] = []
        methods = self._program.methods(owner.cls, name)
        if owner.made_at is None:
            methods += tuple(islice(self._program.overrides(owner.cls, name), _MAX_OVERRIDES))
        for method in dict.fromkeys(methods):
            found.append(self._bound(key, method, receiver))
        if self._has_attribute(owner.cls, name):
            found.append(self._cells.read(_Cell(_Kind.ATTRIBUTE, owner.cls, name=name)))
        if found:
            return join(found)
        for base in self.library_bases(owner.cls):
            if base not in _SAYS_NOTHING_OF_MEMBERS:
                return self._library_member(key, base, owner, receiver, name)
        return UNKNOWN

    def _bound(self, key: FunctionKey, method: FunctionKey, receiver: ir.Expr) -> Type:
        """A method read from an instance: bound, or what the property gives."""
        function = self._program.function(method)
        decorators = decorator_names(function)
        if any(decorator.endswith("property") for decorator in decorators):
            result = self._result_for(ProjectFunction(method, True, receiver, key))
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
        if not found and not _ENUMS.isdisjoint(self.library_bases(cls)):
            return Instance(cls)
        if self._has_attribute(cls, name):
            found.append(self._cells.read(_Cell(_Kind.ATTRIBUTE, cls, name=name)))
        if found:
            return join(found)
        for base in self.library_bases(cls):
            if base not in _SAYS_NOTHING_OF_MEMBERS:
                return self._library_value(f"{public_name(base)}.{name}")
        return UNKNOWN

    def _library_member(
        self, key: FunctionKey, cls: str, owner: Instance, receiver: ir.Expr, name: str
    ) -> Type:
        dotted_name = self._knowledge.canonical(f"{public_name(cls)}.{name}")
        entry = self._knowledge.entry(dotted_name)
        if entry is not None and entry.kind == "attribute":
            if entry.returns is None:
                return UNKNOWN
            return self._annotations.library_result(entry.returns, _self_operands(owner))
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
        for base in (*self.library_bases(cls), "object"):
            if base not in _SAYS_NOTHING_OF_MEMBERS or base == "object":
                return self._library_member(key, base, Instance(cls), receiver, name)
        return UNKNOWN

    # ----------------------------------------------------------------- calls

    def _call(self, site: CallSite, call: ir.Call, called: Type) -> Type:
        match called:
            case ProjectFunction():
                return self._call_project(called, site)
            case ClassObject(cls, args) if self._program.cls(cls):
                return instance(cls, args, site)
            case ClassObject(cls, args):
                return self._construct(site, call, cls, args)
            case LibraryFunction():
                return self._call_library(site, call, called)
            case Instance(cls) if self._program.cls(cls):
                methods = self._program.methods(cls, "__call__")
                return join(
                    self._call_project(ProjectFunction(key, True, call.func, site.function), site)
                    for key in methods
                ) if methods else UNKNOWN
            case NoneValue():
                return NOTHING
            case _:
                return UNKNOWN

    def _argument(self, site: CallSite, call: ir.Call, position: int) -> Type:
        if position >= len(call.args) or any(isinstance(arg, ir.Star) for arg in call.args[: position + 1]):
            return UNKNOWN
        return self._expression(site.function, call.args[position], 0)

    def _keyword(self, site: CallSite, call: ir.Call, name: str) -> Type:
        for keyword, value in call.keywords:
            if keyword == name:
                return self._expression(site.function, value, 0)
        return UNKNOWN

    def _construct(self, site: CallSite, call: ir.Call, cls: str, args: tuple[Type, ...]) -> Type:
        if args:
            return instance(cls, args, site)
        if cls in containers.WRAPPERS:
            return instance(cls, (self._argument(site, call, 0),), site)
        if cls == "functools.partial":
            return self._partial(site, call)
        if cls == "type":
            return join(_class_of(option) for option in options(self._argument(site, call, 0)))
        if cls == "super":
            return UNKNOWN
        if cls in containers.BUILTIN_CLASSES or cls in containers.SEQUENCES:
            arguments = tuple(self._argument(site, call, index) for index in range(len(call.args)))
            found = containers.builtin_result(cls, arguments)
            return Instance(cls) if found == UNKNOWN else found
        return Instance(cls, (), site)

    def _partial(self, site: CallSite, call: ir.Call) -> Type:
        """A function of which `functools.partial` has supplied some arguments."""
        leading, keywords = plain_arguments(call)
        found: list[Type] = []
        for option in options(self._argument(site, call, 0)):
            match option:
                case ProjectFunction(key, bound, receiver, frame):
                    found.append(
                        ProjectFunction(key, bound, receiver, frame or site.function, leading[1:], keywords)
                    )
                case LibraryFunction(name, bound, receiver, frame):
                    found.append(
                        LibraryFunction(name, bound, receiver, frame or site.function, leading[1:], keywords)
                    )
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
            result = self._annotations.library_result(entry.returns, self._operands(site, call, called, entry))
        elif called.name.startswith("builtins.") and not called.bound:
            arguments = tuple(self._argument(site, call, index) for index in range(len(call.args)))
            result = containers.builtin_result(called.name.removeprefix("builtins."), arguments)
        elif called.receiver is not None and called.frame is not None:
            result = self._container_method(called)
        return pending(result, site) if entry is not None and entry.awaitable else result

    def _special_call(self, site: CallSite, call: ir.Call, called: LibraryFunction) -> Type | None:
        """Calls whose result depends on more than the types of their arguments."""
        match called.name:
            case "functools.partial":
                return self._partial(site, call)
            case "typing.cast":
                return self._annotations.read(site.function, call.args[0]) if call.args else UNKNOWN
            case name if name in _FIELD_FACTORIES:
                return self._field(site, call)
            case "copy.copy" | "copy.deepcopy":
                return self._argument(site, call, 0)
            case "builtins.getattr" if len(call.args) > 1 and isinstance(call.args[1], ir.Const):
                return self._expression(site.function, ir.Attr(call.args[0], call.args[1].text), 0)
            case "builtins.anext":
                return pending(self._items(self._argument(site, call, 0)), site)
            case "contextlib.ExitStack.enter_context" | "contextlib.AsyncExitStack.enter_context" if call.args:
                return self._entered(site.function, call.args[0], "__enter__")
            case "contextlib.AsyncExitStack.enter_async_context" if call.args:
                return pending(self._entered(site.function, call.args[0], "__aenter__"), site)
            case _:
                return None

    def _field(self, site: CallSite, call: ir.Call) -> Type:
        """The default of a dataclass or attrs field."""
        found: list[Type] = []
        for keyword, value in call.keywords:
            if keyword == "default":
                found.append(self._expression(site.function, value, 0))
            elif keyword in {"default_factory", "factory"}:
                factory = self._expression(site.function, value, 0)
                without_arguments = ir.Call(value, (), (), True)
                found.extend(self._call(site, without_arguments, option) for option in options(factory))
        return join(found) if found else NOTHING

    def _container_method(self, called: LibraryFunction) -> Type:
        if called.receiver is None or called.frame is None:
            return UNKNOWN
        owner, _, method = called.name.rpartition(".")
        receivers = options(self._expression(called.frame, called.receiver, 0))
        matching = [
            Instance("tuple", (join(each.items),)) if isinstance(each, TupleOf) else each for each in receivers
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
                    return self.awaiting(found)
                case _:
                    return found

        return operand

    def _operand_argument(
        self, site: CallSite, call: ir.Call, called: LibraryFunction, entry: Entry, which: str
    ) -> Type:
        if not which.isdigit():
            return self._keyword(site, call, which)
        position = int(which)
        if position < len(called.leading) and called.frame is not None:
            return self._expression(called.frame, called.leading[position], 0)
        position -= len(called.leading)
        if position < len(call.args):
            return self._argument(site, call, position)
        return self._named_operand(site, call, entry, int(which))

    def _named_operand(self, site: CallSite, call: ir.Call, entry: Entry, position: int) -> Type:
        """The argument of a positional parameter that was passed by name."""
        names = entry.params
        return self._keyword(site, call, names[position]) if position < len(names) else UNKNOWN

    def _type_argument(self, called: LibraryFunction, which: str) -> Type:
        if called.receiver is None or called.frame is None:
            return UNKNOWN
        owners = options(self._expression(called.frame, called.receiver, 0))
        found = [_self_operands(each)("plain", "self", which) for each in owners if isinstance(each, Instance)]
        return join(found) if found else UNKNOWN

    def _as_task(self, option: Type, site: CallSite) -> Type:
        """A task that runs this awaitable; of a container of awaitables, a task for each."""
        match option:
            case Pending(_, _, True):
                return option
            case Pending(result, made_at):
                return pending(result, made_at, task=True, spawned_at=site)
            case Instance(cls, (result, *_)) if cls in AWAITABLES:
                return instance("asyncio.Task", (self._awaiting(option),)) if result else option
            case Instance(cls, (_, *_)) if cls in containers.SEQUENCES | MAPPINGS | containers.ITERABLES:
                inner = containers.element(option)
                return join(self._as_task(each, site) for each in options(inner))
            case TupleOf(items):
                return join(self._as_task(each, site) for item in items for each in options(item))
            case NoneValue():
                return NOTHING
            case _:
                return Instance("asyncio.Task", (), site)


def _no_operands(_taken: str, _of: str, _which: str) -> Type:
    return UNKNOWN


def _self_operands(owner: Instance) -> Callable[[str, str, str], Type]:
    """Operands of a method or attribute of this object: `self:0` is its first type argument."""

    def operand(_taken: str, of: str, which: str) -> Type:
        if of == "self" and which.isdigit() and int(which) < len(owner.args):
            return owner.args[int(which)]
        return UNKNOWN

    return operand


def _same_class(left: Type, right: Type) -> bool:
    return isinstance(left, Instance) and isinstance(right, Instance) and left.cls == right.cls


def _is_awaitable(option: Type) -> bool:
    """Whether the very coroutine or task behind a declared type is worth knowing."""
    match option:
        case Instance(cls) if cls in AWAITABLES:
            return True
        case Instance(_, args) | TupleOf(args):
            return any(_is_awaitable(each) for arg in args for each in options(arg))
        case _:
            return False


def _lacks_elements(option: Type) -> bool:
    match option:
        case Instance(cls, args) if cls in FILLED_LATER:
            return not args or is_vague(args[-1]) or any(_is_awaitable(each) for each in options(args[-1]))
        case _:
            return False


def _elements_or_values(found: Type) -> Type:
    """What `extend` and `update` put in: elements, or the values of a mapping."""
    parts: list[Type] = []
    for option in options(found):
        if isinstance(option, Instance) and option.cls in MAPPINGS:
            parts.append(option.args[1] if len(option.args) > 1 else UNKNOWN)
        else:
            parts.append(containers.element(option))
    return join(parts)


def _instance_of(option: Type) -> Type:
    match option:
        case ClassObject(cls, args):
            return Instance(cls, args)
        case Instance():
            return option
        case TupleOf(items):
            return join(_instance_of(each) for item in items for each in options(item))
        case _:
            return UNKNOWN


def _class_of(option: Type) -> Type:
    return ClassObject(option.cls, option.args) if isinstance(option, Instance) else UNKNOWN


def _of_arithmetic(option: Type) -> Type:
    """What an operator gives whose left operand is this: for built-in values, the same type."""
    match option:
        case Instance(cls) if cls in containers.BUILTIN_CLASSES or cls in FILLED_LATER:
            return option
        case TupleOf(items):
            return instance("tuple", (join(items),))
        case _:
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
