"""The options that several commands have, and what they make of a configuration."""

import os
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec

from cancellint.cli.terminal import DEBUG
from cancellint.config import AssumeRaced, Config, Profile
from cancellint.model.finding import Confidence

PATHS = click.argument(
    "paths", nargs=-1, type=click.Path(exists=True, allow_dash=True, path_type=Path), metavar="[PATHS]..."
)


def _words(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Options that may be given several times, or once with commas."""
    return tuple(word.strip() for value in values for word in value.split(",") if word.strip())


SELECT = click.option(
    "--select", multiple=True, callback=_words, metavar="RULES", help="Only these codes, prefixes or names."
)
EXTEND_SELECT = click.option(
    "--extend-select",
    multiple=True,
    callback=_words,
    metavar="RULES",
    help="These codes, prefixes or names too.",
)
IGNORE = click.option(
    "--ignore",
    multiple=True,
    callback=_words,
    metavar="RULES",
    help="Not these codes, prefixes or names, nor those the configuration ignores.",
)
MIN_CONFIDENCE = click.option(
    "--min-confidence",
    type=click.Choice([each.value for each in Confidence]),
    help="The weakest findings to show; `likely` unless --pedantic.",
)
PEDANTIC = click.option("--pedantic", is_flag=True, help="Pedantic rules and possible findings too.")
DEBUG_OPTION = click.option(DEBUG, is_flag=True, help="Show where a fault of cancellint itself happened.")
ASSUME_RACED = click.option(
    "--assume-raced",
    type=click.Choice([each.value for each in AssumeRaced]),
    help="Treat every public coroutine as raced by a caller who reads on.",
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


def cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
