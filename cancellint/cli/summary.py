"""`cancellint summary`."""

from collections.abc import Sequence
from pathlib import Path

import click

from cancellint.cli.options import (
    COLOR,
    DEBUG_OPTION,
    JOBS,
    PATHS,
    SETTINGS_FILES,
    TEXT_OR_JSON,
    SettingsOptions,
    cores,
    given,
)
from cancellint.cli.terminal import CLEAN, TROUBLE, complain, tell_failures, wants_color, write
from cancellint.config import nearest
from cancellint.frontend.discover import project_root
from cancellint.model.report import Failure, SymbolSummary


class SummaryOptions(SettingsOptions, frozen=True, kw_only=True):
    """What was asked for."""

    symbol: str
    paths: tuple[Path, ...]
    output_format: str
    color: str
    jobs: int | None
    debug: bool


@click.command()
@click.argument("symbol")
@PATHS
@TEXT_OR_JSON
@SETTINGS_FILES
@COLOR
@JOBS
@DEBUG_OPTION
def summary(**options: object) -> int:
    """Print what is believed of a function, and why.

    SYMBOL is a function's name, with as much of `package.module.Class` before it as is needed.
    """
    asked = given(options, SummaryOptions)
    described, failures, names = _described(asked)
    tell_failures(failures, debug=asked.debug)
    if not described:
        if not failures:
            complain(f"no function is called `{asked.symbol}`{_nearest_symbol(asked.symbol, names)}")
        return TROUBLE
    if asked.output_format == "json":
        from cancellint.reporters import json

        write(json.render_summaries(described, failures))
    else:
        from cancellint.reporters import text

        write(text.render_summaries(described, color=wants_color(asked.color)))
    return TROUBLE if failures else CLEAN


def _described(asked: SummaryOptions) -> tuple[list[SymbolSummary], list[Failure], list[str]]:
    """What is believed of the functions of this name, what failed, and which names there are."""
    from cancellint.pipeline import summaries
    from cancellint.projects import projects

    described: list[SymbolSummary] = []
    failures: list[Failure] = []
    names: list[str] = []
    for project in projects(asked.paths or (project_root(Path.cwd()),), asked.settings()):
        config = project.configurations.config
        found = summaries(config, project.paths, asked.symbol, jobs=asked.jobs or cores())
        described += found[0]
        failures += found[1]
        names += found[2]
    return described, failures, names


def _nearest_symbol(symbol: str, names: Sequence[str]) -> str:
    """The nearest name, first among the last parts of all names, then among the whole ones."""
    parts = symbol.count(".") + 1
    return nearest(symbol, [".".join(name.split(".")[-parts:]) for name in names])
