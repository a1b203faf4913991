"""What locals, parameters and attributes hold: all that is ever assigned to them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cancellint.analysis.program import containers
from cancellint.analysis.program.arguments import bind, positional_arguments
from cancellint.analysis.program.call_sites import CallSites
from cancellint.analysis.program.containers import FILLED_LATER, MAPPINGS
from cancellint.analysis.program.names import Added, decorator_names, first_parameter
from cancellint.analysis.program.program import ClassInfo
from cancellint.analysis.program.type_algebra import (
    NONE,
    NOTHING,
    UNKNOWN,
    instance,
    is_vague,
    join,
    options,
)
from cancellint.analysis.types.annotations import no_operands
from cancellint.analysis.types.callees import Callees
from cancellint.analysis.types.refinement import is_awaitable, refined
from cancellint.model import ir
from cancellint.model.types import (
    CallSite,
    ClassObject,
    FunctionKey,
    Instance,
    LibraryFunction,
    Pending,
    ProjectCallee,
    ProjectFunction,
    TupleOf,
    Type,
    Unknown,
)

if TYPE_CHECKING:
    from cancellint.analysis.types.inference import Inference


class Variables:
    """Types of what is assigned, flow-insensitively."""

    def __init__(self, core: "Inference") -> None:
        self._core = core
        self._program = core.program
        self._knowledge = core.knowledge
        self._annotations = core.annotations
        self._callees = Callees(core.program)
        self._call_sites = CallSites(core.program)
        self._has_attribute: dict[tuple[str, str], bool] = {}

    def local(self, key: FunctionKey, name: str) -> Type:
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
        found = refined(self._program, declared, join(values), keep_unknown=is_parameter)
        return self._filled(found, added)

    def _assigned(self, key: FunctionKey, value: ir.Expr, op: str) -> Type:
        found = self._core.expression(key, value)
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
        scope = self._core.results.annotation_scope(key)
        declared = UNKNOWN
        if param.annotation is not None:
            declared = self._annotations.read(scope, param.annotation)
        if param.kind == "varargs":
            return instance("tuple", (declared,)), NOTHING
        if param.kind == "varkwargs":
            return instance("dict", (Instance("str"), declared)), NOTHING
        default = NOTHING if param.default is None else self._core.expression(scope, param.default)
        if param.annotation is None:
            return NOTHING, join((self._passed(key, param), default))
        if default == NONE and not is_vague(declared):
            declared = join((declared, NONE))
        return declared, default

    def _passed(self, key: FunctionKey, param: ir.Param) -> Type:
        """What the callers pass for a parameter without annotation, if all that are known agree."""
        if self._program.function(key).kind != "function":
            return UNKNOWN
        sites = self._call_sites.may_reach(key)
        if sites is None:
            return UNKNOWN
        found = [*self._passed_by_calls(key, param, sites), *self._passed_by_libraries(key, param)]
        passed = join(found)
        if not found or any(isinstance(each, Unknown) for each in options(passed)):
            return UNKNOWN
        return passed

    def _passed_by_calls(
        self, key: FunctionKey, param: ir.Param, sites: Sequence[CallSite]
    ) -> Iterator[Type]:
        function = self._program.function(key)
        for site in sites:
            call = self._core.call_step(site.function, site.step)
            called = self._core.expression(site.function, call.func)
            for callee in self._callees.reached(site.function, call, called):
                if isinstance(callee, ProjectCallee) and callee.key == key:
                    yield self._given(site.function, function, param, callee)

    def _passed_by_libraries(self, key: FunctionKey, param: ir.Param) -> Iterator[Type]:
        """What library functions pass that are given this function to call it."""
        for handover in self._call_sites.handed_over(key):
            caller = handover.site.function
            call = self._core.call_step(caller, handover.site.step)
            handed = self._core.expression(caller, call.args[handover.position])
            for callback in options(handed):
                if isinstance(callback, ProjectFunction) and callback.key == key:
                    called = self._core.expression(caller, call.func)
                    for option in options(called):
                        passed = self._called_back(caller, call, handover.position, option)
                        yield UNKNOWN if passed is None else self._received(key, param, callback, passed)

    def _received(
        self, key: FunctionKey, param: ir.Param, callback: ProjectFunction, passed: Sequence[Type | ir.Star]
    ) -> Type:
        """What a parameter of a callback receives if that is called with these, after what it is bound to."""
        frame, params = callback.frame or key, self._program.function(key).params
        before = [UNKNOWN] * callback.bound
        before += [self._core.expression(frame, value) for value in callback.leading]
        named = [(name, self._core.expression(frame, value)) for name, value in callback.keywords]
        bound = bind(params, (*before, *passed), named)
        place = params.index(param)
        value = bound.given.get(place)
        if value is None or isinstance(value, ir.Star):
            return UNKNOWN if place in bound.open else NOTHING
        return value

    def _called_back(
        self, caller: FunctionKey, call: ir.Call, callback: int, called: Type
    ) -> Sequence[Type | ir.Star] | None:
        """What a library function passes to its argument number `callback`; None if that is not known."""
        if not isinstance(called, LibraryFunction):
            return None
        entry = self._knowledge.entry(called.name)
        if entry is None or entry.calls != f"arg:{callback}":
            return None
        if entry.calls_with:
            return [self._annotations.library_result(each, no_operands) for each in entry.calls_with]
        after = call.args[callback + 1 :]
        return [each if isinstance(each, ir.Star) else self._core.expression(caller, each) for each in after]

    def _given(
        self, caller: FunctionKey, function: ir.Function, param: ir.Param, callee: ProjectCallee
    ) -> Type:
        """What one call passes for a parameter; NOTHING if it leaves the default."""
        bound = bind(function.params, positional_arguments(callee), callee.keywords)
        place = function.params.index(param)
        if place in bound.given:
            return self._core.expression(caller, bound.given[place])
        return UNKNOWN if place in bound.open or param.is_required else NOTHING

    def _receiver_type(self, key: FunctionKey, param: ir.Param) -> Type | None:
        function = self._program.function(key)
        if function.cls < 0 or function.kind != "function" or first_parameter(function) != param.name:
            return None
        decorators = decorator_names(function)
        if "staticmethod" in decorators:
            return None
        cls = self._program.class_name(key.module, function.cls)
        if "classmethod" in decorators or function.name in {
            "__new__",
            "__init_subclass__",
            "__class_getitem__",
        }:
            return ClassObject(cls, exact=False)
        return Instance(cls)

    def _filled(self, found: Type, added: Sequence[tuple[FunctionKey, Added]]) -> Type:
        """A container type with the elements that other statements put into it."""
        if not added or not any(_lacks_elements(option) for option in options(found)):
            return found
        keys: list[Type] = []
        values: list[Type] = []
        is_mapping = any(isinstance(each, Instance) and each.cls in MAPPINGS for each in options(found))
        for writer, each in added:
            value = self._core.expression(writer, each.value)
            if each.in_comprehension and is_mapping and isinstance(value, TupleOf):
                keys.append(value.items[0])
                values.append(value.items[-1])
                continue
            values.append(_elements_or_values(value) if each.merged else value)
            if each.key is not None:
                keys.append(self._core.expression(writer, each.key))
        return join(self._with_elements(option, join(keys), join(values)) for option in options(found))

    def _with_elements(self, option: Type, keys: Type, values: Type) -> Type:
        if not isinstance(option, Instance) or not _lacks_elements(option):
            return option
        declared = option.args[-1] if option.args else NOTHING
        if any(isinstance(each, Pending) for each in options(declared)):
            held = join((declared, values))  # what it was made with, and what came later
        else:
            held = refined(self._program, UNKNOWN if declared == NOTHING else declared, values)
        if option.cls in MAPPINGS:
            return instance(option.cls, (join((*option.args[:1], keys)), held), option.made_at)
        return instance(option.cls, (held,), option.made_at)

    def attribute(self, cls: str, name: str) -> Type:
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
        return self._filled(refined(self._program, declared, join(values)), added)

    def has_attribute(self, cls: str, name: str) -> bool:
        """Whether the class or a project base declares or assigns a data attribute of this name."""
        known = self._has_attribute.get((cls, name))
        if known is None:
            known = self._has_attribute[cls, name] = self._binds_attribute(cls, name)
        return known

    def _binds_attribute(self, cls: str, name: str) -> bool:
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
                found.append(self._core.expression(scope, value))
        attributes = self._program.scopes(info.module).attributes(info.index)
        for function, binding in attributes.stores.get(name, ()):
            found.append(self._assigned(FunctionKey(info.module, function), binding.value, binding.op))
        return found

    def _added(self, info: ClassInfo, name: str) -> list[tuple[FunctionKey, Added]]:
        attributes = self._program.scopes(info.module).attributes(info.index)
        return [(FunctionKey(info.module, index), each) for index, each in attributes.fills.get(name, ())]


def _lacks_elements(option: Type) -> bool:
    match option:
        case Instance(cls, args) if cls in FILLED_LATER:
            held = options(args[-1]) if args else ()
            tasks = any(isinstance(each, Pending) or is_awaitable(each) for each in held)
            return not args or is_vague(args[-1]) or tasks
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
