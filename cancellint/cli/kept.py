"""`cancellint cache`."""

from pathlib import Path

import click

from cancellint.cache import OLD_DAYS, Store, default_folder
from cancellint.cli.options import CACHE_DIR
from cancellint.cli.terminal import CLEAN, complain, write
from cancellint.printable import printable


@click.group()
def cache() -> None:
    """Look after what runs have kept for later ones."""


@cache.command()
@CACHE_DIR
def size(cache_dir: Path | None) -> None:
    """Print where it is kept, and how much there is."""
    store = Store(cache_dir or default_folder())
    found = store.size()
    store.close()
    write(f"{printable(str(store.file))}: {found.size / 1e6:.1f} MB in {found.entries:,} entries\n")


@cache.command()
@CACHE_DIR
@click.option("--days", type=click.IntRange(min=0), default=OLD_DAYS, show_default=True)
def prune(cache_dir: Path | None, days: int) -> None:
    """Drop what no run has used for some days."""
    store = Store(cache_dir or default_folder())
    gone = store.prune(days)
    store.close()
    write(f"{gone:,} entries dropped\n")


@cache.command()
@CACHE_DIR
def clear(cache_dir: Path | None) -> int:
    """Drop all of it."""
    store = Store(cache_dir or default_folder())
    try:
        store.clear()
    except OSError as error:
        return complain(f"{store.file} cannot be removed: {error.strerror}")
    return CLEAN
