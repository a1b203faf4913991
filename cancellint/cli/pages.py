"""`cancellint explain` and `cancellint rules`."""

import sys

import click
import msgspec

from cancellint.cli.options import COLOR, TEXT_OR_JSON
from cancellint.cli.terminal import wants_color, write
from cancellint.formats import page
from cancellint.reporters.pages import short, whole
from cancellint.resources import rule_name


@click.command()
@click.argument("rule")
@click.option("--full", is_flag=True, help="The whole page, through a pager.")
@COLOR
def explain(rule: str, full: bool, color: str) -> None:
    """Tell what a rule, given by code or name, is about, and what to do.

    PAGER says which program shows a whole page on a terminal.
    """
    name = rule_name(rule)
    if name is None:  # then the catalogue, which takes longer to make, says what there is instead
        from cancellint.selection import find

        name = find(rule).name
    text = whole(page(name)) if full else short(page(name))
    shown = _as_markdown(text) if wants_color(color) else text
    if full and sys.stdin.isatty() and sys.stdout.isatty():
        click.echo_via_pager(shown)
    else:
        write(shown)


def _as_markdown(text: str) -> str:
    """The text in colours."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(force_terminal=True, legacy_windows=False)
    with console.capture() as capture:
        console.print(Markdown(text))
    return capture.get()


@click.command()
@TEXT_OR_JSON
def rules(output_format: str) -> None:
    """List the rules."""
    from cancellint.reporters import rules as reporter
    from cancellint.selection import catalogue

    rows = [reporter.Row(*msgspec.structs.astuple(rule)) for rule in catalogue()]
    write(reporter.as_json(rows) if output_format == "json" else reporter.as_table(rows))
