"""`cancellint check`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cancellint.cache import default_folder, opened
from cancellint.cli.course import limits_reached, list_files, tell_course
from cancellint.cli.formats import Output, counted, output_named
from cancellint.cli.known import record, silence_all, tell_or_prune
from cancellint.cli.options import (
    CACHE_DIR,
    COLOR,
    DEBUG_OPTION,
    JOBS,
    PATHS,
    QUIET,
    SETTINGS,
    STDIN_FILENAME,
    VERBOSE,
    SettingsOptions,
    cores,
    given,
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
from cancellint.formats import FORMATS, WITH_EDITS, Look, rendered
from cancellint.frontend.discover import Stdin, project_root, shown_path
from cancellint.model.report import Mending, Report

if TYPE_CHECKING:
    from cancellint.orders import Done


class CheckOptions(SettingsOptions, frozen=True, kw_only=True):
    """What was asked for."""

    paths: tuple[Path, ...]
    output_format: str
    output_files: tuple[str, ...]
    fix: bool
    diff: bool
    statistics: bool
    show_files: bool
    baseline: Path | None
    write_baseline: Path | None
    prune_baseline: bool
    changed_since: str | None
    add_ignore: str | None
    exit_zero: bool
    force_exclude: bool
    jobs: int | None
    cache_dir: Path | None
    no_cache: bool
    color: str
    debug: bool
    verbose: bool
    quiet: bool
    stdin_filename: Path | None
    watch: bool

    def look_for_contradictions(self) -> None:
        """Raises UsageError where options do not go together."""
        if self.statistics and self.output_format not in ("text", "json"):
            raise click.UsageError(
                f"--statistics can be printed as text or json, not as {self.output_format}"
            )
        if self.diff and (self.statistics or self.output_files):
            raise click.UsageError("--diff prints changes and no report")
        if self.verbose and self.quiet:
            raise click.UsageError("--verbose and --quiet contradict each other")
        if self.write_baseline is not None and not os.path.isdir(self.write_baseline.parent):
            raise click.UsageError(f"--write-baseline: there is no folder {self.write_baseline.parent}")
        changing = self._changing()
        if len(changing) > 1 and changing != ["--fix", "--diff"]:
            raise click.UsageError(f"{changing[0]} and {changing[1]} contradict each other")
        if self.watch and (changing or self.statistics or self.show_files or Path("-") in self.paths):
            what = (*changing, *(["--statistics"] if self.statistics else []), "--show-files", "-")[0]
            raise click.UsageError(f"--watch reports findings again and again; it does not go with {what}")
        if self.changed_since is not None and set(changing) - {"--add-ignore"}:
            raise click.UsageError(f"--changed-since reports findings; it does not go with {changing[0]}")

    def _changing(self) -> list[str]:
        """The options that make something else than a report."""
        asked = {
            "--fix": self.fix,
            "--diff": self.diff,
            "--add-ignore": self.add_ignore is not None,
            "--write-baseline": self.write_baseline is not None,
            "--prune-baseline": self.prune_baseline,
        }
        return [name for name, is_asked in asked.items() if is_asked]


@click.command(short_help="Check files and folders.")
@PATHS
@click.option("--output-format", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option(
    "--output-file",
    "output_files",
    multiple=True,
    metavar="[FORMAT=]FILE",
    help="Write a report to this file too; its format follows from its ending, or is said before `=`.",
)
@click.option("--fix", is_flag=True, help="Make the fixes that are safe, and report what is left.")
@click.option(
    "--unsafe-fixes/--no-unsafe-fixes",
    default=None,
    help="With --fix and --diff, make fixes too that can change what else the program does.",
)
@click.option("--diff", is_flag=True, help="Print what --fix would change, and write nothing.")
@click.option("--statistics", is_flag=True, help="Print how often each rule was broken, not the findings.")
@SETTINGS
@click.option(
    "--changed-since",
    metavar="REVISION",
    help="Only findings that changes since the branch left REVISION touch or have caused.",
)
@click.option(
    "--baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Not the findings that are recorded in this file.",
)
@click.option(
    "--write-baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Record all findings in this file, and exit with 0.",
)
@click.option("--prune-baseline", is_flag=True, help="Remove what is out of date from the baseline.")
@click.option(
    "--add-ignore", metavar="REASON", help="Silence all findings with comments that give this reason."
)
@click.option(
    "--show-files", is_flag=True, help="List the files that would be reported on, and check nothing."
)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 where there are findings.")
@click.option("--force-exclude", is_flag=True, help="Leave out excluded files even if they are named.")
@JOBS
@CACHE_DIR
@click.option("--no-cache", is_flag=True, help="Take nothing over from earlier runs, and keep nothing.")
@COLOR
@VERBOSE
@QUIET
@DEBUG_OPTION
@STDIN_FILENAME
@click.option("--watch", is_flag=True, help="Check again whenever a file changes, until Ctrl-C.")
def check(**options: object) -> int:
    """Check files and folders; without any, the project around the working folder.

    The whole project is read, so that calls are followed across files; only PATHS are reported on.
    """
    asked = given(options, CheckOptions)
    asked.look_for_contradictions()
    outputs = [output_named(word, asked.output_format) for word in asked.output_files]
    paths, stdin = inputs(asked.paths, asked.stdin_filename)
    if asked.show_files:
        return list_files(paths, asked.settings(), stdin, asked.force_exclude)
    if asked.watch:
        from cancellint.cli.watch import watch

        return watch(paths, asked.settings(), lambda: _checked(asked, paths, stdin, outputs))
    return _checked(asked, paths, stdin, outputs)


def _checked(
    asked: CheckOptions, paths: tuple[Path, ...], stdin: Stdin | None, outputs: Sequence[Output]
) -> int:
    """Checks once; the exit code."""
    from cancellint.orders import Order, carry_out

    settings = asked.settings()
    formats = (asked.output_format, *(output.format for output in outputs))
    is_anew = asked.no_cache or asked.verbose  # the course of a run is that of one that looks at everything
    folder = None if is_anew else asked.cache_dir or default_folder()
    with (
        progress_bar() as progress,
        opened(folder) as store,
        limits_reached(is_wanted=asked.verbose) as limits,
    ):
        done = carry_out(
            Order(
                paths,
                settings,
                asked.jobs or cores(),
                stdin,
                progress,
                asked.force_exclude,
                mends=asked.fix or asked.diff,
                baseline=asked.baseline,
                tells_known=asked.write_baseline is not None,
                needs_baseline=asked.prune_baseline,
                changed_since=asked.changed_since,
                with_edits=any(each in WITH_EDITS for each in formats),
                store=store,
            )
        )
    if asked.verbose:
        tell_course(done, limits)
    if asked.write_baseline is not None:
        return record(done.mending.report, asked.write_baseline)
    if asked.add_ignore is not None:
        return silence_all(done.mending.report, asked.add_ignore)
    return _told(asked, done, outputs, stdin)


def _told(asked: CheckOptions, done: "Done", outputs: Sequence[Output], stdin: Stdin | None) -> int:
    """Writes and prints what has come of it; the exit code."""
    is_written = True
    if asked.diff:
        _show_changes(done.mending)
        has_findings = bool(done.mending.files)
    else:
        is_written = not asked.fix or _make_changes(done.mending, stdin, done.unsafe_fixes)
        _show_report(asked, done, outputs, to_error=asked.fix and stdin is not None)
        has_findings = bool(done.mending.report.findings)
    tell_or_prune(done.stale, prunes=asked.prune_baseline, is_quiet=asked.quiet)
    code = _ended(done.mending.report, has_findings and not asked.exit_zero, asked)
    return code if is_written else TROUBLE


def _show_report(asked: CheckOptions, done: "Done", outputs: Sequence[Output], *, to_error: bool) -> None:
    """Writes the reports to files and prints one."""
    report = done.mending.report
    for output in outputs:
        output.write(report, done.unsafe_fixes)
    if asked.statistics:
        text = counted(report, asked.output_format)
    else:
        look = Look(wants_color(asked.color), done.unsafe_fixes, asked.verbose, not asked.quiet)
        text = rendered(report, asked.output_format, look)
    write(text, to_error=to_error)


def _ended(report: Report, has_findings: bool, asked: CheckOptions) -> int:
    """Tells what went wrong; the exit code."""
    if not asked.quiet:
        for warning in report.warnings:
            tell(f"warning: {warning}")
        tell_empty(report.without_files, asked.force_exclude)
    tell_failures(report.failures, debug=asked.debug)
    if report.failures:
        return TROUBLE
    return FINDINGS if has_findings else CLEAN


def _show_changes(mending: Mending) -> None:
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


def _make_changes(mending: Mending, stdin: Stdin | None, unsafe: bool) -> bool:
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


def inputs(paths: tuple[Path, ...], stdin_filename: Path | None) -> tuple[tuple[Path, ...], Stdin | None]:
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
