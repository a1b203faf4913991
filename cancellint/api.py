"""cancellint from Python: what is in `__all__` stays from one minor version to the next.

`check` is `cancellint check` without the printing, and returns what reports are made of.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from cancellint.config import AssumeRaced
from cancellint.formats import FORMATS, Look, rendered
from cancellint.frontend.discover import project_root
from cancellint.mistakes import Mistake
from cancellint.model.finding import Canceller, Confidence, Finding, Note, Severity, TextEdit
from cancellint.model.report import Failure, Report
from cancellint.model.source import Place, Span
from cancellint.orders import Order, carry_out
from cancellint.overrides import Overrides
from cancellint.projects import SettingsFrom
from cancellint.reporters.fingerprints import by_trace

__all__ = [
    "FORMATS",
    "AssumeRaced",
    "Canceller",
    "Confidence",
    "Failure",
    "Finding",
    "Mistake",
    "Note",
    "Place",
    "Report",
    "Severity",
    "Span",
    "TextEdit",
    "check",
    "fingerprints",
    "render",
]


def check(
    paths: Iterable[str | os.PathLike[str]] = (),
    *,
    config: str | os.PathLike[str] | None = None,
    isolated: bool = False,
    select: Iterable[str] = (),
    extend_select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    min_confidence: Confidence | None = None,
    pedantic: bool = False,
    assume_raced: AssumeRaced | None = None,
    own_rules: bool = False,
    baseline: str | os.PathLike[str] | None = None,
    changed_since: str | None = None,
    force_exclude: bool = False,
    with_edits: bool = False,
    jobs: int = 1,
) -> Report:
    """Checks files and folders; without any, the project around the working folder. Nothing is written.

    The whole project of each path is read, and the paths are reported on; the settings are those of the
    command line, and go before those of the projects. With `with_edits`, findings that have a fix tell what
    it does to the text. Where `jobs` is more than 1, so many processes parse.

    Raises a `Mistake`, whose text says what to do, where a path is not there, or a setting, a rule, a
    library table, a baseline or a revision cannot be used. A fault of cancellint itself is no exception, but
    a `Failure` in the report.
    """
    chosen = tuple(Path(path) for path in paths) or (project_root(Path.cwd()),)
    for path in chosen:
        if not os.path.lexists(path):
            raise Mistake(f"there is no file or folder {path}")
    if config is not None and isolated:
        raise Mistake("`config` and `isolated` contradict each other")
    if own_rules and isolated:
        raise Mistake("`own_rules` and `isolated` contradict each other")
    overrides = Overrides(
        tuple(select),
        tuple(extend_select),
        tuple(ignore),
        None if min_confidence is None else min_confidence.value,
        pedantic,
        None if assume_raced is None else assume_raced.value,
        own_rules=own_rules,
    )
    settings = SettingsFrom(None if config is None else Path(config), isolated, overrides)
    order = Order(
        chosen,
        settings,
        jobs,
        force_exclude=force_exclude,
        baseline=None if baseline is None else Path(baseline),
        changed_since=changed_since,
        with_edits=with_edits,
    )
    return carry_out(order).mending.report


def render(report: Report, output_format: str = "text", *, color: bool = False) -> str:
    """The report in one of FORMATS, as `--output-format` prints it."""
    if output_format not in FORMATS:
        raise Mistake(f"`{output_format}` is no format; there are {', '.join(FORMATS)}")
    return rendered(report, output_format, Look(color, in_full=True))


def fingerprints(report: Report) -> tuple[str, ...]:
    """What each finding is known by while code elsewhere changes; a baseline holds these."""
    return by_trace(report)
