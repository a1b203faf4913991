"""The whole run of the command: which commands there are, and how it ends whatever happens."""

import sys
import traceback
from pathlib import Path
from types import TracebackType

import click

from cancellint import __version__
from cancellint.cli.check import check
from cancellint.cli.doctor import doctor
from cancellint.cli.kept import cache
from cancellint.cli.pages import explain, rules
from cancellint.cli.server import server
from cancellint.cli.settings import show_config
from cancellint.cli.show import show
from cancellint.cli.summary import summary
from cancellint.cli.terminal import (
    CLEAN,
    DEBUG,
    INTERRUPTED,
    TROUBLE,
    complain,
    let_go_of_stdout,
    make_streams_safe,
    tell_failures,
)
from cancellint.collector import leave_garbage_to_exit
from cancellint.mistakes import Mistake
from cancellint.model.report import Failure
from cancellint.printable import printable


class WorkingFolderError(Mistake):
    """The working folder is gone or may not be looked at."""


def main() -> None:
    """Runs the command line and exits: 0 clean, 1 findings, 2 could not do the job."""
    make_streams_safe()
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
        let_go_of_stdout()
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
    tell_failures([failure], debug=DEBUG in sys.argv)
    sys.exit(TROUBLE)


def _told_if_anybody_listens(error: OSError) -> int:
    try:
        return complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
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
        return complain(str(error))
    except MemoryError:
        return complain("there is not enough memory")
    except click.Abort:
        return _tell_interrupted()
    except SystemExit as end:  # of completion; or nobody reads what is printed, with the code for findings
        return CLEAN if not end.code else TROUBLE
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


def _look_at_working_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise WorkingFolderError(f"the working folder cannot be used: {error.strerror}") from None


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="cancellint")
def cli() -> None:
    """Finds what Python async code loses, leaks or leaves half done when an await is cancelled."""


for each in (check, show, explain, rules, summary, show_config, doctor, server, cache):
    cli.add_command(each)
