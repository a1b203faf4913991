"""Branches that are never taken: a test for None of what is never None."""

from msgspec import structs

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.program.type_algebra import options
from cancellint.model.ir import Attr, Block, Const, Expr, Function, Leaves, Op
from cancellint.model.types import FunctionKey, Instance

_NONE = Const("none", "None")


def without_impossible_branches(effects: Effects, key: FunctionKey, function: Function) -> Function:
    """Return a function without the branches for an attribute that is None, if it is never given None."""
    never = {
        number: leaves
        for number, block in enumerate(function.blocks)
        if (leaves := _never_taken(effects, key, block)) is not None
    }
    if not never:
        return function
    blocks = tuple(
        structs.replace(block, edges=tuple(edge for edge in block.edges if edge.leaves is not never[number]))
        if number in never
        else block
        for number, block in enumerate(function.blocks)
    )
    return structs.replace(function, blocks=blocks)


def _never_taken(effects: Effects, key: FunctionKey, block: Block) -> Leaves | None:
    match block.test:
        case Op(op="is" | "==", operands=(Attr() as asked, other)) if other == _NONE:
            return Leaves.TRUE if _is_never_none(effects, key, asked) else None
        case Op(op="is not" | "!=", operands=(Attr() as asked, other)) if other == _NONE:
            return Leaves.FALSE if _is_never_none(effects, key, asked) else None
        case _:
            return None


def _is_never_none(effects: Effects, key: FunctionKey, asked: Expr) -> bool:
    """Tell whether all that an attribute is known to be given are objects."""
    found = options(effects.types.of(key, asked))
    return bool(found) and all(isinstance(each, Instance) for each in found)
