"""The projects that the arguments lie in, each with its configuration."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from cancellint.config import Config, Settings, isolated, own_settings, read_settings, values
from cancellint.frontend.discover import has_marker, outermost, project_root, shown_path
from cancellint.overrides import Overrides

OF_THE_PROGRAM = (
    "target-version",
    "knowledge",
    "assume-raced",
    "dropped-task-underscore",
    "cancel-safe-decorators",
    "unsafe-fixes",
    "baseline",
    "own-rules",
)
"""Settings that are about the project as a whole, and not about what is shown of one of its files."""


class SettingsFrom(Struct, frozen=True):
    """Which files the settings of a run come from, and what goes before them."""

    file: Path | None = None
    """named on the command line, in the place of all that projects say"""
    is_isolated: bool = False
    """no file counts"""
    overrides: Overrides = Overrides()
    is_known: bool = False
    """whether the same settings have been looked at before, so that the rules need not be loaded for it"""

    @property
    def is_plain(self) -> bool:
        """Whether everything is looked for that the files ask for."""
        return self.overrides.origins().keys() <= {"extend-select"} and not self.is_isolated

    def of(self, root: Path) -> Settings:
        """The settings of the project in a folder. Raises ConfigError and UnknownRule."""
        settings = isolated(root) if self.is_isolated else read_settings(root, self.file)
        self._look_at(settings)
        return settings

    def inside(self, folder: Path) -> Settings | None:
        """What a folder inside of a project says about itself. Raises ConfigError and UnknownRule."""
        own = None if self.is_isolated or self.file is not None else own_settings(folder)
        if own is not None:
            self._look_at(own)
        return own

    def _look_at(self, settings: Settings) -> None:
        if not self.is_known:
            from cancellint.selection import check_words

            check_words(settings)


class Configurations:
    """The configuration of each folder of one project: its own, or that of the folder above."""

    def __init__(self, root: Path, settings: SettingsFrom) -> None:
        self._from = settings
        self._root = root if os.path.isdir(root) else root.parent
        self._own: dict[Path, Settings | None] = {}
        self.outer = settings.of(root)

    @property
    def config(self) -> Config:
        """The configuration of the project as a whole."""
        return self._from.overrides.applied_to(self.outer.config)

    def own(self, folder: Path) -> Config | None:
        """What a folder inside of the project says about itself, if it does."""
        if folder == self._root or not folder.is_relative_to(self._root):
            return None
        if folder not in self._own:
            self._own[folder] = self._from.inside(folder)
        settings = self._own[folder]
        return None if settings is None else self._from.overrides.applied_to(settings.config)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders inside of the project that were asked for what they say."""
        return tuple(sorted(self._own))

    def settings_of(self, folder: Path) -> Settings:
        """The settings that hold in a folder."""
        for each in (folder, *folder.parents):
            if self.own(each) is not None and (settings := self._own[each]) is not None:
                return settings
        return self.outer

    def excluded(self, folder: Path) -> Sequence[str]:
        """What a folder inside of the project leaves out of itself."""
        config = self.own(folder)
        return () if config is None else config.exclude

    @property
    def inner(self) -> tuple[Settings, ...]:
        """What folders inside of the project say, of those that were looked at."""
        return tuple(settings for settings in self._own.values() if settings is not None)

    def warnings(self) -> Iterator[str]:
        """What folders inside of the project say in vain, of those that were looked at."""
        config = self.config
        if config.own_rules and not config.runs_own_rules:
            yield "own-rules: these are code of the project and run only with --own-rules"
        outer = values(config)
        for settings in self.inner:
            own = values(settings.config)
            for key in OF_THE_PROGRAM:
                if key in settings.said and own[key] != outer[key]:
                    file, name = settings.said[key]
                    yield f"{shown_path(file)}: `{name}` counts only where the project as a whole says it"


class Project(Struct, frozen=True):
    """A project, and the arguments that lie in it."""

    root: Path
    paths: tuple[Path, ...]
    configurations: Configurations

    @property
    def folder(self) -> Path:
        """The folder that it lies in: a file that is in no project is one by itself."""
        return self.root if os.path.isdir(self.root) else self.root.parent


def projects(paths: Sequence[Path], settings: SettingsFrom) -> tuple[Project, ...]:
    """The projects of these paths by place, whatever the order of the paths.

    What no marker makes a project is taken together. Raises ConfigError and UnknownRule.
    """
    roots = {path: project_root(path) for path in dict.fromkeys(paths)}
    outer = outermost(roots.values())
    loose = next((root for root in outer if not has_marker(root)), None)
    found: dict[Path, list[Path]] = {}
    for path, root in roots.items():
        holder = _holder(root, outer)
        found.setdefault(holder if loose is None or has_marker(holder) else loose, []).append(path)
    return tuple(
        Project(root, tuple(sorted(found[root])), Configurations(root, settings)) for root in sorted(found)
    )


def _holder(root: Path, outer: Sequence[Path]) -> Path:
    """Which of the outermost roots this one is or lies in."""
    return root if root in outer else next(each for each in outer if root.is_relative_to(each))
