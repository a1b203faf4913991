"""What the expressions after `except` stand for: classes, tuples of classes, or one of several of either."""

import re
from collections.abc import Iterable, Iterator
from itertools import product
from typing import TypeAlias

from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.library.knowledge import Knowledge
from cancellint.analysis.program.names import External, Value
from cancellint.analysis.program.program import Program
from cancellint.model.ir import Attr, Build, Call, ClassRef, Closure, Expr, Imported, Name, Op, Star, Temp
from cancellint.model.types import ClassObject, FunctionKey, ProjectFunction

Classes: TypeAlias = tuple[str | None, ...]
"""Classes that are caught together, None for one that nobody knows."""

Alternatives: TypeAlias = tuple[Classes, ...]
"""What an expression may stand for: one of these, at least one."""

UNKNOWN: Alternatives = ((None,),)

_DEEPEST = Limit(12, "names of one exception class")
"""Aliases, tuples in tuples and functions that give classes: how many levels are followed."""
_MOST = Limit(16, "classes that one handler may name")
"""Alternatives kept apart; above that nothing is known."""
_GIVES_CLASSES = re.compile(r"type\[(.+)\]")


class ExceptionNames:
    """Resolves names of exceptions through imports, aliases, constants, tuples and class attributes."""

    def __init__(self, program: Program, knowledge: Knowledge) -> None:
        self._program = program
        self._knowledge = knowledge

    def of_all(self, key: FunctionKey, types: tuple[Expr, ...]) -> Alternatives:
        """What several expressions stand for together; nothing written is a bare `except`."""
        return self._together(key, types, _DEEPEST) if types else (("builtins.BaseException",),)

    def _together(self, key: FunctionKey, parts: Iterable[Expr], depth: int) -> Alternatives:
        found: Alternatives = ((),)
        for part in parts:
            more = self._of(key, part, depth)
            if _MOST.is_exceeded_by(len(found) * len(more)):
                return UNKNOWN
            found = tuple((*one, *other) for one, other in product(found, more))
        return found

    def _of(self, key: FunctionKey, expr: Expr, depth: int) -> Alternatives:
        """What one expression stands for; every level of recursion takes one off the depth."""
        if not _DEEPEST.leaves(depth):
            return UNKNOWN
        match expr:
            case Build(items=items):
                return self._together(key, items, depth - 1)
            case Star(value=value):
                return self._of(key, value, depth - 1)
            case Op(op="+", operands=parts):
                return self._together(key, parts, depth - 1)
            case Op(op="ifexp", operands=(_, *parts)) | Op(op="or" | "and", operands=(*parts,)):
                return _one_of(self._of(key, part, depth - 1) for part in parts)
            case Op(op="call", operands=(func, *args)):
                return self._given_by(key, func, args, depth - 1)
            case Temp(step=step):
                made = self._program.function(key).steps[step]
                if not isinstance(made, Call):
                    return UNKNOWN
                return self._given_by(key, made.func, made.args, depth - 1)
            case Name() | Attr() | ClassRef() | Closure() | Imported():
                return _one_of(self._denoted(key, expr, depth - 1))
            case _:
                return UNKNOWN

    def _denoted(self, key: FunctionKey, expr: Expr, depth: int) -> Iterator[Alternatives]:
        """Yield what a name or attribute stands for, each candidate by itself."""
        for found in self._program.denotes(key, expr):
            match found:
                case External(name) | ClassObject(name):
                    yield ((name,),)
                case Value(scope, value) if value != expr:
                    yield self._of(scope, value, depth)
                case _:
                    yield UNKNOWN
        match expr:
            case Name(id=name) if not self._is_all_known(key, name):
                yield UNKNOWN
            case Attr(base=Name(id=name), name=attribute) if name == self._receiver(key):
                yield from self._of_receiver(key, attribute, depth)
            case _:
                pass

    def _is_all_known(self, key: FunctionKey, name: str) -> bool:
        """Tell whether a variable holds nothing but what is plainly assigned to it."""
        scopes = self._program.scopes(key.module)
        holder = scopes.scope(key.function, name)
        if holder is None:
            return True
        if name in scopes.bindings(holder).params:
            return False
        writers = (scopes.bindings(writer) for writer in scopes.writers(holder, name))
        return not any(binding.op for found in writers for binding in found.assigned.get(name, ()))

    def _receiver(self, key: FunctionKey) -> str | None:
        return self._program.scopes(key.module).receiver_name(key.function)

    def _of_receiver(self, key: FunctionKey, attribute: str, depth: int) -> Iterator[Alternatives]:
        """Yield what an attribute of `self` or `cls` holds: in the class, its bases, its subclasses."""
        owner = self._program.class_of(key)
        for cls in (owner, *self._program.descendants(owner)) if owner is not None else ():
            for found in self._program.class_member(cls, attribute):
                match found:
                    case External(name) | ClassObject(name):
                        yield ((name,),)
                    case Value(scope, value):
                        yield self._of(scope, value, depth)
                    case _:
                        yield UNKNOWN
        for scope, value in self._stored(owner, attribute):
            yield self._of(scope, value, depth)

    def _stored(self, owner: str | None, attribute: str) -> Iterator[tuple[FunctionKey, Expr]]:
        """Yield the values that the methods of a class or of its bases give an attribute."""
        for cls in self._program.order(owner) if owner is not None else ():
            info = self._program.cls(cls)
            if info is not None:
                stores = self._program.scopes(info.module).attributes(info.index).stores
                for function, binding in stores.get(attribute, ()):
                    yield FunctionKey(info.module, function), binding.value

    def _given_by(self, key: FunctionKey, func: Expr, args: Iterable[Expr], depth: int) -> Alternatives:
        """What a call gives: `get_cancelled_exc_class()`, `tuple(ERRORS)`, a function of the project."""
        return _one_of(
            self._given_by_one(key, found, tuple(args), depth) for found in self._program.denotes(key, func)
        )

    def _given_by_one(
        self, key: FunctionKey, called: object, args: tuple[Expr, ...], depth: int
    ) -> Alternatives:
        match called:
            case External(name="builtins.tuple") if len(args) == 1:
                return self._of(key, args[0], depth)
            case External(name=name):
                known = self._knowledge.entry(name)
                classes = _GIVES_CLASSES.fullmatch(known.returns or "") if known is not None else None
                return (tuple(re.split(r"\s*\|\s*", classes[1])),) if classes else UNKNOWN
            case ProjectFunction(key=function):
                returned = self._program.scopes(function.module).bindings(function.function).returned
                return _one_of(self._of(function, value, depth) for value in returned)
            case _:
                return UNKNOWN


def _one_of(found: Iterable[Alternatives]) -> Alternatives:
    """Several candidates as one: what is written differently but means the same counts once."""
    alternatives = tuple(dict.fromkeys(classes for each in found for classes in each))
    return alternatives if alternatives and not _MOST.is_exceeded_by(len(alternatives)) else UNKNOWN
