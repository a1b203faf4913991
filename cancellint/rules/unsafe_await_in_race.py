"""CAN101."""

from collections.abc import Iterator

from cancellint.analysis.traces import Line, Story, Traces
from cancellint.model.finding import RawFinding, Severity, SiteNote
from cancellint.model.source import Site
from cancellint.rules.rule import Subject, rule


@rule("CAN101", Severity.ERROR)
def unsafe_await_in_race(subject: Subject) -> Iterator[RawFinding]:
    """A race drops data that was already taken from a source which is read on afterwards."""
    result = subject.project.result(subject.function)
    traces = subject.project.traces
    told: dict[tuple[Site, str], RawFinding] = {}
    for verdict, origin in zip(result.races, result.race_origins, strict=True):
        story = traces.of_race(subject.function, origin)
        if story is None or verdict.read_again is None:
            continue
        again = Line(subject.function, verdict.read_again, "and the source is read on here")
        found = _finding(traces, story, again)
        told.setdefault((found.at, found.message), found)
    yield from told.values()


def _finding(traces: Traces, story: Story, again: Line) -> RawFinding:
    source = traces.shown(story.function, story.loss.source)
    return RawFinding(
        at=_site(story.function.module, story.function.function, story.race),
        message=f"data taken from {source} is lost when `{story.name}` ends this early",
        confidence=story.loss.confidence,
        notes=tuple(
            SiteNote(_site(line.function.module, line.function.function, line.step), line.message)
            for line in (*story.lines, again)
        ),
        help="keep what was read in an object that outlives the race, or close the source when it is lost",
    )


def _site(module: str, function: int, step: int) -> Site:
    return Site(module, function, step)
