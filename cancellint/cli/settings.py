"""`cancellint config`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cancellint.cli.options import PATHS, SETTINGS, TEXT_OR_JSON, SettingsOptions, given
from cancellint.cli.terminal import write
from cancellint.config import Profile, Settings, values
from cancellint.frontend.discover import absolute, project_root
from cancellint.overrides import Overrides
from cancellint.printable import printable

if TYPE_CHECKING:
    from cancellint.reporters.settings import Setting


class ConfigOptions(SettingsOptions, frozen=True, kw_only=True):
    """What was asked for."""

    paths: tuple[Path, ...]
    output_format: str
    schema: bool


@click.command(name="config")
@PATHS
@TEXT_OR_JSON
@click.option("--schema", is_flag=True, help="Print the JSON schema of the settings instead.")
@SETTINGS
def show_config(**options: object) -> None:
    """Print the settings that `check` would use, and where each comes from.

    Those of the first of PATHS; by default of the working folder.
    """
    from cancellint.projects import Configurations
    from cancellint.reporters import settings
    from cancellint.selection import selected

    asked = given(options, ConfigOptions)
    if asked.schema:
        write(_schema())
        return
    path = absolute((asked.paths or (Path.cwd(),))[0])
    root = project_root(path)
    found = Configurations(root, asked.settings()).settings_of(path)
    rows = _rows(found, asked.overrides)
    if asked.output_format == "json":
        write(settings.as_json(rows))
        return
    codes = sorted(selected(asked.overrides.applied_to(found.config)).codes)
    write(f"# {printable(str(root))}\n{settings.as_toml(rows)}# rules: {', '.join(codes)}\n")


def _schema() -> str:
    """The schema of the settings, with the rules there are."""
    from cancellint.schema import schema
    from cancellint.selection import catalogue

    return json.dumps(schema([(rule.code, rule.name) for rule in catalogue()]), indent=2) + "\n"


def _rows(found: Settings, overrides: Overrides) -> "list[Setting]":
    """Each setting with its value, and where that comes from."""
    from cancellint.reporters.settings import Setting

    config = overrides.applied_to(found.config)
    said = {**found.origins(), **overrides.origins()}
    if config.min_confidence is None and config.profile is Profile.PEDANTIC:
        said["min-confidence"] = said["profile"]
    return [Setting(key, value, said[key]) for key, value in values(config).items()]
