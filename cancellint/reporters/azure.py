"""Logging commands of Azure Pipelines, which shows them as issues of the run.

https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands
"""

from cancellint.model.finding import Finding
from cancellint.model.report import Failure, Report
from cancellint.printable import printable
from cancellint.reporters.order import worst_first


def render(report: Report) -> str:
    """One `task.logissue` per finding, the worst first, and one per file that we have failed on."""
    commands = (*map(_issue, worst_first(report.findings)), *map(_failed, report.failures))
    return "".join(f"{command}\n" for command in commands)


def _issue(finding: Finding) -> str:
    span = finding.place.span
    properties = {
        "type": finding.severity.value,
        "sourcepath": finding.place.path,
        "linenumber": str(span.line),
        "columnnumber": str(span.column),
        "code": finding.code,
    }
    listed = "".join(f"{key}={_escaped(value)};" for key, value in properties.items())
    steps = (f"{note.message} ({note.place.text}:{note.place.span.line})" for note in finding.notes)
    cell = f"cell {finding.place.cell}: " if finding.place.cell else ""
    message = f"{cell}{finding.name}: {finding.message}"
    story = "; ".join((message, *(f"{number}. {step}" for number, step in enumerate(steps, 1))))
    return f"##vso[task.logissue {listed}]{_escaped(story)}"


def _failed(failure: Failure) -> str:
    message = f"cancellint failed: {failure.subject} was not checked: {failure.error}"
    return f"##vso[task.logissue type=error;]{_escaped(message)}"


def _escaped(text: str) -> str:
    """The text as a value or message of a command: nothing in it ends the one or begins another."""
    shown = printable(text).replace("%", "%AZP25")
    return shown.replace(";", "%3B").replace("]", "%5D").replace("\r", "%0D").replace("\n", "%0A")
