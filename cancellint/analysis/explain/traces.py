"""The trace behind a fact, its *story*: step by step, through the functions it came through."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.reachability import precedes
from cancellint.analysis.explain.written import written
from cancellint.analysis.summaries.summarize import Origin, Result
from cancellint.model.ir import Assign, Name, Temp
from cancellint.model.knowledge import Mode
from cancellint.model.summary import Cause, Fact, Loss, Path, Unsettled
from cancellint.model.types import FunctionKey


class Line(Struct, frozen=True):
    """One line of a story, at a step of a function."""

    function: FunctionKey
    step: int
    message: str
    earlier: bool = False
    """it happened in an earlier turn of a loop, which takes more words to see"""


class Story(Struct, frozen=True):
    """A race and what it drops: where it stands, its construct's name, the loss there, and the way to it."""

    function: FunctionKey
    race: int
    name: str
    loss: Loss
    lines: tuple[Line, ...]
    owner: FunctionKey
    """the function in whose terms the loss names its source"""


_LOST: Mapping[Mode | None, str] = MappingProxyType(
    {
        Mode.RACE: "drops what was just handed to it",
        Mode.REMOTE: "may have been carried out by the other side already, and its reply is dropped",
        Mode.THREAD_CONTINUES: "goes on in its thread, and nobody gets what it reads",
        Mode.POISONS: "leaves its source out of step",
        Mode.KILLS_SOURCE: "ends its source for good",
        Mode.CLOSES: "closes its source, and drops what it has read so far",
    }
)
"""What becomes of the data, where it is not just a local that is dropped."""

DEEPEST = Limit(12, "calls of one story")
"""Calls after which a story is cut: recursion can make it as long as one likes."""


class Traces:
    """Rebuilds stories from the origins kept beside the summaries."""

    def __init__(self, effects: Effects, results: Mapping[FunctionKey, Result]) -> None:
        self._effects = effects
        self._results = results

    def of_race(self, key: FunctionKey, origin: Origin) -> Story | None:
        """Return the story of a race settled in function `key`, found where it really stands."""
        giver: tuple[FunctionKey, Origin] | None = None
        for _ in DEEPEST.rounds():
            if origin.loss is not None:
                return self._told(key, origin, origin.loss, giver)
            if origin.via is None or not isinstance(origin.via[1], Unsettled):
                return None
            callee, fact = origin.via
            result = self._results.get(callee)
            found = result.origins.get(fact) if result is not None and isinstance(fact, Unsettled) else None
            if found is None:
                return None
            if origin.passes is not None and origin.passes.cause is not Cause.PASSED:
                giver = (key, origin)
            key, origin = callee, found
        return None

    def _told(
        self, key: FunctionKey, origin: Origin, loss: Loss, giver: tuple[FunctionKey, Origin] | None
    ) -> Story | None:
        """Return the story of a race that stands here; of what it was given, the giver tells."""
        if loss.cause is not Cause.PASSED:
            return Story(key, origin.at, origin.name, loss, tuple(self._of_dropped(key, origin, loss)), key)
        if giver is None or giver[1].passes is None:
            return None
        giving, where = giver
        assert where.passes is not None
        given = Line(giving, where.at, "what it may cancel is given to it here")
        lines = (given, *self.of_loss(giving, where.passes, -1, where.at, where.passes_via))
        return Story(key, origin.at, origin.name, where.passes, lines, giving)

    def _of_dropped(self, key: FunctionKey, origin: Origin, loss: Loss) -> Iterator[Line]:
        lines = self.of_loss(key, loss, origin.taken, origin.lost_at, origin.via)
        if origin.loser and origin.via is not None:
            next(lines)
            name = self._effects.program.function(origin.via[0]).qualname
            yield Line(key, origin.lost_at, f"the task that runs `{name}` has lost and is cancelled here")
        yield from lines

    def of_loss(
        self, key: FunctionKey, loss: Loss, taken: int, at: int, via: tuple[FunctionKey, object] | None
    ) -> Iterator[Line]:
        """Yield what happens to the data: taken here, cancelled here, through as many calls as it takes."""
        for _ in DEEPEST.rounds():
            if via is None:
                yield from self._in_place(key, loss, taken, at)
                return
            callee, fact = via
            yield Line(key, at, f"which awaits `{self._effects.program.function(callee).qualname}` here")
            if not isinstance(fact, Loss):
                return
            key, loss = callee, fact
            origin = self._origin(callee, fact)
            if origin is None:
                return
            taken, at, via = origin.taken, origin.at, origin.via

    def _origin(self, key: FunctionKey, fact: Fact) -> Origin | None:
        result = self._results.get(key)
        return result.origins.get(fact) if result is not None else None

    def _in_place(self, key: FunctionKey, loss: Loss, taken: int, at: int) -> Iterator[Line]:
        source = self.shown(key, loss.source)
        match loss.cause:
            case Cause.HELD:
                flow = self._effects.program.flow(key)
                earlier = taken >= 0 and not precedes(flow, taken, at)
                said = "an earlier turn took data from" if earlier else "data is taken from"
                yield Line(key, taken, f"{said} `{source}` here", earlier)
                held = self._held_by(key, taken)
                how = " by asyncio itself, which no scope keeps out" if loss.native else ""
                yield Line(key, at, f"cancelled here{how}, {held} is gone")
            case Cause.PRIMITIVE if loss.native:
                yield Line(
                    key,
                    at,
                    f"cancelled here by asyncio itself, `{loss.origin}` drops what was just handed to it",
                )
            case Cause.PRIMITIVE:
                yield Line(key, at, f"cancelled here, `{loss.origin}` {self._how_lost(loss.origin)}")
            case Cause.WRAPPED:
                yield Line(
                    key, at, "cancelled here, the task may already have taken the data: its result is gone"
                )
            case Cause.PASSED:
                yield Line(key, at, "cancelled here")
            case Cause.DROPPED:
                yield Line(key, at, "cancelled here, the task reads on and nobody looks at its result")

    def _how_lost(self, origin: str) -> str:
        """Say what a library call does with the data when it is cancelled."""
        entry = self._effects.operations.knowledge.entry(origin)
        return _LOST.get(entry.mode if entry is not None else None, "drops what it has read so far")

    def _held_by(self, key: FunctionKey, taken: int) -> str:
        """Name the variable that the data was put into, as far as there is one."""
        for step in self._effects.program.function(key).steps:
            match step:
                case Assign(target=Name(id=name), value=Temp(step=made)) if made == taken:
                    return f"`{name}`" if not name.startswith("$") else "what was taken"
                case _:
                    pass
        return "what was taken"

    def shown(self, key: FunctionKey, path: Path) -> str:
        """Return a path as the function's author would write it."""
        return written(self._effects, key, path)
