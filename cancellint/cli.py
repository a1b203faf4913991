"""The command line. The only module that prints or exits."""

import io
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, TextIO

import click
import msgspec

from cancellint import __version__, checking
from cancellint.bounded import Unusable, write_text
from cancellint.cache import OLD_DAYS, Store, default_folder, opened
from cancellint.checking import Job
from cancellint.collector import leave_garbage_to_exit
from cancellint.config import AssumeRaced, Config, Profile, load, nearest, origins, values
from cancellint.frontend.discover import Stdin, absolute, project_root, shown_path
from cancellint.mistakes import Mistake
from cancellint.model.finding import Confidence
from cancellint.model.report import Failure, Report
from cancellint.printable import no_commands, printable
from cancellint.resources import rule_name, rules_folder

if TYPE_CHECKING:
    from cancellint.mending import Mending

CLEAN, FINDINGS, TROUBLE = 0, 1, 2
FORMATS = ("text", "concise", "json", "github", "sarif")
_BY_SUFFIX: Final = {".json": "json", ".sarif": "sarif", ".txt": "text"}
INTERRUPTED = 130
HINT = "this is a fault of cancellint; please report it with the file, if you can share it"
HINT_AND_HOW = f"{HINT}; --debug shows the traceback"
WHERE = "please put the traceback above into an issue in the repository of cancellint"
DEBUG: Final = "--debug"


class OutputError(Mistake):
    """Standard output cannot be written."""


class WorkingFolderError(Mistake):
    """The working folder is gone or may not be looked at."""


def main() -> None:
    """Runs the command line and exits: 0 clean, 1 findings, 2 could not do the job."""
    _make_streams_safe()
    sys.excepthook = _tell_fault
    try:
        code = _run_command()
    except OSError as error:  # perhaps nobody reads, or can be told of, what has gone wrong
        code = _told_if_anybody_listens(error)
    except KeyboardInterrupt:  # while modules are imported; click sees it afterwards
        code = _tell_interrupted()
    try:
        sys.stdout.flush()
    except OSError:
        _let_go_of_stdout()
    sys.excepthook = sys.__excepthook__
    sys.exit(code)


def process() -> None:
    """The same as the whole life of a process."""
    leave_garbage_to_exit()
    main()


def _tell_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ends a run that a fault of ours has broken off with 2: Python's own 1 would mean findings."""
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    failure = Failure("the run", f"{kind.__name__}: {error}", "".join(traceback.format_exception(error)))
    _tell_failures([failure], debug=DEBUG in sys.argv)
    sys.exit(TROUBLE)


def _told_if_anybody_listens(error: OSError) -> int:
    try:
        return _complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except OSError:
        return TROUBLE


def _run_command() -> int:
    try:
        _look_at_working_folder()
        code = cli.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return CLEAN
    except click.ClickException as error:
        return _show_wrong_use(error)
    except Mistake as error:
        return _complain(str(error))
    except MemoryError:
        return _complain("there is not enough memory")
    except click.Abort:
        return _tell_interrupted()
    except SystemExit:  # click ends where nobody reads what it prints, with the code that means findings
        return TROUBLE
    return code if isinstance(code, int) else CLEAN


def _show_wrong_use(error: click.ClickException) -> int:
    """Says what is wrong with the command line. It may hold names of files of the repository."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        click.echo(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n", err=True)
    click.echo(f"Error: {printable(error.format_message())}", err=True)
    return TROUBLE


def _tell_interrupted() -> int:
    click.echo("Interrupted.", err=True)
    return INTERRUPTED


def _complain(message: str) -> int:
    _tell(message)
    return TROUBLE


def _tell(message: str) -> None:
    """Says one thing on standard error. It may hold text of the repository."""
    click.echo(f"cancellint: {printable(message)}", err=True)


def _look_at_working_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise WorkingFolderError(f"the working folder cannot be used: {error.strerror}") from None


def _make_streams_safe() -> None:
    """Prints what the terminal's encoding lacks in another form, and to nowhere where a stream is closed."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _let_go_of_stdout() -> None:
    """Keeps the interpreter from complaining, as it ends, that its output cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write(text: str, *, to_error: bool = False) -> None:
    """Writes to standard output, or standard error; a reader who has gone away is no reason to fail."""
    if to_error:
        click.echo(text, err=True, nl=False)
        return
    with _output_told():
        sys.stdout.write(text)


def _write_bytes(data: bytes) -> None:
    """Writes a file's content to standard output as it is."""
    with _output_told():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)


