"""Messages of one source that are worked on by a task each, and whose order shows in what these do."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.reachability import may_follow
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.hazards.queues.spawn_loops import SpawnLoop, SpawnLoops
from cancellint.model.ir import Assign, Attr, Const, Expr
from cancellint.model.types import FunctionKey


class SpawnedMessage(Struct, frozen=True):
    """`written`, a step of the task, sets `target` of an object that all tasks share, after a wait."""

    loop: SpawnLoop
    waits: int
    written: int
    target: Expr


class SpawnedMessages:
    """Finds them for one coroutine at a time."""

    def __init__(self, loops: SpawnLoops, facts_of: FactsOf) -> None:
        self._loops = loops
        self._facts_of = facts_of

    def of(self, key: FunctionKey) -> Iterator[SpawnedMessage]:
        """Yield the loops of a coroutine whose tasks may overtake each other in what they set."""
        for loop in self._loops.of(key):
            facts = self._facts_of(loop.work)
            found = self._written_late(facts) if loop.is_unbounded else None
            if found is not None:
                waits, written, target = found
                yield SpawnedMessage(loop, waits, written, target)

    def _written_late(self, facts: Facts) -> tuple[int, int, Expr] | None:
        """Return an attribute of the task's object that is set to something new after a wait."""
        for number, step in enumerate(facts.function.steps):
            match step:
                case Assign(target=Attr() as target, value=value, op="") if not isinstance(value, Const):
                    path = facts.frame.path(target)
                    if path is None or path.root != "param:0":
                        continue
                    for _, awaited in facts.awaits():
                        if may_follow(facts.flow, awaited, number, NORMAL):
                            return awaited, number, target
                case _:
                    pass
        return None
