"""`cancellint server`."""

from importlib.util import find_spec
from pathlib import Path

import click
from msgspec import Struct

from cancellint.cache import default_folder
from cancellint.cli.options import CACHE_DIR, given
from cancellint.cli.terminal import CLEAN
from cancellint.mistakes import Mistake


class NotInstalled(Mistake):
    """What the server needs beside the linter is not there."""


class ServerOptions(Struct, frozen=True):
    """What was asked for."""

    cache_dir: Path | None = None
    no_cache: bool = False


@click.command()
@CACHE_DIR
@click.option("--no-cache", is_flag=True, help="Take nothing over from earlier runs, and keep nothing.")
def server(**options: object) -> int:
    """Serve an editor over standard input and output (LSP).

    Diagnostics while you type, with their stories; fixes; what is believed of a function; promises.
    """
    asked = given(options, ServerOptions)
    if find_spec("pygls") is None:
        raise NotInstalled('the server needs pygls: pip install "cancellint[server]"')
    from cancellint.server.server import make_server

    make_server(None if asked.no_cache else asked.cache_dir or default_folder()).start_io()
    return CLEAN
