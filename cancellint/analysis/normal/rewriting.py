"""Expressions and steps with parts of them replaced."""

from collections.abc import Callable, Iterator

from msgspec import structs

from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    Build,
    Call,
    Catch,
    Delete,
    Element,
    Enter,
    Evaluate,
    Exit,
    Expr,
    Item,
    Load,
    Name,
    Next,
    Op,
    Raise,
    Return,
    Star,
    StarImport,
    Step,
    Yield,
)

Replace = Callable[[Expr], Expr | None]
"""What an expression becomes as a whole; None to look at its parts."""


def rewritten(expr: Expr, replace: Replace) -> Expr:
    """Return an expression with parts of it replaced, outermost first; the same object if nothing changes."""
    found = replace(expr)
    if found is not None:
        return found
    match expr:
        case Attr(base=base, name=name):
            new = rewritten(base, replace)
            return expr if new is base else Attr(new, name)
        case Item(base=base, key=key):
            new, new_key = rewritten(base, replace), rewritten(key, replace)
            return expr if new is base and new_key is key else Item(new, new_key)
        case Op(op=op, operands=operands):
            parts = all_rewritten(operands, replace)
            return expr if parts is operands else Op(op, parts)
        case Build(kind=kind, items=items):
            parts = all_rewritten(items, replace)
            return expr if parts is items else Build(kind, parts)
        case Star(value=value):
            new = rewritten(value, replace)
            return expr if new is value else Star(new)
        case Element(value=value, index=index, starred=starred):
            new = rewritten(value, replace)
            return expr if new is value else Element(new, index, starred)
        case _:
            return expr


def all_rewritten(exprs: tuple[Expr, ...], replace: Replace) -> tuple[Expr, ...]:
    """Return the expressions rewritten; the same tuple if none changes."""
    new = tuple([rewritten(each, replace) for each in exprs])
    return exprs if all(a is b for a, b in zip(new, exprs, strict=True)) else new


def rewritten_target(target: Expr, replace: Replace) -> Expr:
    """Return the target of an assignment with what it reads replaced: a plain name is bound, not read."""
    match target:
        case Attr(base=base, name=name):
            new = rewritten(base, replace)
            return target if new is base else Attr(new, name)
        case Item(base=base, key=key):
            new, new_key = rewritten(base, replace), rewritten(key, replace)
            return target if new is base and new_key is key else Item(new, new_key)
        case _:
            return target


def rewritten_step(step: Step, replace: Replace) -> Step:
    """Return a step with what it reads replaced; the same object if nothing changes."""
    match step:
        case Call(func=func, args=args, keywords=keywords):
            new_func, new_args = rewritten(func, replace), all_rewritten(args, replace)
            named = tuple([(name, rewritten(value, replace)) for name, value in keywords])
            same = new_func is func and new_args is args
            if same and all(a[1] is b[1] for a, b in zip(named, keywords, strict=True)):
                return step
            return structs.replace(step, func=new_func, args=new_args, keywords=named)
        case Assign(target=target, value=value):
            new_target, new = rewritten_target(target, replace), rewritten(value, replace)
            if new_target is target and new is value:
                return step
            return structs.replace(step, target=new_target, value=new)
        case Delete(target=target):
            new_target = rewritten_target(target, replace)
            return step if new_target is target else Delete(new_target)
        case Catch(types=types):
            parts = all_rewritten(types, replace)
            return step if parts is types else structs.replace(step, types=parts)
        case Raise(value=None) | StarImport():
            return step
        case (
            Await(value=value)
            | Yield(value=value)
            | Enter(value=value)
            | Exit(value=value)
            | Next(value=value)
            | Load(value=value)
            | Raise(value=value)
            | Return(value=value)
            | Evaluate(value=value)
        ):
            assert value is not None
            new = rewritten(value, replace)
            return step if new is value else structs.replace(step, value=new)


def reads(step: Step) -> Iterator[Expr]:
    """Yield the expressions that a step evaluates."""
    match step:
        case Call(func=func, args=args, keywords=keywords):
            yield func
            yield from args
            for _, value in keywords:
                yield value
        case Assign(target=target, value=value):
            yield value
            yield from _read_by_target(target)
        case Delete(target=target):
            yield from _read_by_target(target)
        case Catch(types=types):
            yield from types
        case Raise(value=None) | StarImport():
            return
        case (
            Await(value=value)
            | Yield(value=value)
            | Enter(value=value)
            | Exit(value=value)
            | Next(value=value)
            | Load(value=value)
            | Raise(value=value)
            | Return(value=value)
            | Evaluate(value=value)
        ):
            assert value is not None
            yield value


def _read_by_target(target: Expr) -> Iterator[Expr]:
    match target:
        case Attr(base=base):
            yield base
        case Item(base=base, key=key):
            yield base
            yield key
        case _:
            return


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
    """Yield the variables that an expression reads."""
    waiting = [expr]
    while waiting:
        match waiting.pop():
            case Name(id=name):
                yield name
            case Attr(base=inner) | Star(value=inner) | Element(value=inner):
                waiting.append(inner)
            case Item(base=base, key=key):
                waiting.append(key)
                waiting.append(base)
            case Op(operands=inner_parts) | Build(items=inner_parts):
                waiting.extend(inner_parts)
            case _:
                pass
