"""`cancellint doctor`."""

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from cancellint import __version__
from cancellint.cli.options import SETTINGS_FILES, SettingsOptions, cores, given
from cancellint.cli.terminal import CLEAN, TROUBLE, write
from cancellint.config import DEFAULT
from cancellint.frontend.discover import project_root
from cancellint.mistakes import Mistake
from cancellint.printable import no_commands, printable
from cancellint.resources import compiled_knowledge, rule_pages, rules_folder

DEPENDENCIES = ("click", "libcst", "msgspec", "packaging", "pathspec", "platformdirs", "pygls", "rich")
SHOWN_VARIABLES = ("NO_COLOR", "FORCE_COLOR", "TERM", "PAGER", "PYTHONIOENCODING", "CI")


@click.command()
@SETTINGS_FILES
def doctor(**options: object) -> int:
    """Print what a report of a fault should say: versions, platform, settings. It reads no source file."""
    asked = given(options, SettingsOptions)
    problems: list[str] = []
    lines = [*_program(), *_platform(), *_project(asked, problems)]
    text = "".join(f"{printable(line)}\n" for line in lines)
    told = "".join(f"problem: {printable(problem)}\n" for problem in problems)
    write(no_commands(text + (told or "no problems\n")))
    return TROUBLE if problems else CLEAN


def _program() -> Iterator[str]:
    """What is installed, and where."""
    from importlib.metadata import PackageNotFoundError, version  # slow, and of no use to other commands

    yield f"cancellint {__version__} in {Path(__file__).resolve().parents[1]}"
    yield f"{len(rule_pages())} rule pages in {rules_folder()}"
    yield f"library tables {'compiled' if compiled_knowledge().exists() else 'as they are written'}"
    for name in DEPENDENCIES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} is not installed"


def _platform() -> Iterator[str]:
    """What it runs on."""
    yield f"Python {platform.python_version()} ({platform.python_implementation()}) in {sys.executable}"
    yield f"{platform.platform()}, {cores()} processors for this process"
    yield f"output in {sys.stdout.encoding}, file names in {sys.getfilesystemencoding()}"
    for name in SHOWN_VARIABLES:
        if name in os.environ:
            yield f"{name}={os.environ[name]}"


def _project(asked: SettingsOptions, problems: list[str]) -> Iterator[str]:
    """The project around the working folder, and its settings."""
    from cancellint.projects import Configurations

    root = project_root(Path.cwd())
    yield f"project {root}"
    try:
        settings = Configurations(root, asked.settings()).outer
    except Mistake as problem:
        problems.append(str(problem))
        return
    said = {key: origin for key, origin in settings.origins().items() if origin != DEFAULT}
    for key, origin in said.items():
        yield f"{key} from {origin}"
    if not said:
        yield "all settings are defaults"
