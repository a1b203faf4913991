"""From the type of what is called to what the call reaches."""

from cancellint.analysis.program.arguments import ELSEWHERE
from cancellint.analysis.program.containers import public_name
from cancellint.analysis.program.names import decorator_names, first_parameter
from cancellint.analysis.program.program import Program
from cancellint.analysis.program.type_algebra import options
from cancellint.model import ir
from cancellint.model.types import (
    Callee,
    ClassObject,
    FunctionKey,
    Instance,
    LibraryCallee,
    LibraryFunction,
    ProjectCallee,
    ProjectFunction,
    Type,
    UnresolvedCallee,
)


def plain_arguments(call: ir.Call) -> tuple[tuple[ir.Expr, ...], tuple[tuple[str, ir.Expr], ...]]:
    """The positional arguments of a call and its keywords by name."""
    return call.args, tuple((name, value) for name, value in call.keywords if name is not None)


class Callees:
    """Puts what a call reaches into the terms of the caller's frame."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def of(self, caller: FunctionKey, call: ir.Call, called: Type) -> tuple[Callee, ...]:
        """The callees of a call whose function has this type; an UnresolvedCallee if none is known."""
        found = self.reached(caller, call, called)
        return found if found else (_unresolved(call),)

    def reached(self, caller: FunctionKey, call: ir.Call, called: Type) -> tuple[Callee, ...]:
        """The callees that are known, each once."""
        found: list[Callee] = []
        for option in options(called):
            found.extend(each for each in self._reached(caller, call, option) if each not in found)
        return tuple(found)

    def _reached(self, caller: FunctionKey, call: ir.Call, called: Type) -> tuple[Callee, ...]:
        match called:
            case ProjectFunction():
                return (self._function(caller, call, called),)
            case LibraryFunction(name, _, receiver, frame):
                args, keywords = self._arguments(caller, call, called)
                seen = self._in_frame(caller, frame, receiver, call)
                return (LibraryCallee(name, seen, args, keywords),)
            case ClassObject(cls) if self._program.cls(cls):
                return self._constructor(call, cls)
            case ClassObject(cls):
                return (LibraryCallee(public_name(cls), None, call.args, call.keywords),)
            case Instance(cls) if self._program.cls(cls):
                return tuple(
                    ProjectCallee(key, call.func, False, call.args, call.keywords)
                    for key in self._program.methods(cls, "__call__")
                )
            case _:
                return ()

    def _function(self, caller: FunctionKey, call: ir.Call, called: ProjectFunction) -> ProjectCallee:
        args, keywords = self._arguments(caller, call, called)
        if called.bound:
            receiver = self._in_frame(caller, called.frame, called.receiver, call) or ELSEWHERE
            return ProjectCallee(called.key, receiver, False, args, keywords)
        if self._takes_receiver(called.key) and args and not isinstance(args[0], ir.Star):
            return ProjectCallee(called.key, args[0], False, args[1:], keywords)
        return ProjectCallee(called.key, None, False, args, keywords)

    def _takes_receiver(self, key: FunctionKey) -> bool:
        function = self._program.function(key)
        return (
            function.cls >= 0
            and function.kind == "function"
            and first_parameter(function) is not None
            and "staticmethod" not in decorator_names(function)
        )

    def _arguments(
        self, caller: FunctionKey, call: ir.Call, called: ProjectFunction | LibraryFunction
    ) -> tuple[tuple[ir.Expr, ...], tuple[tuple[str | None, ir.Expr], ...]]:
        """The call's arguments after those that `partial` has supplied."""
        if not called.leading and not called.keywords:
            return call.args, call.keywords
        given = {name for name, _ in call.keywords}
        leading = [self._seen(caller, called.frame, value) or ELSEWHERE for value in called.leading]
        supplied = [
            (name, self._seen(caller, called.frame, value) or ELSEWHERE)
            for name, value in called.keywords
            if name not in given
        ]
        return (*leading, *call.args), (*supplied, *call.keywords)

    def _seen(self, caller: FunctionKey, frame: FunctionKey | None, expr: ir.Expr) -> ir.Expr | None:
        """The expression of another frame, if it means the same in the caller's: steps never do."""
        if frame == caller or (self._sees(caller, frame) and not _rests_on_steps(expr)):
            return expr
        return None

    def _sees(self, caller: FunctionKey, frame: FunctionKey | None) -> bool:
        """Whether the names of `frame` are visible in the caller: it is the caller or encloses it."""
        if frame is None or frame.module != caller.module:
            return False
        functions = self._program.module(caller.module).functions
        index = caller.function
        for _ in range(len(functions)):
            if index == frame.function:
                return True
            if index < 0:
                return False
            index = functions[index].parent
        return False

    def _in_frame(
        self, caller: FunctionKey, frame: FunctionKey | None, receiver: ir.Expr | None, call: ir.Call
    ) -> ir.Expr | None:
        """A bound method's receiver as the caller can write it."""
        if receiver is None:
            return None
        seen = self._seen(caller, frame, receiver)
        if seen is not None:
            return seen
        # `self.handler = self.on_message` in one method, `self.handler()` in another: the same `self`
        if frame is not None and isinstance(call.func, ir.Attr):
            there = self._program.scopes(frame.module).receiver_name(frame.function)
            if there is not None and receiver == ir.Name(there):
                return call.func.base
        return None

    def _constructor(self, call: ir.Call, cls: str) -> tuple[Callee, ...]:
        initialisers = self._program.methods(cls, "__init__")
        if initialisers:
            return tuple(ProjectCallee(key, None, True, call.args, call.keywords) for key in initialisers)
        completions = self._program.methods(cls, "__post_init__")
        if completions:
            return tuple(ProjectCallee(key, None, True, (), ()) for key in completions)
        return (LibraryCallee(cls, None, call.args, call.keywords),)


def _rests_on_steps(expr: ir.Expr) -> bool:
    """Whether the outcome of some step is part of the expression."""
    waiting = [expr]
    while waiting:
        match waiting.pop():
            case ir.Temp():
                return True
            case ir.Attr(base=value) | ir.Element(value=value) | ir.Star(value=value):
                waiting.append(value)
            case ir.Item(base, key):
                waiting += (base, key)
            case ir.Op(operands=parts) | ir.Build(items=parts):
                waiting += parts
            case _:
                pass
    return False


def _unresolved(call: ir.Call) -> UnresolvedCallee:
    match call.func:
        case ir.Attr(base, method):
            return UnresolvedCallee(method, base, call.args, call.keywords)
        case _:
            return UnresolvedCallee(None, call.func, call.args, call.keywords)
