"""A check of any paths: each project by itself, under its own configuration, and one report of all.

Where nothing has changed since some earlier run, its report is taken over, and no analysis is loaded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cancellint.cache import Store
from cancellint.config import Config
from cancellint.frontend.discover import Listing, Source, Stdin, listed, read_listed
from cancellint.model.report import Mending, Report
from cancellint.projects import Project, SettingsFrom, projects
from cancellint.recall import question, recalled, remember

if TYPE_CHECKING:
    from cancellint.pipeline import Request


class Order(Struct, frozen=True):
    """What is to be checked, and how."""

    paths: tuple[Path, ...]
    settings: SettingsFrom = SettingsFrom()
    jobs: int = 1
    stdin: Stdin | None = None
    progress: Callable[[int, int], None] | None = None
    force_exclude: bool = False
    mends: bool = False
    """whether fixes are made"""
    store: Store | None = None
    """what earlier runs have kept"""

    def request(self, project: Project) -> "Request":
        """What of it is about one project."""
        from cancellint.pipeline import Request

        configurations = project.configurations
        return Request(
            configurations.config,
            project.paths,
            self.jobs,
            self.stdin,
            self.progress,
            self.force_exclude,
            configurations.own,
            self.store,
        )

    def listing(self, project: Project) -> Listing:
        """The files of one project."""
        config = project.configurations.config

        def excluded(folder: Path) -> Sequence[str]:
            own = project.configurations.own(folder)
            return () if own is None else own.exclude

        base = config.root if config.root.is_dir() else None
        return listed(
            project.paths, config.exclude, base=base, inner=excluded, force_exclude=self.force_exclude
        )


class Done(Struct, frozen=True):
    """What came of it. Nothing is written yet."""

    mending: Mending
    configs: tuple[Config, ...]
    """of the projects, in the order of their places"""

    @property
    def unsafe_fixes(self) -> bool:
        """Whether unsafe fixes are made too."""
        return all(config.unsafe_fixes for config in self.configs)


def carry_out(order: Order) -> Done:
    """Checks all projects of the paths. Raises ConfigError, UnknownRule and KnowledgeError."""
    memories: Mapping[Path, Memory] = {}
    if order.store is not None and order.stdin is None and not order.mends:
        known = projects(order.paths, replace(order.settings, is_known=True))
        memories = {project.root: _memory(order, order.store, project) for project in known}
        kept = [memories[project.root].report for project in known]
        if all(report is not None for report in kept):
            return _done(order, known, [Mending(report) for report in kept if report is not None])
    found = projects(order.paths, order.settings)
    return _done(order, found, [_mending(order, each, memories.get(each.root)) for each in found])


def _done(order: Order, found: Sequence[Project], menders: Sequence[Mending]) -> Done:
    warnings = chain.from_iterable(each.configurations.warnings() for each in found)
    return Done(
        Mending(
            merged([each.report for each in menders], order.paths, warnings),
            tuple(chain.from_iterable(each.files for each in menders)),
            sum(each.fixed for each in menders),
        ),
        tuple(project.configurations.config for project in found),
    )


def _mending(order: Order, project: Project, memory: "Memory | None") -> Mending:
    from cancellint.pipeline import examine

    request = order.request(project)
    if order.mends:
        from cancellint.mending import mend

        return mend(request, unsafe=request.config.unsafe_fixes)
    if memory is None or order.store is None:
        return Mending(examine(request).report)
    for folder in memory.folders:
        project.configurations.own(folder)  # what they say wrong, or in vain, is told as ever
    report = memory.report or examine(replace(request, sources=memory.sources)).report
    remember(order.store, memory.keys, report)
    return Mending(report)


# --------------------------------------------------------------------------- what was there before


class Memory(Struct, frozen=True):
    """What is known of a project before it is analysed."""

    keys: tuple[bytes, ...]
    """under which its report is kept"""
    folders: tuple[Path, ...]
    """inside of it, that were asked for their configuration"""
    report: Report | None = None
    sources: tuple[Source, ...] | None = None
    """its files, where they had to be read"""


def _memory(order: Order, store: Store, project: Project) -> Memory:
    """The report of last time, if names, sizes and times are those of then, or else the contents are."""
    started = perf_counter()
    listing = order.listing(project)
    configurations = project.configurations
    for path in listing.explicit:
        configurations.settings_of(path.parent)
    folders = configurations.folders
    configs = (configurations.config, *((folder, configurations.own(folder)) for folder in folders))
    asked = question(configs, configurations.config.knowledge, project.paths, order.force_exclude, listing)
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


def merged(reports: Sequence[Report], paths: Sequence[Path], warnings: Iterable[str] = ()) -> Report:
    """The reports of several projects as one."""
    found = chain.from_iterable(report.findings for report in reports)
    without = {argument for report in reports for argument in report.without_files}
    return Report(
        findings=tuple(sorted(found, key=lambda each: (each.place, each.code, each.message, each.notes))),
        files=sum(report.files for report in reports),
        functions=sum(report.functions for report in reports),
        seconds=sum(report.seconds for report in reports),
        failures=tuple(chain.from_iterable(report.failures for report in reports)),
        sources={path: lines for report in reports for path, lines in report.sources.items()},
        warnings=tuple(dict.fromkeys(chain(warnings, *(report.warnings for report in reports)))),
        without_files=tuple(str(path) for path in dict.fromkeys(paths) if str(path) in without),
    )
