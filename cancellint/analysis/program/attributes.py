"""What the code of a program does with attributes of a name, whoever's they are."""

from collections.abc import Iterator
from functools import cached_property

from cancellint.analysis.program.program import Program
from cancellint.model.ir import (
    Assign,
    Attr,
    Build,
    Call,
    Const,
    Delete,
    Element,
    Expr,
    Function,
    Item,
    Name,
    Op,
    Return,
    Star,
    Step,
)
from cancellint.model.types import CallSite, FunctionKey


class Attributes:
    """Answers by the attribute's name alone; computed when first asked."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def is_tested(self, name: str) -> bool:
        """Whether some test reads it, or some function or variable hands it on.

        A property that returns a flag, and a local that holds it, are there to be tested by others.
        """
        return name in self._tested

    def removed_at(self, name: str, outside: FunctionKey) -> CallSite | None:
        """Return the first place outside of a function that takes an entry out of a mapping of that name."""
        places = self._removed.get(name, ())
        return next((place for place in places if place.function != outside), None)

    def values_written(self, name: str) -> tuple[Const | None, ...]:
        """Return the constants that an attribute of that name is given, None among them for anything else.

        What an object is given when it is made does not count: nobody has asked it before.
        """
        return self._written.get(name, ())

    @cached_property
    def _written(self) -> dict[str, tuple[Const | None, ...]]:
        found: dict[str, dict[Const | None, None]] = {}
        program = self._program
        for function in (program.function(key) for key in program.functions()):
            for step in function.steps if function.name not in _MAKING else ():
                for name, value in _written_by(step):
                    found.setdefault(name, {})[value] = None
        return {name: tuple(values) for name, values in found.items()}

    @cached_property
    def _tested(self) -> frozenset[str]:
        program = self._program
        return frozenset(name for key in program.functions() for name in _tested_in(program.function(key)))

    @cached_property
    def _removed(self) -> dict[str, list[CallSite]]:
        found: dict[str, list[CallSite]] = {}
        for key in self._program.functions():
            for number, step in enumerate(self._program.function(key).steps):
                name = _removed_from(step)
                if name is not None:
                    found.setdefault(name, []).append(CallSite(key, number))
        return found


_MAKING = frozenset({"__init__", "__new__", "__post_init__"})


def _written_by(step: Step) -> Iterator[tuple[str, Const | None]]:
    match step:
        case Assign(target=Attr(name=name), value=Const() as value, op=""):
            yield name, value
        case Assign(target=Attr(name=name)) | Delete(target=Attr(name=name)):
            yield name, None
        case _:
            pass


def _tested_in(function: Function) -> Iterator[str]:
    for block in function.blocks:
        if block.test is not None:
            yield from _attributes(block.test)
    for step in function.steps:
        match step:
            case Return(value=value) | Assign(target=Name(), value=value):
                yield from _attributes(value)
            case _:
                pass


def _removed_from(step: Step) -> str | None:
    """Return the attribute out of which a step takes the entry under a key."""
    match step:
        case Call(func=Attr(base=Attr(name=name), name="pop"), args=(_, *_)):
            return name
        case Delete(target=Item(base=Attr(name=name))):
            return name
        case _:
            return None


def _attributes(expr: Expr) -> Iterator[str]:
    waiting = [expr]
    while waiting:
        match waiting.pop():
            case Attr(base=base, name=name):
                yield name
                waiting.append(base)
            case Item(base=base, key=key):
                waiting.extend((base, key))
            case Element(value=value) | Star(value=value):
                waiting.append(value)
            case Op(operands=parts) | Build(items=parts):
                waiting.extend(parts)
            case _:
                pass
