"""The options that several commands have."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click
from click.decorators import FC
from msgspec import Struct, convert

from cancellint.cli.terminal import DEBUG
from cancellint.config import AssumeRaced
from cancellint.model.finding import Confidence
from cancellint.overrides import Overrides

if TYPE_CHECKING:
    from cancellint.projects import SettingsFrom

PATHS = click.argument(
    "paths", nargs=-1, type=click.Path(exists=True, allow_dash=True, path_type=Path), metavar="[PATHS]..."
)


def _words(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Options that may be given several times, or once with commas."""
    return tuple(word.strip() for value in values for word in value.split(",") if word.strip())


JOBS = click.option(
    "--jobs", "-j", type=click.IntRange(min=1), help="Processes that parse; by default one per core."
)
COLOR = click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True
)
DEBUG_OPTION = click.option(DEBUG, is_flag=True, help="Show where a fault of cancellint itself happened.")
VERBOSE = click.option(
    "--verbose", "-v", is_flag=True, help="Tell every story in full, and how the run went, on standard error."
)
QUIET = click.option("--quiet", "-q", is_flag=True, help="Print findings alone: no summary and no warnings.")
TEXT_OR_JSON = click.option(
    "--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True
)
STDIN_FILENAME = click.option(
    "--stdin-filename",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Whose text `-` reads from standard input.",
)

CACHE_DIR = click.option(
    "--cache-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="CANCELLINT_CACHE_DIR",
    metavar="FOLDER",
    help="Where to keep what later runs can take over [env: CANCELLINT_CACHE_DIR].",
)

_SETTINGS: Final = (
    click.option(
        "--select",
        multiple=True,
        callback=_words,
        metavar="RULES",
        help="Only these codes, prefixes or names.",
    ),
    click.option(
        "--extend-select",
        multiple=True,
        callback=_words,
        metavar="RULES",
        help="These codes, prefixes or names too.",
    ),
    click.option(
        "--ignore",
        multiple=True,
        callback=_words,
        metavar="RULES",
        help="Not these codes, prefixes or names, nor those the configuration ignores.",
    ),
    click.option(
        "--min-confidence",
        type=click.Choice([each.value for each in Confidence]),
        help="The weakest findings to show; `likely` unless --pedantic.",
    ),
    click.option("--pedantic", is_flag=True, help="Pedantic rules and possible findings too."),
    click.option(
        "--assume-raced",
        type=click.Choice([each.value for each in AssumeRaced]),
        help="Treat every public coroutine as raced by a caller who reads on.",
    ),
    click.option(
        "--own-rules",
        is_flag=True,
        envvar="CANCELLINT_OWN_RULES",
        help="Run the rules that the project itself brings along [env: CANCELLINT_OWN_RULES].",
    ),
)
_FILES: Final = (
    click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Take the settings from this file, for every project.",
    ),
    click.option("--isolated", is_flag=True, help="Take no settings from any file."),
)


def _with(options: tuple[Callable[[FC], FC], ...]) -> Callable[[FC], FC]:
    """All of these options, in this order, as one decorator."""

    def decorated(command: FC) -> FC:
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


SETTINGS = _with((*_SETTINGS, *_FILES))
"""Settings on the command line, and the files that others are taken from."""
SETTINGS_FILES = _with(_FILES)


class SettingsOptions(Struct, frozen=True):
    """What was given of these."""

    select: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    min_confidence: str | None = None
    pedantic: bool = False
    assume_raced: str | None = None
    unsafe_fixes: bool | None = None
    own_rules: bool = False
    config: Path | None = None
    isolated: bool = False

    @property
    def overrides(self) -> Overrides:
        """The settings among them."""
        return Overrides(
            self.select,
            self.extend_select,
            self.ignore,
            self.min_confidence,
            self.pedantic,
            self.assume_raced,
            self.unsafe_fixes,
            self.own_rules,
        )

    def settings(self) -> "SettingsFrom":
        """Where the settings of the run come from."""
        from cancellint.projects import SettingsFrom

        if self.config is not None and self.isolated:
            raise click.UsageError("--config and --isolated contradict each other")
        if self.isolated and self.own_rules:
            raise click.UsageError("--isolated and --own-rules contradict each other")
        return SettingsFrom(self.config, self.isolated, self.overrides)


_Options = TypeVar("_Options", bound=Struct)


def given(options: dict[str, object], kind: type[_Options]) -> _Options:
    """The options of a command, by their names."""
    return convert(options, kind)


def cores() -> int:
    """How many processors there are for this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
