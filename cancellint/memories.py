"""What is known of projects before they are analysed: the report of last time, if nothing has changed."""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from msgspec import Struct
from msgspec.structs import replace

from cancellint import own_rules
from cancellint.cache import Store
from cancellint.frontend.discover import Listing, Source, listed, read_listed
from cancellint.model.report import Report
from cancellint.projects import Project
from cancellint.recall import question, recalled, remember


class Memory(Struct, frozen=True):
    """What is known of a project before it is analysed."""

    keys: tuple[bytes, ...]
    """under which its report is kept"""
    folders: tuple[Path, ...]
    """inside of it, that were asked for their configuration"""
    report: Report | None = None
    sources: tuple[Source, ...] | None = None
    """its files, where they had to be read"""


def memory_of(project: Project, store: Store, *, force_exclude: bool, with_edits: bool) -> Memory:
    """The report of last time, if names, sizes and times are those of then, or else the contents are."""
    started = perf_counter()
    listing = listing_of(project, force_exclude=force_exclude)
    configurations = project.configurations
    for path in listing.explicit:
        configurations.settings_of(path.parent)
    folders = configurations.folders
    asked = question(
        (
            configurations.config,
            *((folder, configurations.own(folder)) for folder in folders),
            project.paths,
            force_exclude,
            with_edits,
        ),
        (*configurations.config.knowledge, *own_rules.sources(configurations.config.own_rules)),
        listing,
    )
    if asked is None:
        return Memory((), folders)
    by_times = asked.by_times()
    keys = () if by_times is None else (by_times,)
    report = recalled(store, by_times)
    if report is None:
        sources = read_listed(listing, {})
        by_content = asked.by_content(sources)
        report = recalled(store, by_content)
        if report is None:
            return Memory((*keys, by_content), folders, None, sources)
        remember(store, keys, report)
    return Memory(keys, folders, replace(report, seconds=perf_counter() - started))


def keep(store: Store, memory: Memory, report: Report) -> None:
    """Keep a new report for the next time."""
    remember(store, memory.keys, report)


def listing_of(project: Project, *, force_exclude: bool) -> Listing:
    """The files of a project, before any of them has been read."""
    config = project.configurations.config

    def excluded(folder: Path) -> Sequence[str]:
        return project.configurations.excluded(folder)

    base = config.root if config.root.is_dir() else None
    return listed(project.paths, config.exclude, base=base, inner=excluded, force_exclude=force_exclude)