@contextmanager
def _output_told() -> Iterator[None]:
    """Sends off what is written to standard output. Raises OutputError."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_stdout()
    except OSError as error:
        _let_go_of_stdout()
        raise OutputError(f"the output cannot be written: {error.strerror}") from None


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="cancellint")
def cli() -> None:
    """Finds what Python async code loses, leaks or leaves half done when an await is cancelled."""


_PATHS = click.argument(
    "paths", nargs=-1, type=click.Path(exists=True, allow_dash=True, path_type=Path), metavar="[PATHS]..."
)


def _words(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Options that may be given several times, or once with commas."""
    return tuple(word.strip() for value in values for word in value.split(",") if word.strip())


_SELECT = click.option(
    "--select", multiple=True, callback=_words, metavar="RULES", help="Only these codes, prefixes or names."
)
_EXTEND_SELECT = click.option(
    "--extend-select",
    multiple=True,
    callback=_words,
    metavar="RULES",
    help="These codes, prefixes or names too.",
)
_IGNORE = click.option(
    "--ignore",
    multiple=True,
    callback=_words,
    metavar="RULES",
    help="Not these codes, prefixes or names, nor those the configuration ignores.",
)
_MIN_CONFIDENCE = click.option(
    "--min-confidence",
    type=click.Choice([each.value for each in Confidence]),
    help="The weakest findings to show; `likely` unless --pedantic.",
)
_PEDANTIC = click.option("--pedantic", is_flag=True, help="Pedantic rules and possible findings too.")
_DEBUG = click.option(DEBUG, is_flag=True, help="Show where a fault of cancellint itself happened.")
_ASSUME_RACED = click.option(
    "--assume-raced",
    type=click.Choice([each.value for each in AssumeRaced]),
    help="Treat every public coroutine as raced by a caller who reads on.",
)


_CACHE_DIR = click.option(
    "--cache-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="CANCELLINT_CACHE_DIR",
    metavar="FOLDER",
    help="Where to keep what later runs can take over [env: CANCELLINT_CACHE_DIR].",
)


class Overrides(msgspec.Struct, frozen=True):
    """The settings that are given on the command line."""

    select: tuple[str, ...]
    extend_select: tuple[str, ...]
    ignore: tuple[str, ...]
    min_confidence: str | None
    pedantic: bool
    assume_raced: str | None
    unsafe_fixes: bool | None = None

    def applied_to(self, config: Config) -> Config:
        """The configuration with these settings before its own."""
        chosen = msgspec.structs.replace(
            config,
            select=self.select or config.select,
            extend_select=(*config.extend_select, *self.extend_select),
            ignore=(*config.ignore, *self.ignore),
            profile=Profile.PEDANTIC if self.pedantic else config.profile,
            min_confidence=None if self.pedantic else config.min_confidence,
            assume_raced=AssumeRaced(self.assume_raced) if self.assume_raced else config.assume_raced,
            unsafe_fixes=config.unsafe_fixes if self.unsafe_fixes is None else self.unsafe_fixes,
        )
        if self.min_confidence is None:
            return chosen
        return msgspec.structs.replace(chosen, min_confidence=Confidence(self.min_confidence))

    def origins(self) -> Mapping[str, str]:
        """The settings that are given, each with its option."""
        given = {
            "select": self.select,
            "extend-select": self.extend_select,
            "ignore": self.ignore,
            "assume-raced": self.assume_raced,
        }
        named = {key: f"--{key}" for key, value in given.items() if value}
        if self.pedantic:
            named |= {"profile": "--pedantic", "min-confidence": "--pedantic"}
        return named | ({"min-confidence": "--min-confidence"} if self.min_confidence else {})


@cli.command(short_help="Check files and folders.")
@_PATHS
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
@_SELECT
@_EXTEND_SELECT
@_IGNORE
@_MIN_CONFIDENCE
@_PEDANTIC
@_ASSUME_RACED
@click.option("--exit-zero", is_flag=True, help="Exit with 0 where there are findings.")
@click.option("--force-exclude", is_flag=True, help="Leave out excluded files even if they are named.")
@click.option(
    "--jobs", "-j", type=click.IntRange(min=1), help="Processes that parse; by default one per core."
)
@_CACHE_DIR
@click.option("--no-cache", is_flag=True, help="Take nothing over from earlier runs, and keep nothing.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@_DEBUG
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
    cache_dir: Path | None,
    no_cache: bool,
    color: str,
    debug: bool,
    stdin_filename: Path | None,
) -> int:
    """Check files and folders; without any, the project around the working folder.

    The whole project is read, so that calls are followed across files; only PATHS are reported on.
    """
    if statistics and output_format not in ("text", "json"):
        raise click.UsageError(f"--statistics can be printed as text or json, not as {output_format}")
    if diff and (statistics or output_files):
        raise click.UsageError("--diff prints changes and no report")
    outputs = [_output(word, output_format) for word in output_files]
    paths, stdin = _inputs(paths, stdin_filename)
    overrides = Overrides(select, extend_select, ignore, min_confidence, pedantic, assume_raced, unsafe_fixes)
    config = overrides.applied_to(load(project_root(paths[0])))
    job = Job(config, paths, jobs or _cores(), stdin, force_exclude)
    is_written = True
    with _progress() as progress, opened(None if no_cache else cache_dir or default_folder()) as store:
        mending = _mended(job, store, progress) if fix or diff else None
        report = mending.report if mending is not None else checking.check(job, store, progress)
    if mending is not None:
        if diff:
            _show_changes(mending)
            return _ended(report, bool(mending.files) and not exit_zero, force_exclude, debug)
        is_written = _make_changes(mending, stdin, config.unsafe_fixes)
    for output in outputs:
        output.write(report, config.unsafe_fixes)
    if statistics:
        text = _counted(report, output_format)
    else:
        text = _rendered(report, output_format, _wants_color(color), config.unsafe_fixes)
    _write(text, to_error=fix and stdin is not None)
    code = _ended(report, bool(report.findings) and not exit_zero, force_exclude, debug)
    return code if is_written else TROUBLE


