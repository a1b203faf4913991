"""Which attributes the code of a program decides by."""

from collections.abc import Iterator

from cancellint.analysis.program import Program
from cancellint.model.ir import Assign, Attr, Build, Element, Expr, Function, Item, Name, Op, Return, Star


def tested_attributes(program: Program) -> frozenset[str]:
    """Return the names of the attributes that some test reads, or some function or variable hands on.

    A property that returns a flag, and a local that holds it, are there to be tested by others.
    """
    return frozenset(name for key in program.functions() for name in _tested_in(program.function(key)))


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
