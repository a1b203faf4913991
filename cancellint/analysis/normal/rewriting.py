"""Expressions and steps with parts of them replaced."""

from collections.abc import Callable, Sequence
from operator import is_
from typing import NamedTuple

from msgspec import structs

from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Block,
    Build,
    Call,
    Catch,
    Delete,
    Element,
    Enter,
    Evaluate,
    Exit,
    Expr,
    Function,
    Item,
    Load,
    Name,
    Next,
    Op,
    Raise,
    Region,
    Return,
    Star,
    StarImport,
    Step,
    Temp,
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
            new_parts = all_rewritten(operands, replace)
            return expr if new_parts is operands else Op(op, new_parts)
        case Build(kind=kind, items=items):
            new_parts = all_rewritten(items, replace)
            return expr if new_parts is items else Build(kind, new_parts)
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
    if not exprs:
        return exprs
    new = tuple([rewritten(each, replace) for each in exprs])
    return exprs if _are_same(new, exprs) else new


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
            named = keywords
            if keywords:
                values = all_rewritten(given := tuple([value for _, value in keywords]), replace)
                if values is not given:
                    named = tuple([(name, new) for (name, _), new in zip(keywords, values, strict=True)])
            if new_func is func and new_args is args and named is keywords:
                return step
            return structs.replace(step, func=new_func, args=new_args, keywords=named)
        case Assign(target=target, value=value):
            new, new_target = rewritten(value, replace), rewritten_target(target, replace)
            if new_target is target and new is value:
                return step
            return structs.replace(step, target=new_target, value=new)
        case Delete(target=target):
            new_target = rewritten_target(target, replace)
            return step if new_target is target else Delete(new_target)
        case Catch(types=types):
            new_parts = all_rewritten(types, replace)
            return step if new_parts is types else structs.replace(step, types=new_parts)
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


def rewritten_block(block: Block, replace: Replace) -> Block:
    """Return a block with its test rewritten; the same object if nothing changes."""
    if block.test is None:
        return block
    new = rewritten(block.test, replace)
    return block if new is block.test else structs.replace(block, test=new)


def rewritten_region(region: Region, replace: Replace) -> Region:
    """Return a region with its manager rewritten; the same object if nothing changes."""
    new = rewritten(region.value, replace)
    return region if new is region.value else structs.replace(region, value=new)


def with_parts(
    function: Function, steps: Sequence[Step], blocks: Sequence[Block], regions: Sequence[Region]
) -> Function:
    """Return a function made of other parts, one for each of its own; the same object if all are its own."""
    own = function.steps, function.blocks, function.regions
    if all(map(_are_same, (steps, blocks, regions), own)):
        return function
    return structs.replace(function, steps=tuple(steps), blocks=tuple(blocks), regions=tuple(regions))


def _are_same(new: Sequence[object], old: Sequence[object]) -> bool:
    return all(map(is_, new, old))


def reads(step: Step) -> tuple[Expr, ...]:
    """Return the expressions that a step evaluates."""
    match step:
        case Call(func=func, args=args, keywords=keywords):
            return (func, *args, *[value for _, value in keywords]) if keywords else (func, *args)
        case Assign(target=target, value=value):
            return (value, *_read_by_target(target))
        case Delete(target=target):
            return _read_by_target(target)
        case Catch(types=types):
            return types
        case Raise(value=None) | StarImport():
            return ()
        case (
            Await(value=value)
            | Return(value=value)
            | Evaluate(value=value)
            | Yield(value=value)
            | Enter(value=value)
            | Exit(value=value)
            | Next(value=value)
            | Load(value=value)
            | Raise(value=value)
        ):
            assert value is not None
            return (value,)


def _read_by_target(target: Expr) -> tuple[Expr, ...]:
    match target:
        case Attr(base=base):
            return (base,)
        case Item(base=base, key=key):
            return base, key
        case _:
            return ()


def with_steps(function: Function, steps: list[Step], blocks: list[Block]) -> Function:
    """Return a function with other steps and blocks, in which a `with` leaves what it now enters."""
    regions = tuple(_as_entered(region, steps) for region in function.regions)
    left = tuple(_as_left(step, regions) for step in steps)
    return with_parts(function, left, blocks, regions)


def _as_entered(region: Region, steps: list[Step]) -> Region:
    match steps[region.enter]:
        case Enter(value=value) | Await(value=value) if value is not region.value:
            return structs.replace(region, value=value)
        case _:
            return region


def _as_left(step: Step, regions: tuple[Region, ...]) -> Step:
    match step:
        case Exit(region=region, value=value) | Await(kind=AwaitKind.EXIT, region=region, value=value) if (
            value is not regions[region].value
        ):
            return structs.replace(step, value=regions[region].value)
        case _:
            return step


class Tally(NamedTuple):
    """How often a function reads each variable, and each outcome of a step; and each variable in tests."""

    names: dict[str, int]
    outcomes: dict[int, int]
    tested: dict[str, int]


def tally(function: Function) -> Tally:
    """Count what a function reads. An augmented assignment reads its target."""
    names: dict[str, int] = {}
    outcomes: dict[int, int] = {}
    tested: dict[str, int] = {}
    waiting: list[Expr] = []
    for step in function.steps:
        waiting.extend(reads(step))
        if isinstance(step, Assign) and step.op and isinstance(step.target, Name):
            waiting.append(step.target)
    _count(waiting, names, outcomes)
    _count([block.test for block in function.blocks if block.test is not None], tested, outcomes)
    for name, count in tested.items():
        names[name] = names.get(name, 0) + count
    return Tally(names, outcomes, tested)


def _count(waiting: list[Expr], names: dict[str, int], outcomes: dict[int, int]) -> None:
    """Count the variables and outcomes in some expressions, in whatever order: this runs over everything."""
    while waiting:
        match waiting.pop():
            case Name(id=name):
                names[name] = names.get(name, 0) + 1
            case Temp(step=step):
                outcomes[step] = outcomes.get(step, 0) + 1
            case Attr(base=inner) | Star(value=inner) | Element(value=inner):
                waiting.append(inner)
            case Item(base=base, key=key):
                waiting.extend((base, key))
            case Op(operands=inner_parts) | Build(items=inner_parts):
                waiting.extend(inner_parts)
            case _:
                pass