def _mended(job: Job, store: Store | None, progress: Callable[[int, int], None] | None) -> "Mending":
    from cancellint.mending import mend
    from cancellint.pipeline import Request

    request = Request(job.config, job.paths, job.jobs, job.stdin, progress, job.force_exclude, store)
    return mend(request, unsafe=job.config.unsafe_fixes)


def _ended(report: Report, has_findings: bool, force_exclude: bool, debug: bool) -> int:
    """Tells what went wrong; the exit code."""
    for warning in report.warnings:
        _tell(f"warning: {warning}")
    _tell_empty(report.without_files, force_exclude)
    _tell_failures(report.failures, debug=debug)
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
        _write(changes.text)
        if not changes.is_exact:
            _tell(
                f"warning: {shown_path(file.path)} holds characters that are shown in another form here: "
                "its changes cannot be applied as a patch; --fix makes them"
            )
    amount = fixed.amount(mending.fixed, len(mending.files))
    _tell(f"would fix {amount}" if mending.files else "nothing to fix")


def _make_changes(mending: "Mending", stdin: Stdin | None, unsafe: bool) -> bool:
    """Writes the fixed files, or what came from standard input to standard output; whether all could be."""
    from cancellint.fixes.files import CannotWrite, rewrite
    from cancellint.reporters import fixed

    is_written = True
    if stdin is not None:
        _write_bytes(mending.files[0].after if mending.files else stdin.data)
    for file in mending.files if stdin is None else ():
        try:
            rewrite(file.path, file.before, file.after)
        except CannotWrite as problem:
            is_written = False
            _complain(f"{shown_path(file.path)} cannot be fixed: {problem}")
    if is_written:
        left = mending.report.findings
        told = fixed.render(mending.fixed, len(mending.files), left, unsafe_fixes=unsafe)
        _tell(told)
    return is_written


class Output(msgspec.Struct, frozen=True):
    """A file to write a report to."""

    format: str
    file: Path

    def write(self, report: Report, unsafe_fixes: bool) -> None:
        """Writes the report. Raises OutputError."""
        text = _rendered(report, self.format, False, unsafe_fixes)
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


def _output(word: str, default: str) -> Output:
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


def _rendered(report: Report, output_format: str, color: bool, unsafe_fixes: bool) -> str:
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
            sarif.Described(rule.code, rule.name, rule.severity, rule.summary, _page(rule.name))
            for rule in catalogue()
        ],
    )


def _page(name: str) -> str:
    return (rules_folder() / f"{name}.md").read_text("utf-8")


def _counted(report: Report, output_format: str) -> str:
    from cancellint.reporters import statistics

    return statistics.as_json(report) if output_format == "json" else statistics.as_table(report)


def _tell_empty(arguments: Sequence[str], force_exclude: bool) -> None:
    """Warns of arguments that stand for no file: a slip would otherwise look like a clean result."""
    for argument in () if force_exclude else arguments:
        _tell(f"warning: there is no Python file to check in {argument}")


