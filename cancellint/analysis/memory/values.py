"""Which variables and earlier outcomes an expression is computed from, and how strongly."""

from collections.abc import Iterator

from cancellint.analysis.memory.access_paths import Frame
from cancellint.analysis.program.expressions import names_in
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    Build,
    Call,
    Closure,
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
    Step,
    Temp,
    Yield,
)

Holder = str | int
"""What may hold data: a local variable by name, or the outcome of a step by number."""

MEASURES = frozenset(
    {"==", "!=", "<", ">", "<=", ">=", "in", "not in", "is", "is not", "not", "match", "slice"}
)
"""Operators whose result tells something about the data but does not contain it."""


def holders(frame: Frame, expr: Expr) -> Iterator[tuple[Holder, bool]]:
    """Yield what the expression reads, each with whether the value's content enters the result."""
    waiting: list[tuple[Expr, bool]] = [(expr, True)]
    while waiting:
        current, content = waiting.pop()
        match current:
            case Name(id=name):
                yield holder(frame, name), content
            case Temp(step=step):
                loaded = frame.loaded(step)
                if loaded is None:
                    yield step, content
                else:
                    waiting.append((loaded, content))
            case Attr(base=base) | Element(value=base) | Star(value=base):
                waiting.append((base, content))
            case Item(base=base, key=key):
                waiting.append((base, content))
                waiting.append((key, False))
            case Op(op=op, operands=operands):
                content = content and op not in MEASURES
                waiting.extend((operand, content) for operand in operands)
            case Build(items=items):
                waiting.extend((item, content) for item in items)
            case Closure(function=function):
                for name in _free_names(frame, function):
                    yield holder(frame, name), content
            case _:
                pass


def holder(frame: Frame, name: str) -> Holder:
    """Return what holds the data of a variable: the step that made it, where it is bound only once."""
    seen: set[str] = set()
    while name not in seen:
        seen.add(name)
        match frame.value_of(name):
            case Temp(step=step):
                return step
            case Name(id=other) if frame.value_of(other) is not None or other in frame.params:
                name = other
            case _:
                return name
    return name


def read_by(step: Step) -> tuple[Expr, ...]:
    """Return the expressions whose content a step uses, calls aside."""
    match step:
        case Assign(target=target, value=value, op=op):
            return (value, target) if op and isinstance(target, Name) else (value,)
        case Await(value=value) | Yield(value=value) | Return(value=value) | Next(value=value):
            return (value,)
        case Enter(value=value) | Exit(value=value) | Evaluate(value=value) | Load(value=value):
            return (value,)
        case Raise(value=value):
            return () if value is None else (value,)
        case Call(func=func):
            return (func.base,) if isinstance(func, Attr) else ()
        case _:
            return ()


def used_by(step: Step) -> tuple[Expr, ...]:
    """Return the expressions whose content a step uses, all that a call is made of among them."""
    match step:
        case Call(func=func, args=args, keywords=keywords):
            return (func, *args, *(value for _, value in keywords))
        case _:
            return read_by(step)


def _free_names(frame: Frame, function: int) -> Iterator[str]:
    """Yield the variables of this function that a closure made here reads."""
    inner = frame.nested(function)
    own = frozenset(inner.locals) | {param.name for param in inner.params}
    for step in inner.steps:
        for expr in (*read_by(step), *(step.args if isinstance(step, Call) else ())):
            for name in names_in(expr):
                if name not in own and (frame.is_local(name) or name in frame.params):
                    yield name
