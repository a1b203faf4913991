"""Which variables hold a known constant at a point: a forward analysis that keeps what all paths agree on."""

from collections.abc import Mapping

from cancellint.analysis.engine.graph import ControlFlow
from cancellint.analysis.engine.solver import solve
from cancellint.analysis.memory.access_paths import Frame
from cancellint.analysis.memory.values import Holder, holder
from cancellint.model.ir import Assign, Attr, Const, Delete, Edge, Expr, Function, Name, Op, Temp

Constants = Mapping[Holder, Const]


def constants_before(frame: Frame, function: Function, flow: ControlFlow) -> tuple[Constants, ...]:
    """Return, per block, the tested variables that hold one constant whenever its last step is reached."""
    tested = frozenset(place for block in flow.blocks for place in _tested(frame, block.test))
    if not tested:
        return tuple({} for _ in flow.blocks)
    solution = solve(flow, _Agreed(frame, function, tested))
    ends = (flow.last_step(number) for number in range(len(flow.blocks)))
    known = (solution.before(number, 0 if last is None else last) for number, last in enumerate(ends))
    return tuple(each or {} for each in known)


class _Agreed:
    """What all paths agree on."""

    def __init__(self, frame: Frame, function: Function, tested: frozenset[Holder]) -> None:
        self._frame = frame
        self._steps = function.steps
        self._tested = tested

    def start(self) -> Constants:
        return {}

    def over_step(self, state: Constants, step: int) -> Constants:
        match self._steps[step]:
            case Assign(target=Name(id=name), value=value, op=op):
                place = holder(self._frame, name)
                if isinstance(value, Const) and not op and place in self._tested:
                    return {**state, place: value}
                return _without(state, place)
            case Delete(target=Name(id=name)):
                return _without(state, holder(self._frame, name))
            case _:
                return state

    def happens(self, step: int, edge: Edge) -> bool:
        return True  # of a name that is bound, nobody knows whether the error came before or after

    def over_edge(self, state: Constants, block: int, edge: Edge) -> Constants:
        return state

    def join(self, known: Constants, arriving: Constants) -> Constants:
        agreed = {place: value for place, value in known.items() if arriving.get(place) == value}
        return known if len(agreed) == len(known) else agreed


def _without(state: Constants, place: Holder) -> Constants:
    return {held: value for held, value in state.items() if held != place} if place in state else state


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


def _tested(frame: Frame, test: Expr | None) -> tuple[Holder, ...]:
    """Return the local that a test asks, if it asks one."""
    match test:
        case Op(op="not", operands=(inner,)):
            return _tested(frame, inner)
        case Name(id=name) | Op(operands=(Name(id=name), Const())):
            return (holder(frame, name),)
        case _:
            return ()
