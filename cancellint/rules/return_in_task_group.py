"""CAN504."""

from collections.abc import Iterator

from cancellint.analysis.hazards.arrival.endless_groups import endless_groups
from cancellint.model.finding import Confidence, RawFinding, Severity, SiteNote
from cancellint.rules.rule import Subject, rule

_CURE = "cancel the task, or the group's scope, before leaving it"


@rule("CAN504", Severity.WARNING)
def return_in_task_group(subject: Subject) -> Iterator[RawFinding]:
    """A function returns out of a task group whose task never ends, and so it never returns."""
    program = subject.project.program
    for found in endless_groups(subject.project.effects, subject.project.facts_of, subject.function):
        task = program.function(found.task).qualname
        yield RawFinding(
            at=subject.site(found.at),
            message=f"this `return` waits for `{task}`, which never ends: `{found.name}` is left by nobody",
            confidence=Confidence.CERTAIN,
            notes=(SiteNote(subject.site(found.started), "started here, and never cancelled"),),
            help=_CURE,
        )
