"""CAN101."""

from collections.abc import Iterator

from cancellint.analysis.traces import Line, Story, Traces
from cancellint.model.finding import RawFinding, Severity, SiteNote
from cancellint.model.source import Site
from cancellint.model.types import FunctionKey
from cancellint.rules.rule import Subject, rule


@rule("CAN101", Severity.ERROR)
def unsafe_await_in_race(subject: Subject) -> Iterator[RawFinding]:
    """A race drops data that was already taken from a source which is read on afterwards."""
    result = subject.project.result(subject.function)
    traces = subject.project.traces
    races: dict[tuple[FunctionKey, int], list[tuple[Story, int]]] = {}
    for verdict, origin in zip(result.races, result.race_origins, strict=True):
        story = traces.of_race(subject.function, origin)
        if story is not None and verdict.read_again is not None:
            races.setdefault((story.function, story.race), []).append((story, verdict.read_again))
    for stories in races.values():
        yield _finding(subject, traces, stories)


def _finding(subject: Subject, traces: Traces, stories: list[tuple[Story, int]]) -> RawFinding:
    """Return one finding for a race; the story told is that of the first source it drops data of."""
    story, read_again = stories[0]
    sources = dict.fromkeys(traces.shown(each.function, each.loss.source) for each, _ in stories)
    again = Line(subject.function, read_again, "and the source is read on here")
    return RawFinding(
        at=_site(story.function, story.race),
        message=f"data taken from {' and '.join(sources)} is lost when `{story.name}` ends this early",
        confidence=min((each.loss.confidence for each, _ in stories), key=_STRENGTH.index),
        notes=tuple(
            SiteNote(_site(line.function, line.step), line.message) for line in (*story.lines, again)
        ),
        help="keep what was read in an object that outlives the race, or close the source when it is lost",
    )


_STRENGTH = ("certain", "likely", "possible")


def _site(function: FunctionKey, step: int) -> Site:
    return Site(function.module, function.function, step)
