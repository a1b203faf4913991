"""A check from the command line: the report of last time where nothing has changed, or a new one."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from msgspec import Struct
from msgspec.structs import replace

from cancellint.cache import Store
from cancellint.config import Config
from cancellint.frontend.discover import Source, Stdin, listed, read_listed
from cancellint.model.report import Report
from cancellint.recall import question, recalled, remember


class Job(Struct, frozen=True):
    """What the command line asks for."""

    config: Config
    paths: tuple[Path, ...]
    jobs: int
    stdin: Stdin | None = None
    force_exclude: bool = False


Progress = Callable[[int, int], None]


def check(job: Job, store: Store | None, progress: Progress | None) -> Report:
    """The report on what is asked for, with a memory if there is a store."""
    if store is None or job.stdin is not None:
        return _examined(job, store, progress, None)
    started = perf_counter()
    listing = listed(job.paths, job.config.exclude, force_exclude=job.force_exclude)
    asked = question(job.config, job.paths, job.force_exclude, listing)
    if asked is None:
        return _examined(job, store, progress, None)
    by_times = asked.by_times()
    report = recalled(store, by_times)
    if report is None:
        sources = read_listed(listing, {})
        by_content = asked.by_content(sources)
        report = recalled(store, by_content)
        if report is None:
            report = _examined(job, store, progress, sources)
        remember(store, [by_times, by_content], report)
    return replace(report, seconds=perf_counter() - started)


def _examined(
    job: Job, store: Store | None, progress: Progress | None, sources: tuple[Source, ...] | None
) -> Report:
    """A new report; nothing of the analysis is loaded before it is known that there has to be one."""
    from cancellint.pipeline import Request, examine

    request = Request(
        config=job.config,
        paths=job.paths,
        jobs=job.jobs,
        stdin=job.stdin,
        progress=progress,
        force_exclude=job.force_exclude,
        store=store,
        sources=sources,
    )
    return examine(request).report
