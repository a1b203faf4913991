"""Which variables hold a known constant at a point: a forward analysis that keeps what all paths agree on."""

from collections.abc import Mapping

from cancellint.analysis.memory.access_paths import Frame
from cancellint.analysis.memory.values import Holder, holder
from cancellint.model.ir import Assign, Attr, Const, Delete, Expr, Function, Name, Op, Temp

Constants = Mapping[Holder, Const]


def constants_before(frame: Frame, function: Function) -> tuple[Constants, ...]:
    """Return, per block, the tested variables that hold one constant whenever its last step is reached."""
    tested = frozenset(place for block in function.blocks for place in _tested(frame, block.test))
    entry: list[dict[Holder, Const] | None] = [None] * len(function.blocks)
    if not tested or not function.blocks:
        return tuple({} for _ in function.blocks)
    entry[0] = {}
    waiting = {0}
    while waiting:
        number = min(waiting)
        waiting.discard(number)
        leaving = _through(frame, function, number, entry[number] or {}, tested)
        for edge in function.blocks[number].edges:
            if edge.to < 0:
                continue
            old = entry[edge.to]
            agreed = leaving if old is None else {k: v for k, v in old.items() if leaving.get(k) == v}
            if agreed != old:
                entry[edge.to] = dict(agreed)
                waiting.add(edge.to)
    return tuple(
        _through(frame, function, number, known, tested, -1) if known is not None else {}
        for number, known in enumerate(entry)
    )


def place_of(frame: Frame, expr: Expr) -> Holder | None:
    """Return what names a variable, attribute or outcome whose constant may be known."""
    match expr:
        case Name(id=name):
            return holder(frame, name)
        case Temp(step=step):
            return step
        case Attr():
            path = frame.path(expr)
            return f"{path.root}.{'.'.join(path.fields)}" if path is not None else None
        case _:
            return None


def _through(
    frame: Frame,
    function: Function,
    number: int,
    known: Mapping[Holder, Const],
    tested: frozenset[Holder],
    without: int = 0,
) -> dict[Holder, Const]:
    """Return what is known after a block's steps; `without` of -1 leaves out the last one."""
    here = dict(known)
    block = function.blocks[number]
    for step in function.steps[block.first : block.last + without]:
        match step:
            case Assign(target=Name(id=name), value=value, op=op):
                place = holder(frame, name)
                here.pop(place, None)
                if isinstance(value, Const) and not op and place in tested:
                    here[place] = value
            case Delete(target=Name(id=name)):
                here.pop(holder(frame, name), None)
            case _:
                pass
    return here


def _tested(frame: Frame, test: Expr | None) -> tuple[Holder, ...]:
    """Return the local that a test asks, if it asks one."""
    match test:
        case Op(op="not", operands=(inner,)):
            return _tested(frame, inner)
        case Name(id=name) | Op(operands=(Name(id=name), Const())):
            return (holder(frame, name),)
        case _:
            return ()
