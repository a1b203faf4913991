"""What an `__exit__` or `__aexit__` answers when an exception of one class is given to it."""

from collections.abc import Iterator

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.flow.handlers import FORWARD, Raised
from cancellint.analysis.library.exceptions import ANY_ERROR, Modality, some
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Await,
    Build,
    Call,
    Const,
    Expr,
    Leaves,
    Name,
    Op,
    Return,
    Temp,
)
from cancellint.model.types import FunctionKey

_MOST_STATES = Limit(200, "states of the exit of a context manager")
"""Above that an exit's code is not followed: it may swallow."""

_RETURNED = "return"

_Known = tuple[tuple[str, Expr], ...]
"""What variables were last given on a path, and what is about to be returned."""


class ExitCode:
    """A search over the paths of an exit that its tests of the exception leave open."""

    def __init__(self, effects: Effects, key: FunctionKey, raised: Raised) -> None:
        self._key = key
        self._exceptions = effects.operations.exceptions
        self._function = effects.program.function(key)
        self._raised = raised
        names = [param.name for param in self._function.params if param.is_positional]
        self._type, self._value, self._traceback = (*names[1:4], "", "", "")[:3]

    def outcomes(self) -> Iterator[Modality | int]:
        """Yield what the paths return: whether that swallows, or the call whose outcome decides."""
        seen: set[tuple[int, _Known]] = {(0, ())}
        waiting: list[tuple[int, _Known]] = [(0, ())]
        while waiting:
            if _MOST_STATES.is_exceeded_by(len(seen)):
                yield Modality.MAY
                return
            number, known = waiting.pop()
            for target, after in self._after(number, known):
                if target == RETURN_EXIT:
                    yield self._outcome(dict(after).get(_RETURNED), after)
                elif target >= 0 and (target, after) not in seen:
                    seen.add((target, after))
                    waiting.append((target, after))

    def _after(self, number: int, known: _Known) -> Iterator[tuple[int, _Known]]:
        """Yield where control goes from a block, with what is known there."""
        block = self._function.blocks[number]
        here = dict(known)
        for step in self._function.steps[block.first : block.last]:
            match step:
                case Assign(target=Name(id=name), value=value, op=""):
                    here[name] = here.get(value.id, value) if isinstance(value, Name) else value
                case Assign(target=Name(id=name)):
                    here.pop(name, None)
                case Return(value=value):
                    here[_RETURNED] = value
                case _:
                    pass
        after = tuple(sorted(here.items(), key=lambda pair: pair[0]))
        truth = self._truth(block.test, after) if block.test is not None else None
        for edge in block.edges:
            denied = truth is not None and edge.leaves is (Leaves.FALSE if truth else Leaves.TRUE)
            if edge.leaves in FORWARD and not denied:
                yield edge.to, after

    def _outcome(self, value: Expr | None, known: _Known) -> Modality | int:
        if value is None:
            return Modality.NEVER
        truth = self._truth(value, known)
        if truth is not None:
            return Modality.MUST if truth else Modality.NEVER
        call = self._call(value, known)
        return Modality.MAY if call is None else call

    def _call(self, value: Expr, known: _Known) -> int | None:
        """Return the call whose outcome a value is, awaited or not."""
        if isinstance(value, Name):
            value = dict(known).get(value.id, value)
        for _ in range(2):
            match value:
                case Temp(step=step):
                    made = self._function.steps[step]
                    if isinstance(made, Call):
                        return step
                    value = made.value if isinstance(made, Await) else value
                case _:
                    return None
        return None

    # ----------------------------------------------------------------- tests

    def _truth(self, expr: Expr, known: _Known) -> bool | None:
        """Whether an expression is true when an exception of the class has been raised; None: not known."""
        match expr:
            case Const(kind="bool" | "none" | "int", text=text):
                return text not in ("False", "None", "0")
            case Name(id=name) if name in dict(known):
                bound = dict(known)[name]
                return None if bound == expr else self._truth(bound, tuple(p for p in known if p[0] != name))
            case Name(id=name) if name and name in (self._type, self._value, self._traceback):
                return True
            case Op(op="not", operands=(inner,)):
                truth = self._truth(inner, known)
                return None if truth is None else not truth
            case Op(op="and" | "or" as op, operands=parts):
                return _combined(op, [self._truth(part, known) for part in parts])
            case Op(op="is" | "==" | "is not" | "!=" as op, operands=(Name(id=name), other)):
                same = self._is_same(name, other)
                return same if same is None or op in ("is", "==") else not same
            case Op(op="in", operands=(Name(id=name), Build(items=items))) if name == self._type:
                return _combined("or", [self._is_same(name, item) for item in items])
            case Temp(step=step):
                return self._truth_of_call(step, known)
            case _:
                return None

    def _is_same(self, name: str, other: Expr) -> bool | None:
        if name not in (self._type, self._value, self._traceback):
            return None
        if isinstance(other, Const):
            return False
        if name != self._type or ANY_ERROR in self._raised:
            return None
        found = {
            None if len(classes) != 1 or classes[0] is None else self._exceptions.canonical(classes[0])
            for classes in self._exceptions.named(self._key, (other,))
        }
        if None in found or len(found) > 1:
            return None
        return found <= {self._exceptions.canonical(each) for each in self._raised}

    def _truth_of_call(self, step: int, known: _Known) -> bool | None:
        match self._function.steps[step]:
            case Call(func=Name(id="issubclass"), args=(Name(id=name), types)) if name == self._type:
                return self._is_caught(types)
            case Call(func=Name(id="isinstance"), args=(Name(id=name), types)) if name == self._value:
                return self._is_caught(types)
            case Call(func=Name(id="bool"), args=(inner,)):
                return self._truth(inner, known)
            case _:
                return None

    def _is_caught(self, types: Expr) -> bool | None:
        match some(self._exceptions.catches(self._key, (types,), each) for each in self._raised):
            case Modality.MUST:
                return True
            case Modality.NEVER:
                return False
            case Modality.MAY:
                return None


def _combined(op: str, truths: list[bool | None]) -> bool | None:
    """What `and` or `or` makes of truths that may be unknown."""
    deciding = op == "or"
    if deciding in truths:
        return deciding
    return None if None in truths else not deciding
