"""Projects held in memory, with the texts of an editor in the place of what is on the disk."""

import tokenize
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from cancellint.cache import Store
from cancellint.collector import collect
from cancellint.frontend.discover import absolute
from cancellint.orders import Order
from cancellint.pipeline import Examined, Request, examine
from cancellint.projects import Project, SettingsFrom, projects


class Workspace(Protocol):
    """What the server asks of the analysis. Only one thread at a time may use it, but for `update`."""

    def update(self, path: Path, text: str | None) -> None:
        """Put a text in the place of what is on the disk; None: what is there counts, and may be new."""

    def findings(self) -> tuple[Examined, ...]:
        """Return what there is in each project, as of now. Raises a Mistake, and what checkpoints raise."""


class Held(Struct, frozen=True):
    """A project as it was analysed last."""

    project: Project
    examined: Examined


class ProjectsInMemory:
    """The projects of some paths. What has not changed is not parsed again, and its project not analysed."""

    def __init__(
        self,
        paths: tuple[Path, ...],
        settings: SettingsFrom,
        checkpoint: Callable[[], None] = lambda: None,
        store: Store | None = None,
    ) -> None:
        self._paths = paths
        self._settings = settings
        self._checkpoint = checkpoint
        self._store = store
        self._texts: dict[Path, bytes] = {}
        self._changed: set[Path] = set()
        self._held: dict[Path, Held] = {}

    def update(self, path: Path, text: str | None) -> None:
        """Put a text in the place of what is on the disk; None: what is there counts, and may be new."""
        place = absolute(path)
        texts = {known: data for known, data in self._texts.items() if known != place}
        self._texts = texts if text is None else texts | {place: encoded(text)}
        self._changed = self._changed | {place}

    def findings(self) -> tuple[Examined, ...]:
        """Return what there is in each project, as of now. Raises a Mistake, and what checkpoints raise."""
        texts, changed = self._texts, self._changed
        found = projects(self._paths, self._settings)
        held = {each.root: self._examined(each, texts, changed) for each in found}
        self._held = held
        self._changed = self._changed - changed
        return tuple(each.examined for each in held.values())

    def _examined(self, project: Project, texts: dict[Path, bytes], changed: set[Path]) -> Held:
        before = self._held.get(project.root)
        if before is not None and not any(each.is_relative_to(project.folder) for each in changed):
            return before
        own = {path: text for path, text in texts.items() if path.is_relative_to(project.folder)}
        examined = examine(self._request(project), own, None if before is None else before.examined.reading)
        collect()
        return Held(project, examined)

    def _request(self, project: Project) -> Request:
        request = Order(self._paths, self._settings, store=self._store).request(project)
        return replace(request, keeps_project=True, checkpoint=self._checkpoint)


def encoded(text: str) -> bytes:
    """A text as the bytes of a file: in the encoding that it declares, if it can be."""
    data = text.encode("utf-8", "surrogatepass")
    try:
        declared, _ = tokenize.detect_encoding(BytesIO(data).readline)
        return text.encode(declared)
    except (SyntaxError, UnicodeError, LookupError):
        return data


def sources_of(examined: tuple[Examined, ...]) -> Iterator[tuple[Path, bytes]]:
    """The files of projects, as they were analysed."""
    for each in examined:
        for source in each.reading.sources.values():
            if source.data is not None and not source.cells:
                yield source.path, source.data
