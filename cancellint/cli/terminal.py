"""Standard output and standard error: what is written to them, and what becomes of a reader who has gone."""

import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

import click

from cancellint.mistakes import Mistake
from cancellint.model.report import Failure
from cancellint.printable import no_commands, printable

CLEAN, FINDINGS, TROUBLE = 0, 1, 2
INTERRUPTED = 130
HINT = "this is a fault of cancellint; please report it with the file, if you can share it"
HINT_AND_HOW = f"{HINT}; --debug shows the traceback"
WHERE = "please put the traceback above into an issue in the repository of cancellint"
DEBUG: Final = "--debug"


class OutputError(Mistake):
    """Standard output cannot be written."""


def complain(message: str) -> int:
    tell(message)
    return TROUBLE


def tell(message: str) -> None:
    """Says one thing on standard error. It may hold text of the repository."""
    click.echo(f"cancellint: {printable(message)}", err=True)


def make_streams_safe() -> None:
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


def let_go_of_stdout() -> None:
    """Keeps the interpreter from complaining, as it ends, that its output cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write(text: str, *, to_error: bool = False) -> None:
    """Writes to standard output, or standard error; a reader who has gone away is no reason to fail."""
    if to_error:
        click.echo(text, err=True, nl=False)
        return
    with _output_told():
        sys.stdout.write(text)


def write_bytes(data: bytes) -> None:
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
        let_go_of_stdout()
    except OSError as error:
        let_go_of_stdout()
        raise OutputError(f"the output cannot be written: {error.strerror}") from None


def tell_empty(arguments: Sequence[str], force_exclude: bool) -> None:
    """Warns of arguments that stand for no file: a slip would otherwise look like a clean result."""
    for argument in () if force_exclude else arguments:
        if argument.endswith(".pyi"):
            tell(f"warning: {argument} is a stub: nothing in it runs, so there is nothing to check")
            continue
        tell(f"warning: there is no Python file to check in {argument}")


def tell_failures(failures: Sequence[Failure], *, debug: bool) -> None:
    """Tells what was not checked by a fault of ours, on demand with the traceback."""
    for failure in failures:
        tell(f"{failure.subject}: {failure.error}")
        if not debug:
            click.echo(f"  {HINT_AND_HOW}", err=True)
            continue
        trace = "\n".join(f"  {printable(line)}" for line in failure.trace.splitlines())
        click.echo(f"{no_commands(trace)}\n  {HINT}\n  {WHERE}", err=True)


def wants_color(choice: str) -> bool:
    """The option decides, then NO_COLOR, then FORCE_COLOR, then whether a terminal is there."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int], None] | None]:
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
