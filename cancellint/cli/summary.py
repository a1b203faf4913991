"""`cancellint summary`."""

from collections.abc import Sequence
from pathlib import Path

import click

from cancellint.cli.options import DEBUG_OPTION, PATHS, cores
from cancellint.cli.terminal import CLEAN, TROUBLE, complain, tell_failures, wants_color, write
from cancellint.config import load, nearest
from cancellint.frontend.discover import project_root


@click.command()
@click.argument("symbol")
@PATHS
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.option(
    "--jobs", "-j", type=click.IntRange(min=1), help="Processes that parse; by default one per core."
)
@DEBUG_OPTION
def summary(
    symbol: str, paths: tuple[Path, ...], output_format: str, color: str, jobs: int | None, debug: bool
) -> int:
    """Print what is believed of a function, and why.

    SYMBOL is a function's name, with as much of `package.module.Class` before it as is needed.
    """
    from cancellint.pipeline import summaries

    paths = paths or (project_root(Path.cwd()),)
    described, failures, names = summaries(load(project_root(paths[0])), paths, symbol, jobs=jobs or cores())
    tell_failures(failures, debug=debug)
    if not described:
        if not failures:
            complain(f"no function is called `{symbol}`{_nearest_symbol(symbol, names)}")
        return TROUBLE
    if output_format == "json":
        from cancellint.reporters import json

        write(json.render_summaries(described, failures))
    else:
        from cancellint.reporters import text

        write(text.render_summaries(described, color=wants_color(color)))
    return TROUBLE if failures else CLEAN


def _nearest_symbol(symbol: str, names: Sequence[str]) -> str:
    """The nearest name, first among the last parts of all names, then among the whole ones."""
    parts = symbol.count(".") + 1
    return nearest(symbol, [".".join(name.split(".")[-parts:]) for name in names])
