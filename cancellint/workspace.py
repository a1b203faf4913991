"""Projects that stay in memory while their files change, as an editor has it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from cancellint.cache import Store
from cancellint.collector import collect
from cancellint.frontend.discover import absolute
from cancellint.held import Held
from cancellint.model.report import Report
from cancellint.orders import Order, merged
from cancellint.pipeline import Examined, examine
from cancellint.projects import Project, SettingsFrom, projects


def _go_on() -> None:
    """Nobody wants an answer to end early."""


class Workspace:
    """The projects of some paths, and what earlier answers have left of them.

    For one thread at a time, but for `update`, which may be called by another one meanwhile.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        settings: SettingsFrom | None = None,
        *,
        store: Store | None = None,
        checkpoint: Callable[[], None] = _go_on,
    ) -> None:
        self._order = Order(tuple(map(absolute, paths)), settings or SettingsFrom(), store=store)
        self._checkpoint = checkpoint
        self._texts: dict[Path, bytes] = {}
        self._held: dict[Path, Held] = {}

    def update(self, path: Path, text: bytes | None) -> None:
        """Put a text in the place of what is on the disk; None: what is there counts again."""
        place = absolute(path)
        others = {known: data for known, data in self._texts.items() if known != place}
        self._texts = others if text is None else {**others, place: text}

    def findings(self, asked: Sequence[Path] = ()) -> Report:
        """The report on these files or folders, or on all paths, as a run of its own would give it.

        Fewer files take less time. Raises what a check raises.
        """
        paths = tuple(map(absolute, asked)) or self._order.paths
        found = projects(paths, self._order.settings)
        reports = [each.report for each in self._examined(found)]
        return merged(reports, paths, (each for one in found for each in one.configurations.warnings()))

    def examined(self, asked: Sequence[Path] = ()) -> tuple[Examined, ...]:
        """What there is in each project of these files, or of all paths, with the project as it was analysed.

        Raises what a check raises, and what the checkpoint does, which is called again and again meanwhile.
        """
        paths = tuple(map(absolute, asked)) or self._order.paths
        return self._examined(projects(paths, self._order.settings))

    def _examined(self, found: Sequence[Project]) -> tuple[Examined, ...]:
        """Examine projects with the texts of now, and give back what an analysis has left behind."""
        analyses, texts = self._analyses(), self._texts
        examined = tuple(self._examine(project, texts) for project in found)
        if self._analyses() != analyses:
            collect()
        return examined

    def _examine(self, project: Project, every: Mapping[Path, bytes]) -> Examined:
        held = self._held.setdefault(project.root, Held())
        texts = {path: text for path, text in every.items() if path.is_relative_to(project.folder)}
        request = replace(self._order.request(project), held=held, checkpoint=self._checkpoint)
        return examine(request, texts)

    def _analyses(self) -> int:
        return sum(each.analyses for each in self._held.values())
