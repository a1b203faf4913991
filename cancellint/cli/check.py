"""`cancellint check`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cancellint.cli.formats import FORMATS, counted, output_named, rendered
from cancellint.cli.options import (
    ASSUME_RACED,
    DEBUG_OPTION,
    EXTEND_SELECT,
    IGNORE,
    MIN_CONFIDENCE,
    PATHS,
    PEDANTIC,
    SELECT,
    Overrides,
    cores,
)
from cancellint.cli.terminal import (
    CLEAN,
    FINDINGS,
    TROUBLE,
    complain,
    progress_bar,
    tell,
    tell_empty,
    tell_failures,
    wants_color,
    write,
    write_bytes,
)
from cancellint.config import load
from cancellint.frontend.discover import Stdin, project_root, shown_path
from cancellint.model.report import Report

if TYPE_CHECKING:
    from cancellint.mending import Mending


@click.command(short_help="Check files and folders.")
@PATHS
@click.option("--output-format", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option(
    "--output-file",
    "output_files",
    multiple=True,
    metavar="[FORMAT=]FILE",
    help="Write a report to this file too; its format follows from `.sarif`, `.json` or `.txt`.",
)
@click.option("--fix", is_flag=True, help="Make the fixes that are safe, and report what is left.")
@click.option(
    "--unsafe-fixes/--no-unsafe-fixes",
    default=None,
    help="With --fix and --diff, make fixes too that can change what else the program does.",
)
@click.option("--diff", is_flag=True, help="Print what --fix would change, and write nothing.")
@click.option("--statistics", is_flag=True, help="Print how often each rule was broken, not the findings.")
@SELECT
@EXTEND_SELECT
@IGNORE
@MIN_CONFIDENCE
@PEDANTIC
@ASSUME_RACED
@click.option("--exit-zero", is_flag=True, help="Exit with 0 where there are findings.")
@click.option("--force-exclude", is_flag=True, help="Leave out excluded files even if they are named.")
@click.option(
    "--jobs", "-j", type=click.IntRange(min=1), help="Processes that parse; by default one per core."
)
@click.option("--no-cache", is_flag=True, help="Read every file anew (nothing is cached in this version).")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@DEBUG_OPTION
@click.option(
    "--stdin-filename",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Whose text `-` reads from standard input.",
)
def check(
    paths: tuple[Path, ...],
    output_format: str,
    output_files: tuple[str, ...],
    fix: bool,
    unsafe_fixes: bool | None,
    diff: bool,
    statistics: bool,
    select: tuple[str, ...],
    extend_select: tuple[str, ...],
    ignore: tuple[str, ...],
    min_confidence: str | None,
    pedantic: bool,
    assume_raced: str | None,
    exit_zero: bool,
    force_exclude: bool,
    jobs: int | None,
    no_cache: bool,
    color: str,
    debug: bool,
    stdin_filename: Path | None,
) -> int:
    """Check files and folders; without any, the project around the working folder.

    The whole project is read, so that calls are followed across files; only PATHS are reported on.
    """
    from cancellint.mending import Mending, mend
    from cancellint.pipeline import Request, examine

    if statistics and output_format not in ("text", "json"):
        raise click.UsageError(f"--statistics can be printed as text or json, not as {output_format}")
    if diff and (statistics or output_files):
        raise click.UsageError("--diff prints changes and no report")
    outputs = [output_named(word, output_format) for word in output_files]
    paths, stdin = _inputs(paths, stdin_filename)
    overrides = Overrides(select, extend_select, ignore, min_confidence, pedantic, assume_raced, unsafe_fixes)
    config = overrides.applied_to(load(project_root(paths[0])))
    with progress_bar() as progress:
        request = Request(config, paths, jobs or cores(), stdin, progress, force_exclude)
        if fix or diff:
            mending = mend(request, unsafe=config.unsafe_fixes)
        else:
            mending = Mending(examine(request).report)
    report = mending.report
    if diff:
        _show_changes(mending)
        return _ended(report, bool(mending.files) and not exit_zero, force_exclude, debug)
    is_written = not fix or _make_changes(mending, stdin, config.unsafe_fixes)
    for output in outputs:
        output.write(report, config.unsafe_fixes)
    if statistics:
        text = counted(report, output_format)
    else:
        text = rendered(report, output_format, wants_color(color), config.unsafe_fixes)
    write(text, to_error=fix and stdin is not None)
    code = _ended(report, bool(report.findings) and not exit_zero, force_exclude, debug)
    return code if is_written else TROUBLE


def _ended(report: Report, has_findings: bool, force_exclude: bool, debug: bool) -> int:
    """Tells what went wrong; the exit code."""
    for warning in report.warnings:
        tell(f"warning: {warning}")
    tell_empty(report.without_files, force_exclude)
    tell_failures(report.failures, debug=debug)
    if report.failures:
        return TROUBLE
    return FINDINGS if has_findings else CLEAN


def _show_changes(mending: "Mending") -> None:
    """Prints what the fixes change."""
    from cancellint.frontend.parse import source_text
    from cancellint.reporters import diff, fixed

    for file in mending.files:
        before, after = source_text(file.before), source_text(file.after)
        changes = diff.render(shown_path(file.path), before, after)
        write(changes.text)
        if not changes.is_exact:
            tell(
                f"warning: {shown_path(file.path)} holds characters that are shown in another form here: "
                "its changes cannot be applied as a patch; --fix makes them"
            )
    amount = fixed.amount(mending.fixed, len(mending.files))
    tell(f"would fix {amount}" if mending.files else "nothing to fix")


def _make_changes(mending: "Mending", stdin: Stdin | None, unsafe: bool) -> bool:
    """Writes the fixed files, or what came from standard input to standard output; whether all could be."""
    from cancellint.fixes.files import CannotWrite, rewrite
    from cancellint.reporters import fixed

    is_written = True
    if stdin is not None:
        write_bytes(mending.files[0].after if mending.files else stdin.data)
    for file in mending.files if stdin is None else ():
        try:
            rewrite(file.path, file.before, file.after)
        except CannotWrite as problem:
            is_written = False
            complain(f"{shown_path(file.path)} cannot be fixed: {problem}")
    if is_written:
        left = mending.report.findings
        told = fixed.render(mending.fixed, len(mending.files), left, unsafe_fixes=unsafe)
        tell(told)
    return is_written


def _inputs(paths: tuple[Path, ...], stdin_filename: Path | None) -> tuple[tuple[Path, ...], Stdin | None]:
    """The paths to report on, and what standard input stands for."""
    if Path("-") not in paths or (len(paths) > 1 and os.path.lexists("-")):
        if stdin_filename is not None:
            raise click.UsageError("--stdin-filename needs `-` as the path")
        return paths or (project_root(Path.cwd()),), None
    if len(paths) > 1:
        raise click.UsageError("`-` stands alone")
    name = stdin_filename or Path("stdin.py")
    if sys.stdin is None:
        raise click.UsageError("`-` needs standard input, which is closed")
    return (name,), Stdin(name, sys.stdin.buffer.read(), is_alone=stdin_filename is None)
