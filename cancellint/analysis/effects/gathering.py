"""How the facts of several callees add up to one effect.

A callee's facts are bound under the caller's names; alternatives make each other less certain; a task
or shield in between changes what a cancellation loses.
"""

from collections.abc import Callable

from msgspec import structs

from cancellint.analysis.effects.effect import Argument, CalleeFact, Effect, Origin, Raced
from cancellint.analysis.effects.operations import Operation
from cancellint.model.finding import Confidence
from cancellint.model.ir import Attr, Expr
from cancellint.model.summary import KEPT, RESULT, Act, Cause, Loss, Path, Summary, Take, Unsettled, passed
from cancellint.model.types import FunctionKey

DEEPEST_ACT = 6
"""Calls through which an act is told on."""


class Gathering:
    """Collects the facts of several callees; the only mutable thing here, and it never leaves."""

    def __init__(self) -> None:
        self.suspends = False
        self.takes: dict[Take, None] = {}
        self.losses: dict[Loss, None] = {}
        self.closes: dict[Path, None] = {}
        self.replaces: dict[Path, None] = {}
        self.unsettled: dict[Unsettled, None] = {}
        self.arguments: list[Argument] = []
        self.acquires: dict[Path, None] = {}
        self.releases: dict[Path, None] = {}
        self.unknown = False
        self.acts: dict[Act, None] = {}
        self.via: dict[CalleeFact, Origin] = {}
        self.tasks: dict[Loss, Expr] = {}

    def effect(self, race: Raced | None = None) -> Effect:
        return Effect(
            suspends=self.suspends,
            takes=tuple(self.takes),
            losses=tuple(self.losses),
            closes=tuple(self.closes),
            replaces=tuple(self.replaces),
            unsettled=tuple(self.unsettled),
            arguments=tuple(self.arguments),
            acquires=tuple(self.acquires),
            releases=tuple(self.releases),
            unknown=self.unknown,
            acts=tuple(self.acts),
            race=race,
            via=self.via,
            tasks=self.tasks,
        )


def gather_given(gathered: Gathering, source: Path) -> None:
    """Add that an awaitable of the caller's is awaited: it may take, and lose, whatever it likes."""
    gathered.suspends = True
    gathered.takes[Take(source, RESULT, "")] = None
    gathered.losses[Loss(source, Cause.PASSED, "")] = None


def bind(
    gathered: Gathering,
    key: FunctionKey,
    summary: Summary,
    here: Callable[[Path], Path | None],
    awaiting: Callable[[Path], Gathering | None],
) -> None:
    """Add a summary's facts under the caller's names, remembering where each came from."""
    for take in summary.takes:
        inner = awaiting(take.source)
        if inner is not None:
            merge(gathered, inner)
            continue
        source, into = here(take.source), here(take.into)
        if source is not None:
            moved = structs.replace(take, source=source, into=into if into is not None else KEPT)
            gathered.takes[moved] = None
            gathered.via.setdefault(moved, (key, take))
    for loss in summary.losses:
        source = here(loss.source)
        if source is not None and passed(loss.source) is None:
            lost = structs.replace(loss, source=source)
            gathered.losses[lost] = None
            gathered.via.setdefault(lost, (key, loss))
    for unsettled in summary.unsettled:
        inner = awaiting(unsettled.loss.source)
        source = here(unsettled.loss.source)
        if inner is not None:
            losses = tuple(inner.losses)
        else:
            losses = (structs.replace(unsettled.loss, source=source),) if source is not None else ()
        for lost in losses:
            open_ = Unsettled(lost, unsettled.leaving)
            gathered.unsettled[open_] = None
            gathered.via.setdefault(open_, (key, unsettled))
            if inner is not None and lost in inner.via:
                gathered.via.setdefault(lost, inner.via[lost])
    for act in summary.acts:
        moved_act = _seen_by_caller(act, here)
        if moved_act is not None and act.calls < DEEPEST_ACT:
            moved_act = structs.replace(moved_act, calls=act.calls + 1)
            gathered.acts[moved_act] = None
            gathered.via.setdefault(moved_act, (key, act))
    for paths, target in (
        (summary.closes, gathered.closes),
        (summary.replaces, gathered.replaces),
        (summary.acquires, gathered.acquires),
        (summary.releases, gathered.releases),
    ):
        for path in paths:
            place = here(path)
            if place is not None:
                target[place] = None
                gathered.via.setdefault(place, (key, path))


def _seen_by_caller(act: Act, here: Callable[[Path], Path | None]) -> Act | None:
    """Return an act under the caller's names, None where the caller has none for its subject."""
    subject = here(act.subject)
    if subject is None:
        return None
    item = here(act.item) if act.item is not None else None
    return structs.replace(act, subject=subject, item=item)


