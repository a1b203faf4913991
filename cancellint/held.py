"""What of one project stays in memory, for a process that makes more than one run over it."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from cancellint.analysis.library import knowledge
from cancellint.analysis.library.knowledge import Knowledge
from cancellint.analysis.normal.form import FormsKept
from cancellint.analysis.project import AnalysisSettings, Project
from cancellint.bounded import MAX_TOML_BYTES, Unusable, read_bytes
from cancellint.frontend.discover import Source
from cancellint.frontend.read import Reading
from cancellint.frontend.suppress import Comments
from cancellint.kept import Kept
from cancellint.model.finding import Fix, RawFinding
from cancellint.model.ir import Module
from cancellint.model.source import Place, Site
from cancellint.model.types import FunctionKey
from cancellint.rules.rule import Check, Rule, Subject, findings

LookedUp: TypeAlias = tuple[Mapping[Site, Place], frozenset[Fix]]
"""Where steps of a file stand, and which fixes its text admits."""


class Tables(Struct, frozen=True):
    """The library tables, and the bytes that those of the project were read from."""

    known: Knowledge
    read_from: tuple[bytes, ...]


class Held:
    """What earlier runs have left: what was read, and what was worked out for as long as nothing has changed.

    Everything here is kept together with all that it was made of, and is made anew where that has changed.
    """

    def __init__(self) -> None:
        self.reading: Reading | None = None
        self.comments: Kept[Comments] = Kept()
        self.validity: Kept[bool] = Kept()
        self.places: Kept[LookedUp] = Kept()
        self.analyses = 0
        """how often the project has been analysed: what an earlier one has left is garbage then"""
        self._forms = FormsKept()
        self._tables: Tables | None = None
        self._project: Project | None = None
        self._read: tuple[Reading, AnalysisSettings] | None = None
        self._found: dict[tuple[Check, FunctionKey], tuple[RawFinding, ...]] = {}

    def begin(self) -> None:
        """Begin another run: what it does not ask for is forgotten after it."""
        for each in (self.comments, self.validity, self.places):
            each.turn()

    def tables(self, files: Iterable[Path]) -> Knowledge:
        """The library tables with these of the project. Raises KnowledgeError."""
        chosen = tuple(files)
        read_from = tuple(map(_bytes_of, chosen))
        if self._tables is None or self._tables.read_from != read_from:
            self._forget()
            self._tables = Tables(knowledge.load(chosen), read_from)
        return self._tables.known

    def project(
        self,
        reading: Reading,
        settings: AnalysisSettings,
        analyse: Callable[[FormsKept, Project | None], Project | None],
    ) -> Project | None:
        """The project as it was analysed, if it is the same program, else what `analyse` makes of it."""
        if self._project is not None and self._read is not None and self._is_same(reading, settings):
            return self._project
        self.analyses += 1
        self._forms.turn()
        self._project = analyse(self._forms, self._project)
        self._read = reading, settings
        self._found = {}
        return self._project

    def drop_project(self) -> None:
        """Analyse anew the next time, whatever there is then."""
        self._forget()

    def findings(self, rule: Rule, subject: Subject) -> tuple[RawFinding, ...]:
        """What a rule reports of a function of the project."""
        asked = rule.check, subject.function
        if asked not in self._found:
            self._found[asked] = tuple(findings(rule, subject))
        return self._found[asked]

    def same(self, source: Source, module: Module) -> Module:
        """The module as it was read before, if it is equal: then it is the same object again."""
        known = None if self.reading is None else self.reading.modules.get(source.module)
        return known if known is not None and known == module else module

    def _is_same(self, reading: Reading, settings: AnalysisSettings) -> bool:
        assert self._read is not None
        before, under = self._read
        return (
            settings == under
            and reading.packages == before.packages
            and _are_same(reading.modules, before.modules)
        )

    def _forget(self) -> None:
        self._forms = FormsKept()
        self._project = None
        self._read = None
        self._found = {}


def _are_same(modules: Mapping[str, Module], others: Mapping[str, Module]) -> bool:
    return modules.keys() == others.keys() and all(modules[name] is others[name] for name in modules)


def _bytes_of(file: Path) -> bytes:
    try:
        return read_bytes(file, MAX_TOML_BYTES)
    except (OSError, Unusable):  # who reads it next says what is wrong with it
        return b""
