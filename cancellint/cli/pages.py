"""`cancellint explain` and `cancellint rules`."""

import click
import msgspec

from cancellint.cli.terminal import wants_color, write
from cancellint.resources import rule_name, rules_folder


def page(name: str) -> str:
    return (rules_folder() / f"{name}.md").read_text("utf-8")


@click.command()
@click.argument("rule")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
def explain(rule: str, color: str) -> None:
    """Print the page of a rule, given by code or name."""
    name = rule_name(rule)
    if name is None:  # then the catalogue, which takes longer to make, says what there is instead
        from cancellint.selection import find

        name = find(rule).name
    text = page(name)
    if not wants_color(color):
        write(text)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(force_terminal=True, legacy_windows=False)
    with console.capture() as capture:
        console.print(Markdown(text))
    write(capture.get())


@click.command()
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def rules(output_format: str) -> None:
    """List the rules."""
    from cancellint.reporters import rules as reporter
    from cancellint.selection import catalogue

    rows = [reporter.Row(*msgspec.structs.astuple(rule)) for rule in catalogue()]
    write(reporter.as_json(rows) if output_format == "json" else reporter.as_table(rows))
