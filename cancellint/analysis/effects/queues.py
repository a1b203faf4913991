"""Which queues have room for whatever is put into them."""

from cancellint.analysis.library.knowledge import Knowledge, argument
from cancellint.analysis.program.program import Program
from cancellint.analysis.program.type_algebra import options
from cancellint.analysis.types.types import Types
from cancellint.model.ir import Attr, Call, Const, Expr, Item, Name, Star
from cancellint.model.knowledge import Entry
from cancellint.model.types import CallSite, ClassObject, FunctionKey, Instance, LibraryFunction

_ABSENT = "absent"


class Queues:
    """Answers by where a queue is made."""

    def __init__(self, program: Program, types: Types, knowledge: Knowledge) -> None:
        self._program = program
        self._types = types
        self._knowledge = knowledge

    def never_fills_up(self, key: FunctionKey, expr: Expr) -> bool:
        """Tell whether an expression means queues that were all made without a limit."""
        found = options(self._types.of(key, expr))
        return bool(found) and all(
            isinstance(each, Instance)
            and each.made_at is not None
            and self._has_no_limit(each.cls, each.made_at)
            for each in found
        )

    def _has_no_limit(self, cls: str, made_at: CallSite) -> bool:
        entry = self._knowledge.entry(cls)
        step = self._program.function(made_at.function).steps[made_at.step] if made_at.step >= 0 else None
        if entry is None or entry.queue is None or not isinstance(step, Call):
            return False
        if self.constructor(made_at.function, step) is entry:
            return not is_bounded(entry, step)
        return _ABSENT in entry.unbounded  # a factory is called with nothing

    def limit(self, made_at: CallSite) -> Expr | None:
        """Return what limits a queue that is made by a call, None where nothing does or nobody knows."""
        step = self._program.function(made_at.function).steps[made_at.step] if made_at.step >= 0 else None
        entry = self.constructor(made_at.function, step) if isinstance(step, Call) else None
        if not isinstance(step, Call) or entry is None or entry.queue is None or entry.bound is None:
            return None
        return argument(entry, entry.bound, step.args, step.keywords) if is_bounded(entry, step) else None

    def constructor(self, key: FunctionKey, call: Call) -> Entry | None:
        """Return what the tables say of what a call makes."""
        func = call.func.base if isinstance(call.func, Item) else call.func
        for option in options(self._types.of(key, func)):
            match option:
                case LibraryFunction(name=name) | ClassObject(cls=name):
                    return self._knowledge.entry(name)
                case _:
                    pass
        return None


def is_bounded(entry: Entry, call: Call) -> bool:
    """Tell whether a constructor is given a limit, or anything that may be one."""
    if entry.bound is None:
        return True
    limit = argument(entry, entry.bound, call.args, call.keywords)
    match limit:
        case None:
            open_ended = any(name is None for name, _ in call.keywords) or Star in map(type, call.args)
            return open_ended or _ABSENT not in entry.unbounded
        case Const(text=text) | Attr(name=text) | Name(id=text):
            return text not in entry.unbounded
        case _:
            return True
