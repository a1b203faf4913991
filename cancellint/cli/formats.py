"""The forms of a report, and the files it is written to."""

import os
from pathlib import Path
from typing import Final

import click
import msgspec

from cancellint.bounded import Unusable, write_text
from cancellint.cli.terminal import OutputError
from cancellint.config import nearest
from cancellint.formats import FORMATS, Look, rendered
from cancellint.frontend.discover import absolute, project_root
from cancellint.model.report import Report

_BY_SUFFIX: Final = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".sarif": "sarif",
    ".txt": "text",
    ".xml": "junit",
    ".md": "markdown",
    ".html": "html",
}


class Output(msgspec.Struct, frozen=True):
    """A file to write a report to."""

    format: str
    file: Path

    def write(self, report: Report, unsafe_fixes: bool) -> None:
        """Writes the report. Raises OutputError."""
        text = rendered(report, self.format, Look(unsafe_fixes=unsafe_fixes, in_full=True))
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


def leads_out(file: Path) -> bool:
    """Whether a file that is named as one of the project lies outside of it, behind a link."""
    root = project_root(Path.cwd())
    is_inside = absolute(file).is_relative_to(root)
    return is_inside and not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(root))


def output_named(word: str, default: str) -> Output:
    """What `--output-file` says; that the folder exists is looked at before the work is done."""
    stated, sign, name = word.partition("=")
    if sign and stated in FORMATS:
        output = Output(stated, Path(name))
    elif sign and stated.isidentifier():
        problem = f"`{stated}` is no format{nearest(stated, FORMATS)}"
        raise click.UsageError(f"--output-file: {problem} (a file of this name is `./{word}`)")
    else:
        output = Output(_BY_SUFFIX.get(Path(word).suffix.lower(), default), Path(word))
    if output.file == Path() or os.path.isdir(output.file):
        raise click.UsageError(f"--output-file needs the name of a file: {word}")
    if not os.path.isdir(output.file.parent):
        raise click.UsageError(f"--output-file: there is no folder {output.file.parent}")
    if leads_out(output.file):
        raise click.UsageError(f"--output-file: {output.file} is a link that leads out of the project")
    return output


def counted(report: Report, output_format: str) -> str:
    from cancellint.reporters import statistics

    return statistics.as_json(report) if output_format == "json" else statistics.as_table(report)
