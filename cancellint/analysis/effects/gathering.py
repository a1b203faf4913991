"""How the facts of several callees add up to one effect.

A callee's facts are bound under the caller's names; alternatives make each other less certain; a task
or shield in between changes what a cancellation loses.
"""

from collections.abc import Callable

from msgspec import structs

from cancellint.analysis.effects.effect import Argument, Effect, Origin, Raced
from cancellint.analysis.effects.operations import Operation
from cancellint.model.finding import Confidence
from cancellint.model.ir import Attr, Expr
from cancellint.model.summary import (
    KEPT,
    RESULT,
    Act,
    Cause,
    Fact,
    K,
    Loss,
    Path,
    Rename,
    Summary,
    Take,
    Unsettled,
)
from cancellint.model.types import FunctionKey


class Gathering:
    """Collects the facts of several callees; the only mutable thing here, and it never leaves."""

    def __init__(self) -> None:
        self.suspends = False
        self.facts: dict[type[Fact], dict[Fact, None]] = {}
        self.arguments: list[Argument] = []
        self.unknown = False
        self.via: dict[Fact, Origin] = {}
        self.tasks: dict[Loss, Expr] = {}

    def add(self, *facts: Fact) -> None:
        for fact in facts:
            self.facts.setdefault(type(fact), {})[fact] = None

    def of_kind(self, kind: type[K]) -> tuple[K, ...]:
        return tuple(fact for fact in self.facts.get(kind, ()) if isinstance(fact, kind))

    def drop(self, kind: type[Fact]) -> None:
        self.facts.pop(kind, None)

    def effect(self, race: Raced | None = None) -> Effect:
        return Effect(
            suspends=self.suspends,
            facts={kind: tuple(facts) for kind, facts in self.facts.items() if facts},
            arguments=tuple(self.arguments),
            unknown=self.unknown,
            race=race,
            via=self.via,
            tasks=self.tasks,
        )


def gather_given(gathered: Gathering, source: Path) -> None:
    """Add that an awaitable of the caller's is awaited: it may take, and lose, whatever it likes."""
    gathered.suspends = True
    gathered.add(Take(source, RESULT, ""), Loss(source, Cause.PASSED, ""))


def bind(
    gathered: Gathering,
    key: FunctionKey,
    summary: Summary,
    name: Rename,
    awaiting: Callable[[Path], Gathering | None],
) -> None:
    """Add a summary's facts under the caller's names, remembering where each came from.

    What a fact says of awaiting a parameter is what awaiting the argument does, `awaiting` tells.
    """
    for fact in summary.facts:
        asked = fact.passed_on()
        inner = awaiting(asked) if asked is not None else None
        if inner is not None:
            _settle(gathered, key, fact, inner)
            continue
        told = fact.through_call()
        renamed = told.renamed(name) if told is not None else None
        if renamed is not None and not (isinstance(fact, Loss) and asked is not None):
            gathered.add(renamed)
            gathered.via.setdefault(renamed, (key, fact))


def _settle(gathered: Gathering, key: FunctionKey, fact: Fact, inner: Gathering) -> None:
    """Add what a fact about awaiting a parameter means for what the caller has given."""
    match fact:
        case Take():
            merge(gathered, inner)
        case Unsettled(leaving=leaving):
            for lost in inner.of_kind(Loss):
                open_ = Unsettled(lost, leaving)
                gathered.add(open_)
                gathered.via.setdefault(open_, (key, fact))
                if lost in inner.via:
                    gathered.via.setdefault(lost, inner.via[lost])
        case _:
            pass


def move(outer: Gathering, inner: Gathering, name: Rename) -> None:
    """Carry everything over into another frame, keeping the origins; arguments stay where they are."""
    outer.suspends |= inner.suspends
    outer.unknown |= inner.unknown
    for facts in inner.facts.values():
        for fact in facts:
            renamed = fact.renamed(name)
            if renamed is None:
                continue
            outer.add(renamed)
            if fact in inner.via:
                outer.via.setdefault(renamed, inner.via[fact])
            if isinstance(fact, Loss) and isinstance(renamed, Loss) and fact in inner.tasks:
                outer.tasks.setdefault(renamed, inner.tasks[fact])


def merge(gathered: Gathering, inner: Gathering) -> None:
    gathered.suspends |= inner.suspends
    gathered.unknown |= inner.unknown
    for facts in inner.facts.values():
        gathered.add(*facts)
    gathered.arguments.extend(inner.arguments)
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
    for take in part.of_kind(Take):
        shared = complete and all(
            any(_alike(take.source, each.source) for each in other.of_kind(Take)) for other in others
        )
        _replace(part, take, structs.replace(take, confidence=_lower(take.confidence, shared)))
    for loss in part.of_kind(Loss):
        shared = complete and all(
            any(_alike(loss.source, each.source) for each in other.of_kind(Loss)) for other in others
        )
        _replace(part, loss, structs.replace(loss, confidence=_lower(loss.confidence, shared)))


def _weaken_acts(part: Gathering, others: list[Gathering], complete: bool) -> None:
    """Lower the confidence of what only some alternatives take on or undo.

    What all of them are named for is as likely as what one of them is.
    """
    for act in part.of_kind(Act):
        shared = complete and all(
            any(act.verb is each.verb and _alike(act.subject, each.subject) for each in other.of_kind(Act))
            for other in others
        )
        kept = shared and act.confidence is Confidence.LIKELY
        _replace(part, act, act if kept else structs.replace(act, confidence=_lower(act.confidence, shared)))


def _replace(part: Gathering, fact: Fact, other: Fact) -> None:
    """Put another fact in the place of one, with the same origin."""
    del part.facts[type(fact)][fact]
    part.add(other)
    if fact in part.via:
        part.via.setdefault(other, part.via[fact])


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
        inner.drop(Loss)
    kept = operation.holder is not None and isinstance(operation.holder, Attr)
    if kept:
        return
    cause = Cause.DROPPED if operation.shielded else Cause.WRAPPED
    for take in inner.of_kind(Take):
        if take.into == RESULT:
            loss = Loss(take.source, cause, take.origin, take.confidence)
            inner.add(loss)
            if operation.holder is not None:
                inner.tasks[loss] = operation.holder
            if take in inner.via:
                inner.via.setdefault(loss, inner.via[take])


def forget_results(gathered: Gathering) -> None:
    """Data taken by tasks that are merely waited for stays in the tasks, and waiting loses none of it."""
    kept = tuple(structs.replace(take, into=KEPT) for take in gathered.of_kind(Take))
    gathered.drop(Take)
    gathered.drop(Loss)
    gathered.add(*kept)
