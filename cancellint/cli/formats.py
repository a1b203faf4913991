"""The forms of a report, and the files it is written to."""

import os
from pathlib import Path
from typing import Final

import click
import msgspec

from cancellint.bounded import Unusable, write_text
from cancellint.cli.pages import page
from cancellint.cli.terminal import OutputError
from cancellint.frontend.discover import absolute, project_root
from cancellint.model.report import Report

FORMATS = ("text", "concise", "json", "github", "sarif")
_BY_SUFFIX: Final = {".json": "json", ".sarif": "sarif", ".txt": "text"}


class Output(msgspec.Struct, frozen=True):
    """A file to write a report to."""

    format: str
    file: Path

    def write(self, report: Report, unsafe_fixes: bool) -> None:
        """Writes the report. Raises OutputError."""
        text = rendered(report, self.format, False, unsafe_fixes)
        try:
            if str(self.file) in _STREAMS:
                self.file.write_text(text, "utf-8", errors="surrogateescape")
            else:
                write_text(self.file, text)
        except OSError as error:
            raise OutputError(f"{self.file} cannot be written: {error.strerror}") from None
        except Unusable as problem:
            raise OutputError(f"{self.file} cannot be written: {problem}") from None


_STREAMS: Final = (os.devnull, "/dev/stdout", "/dev/stderr")
"""What may be written to although it is no file."""


def _leads_out(file: Path) -> bool:
    """Whether a file that is named as one of the project lies outside of it, behind a link."""
    root = project_root(Path.cwd())
    is_inside = absolute(file).is_relative_to(root)
    return is_inside and not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(root))


def output_named(word: str, default: str) -> Output:
    """What `--output-file` says; that the folder exists is looked at before the work is done."""
    stated, sign, name = word.partition("=")
    if sign and stated in FORMATS:
        output = Output(stated, Path(name))
    else:
        output = Output(_BY_SUFFIX.get(Path(word).suffix.lower(), default), Path(word))
    if output.file == Path() or os.path.isdir(output.file):
        raise click.UsageError(f"--output-file needs the name of a file: {word}")
    if not os.path.isdir(output.file.parent):
        raise click.UsageError(f"--output-file: there is no folder {output.file.parent}")
    if _leads_out(output.file):
        raise click.UsageError(f"--output-file: {output.file} is a link that leads out of the project")
    return output


def rendered(report: Report, output_format: str, color: bool, unsafe_fixes: bool) -> str:
    match output_format:
        case "json":
            from cancellint.reporters import json

            return json.render(report)
        case "concise":
            from cancellint.reporters import concise

            return concise.render(report)
        case "github":
            from cancellint.reporters import github

            return github.render(report)
        case "sarif":
            return _as_sarif(report)
        case _:
            from cancellint.reporters import text

            return text.render(report, color=color, unsafe_fixes=unsafe_fixes)


def _as_sarif(report: Report) -> str:
    from cancellint.reporters import sarif
    from cancellint.selection import catalogue

    return sarif.render(
        report,
        [
            sarif.Described(rule.code, rule.name, rule.severity, rule.summary, page(rule.name))
            for rule in catalogue()
        ],
    )


def counted(report: Report, output_format: str) -> str:
    from cancellint.reporters import statistics

    return statistics.as_json(report) if output_format == "json" else statistics.as_table(report)
