"""`cancellint config`."""

from pathlib import Path

import click

from cancellint.cli.options import (
    ASSUME_RACED,
    EXTEND_SELECT,
    IGNORE,
    MIN_CONFIDENCE,
    PATHS,
    PEDANTIC,
    SELECT,
    Overrides,
)
from cancellint.cli.terminal import write
from cancellint.config import Profile, load, origins, values
from cancellint.frontend.discover import project_root
from cancellint.printable import printable


@click.command(name="config")
@PATHS
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@SELECT
@EXTEND_SELECT
@IGNORE
@MIN_CONFIDENCE
@PEDANTIC
@ASSUME_RACED
def show_config(
    paths: tuple[Path, ...],
    output_format: str,
    select: tuple[str, ...],
    extend_select: tuple[str, ...],
    ignore: tuple[str, ...],
    min_confidence: str | None,
    pedantic: bool,
    assume_raced: str | None,
) -> None:
    """Print the settings that `check` would use, and where each comes from."""
    from cancellint.reporters import settings
    from cancellint.selection import selected

    root = project_root((paths or (Path.cwd(),))[0])
    overrides = Overrides(select, extend_select, ignore, min_confidence, pedantic, assume_raced)
    config = overrides.applied_to(load(root))
    codes = sorted(selected(config).codes)
    said = {**origins(root), **overrides.origins()}
    if config.min_confidence is None and config.profile is Profile.PEDANTIC:
        said["min-confidence"] = said["profile"]
    rows = [settings.Setting(key, value, said[key]) for key, value in values(config).items()]
    if output_format == "json":
        write(settings.as_json(rows))
        return
    write(f"# {printable(str(root))}\n{settings.as_toml(rows)}# rules: {', '.join(codes)}\n")
