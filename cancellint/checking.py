"""A check of any paths: each project by itself, under its own configuration, and one report of all."""

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from msgspec import Struct

from cancellint.config import Config
from cancellint.frontend.discover import Stdin
from cancellint.mending import Mending, mend
from cancellint.model.report import Report
from cancellint.pipeline import Progress, Request, examine
from cancellint.projects import Project, SettingsFrom, projects


class Order(Struct, frozen=True):
    """What is to be checked, and how."""

    paths: tuple[Path, ...]
    settings: SettingsFrom = SettingsFrom()
    jobs: int = 1
    stdin: Stdin | None = None
    progress: Progress | None = None
    force_exclude: bool = False
    mends: bool = False
    """whether fixes are made"""

    def request(self, project: Project) -> Request:
        """What of it is about one project."""
        configurations = project.configurations
        return Request(
            configurations.config,
            project.paths,
            self.jobs,
            self.stdin,
            self.progress,
            self.force_exclude,
            configurations.own,
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
    found = projects(order.paths, order.settings)
    configs = tuple(project.configurations.config for project in found)
    menders = [_mending(order, project) for project in found]
    return Done(
        Mending(
            merged(
                [each.report for each in menders],
                order.paths,
                chain.from_iterable(each.configurations.warnings() for each in found),
            ),
            tuple(chain.from_iterable(each.files for each in menders)),
            sum(each.fixed for each in menders),
        ),
        configs,
    )


def _mending(order: Order, project: Project) -> Mending:
    request = order.request(project)
    if order.mends:
        return mend(request, unsafe=request.config.unsafe_fixes)
    return Mending(examine(request).report)


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
