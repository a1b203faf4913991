"""Projects that stay in memory while their files change, as an editor has it."""

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from cancellint.cache import Store
from cancellint.collector import collect
from cancellint.frontend.discover import absolute
from cancellint.held import Held
from cancellint.model.report import Report
from cancellint.orders import Order, merged
from cancellint.pipeline import examine
from cancellint.projects import Project, SettingsFrom, projects


class Workspace:
    """The projects of some paths, and what earlier answers have left of them. For one thread at a time."""

    def __init__(
        self,
        paths: Sequence[Path],
        settings: SettingsFrom | None = None,
        *,
        store: Store | None = None,
    ) -> None:
        self._order = Order(tuple(map(absolute, paths)), settings or SettingsFrom(), store=store)
        self._texts: dict[Path, bytes] = {}
        self._held: dict[Path, Held] = {}

    def update(self, path: Path, text: bytes | None) -> None:
        """Put a text in the place of what is on the disk; None: what is there counts again."""
        place = absolute(path)
        if text is None:
            self._texts.pop(place, None)
        else:
            self._texts[place] = text

    def findings(self, asked: Sequence[Path] = ()) -> Report:
        """The report on these files or folders, or on all paths, as a run of its own would give it.

        Fewer files take less time. Raises what a check raises.
        """
        paths = tuple(map(absolute, asked)) or self._order.paths
        found = projects(paths, self._order.settings)
        analyses = self._analyses()
        reports = [self._report(each) for each in found]
        if self._analyses() != analyses:
            collect()
        return merged(reports, paths, (each for one in found for each in one.configurations.warnings()))

    def _analyses(self) -> int:
        return sum(each.analyses for each in self._held.values())

    def _report(self, project: Project) -> Report:
        held = self._held.setdefault(project.root, Held())
        texts = {path: text for path, text in self._texts.items() if path.is_relative_to(project.folder)}
        return examine(replace(self._order.request(project), held=held), texts).report