def move(outer: Gathering, inner: Gathering, here: Callable[[Path], Path | None]) -> None:
    """Carry facts over into another frame, keeping their origins."""
    for take in inner.takes:
        source = here(take.source)
        if source is not None:
            moved = structs.replace(take, source=source, into=here(take.into) or KEPT)
            outer.takes[moved] = None
            if take in inner.via:
                outer.via.setdefault(moved, inner.via[take])
    for loss in inner.losses:
        source = here(loss.source)
        if source is not None:
            lost = structs.replace(loss, source=source)
            outer.losses[lost] = None
            if loss in inner.via:
                outer.via.setdefault(lost, inner.via[loss])
    for act in inner.acts:
        moved_act = _seen_by_caller(act, here)
        if moved_act is not None:
            outer.acts[moved_act] = None
    outer.suspends |= inner.suspends
    for path in inner.closes:
        if (place := here(path)) is not None:
            outer.closes[place] = None


def merge(gathered: Gathering, inner: Gathering) -> None:
    gathered.suspends |= inner.suspends
    gathered.takes.update(inner.takes)
    gathered.losses.update(inner.losses)
    gathered.closes.update(inner.closes)
    gathered.replaces.update(inner.replaces)
    gathered.unsettled.update(inner.unsettled)
    gathered.arguments.extend(inner.arguments)
    gathered.acquires.update(inner.acquires)
    gathered.releases.update(inner.releases)
    gathered.unknown |= inner.unknown
    gathered.acts.update(inner.acts)
    gathered.tasks.update(inner.tasks)
    for fact, origin in inner.via.items():
        gathered.via.setdefault(fact, origin)


def merge_alternatives(gathered: Gathering, parts: list[Gathering], complete: bool) -> None:
    """Add what one call may do, the less firmly the more methods it may reach.

    `complete` tells that the parts are all there are. Which of several overrides runs depends on an
    object whose class is not known here. What all of them do is one step less certain; what only some do
    is merely possible, for their classes may never meet.
    """
    for part in parts:
        if len(parts) > 1:
            others = [other for other in parts if other is not part]
            _weaken(part, others, complete)
            _weaken_acts(part, others, complete)
        merge(gathered, part)


def _weaken(part: Gathering, others: list[Gathering], complete: bool) -> None:
    """Lower the confidence of one alternative's facts by what the others do."""
    for take in tuple(part.takes):
        shared = complete and all(
            any(_alike(take.source, each.source) for each in other.takes) for other in others
        )
        weaker = structs.replace(take, confidence=_lower(take.confidence, shared))
        del part.takes[take]
        part.takes[weaker] = None
        if take in part.via:
            part.via.setdefault(weaker, part.via[take])
    for loss in tuple(part.losses):
        shared = complete and all(
            any(_alike(loss.source, each.source) for each in other.losses) for other in others
        )
        lower = structs.replace(loss, confidence=_lower(loss.confidence, shared))
        del part.losses[loss]
        part.losses[lower] = None
        if loss in part.via:
            part.via.setdefault(lower, part.via[loss])


def _weaken_acts(part: Gathering, others: list[Gathering], complete: bool) -> None:
    """Lower the confidence of what only some alternatives take on or undo.

    What all of them are named for is as likely as what one of them is.
    """
    for act in tuple(part.acts):
        shared = complete and all(
            any(act.verb is each.verb and _alike(act.subject, each.subject) for each in other.acts)
            for other in others
        )
        kept = shared and act.confidence is Confidence.LIKELY
        lower = act if kept else structs.replace(act, confidence=_lower(act.confidence, shared))
        del part.acts[act]
        part.acts[lower] = None
        if act in part.via:
            part.via.setdefault(lower, part.via[act])


def _alike(source: Path, other: Path) -> bool:
    """Tell whether two overrides mean the same source, be it under another attribute's name."""
    return source.is_sibling(other) or source.is_within(other) or other.is_within(source)


def _lower(confidence: Confidence, shared: bool) -> Confidence:
    if shared and confidence is Confidence.CERTAIN:
        return Confidence.LIKELY
    return Confidence.POSSIBLE


def wrap_losses(inner: Gathering, operation: Operation) -> None:
    """Change what a cancellation loses where a task stands between the operation and the waiter."""
    if not operation.task:
        return
    if operation.shielded:
        inner.losses.clear()
    kept = operation.holder is not None and isinstance(operation.holder, Attr)
    if kept:
        return
    cause = Cause.DROPPED if operation.shielded else Cause.WRAPPED
    for take in inner.takes:
        if take.into == RESULT:
            loss = Loss(take.source, cause, take.origin, take.confidence)
            inner.losses[loss] = None
            if operation.holder is not None:
                inner.tasks[loss] = operation.holder
            if take in inner.via:
                inner.via.setdefault(loss, inner.via[take])


def forget_results(gathered: Gathering) -> None:
    """Data taken by tasks that are merely waited for stays in the tasks, and waiting loses none of it."""
    gathered.takes = {structs.replace(take, into=KEPT): None for take in gathered.takes}
    gathered.losses.clear()
