"""Expressions and what they are made of."""

from collections.abc import Iterator

from cancellint.model.ir import Attr, Build, Element, Expr, Imported, Item, Name, Op, Star


def parts(expr: Expr) -> Iterator[Expr]:
    """Yield an expression and all expressions in it, outermost first."""
    waiting = [expr]
    while waiting:
        current = waiting.pop()
        yield current
        match current:
            case Attr(base=inner) | Star(value=inner) | Element(value=inner):
                waiting.append(inner)
            case Item(base=base, key=key):
                waiting.extend((key, base))
            case Op(operands=inner_parts) | Build(items=inner_parts):
                waiting.extend(reversed(inner_parts))
            case _:
                pass


def names_in(expr: Expr) -> Iterator[str]:
    """Yield the variables that an expression reads, closures' own reads aside."""
    return (part.id for part in parts(expr) if isinstance(part, Name))


def last_name(expr: Expr) -> str | None:
    """Return the rightmost name of a variable or attribute."""
    match expr:
        case Name(id=name) | Attr(name=name):
            return name
        case Item(base=base):
            return last_name(base)
        case Imported(name=name):
            return name
        case _:
            return None


def decorating(decorator: Expr) -> Expr:
    """Return what a decorator is named by: of one that is called, that which is called."""
    return decorator.operands[0] if isinstance(decorator, Op) and decorator.op == "call" else decorator
