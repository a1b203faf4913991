"""A check of any paths: each project by itself, under its own configuration, and one report of all."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from cancellint.baseline import Baseline, BaselineError, Entry, compared, read, without
from cancellint.cache import Store
from cancellint.changes import Changes, since
from cancellint.frontend.discover import Stdin
from cancellint.memories import Memory, keep, memory_of
from cancellint.model.finding import Finding
from cancellint.model.report import Mending, Report
from cancellint.projects import Project, SettingsFrom, projects
from cancellint.reporters.fingerprints import by_trace

if TYPE_CHECKING:
    from cancellint.pipeline import Examined, Request

_Number = TypeVar("_Number", int, float)


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
    baseline: Path | None = None
    """findings that are not told; else those of the projects' own settings"""
    tells_known: bool = False
    """whether these are told all the same"""
    needs_baseline: bool = False
    """whether it is a mistake that there is none"""
    with_edits: bool = False
    """whether findings tell what their fixes do to the text"""
    changed_since: str | None = None
    """a revision: findings that no change since then touches are not told"""
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
            self.with_edits,
            self.store,
        )


class Done(Struct, frozen=True):
    """What came of it. Nothing is written yet."""

    mending: Mending
    stale: tuple[tuple[Baseline, tuple[Entry, ...]], ...]
    """baselines with entries that are out of date"""
    projects: tuple[Project, ...]
    """in the order of their places"""

    @property
    def unsafe_fixes(self) -> bool:
        """Whether unsafe fixes are made too."""
        return all(each.configurations.config.unsafe_fixes for each in self.projects)


def carry_out(order: Order) -> Done:
    """Checks all projects of the paths. Raises ConfigError, UnknownRule, KnowledgeError and those below."""
    memories = _memories(order)
    is_known = bool(memories) and all(each.report is not None for each in memories.values())
    found = projects(order.paths, msgspec.structs.replace(order.settings, is_known=is_known))
    baselines = [read(file) for file in _baselines(order, found)]
    if order.needs_baseline and not baselines:
        raise BaselineError("there is no baseline: name it with --baseline or in the configuration")
    menders = [_mending(order, project, memories.get(project.root)) for project in found]
    warnings = chain.from_iterable(each.configurations.warnings() for each in found)
    report, stale = merged([each.report for each in menders], order.paths, warnings), []
    is_whole = order.settings.is_plain and order.changed_since is None
    for baseline in baselines:
        result = compared(report, baseline, is_whole=is_whole)
        report = result.report
        stale.append((baseline, result.stale))
    files = tuple(chain.from_iterable(each.files for each in menders))
    fixed = sum(each.fixed for each in menders)
    return Done(Mending(report, files, fixed), tuple(each for each in stale if each[1]), found)


def _baselines(order: Order, found: Iterable[Project]) -> tuple[Path, ...]:
    if order.tells_known:
        return ()
    if order.baseline is not None:
        return (order.baseline,)
    stated = (each.configurations.config.baseline for each in found)
    return tuple(dict.fromkeys(file for file in stated if file is not None))


def _memories(order: Order) -> Mapping[Path, Memory]:
    """What is known of each project, by its root; nothing where every run is to look for itself."""
    store = order.store
    if store is None or order.stdin is not None or order.mends or order.changed_since is not None:
        return {}
    found = projects(order.paths, msgspec.structs.replace(order.settings, is_known=True))
    return {
        each.root: memory_of(each, store, force_exclude=order.force_exclude, with_edits=order.with_edits)
        for each in found
    }


def _mending(order: Order, project: Project, memory: Memory | None) -> Mending:
    for folder in memory.folders if memory is not None else ():
        project.configurations.own(folder)  # what they say wrong, or in vain, is told as ever
    if memory is not None and memory.report is not None:
        return Mending(memory.report)
    from cancellint.pipeline import examine

    request = order.request(project)
    if order.mends:
        from cancellint.mending import mend

        return mend(request, unsafe=request.config.unsafe_fixes)
    if memory is not None and order.store is not None:
        report = examine(msgspec.structs.replace(request, sources=memory.sources)).report
        keep(order.store, memory, report)
        return Mending(report)
    examined = examine(request)
    if order.changed_since is None:
        return Mending(examined.report)
    return Mending(_caused(request, examined, since(order.changed_since, project.folder)))


def _caused(request: "Request", examined: "Examined", changes: Changes) -> Report:
    """The findings that changes touch, and those that were not there before, whatever lines they stand on."""
    report = examined.report
    if all(map(changes.touch, report.findings)):
        return report
    known = Counter(by_trace(_before(request, examined, changes)))
    kept: list[Finding] = []
    for finding, print_ in zip(report.findings, by_trace(report), strict=True):
        is_known = known[print_] > 0
        known[print_] -= is_known
        if not is_known or changes.touch(finding):
            kept.append(finding)
    if len(kept) == len(report.findings):
        return report
    return without(report, kept, f"no change since {changes.revision} causes them")


def _before(request: "Request", examined: "Examined", changes: Changes) -> Report:
    """What was found before the changes. What has not changed is not parsed again."""
    sources = examined.reading.sources.values()
    texts = {each.path: changes.text_before(each.path) for each in sources if changes.concern(each.path)}
    if not texts:
        return examined.report
    from cancellint.pipeline import examine

    plain = msgspec.structs.replace(request, progress=None, with_edits=False)
    return examine(plain, texts, examined.reading).report


def merged(reports: Sequence[Report], paths: Sequence[Path], warnings: Iterable[str] = ()) -> Report:
    """The reports of several projects as one."""
    found = chain.from_iterable(report.findings for report in reports)
    without = {argument for report in reports for argument in report.without_files}
    return Report(
        findings=tuple(sorted(found, key=lambda each: each.place.path)),
        files=sum(report.files for report in reports),
        functions=sum(report.functions for report in reports),
        seconds=sum(report.seconds for report in reports),
        failures=tuple(chain.from_iterable(report.failures for report in reports)),
        sources={path: lines for report in reports for path, lines in report.sources.items()},
        warnings=tuple(dict.fromkeys(chain(warnings, *(report.warnings for report in reports)))),
        without_files=tuple(str(path) for path in dict.fromkeys(paths) if str(path) in without),
        stages=_together(chain.from_iterable(report.stages for report in reports)),
        read=tuple(chain.from_iterable(report.read for report in reports)),
        reported=tuple(chain.from_iterable(report.reported for report in reports)),
        own_rules=tuple({rule.code: rule for report in reports for rule in report.own_rules}.values()),
        left_out=_together(chain.from_iterable(report.left_out for report in reports)),
    )


def _together(named: Iterable[tuple[str, _Number]]) -> tuple[tuple[str, _Number], ...]:
    """The sums of what has the same name."""
    total: dict[str, _Number] = {}
    for name, number in named:
        total[name] = total[name] + number if name in total else number
    return tuple(total.items())