def _tell_failures(failures: Sequence[Failure], *, debug: bool) -> None:
    """Tells what was not checked by a fault of ours, on demand with the traceback."""
    for failure in failures:
        _tell(f"{failure.subject}: {failure.error}")
        if not debug:
            click.echo(f"  {HINT_AND_HOW}", err=True)
            continue
        trace = "\n".join(f"  {printable(line)}" for line in failure.trace.splitlines())
        click.echo(f"{no_commands(trace)}\n  {HINT}\n  {WHERE}", err=True)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _wants_color(choice: str) -> bool:
    """The option decides, then NO_COLOR, then FORCE_COLOR, then whether a terminal is there."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on a terminal, once a second has passed."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task("Reading", total=None)
    started = time.monotonic()

    def show(done: int, total: int) -> None:
        if time.monotonic() - started > 1:
            bar.start()
            bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        bar.stop()


# --------------------------------------------------------------------------- config, explain, rules, summary


@cli.command(name="config")
@_PATHS
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@_SELECT
@_EXTEND_SELECT
@_IGNORE
@_MIN_CONFIDENCE
@_PEDANTIC
@_ASSUME_RACED
def show_config(
    paths: tuple[Path, ...],
    output_format: str,
    select: tuple[str, ...],
    extend_select: tuple[str, ...],
    ignore: tuple[str, ...],
    min_confidence: str | None,
    pedantic: bool,
    assume_raced: str | None,
) -> None:
    """Print the settings that `check` would use, and where each comes from."""
    from cancellint.reporters import settings
    from cancellint.selection import selected

    root = project_root((paths or (Path.cwd(),))[0])
    overrides = Overrides(select, extend_select, ignore, min_confidence, pedantic, assume_raced)
    config = overrides.applied_to(load(root))
    codes = sorted(selected(config).codes)
    said = {**origins(root), **overrides.origins()}
    if config.min_confidence is None and config.profile is Profile.PEDANTIC:
        said["min-confidence"] = said["profile"]
    rows = [settings.Setting(key, value, said[key]) for key, value in values(config).items()]
    if output_format == "json":
        _write(settings.as_json(rows))
        return
    _write(f"# {printable(str(root))}\n{settings.as_toml(rows)}# rules: {', '.join(codes)}\n")


@cli.command()
@click.argument("rule")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
def explain(rule: str, color: str) -> None:
    """Print the page of a rule, given by code or name."""
    name = rule_name(rule)
    if name is None:  # then the catalogue, which takes longer to make, says what there is instead
        from cancellint.selection import find

        name = find(rule).name
    text = _page(name)
    if not _wants_color(color):
        _write(text)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(force_terminal=True, legacy_windows=False)
    with console.capture() as capture:
        console.print(Markdown(text))
    _write(capture.get())


@cli.group()
def cache() -> None:
    """Look after what runs have kept for later ones."""


@cache.command(name="size")
@_CACHE_DIR
def cache_size(cache_dir: Path | None) -> None:
    """Print where it is kept, and how much there is."""
    store = Store(cache_dir or default_folder())
    found = store.size()
    store.close()
    _write(f"{printable(str(store.file))}: {found.size / 1e6:.1f} MB in {found.entries:,} entries\n")


@cache.command(name="prune")
@_CACHE_DIR
@click.option("--days", type=click.IntRange(min=0), default=OLD_DAYS, show_default=True)
def cache_prune(cache_dir: Path | None, days: int) -> None:
    """Drop what no run has used for some days."""
    store = Store(cache_dir or default_folder())
    gone = store.prune(days)
    store.close()
    _write(f"{gone:,} entries dropped\n")


@cache.command(name="clear")
@_CACHE_DIR
def cache_clear(cache_dir: Path | None) -> int:
    """Drop all of it."""
    store = Store(cache_dir or default_folder())
    try:
        store.clear()
    except OSError as error:
        return _complain(f"{store.file} cannot be removed: {error.strerror}")
    return CLEAN


@cli.command()
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def rules(output_format: str) -> None:
    """List the rules."""
    from cancellint.reporters import rules as reporter
    from cancellint.selection import catalogue

    rows = [reporter.Row(*msgspec.structs.astuple(rule)) for rule in catalogue()]
    _write(reporter.as_json(rows) if output_format == "json" else reporter.as_table(rows))


@cli.command()
@click.argument("symbol")
@_PATHS
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.option(
    "--jobs", "-j", type=click.IntRange(min=1), help="Processes that parse; by default one per core."
)
@_DEBUG
def summary(
    symbol: str, paths: tuple[Path, ...], output_format: str, color: str, jobs: int | None, debug: bool
) -> int:
    """Print what is believed of a function, and why.

    SYMBOL is a function's name, with as much of `package.module.Class` before it as is needed.
    """
    from cancellint.pipeline import summaries

    paths = paths or (project_root(Path.cwd()),)
    described, failures, names = summaries(load(project_root(paths[0])), paths, symbol, jobs=jobs or _cores())
    _tell_failures(failures, debug=debug)
    if not described:
        if not failures:
            _complain(f"no function is called `{symbol}`{_nearest_symbol(symbol, names)}")
        return TROUBLE
    if output_format == "json":
        from cancellint.reporters import json

        _write(json.render_summaries(described, failures))
    else:
        from cancellint.reporters import text

        _write(text.render_summaries(described, color=_wants_color(color)))
    return TROUBLE if failures else CLEAN


def _nearest_symbol(symbol: str, names: Sequence[str]) -> str:
    """The nearest name, first among the last parts of all names, then among the whole ones."""
    parts = symbol.count(".") + 1
    return nearest(symbol, [".".join(name.split(".")[-parts:]) for name in names])
