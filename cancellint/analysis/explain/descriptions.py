"""What the tool believes about a function, in words."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from msgspec import Struct

from cancellint.analysis.effects.effect import Effect
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.explain.outstanding import began, left
from cancellint.analysis.explain.traces import Traces
from cancellint.analysis.explain.written import written
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.hazards.promises.outstanding import Outstanding, cancelled_at
from cancellint.analysis.normal.form import names_as_written
from cancellint.analysis.summaries.summarize import Result
from cancellint.model.finding import Confidence, SiteNote
from cancellint.model.knowledge import LockKind
from cancellint.model.source import Site
from cancellint.model.summary import (
    KEPT,
    RESULT,
    Acquires,
    Act,
    Closes,
    Locks,
    Loss,
    OfObject,
    Path,
    Releases,
    Replaces,
    Take,
    Verb,
)
from cancellint.model.types import FunctionKey, site_at


class DescribedFact(Struct, frozen=True):
    """One belief, the step it rests on and the steps behind that."""

    text: str
    at: Site | None = None
    via: tuple[SiteNote, ...] = ()


class Description(Struct, frozen=True):
    """All beliefs about one function."""

    symbol: str
    site: Site
    facts: tuple[DescribedFact, ...]


class Evidence(Struct, frozen=True):
    """All that is known of one function: what callers need, and what it rests on."""

    facts: Facts
    result: Result
    outstanding: tuple[Outstanding, ...]
    """what is left undone when it is cancelled"""
    promised_at: FunctionKey | None
    """the definition at which it is declared cancel-safe"""


def describe(effects: Effects, traces: Traces, evidence: Evidence) -> Description:
    """Return what is believed of a function as sentences, each with its place where it has one."""
    key = evidence.facts.key
    words = _Words(effects, traces, evidence)
    return Description(effects.program.symbol(key), site_at(key, -1), tuple(words.facts()))


def as_written(description: Description, origin: Callable[[Site], Site]) -> Description:
    """Return a description that points at the steps as they were written."""
    facts = tuple(
        DescribedFact(
            names_as_written(fact.text),
            origin(fact.at) if fact.at is not None else None,
            tuple(SiteNote(origin(note.at), names_as_written(note.message)) for note in fact.via),
        )
        for fact in description.facts
    )
    return Description(description.symbol, description.site, facts)


_VERBS: Mapping[type[OfObject], str] = MappingProxyType(
    {
        Closes: "closes",
        Replaces: "replaces",
        Acquires: "holds on return",
        Releases: "releases",
        Locks: "locks",
    }
)


class _Words:
    """Turns facts into sentences that name things as the function's author does."""

    def __init__(self, effects: Effects, traces: Traces, evidence: Evidence) -> None:
        self._effects = effects
        self._traces = traces
        self._evidence = evidence
        self._facts = evidence.facts
        self._function = evidence.facts.function
        self._key = evidence.facts.key

    def facts(self) -> Iterator[DescribedFact]:
        summary = self._evidence.result.summary
        yield DescribedFact("suspends" if summary.suspends else "never suspends")
        yield from self._safety()
        yield from self._takes()
        yield from self._losses()
        for unsettled in summary.unsettled:
            name = self._name(unsettled.loss.source)
            text = f"drops {name} in a race and {unsettled.leaving}: the caller must not read on"
            origin = self._evidence.result.origins.get(unsettled)
            yield DescribedFact(text, self._at(origin.at if origin is not None else -1))
        yield from self._ends()
        yield from self._parameters()
        yield from self._acts()
        yield from self._outstanding()

    # ------------------------------------------------------------------ cancellation

    def _safety(self) -> Iterator[DescribedFact]:
        if self._evidence.promised_at is not None:
            yield DescribedFact("declared cancel-safe", site_at(self._evidence.promised_at, -1))
        if not self._function.is_async:
            return
        losses = self._evidence.result.summary.losses
        if any(not loss.native for loss in losses) or any(map(_is_shown, self._evidence.outstanding)):
            yield DescribedFact("not cancel-safe")
        else:
            yield DescribedFact("cancel-safe in scopes" if losses else "cancel-safe")

    def _losses(self) -> Iterator[DescribedFact]:
        result = self._evidence.result
        for loss in result.summary.losses:
            yield self._loss(loss, "")
        for loss in result.refuted:
            yield self._loss(loss, ", although it is declared not to")

    def _loss(self, loss: Loss, although: str) -> DescribedFact:
        by = " by asyncio itself" if loss.native else ""
        text = f"loses {self._name(loss.source)} if cancelled{by} ({loss.cause}, {loss.origin}){although}"
        origin = self._evidence.result.origins.get(loss)
        if origin is None:
            return DescribedFact(text)
        lines = self._traces.of_loss(self._key, loss, origin.taken, origin.at, origin.via)
        notes = tuple(SiteNote(site_at(line.function, line.step), line.message) for line in lines)
        return DescribedFact(text, self._at(origin.at), notes)

    def _outstanding(self) -> Iterator[DescribedFact]:
        for outstanding in self._evidence.outstanding:
            text = left(self._traces, self._key, outstanding).replace("`", "")
            yield DescribedFact(
                f"{text} if cancelled",
                cancelled_at(self._key, outstanding),
                tuple(began(self._key, outstanding)),
            )

    # ------------------------------------------------------------------ objects

    def _takes(self) -> Iterator[DescribedFact]:
        for take in self._evidence.result.summary.takes:
            text = f"takes {self._name(take.source)} {self._destination(take.into)} ({take.origin})"
            yield DescribedFact(text, self._at(self._taken_at(take)))

    def _taken_at(self, take: Take) -> int:
        return self._first(lambda effect: any(each.source == take.source for each in effect.takes))

    def _destination(self, into: Path) -> str:
        if into == RESULT:
            return "into its result"
        return "and keeps it" if into == KEPT else f"into {self._name(into)}"

    def _ends(self) -> Iterator[DescribedFact]:
        summary = self._evidence.result.summary
        for kind, verb in _VERBS.items():
            for fact in summary.of_kind(kind):
                if not self._is_told_as_act(fact):
                    yield DescribedFact(f"{verb} {self._name(fact.path)}", self._at(self._first_with(fact)))

    def _is_told_as_act(self, fact: OfObject) -> bool:
        """Tell whether an act says the same of a lock: of those of an event loop there is one."""
        summary = self._evidence.result.summary
        match fact:
            case Locks(path=path):
                return any(held.path == path for held in summary.of_kind(Acquires))
            case Acquires(kind=LockKind.ASYNC) | Releases(kind=LockKind.ASYNC):
                return True
            case _:
                return False

    def _first_with(self, fact: OfObject) -> int:
        return self._first(lambda effect: fact in effect.of_kind(type(fact)))

    def _acts(self) -> Iterator[DescribedFact]:
        """Yield what is taken on, sent and undone, but for what has been told already."""
        summary = self._evidence.result.summary
        told = {(Verb.CLOSES, fact.path) for fact in summary.of_kind(Closes)}
        for act in summary.acts:
            if (act.verb, act.subject) in told:
                continue
            told.add((act.verb, act.subject))
            by = "" if act.confidence is Confidence.CERTAIN else ", by its name"
            yield DescribedFact(f"{act.verb} {self._name(act.subject)}{by}", self._at(self._act_at(act)))

    def _act_at(self, act: Act) -> int:
        for number, acts in sorted(self._facts.acts.items()):
            if any((each.verb, each.subject) == (act.verb, act.subject) for each in acts):
                return number
        return -1

    def _first(self, holds: Callable[[Effect], bool]) -> int:
        """Return the first step with such an effect, -1 where it is told of no step."""
        found = (number for number, effect in sorted(self._facts.effects.items()) if holds(effect))
        return next(found, -1)

    def _at(self, step: int) -> Site | None:
        return site_at(self._key, step) if step >= 0 else None

    # ------------------------------------------------------------------ parameters

    def _parameters(self) -> Iterator[DescribedFact]:
        summary = self._evidence.result.summary
        for verb, params in (
            ("keeps", summary.keeps),
            ("hands back", summary.hands_back),
            ("calls", summary.calls),
        ):
            for index in params:
                yield DescribedFact(f"{verb} {self._function.params[index].name}")
        for index, into in summary.stores:
            yield DescribedFact(f"stores {self._function.params[index].name} into {self._name(into)}")

    def _name(self, path: Path) -> str:
        """Return a path as the author would write it."""
        return written(self._effects, self._key, path)


def _is_shown(outstanding: Outstanding) -> bool:
    return outstanding.confidence is not Confidence.POSSIBLE
