"""`cancellint explain` and `cancellint rules`."""

import sys
from pathlib import Path

import click
import msgspec

from cancellint.cli.options import COLOR, TEXT_OR_JSON
from cancellint.cli.terminal import wants_color, write
from cancellint.config import Config
from cancellint.formats import page
from cancellint.frontend.discover import project_root
from cancellint.projects import Configurations, SettingsFrom
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
    told = page(name) if name is not None else _own_page(rule)
    text = whole(told) if full else short(told)
    shown = _as_markdown(text) if wants_color(color) else text
    if full and sys.stdin.isatty() and sys.stdout.isatty():
        click.echo_via_pager(shown)
    else:
        write(shown)


def _own_page(word: str) -> str:
    """The page of a rule of the project's own; an error that says what there is, if it is none."""
    from cancellint.own_rules import page_of, stated
    from cancellint.selection import find

    config = _config()
    found = find(word, config)
    return next(page_of(each) for each in stated(config.own_rules) if each.code == found.code)


def _config() -> Config:
    """The configuration around the working folder."""
    return Configurations(project_root(Path.cwd()), SettingsFrom(is_known=True)).config


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

    rows = [reporter.Row(*msgspec.structs.astuple(rule)) for rule in catalogue(_config())]
    write(reporter.as_json(rows) if output_format == "json" else reporter.as_table(rows))
