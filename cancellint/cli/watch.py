"""`cancellint check --watch`: the same check, again whenever a file has changed.

Files are looked at in turn, and not subscribed to: that needs no further package, and sees changes on network
file systems and in containers too, where nobody tells of them. Between two looks it waits ten times as long
as one takes, so it never keeps more than a tenth of one processor busy.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import click

from cancellint.cli.terminal import CLEAN, complain, tell
from cancellint.collector import collect
from cancellint.frontend.discover import CONFIGURATION, project_root, shown_path
from cancellint.memories import listing_of
from cancellint.mistakes import Mistake
from cancellint.projects import Project, SettingsFrom, projects

LEAST_WAIT: Final = 0.3
"""Seconds between two looks."""

_REST: Final = 10

Seen: TypeAlias = Mapping[Path, tuple[int, int] | None]
"""Time and size of each file that can make a difference; None where it is not there."""


def watch(paths: tuple[Path, ...], settings: SettingsFrom, check: Callable[[], int]) -> int:
    """Checks, and checks again whenever something has changed, until it is interrupted."""
    try:
        while True:
            seen = look(paths, settings)
            _clear()
            try:
                check()
            except Mistake as mistake:
                complain(str(mistake))
            collect()
            tell(f"watching {len(seen)} files; Ctrl-C ends")
            changed = _changed(paths, settings, seen)
            tell(f"changed: {', '.join(shown_path(path) for path in changed)}")
    except KeyboardInterrupt:
        return CLEAN


def look(paths: tuple[Path, ...], settings: SettingsFrom) -> Seen:
    """The files that a check of these paths depends on."""
    return {path: _state(path) for path in dict.fromkeys(_files(paths, settings))}


def differences(before: Seen, after: Seen) -> tuple[Path, ...]:
    """The files that have come, gone or changed."""
    return tuple(sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path)))


def _changed(paths: tuple[Path, ...], settings: SettingsFrom, seen: Seen) -> tuple[Path, ...]:
    """Waits until something has changed; what that is."""
    taken = 0.0
    while True:
        time.sleep(max(LEAST_WAIT, _REST * taken))
        began = time.perf_counter()
        changed = differences(seen, look(paths, settings))
        taken = time.perf_counter() - began
        if changed:
            return changed


def _files(paths: tuple[Path, ...], settings: SettingsFrom) -> Iterator[Path]:
    try:
        found = projects(paths, settings)
        for project in found:
            yield from _of_project(project)
    except Mistake:  # a configuration that cannot be used: it is waited for
        for path in paths:
            root = project_root(path)
            yield from (folder / name for folder in (root, *root.parents) for name in CONFIGURATION)
    if settings.file is not None:
        yield settings.file


def _of_project(project: Project) -> Iterator[Path]:
    """The files of a project, its tables and baseline, and every place where a configuration may stand."""
    files = listing_of(project, force_exclude=False).files
    yield from files
    config = project.configurations.config
    yield from config.knowledge
    if config.baseline is not None:
        yield config.baseline
    for said in (project.configurations.outer, *project.configurations.inner):
        yield from (file for file, _ in said.said.values())
    for folder in dict.fromkeys((project.folder, *(file.parent for file in files))):
        yield from (folder / name for name in CONFIGURATION)


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _clear() -> None:
    """An empty screen for what comes, if it goes to a screen."""
    if sys.stdout.isatty():
        click.clear()
