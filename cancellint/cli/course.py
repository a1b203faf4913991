"""What is told of a run itself: what was read, under which settings, and where the time went."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cancellint.cli.terminal import CLEAN, tell, write
from cancellint.config import DEFAULT, Settings
from cancellint.frontend.discover import Stdin, discover, shown_path
from cancellint.printable import no_commands, printable

if TYPE_CHECKING:
    from cancellint.orders import Done
    from cancellint.projects import SettingsFrom


@contextmanager
def limits_reached(*, is_wanted: bool) -> Iterator[Mapping[str, int]]:
    """How often each limit of the analysis is reached meanwhile, if anybody wants to know."""
    if not is_wanted:
        yield {}
        return
    from cancellint.cli.limits import counted_limits

    with counted_limits() as counts:
        yield counts


def tell_course(done: "Done", limits: Mapping[str, int]) -> None:
    """Tells how a run went, on standard error."""
    report = done.mending.report
    for project in done.projects:
        tell(f"project {project.root}: {_settings(project.configurations.outer)}")
        for inner in project.configurations.inner:
            tell(f"  in it {shown_path(inner.config.root)}: {_settings(inner)}")
    tell(f"{len(report.read):,} files read, {len(report.reported):,} of them reported on")
    for name, seconds in report.stages:
        tell(f"{name}: {seconds:.2f} s")
    for limit, count in sorted(limits.items()):
        tell(f"limit reached, and not looked further: {limit} ({count:,} times)")
    if not limits:
        tell("no limit of the analysis was reached")


def _settings(settings: Settings) -> str:
    """Where settings come from, and which are no defaults."""
    said = sorted(key for key, origin in settings.origins().items() if origin != DEFAULT)
    files = sorted({shown_path(file) for file, _ in settings.said.values()})
    if not said:
        return "all settings are defaults"
    return f"{', '.join(said)} from {', '.join(files) or 'pyproject.toml'}"


def list_files(
    paths: Sequence[Path], settings: "SettingsFrom", stdin: Stdin | None, force_exclude: bool
) -> int:
    """Prints the files that would be reported on."""
    from cancellint.projects import projects

    for project in projects(paths, settings):
        configurations = project.configurations
        config = configurations.config
        sources = discover(
            project.paths,
            config.exclude,
            stdin,
            base=config.root if config.root.is_dir() else None,
            inner=configurations.excluded,
            force_exclude=force_exclude,
        )
        listed = (f"{printable(shown_path(each.path))}\n" for each in sources if each.is_reported)
        write(no_commands("".join(listed)))
    return CLEAN
