"""`cancellint show`."""

import re
from pathlib import Path

import click
from msgspec import Struct

from cancellint.cli.options import COLOR, DEBUG_OPTION, JOBS, SETTINGS, SettingsOptions, cores, given
from cancellint.cli.terminal import CLEAN, TROUBLE, complain, tell_failures, wants_color, write
from cancellint.frontend.discover import project_root, shown_path
from cancellint.model.finding import Finding
from cancellint.model.report import Report
from cancellint.reporters.fingerprints import by_trace

_PLACE = re.compile(r"(?P<file>.+?)(?::cell (?P<cell>\d+))?(?::(?P<line>\d+))?(?::(?P<column>\d+))?:?$")
_FINGERPRINT = re.compile(r"[0-9a-f]{8,64}")


class ShowOptions(SettingsOptions, frozen=True, kw_only=True):
    """What was asked for."""

    finding: str
    color: str
    jobs: int | None
    debug: bool


class Asked(Struct, frozen=True):
    """Which findings are meant: those at a place, or the one of a fingerprint."""

    file: Path | None = None
    cell: int = 0
    line: int | None = None
    column: int | None = None
    fingerprint: str = ""

    @property
    def path(self) -> Path:
        """What has to be checked to find them."""
        return self.file or project_root(Path.cwd())

    def among(self, report: Report) -> tuple[Finding, ...]:
        """The findings that are meant; those that have a step at the place if none stands there."""
        if self.file is None:
            prints = by_trace(report)
            return tuple(
                each
                for each, print_ in zip(report.findings, prints, strict=True)
                if print_.startswith(self.fingerprint)
            )
        own = shown_path(self.file)
        return tuple(
            each
            for each in report.findings
            if each.place.path == own
            and each.place.cell == self.cell
            and self.line in (None, each.place.span.line)
            and self.column in (None, each.place.span.column)
        )


@click.command()
@click.argument("finding", metavar="FINDING")
@SETTINGS
@COLOR
@JOBS
@DEBUG_OPTION
def show(**options: object) -> int:
    """Tell the story of a finding step by step, with the code around each step.

    FINDING is `FILE:LINE`, as reports write it, `FILE` alone for all that is found in a file, or the
    beginning of a fingerprint.
    """
    from cancellint.orders import Order, carry_out
    from cancellint.reporters import text

    asked = given(options, ShowOptions)
    wanted = _wanted(asked.finding)
    report = carry_out(Order((wanted.path,), asked.settings(), asked.jobs or cores())).mending.report
    tell_failures(report.failures, debug=asked.debug)
    found = wanted.among(report)
    if not found:
        complain(f"nothing is found at {asked.finding}{_instead(wanted, report)}")
        return TROUBLE
    write("".join(text.render_story(each, report.sources, color=wants_color(asked.color)) for each in found))
    return TROUBLE if report.failures else CLEAN


def _wanted(word: str) -> Asked:
    """What the argument means. Raises UsageError."""
    if Path(word).is_file():
        return Asked(Path(word))
    match = _PLACE.match(word)
    if match is not None and Path(match["file"]).is_file():
        line, column = (None if match[key] is None else int(match[key]) for key in ("line", "column"))
        return Asked(Path(match["file"]), int(match["cell"] or 0), line, column)
    if _FINGERPRINT.fullmatch(word):
        return Asked(fingerprint=word)
    raise click.UsageError(f"`{word}` is no place such as `src/app.py:12`, and no fingerprint")


def _instead(wanted: Asked, report: Report) -> str:
    """Where in the same file there is something."""
    lines = [str(each.place.span.line) for each in report.findings if wanted.file is not None]
    return f"; there are findings in lines {', '.join(lines)}" if lines else ""
