"""CAN101."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from cancellint.analysis.explain.traces import Line, Story, Traces
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.model.summary import Cause, Unsettled
from cancellint.model.types import FunctionKey, site_at
from cancellint.rules.rule import Subject, rule

_CURE = "keep what was read in an object that outlives the race, or close the source when it is lost"
_NATIVE_CURE = "race it with a scope of anyio, such as `anyio.fail_after`, and not with asyncio's own"
_PUBLIC_CURE = "keep what was read in an object that outlives the call"


@rule("CAN101", Severity.ERROR, by_version=True, elsewhere=True)
def unsafe_await_in_race(subject: Subject) -> Iterator[RawFinding]:
    """A race drops data that was already taken from a source which is read on afterwards."""
    races: dict[tuple[FunctionKey, int], list[_Told]] = {}
    for told in (*_settled(subject), *_left_to_callers(subject)):
        races.setdefault((told.story.function, told.story.race), []).append(told)
    for stories in races.values():
        yield _finding(subject.project.traces, stories)
    if subject.project.settings.assume_raced_public:
        yield from _public_losses(subject)


class _Told(Struct, frozen=True):
    """A race's story, how firmly it stands, and its last line."""

    story: Story
    confidence: Confidence
    end: Line


def _settled(subject: Subject) -> Iterator[_Told]:
    """Yield the races whose source this function reads on."""
    result = subject.project.result(subject.function)
    for verdict, origin in zip(result.races, result.race_origins, strict=True):
        story = subject.project.traces.of_race(subject.function, origin)
        if story is not None and verdict.read_again is not None:
            end = Line(subject.function, verdict.read_again, "and the source is read on here")
            yield _Told(story, story.loss.confidence, end)


def _left_to_callers(subject: Subject) -> Iterator[_Told]:
    """Yield the races that nobody in the project settles: whoever calls this function may read on."""
    if not subject.project.is_root(subject.function):
        return
    result = subject.project.result(subject.function)
    for fact, origin in result.origins.items():
        if isinstance(fact, Unsettled) and fact.loss.cause is not Cause.PASSED:
            story = subject.project.traces.of_race(subject.function, origin)
            if story is not None:
                end = Line(subject.function, -1, "and the caller of this function may read on")
                yield _Told(story, Confidence.POSSIBLE, end)


def _finding(traces: Traces, told: list[_Told]) -> RawFinding:
    """Return one finding for a race, with the firmest of the stories of what it drops."""
    best = min(told, key=_hard_to_follow)
    story = best.story
    alike = (each.story for each in told if each.confidence == best.confidence)
    sources = _outermost(traces.shown(each.owner, each.loss.source) for each in alike)
    return RawFinding(
        at=site_at(story.function, story.race),
        message=f"data taken from {_listed(sources)} is lost when `{story.name}` ends this early",
        confidence=best.confidence,
        notes=tuple(_note(line) for line in (*story.lines, best.end)),
        help=_NATIVE_CURE if story.loss.native else _CURE,
    )


def _public_losses(subject: Subject) -> Iterator[RawFinding]:
    """Yield what a public coroutine loses if a caller outside of the project races it."""
    function = subject.project.program.function(subject.function)
    if not function.is_async or any(part.startswith("_") for part in function.qualname.split(".")):
        return
    traces = subject.project.traces
    result = subject.project.result(subject.function)
    told: set[int] = set()
    for loss in result.summary.losses:
        if loss.cause is Cause.PASSED or loss.native:
            continue
        origin = result.origins[loss]
        if origin.at in told:
            continue
        told.add(origin.at)
        source = _listed((traces.shown(subject.function, loss.source),))
        lines = traces.of_loss(subject.function, loss, origin.taken, origin.at, origin.via)
        yield RawFinding(
            at=subject.site(origin.at),
            message=f"data taken from {source} is lost if a caller of `{function.qualname}` cancels it",
            confidence=loss.confidence,
            notes=tuple(_note(line) for line in lines),
            help=_PUBLIC_CURE,
        )


def _hard_to_follow(told: _Told) -> tuple[int, bool, int]:
    """Return a key that puts first what is firmest, then what is easiest to follow."""
    lines = told.story.lines
    return told.confidence.rank, any(line.earlier for line in lines), len(lines)


def _outermost(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the sources without those that are parts of others, shortest first."""
    kept: list[str] = []
    for source in sorted(set(sources), key=lambda name: (len(name), name)):
        if not any(source.startswith((f"{other}.", f"{other}[")) for other in kept):
            kept.append(source)
    return tuple(kept)


def _listed(sources: tuple[str, ...]) -> str:
    shown = " and ".join(f"`{source}`" for source in sources[:2])
    return shown if len(sources) <= 2 else f"{shown} and {len(sources) - 2} more"


def _note(line: Line) -> SiteNote:
    return SiteNote(site_at(line.function, line.step), line.message)
