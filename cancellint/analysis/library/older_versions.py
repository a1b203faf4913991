"""What older versions of Python and of libraries that a project supports do otherwise, step by step."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from cancellint.analysis.library.knowledge import Knowledge, call_shape
from cancellint.analysis.program.program import Program
from cancellint.analysis.types.types import Types
from cancellint.model.finding import SiteNote
from cancellint.model.ir import Await, Call, Enter, Temp
from cancellint.model.source import Site
from cancellint.model.types import FunctionKey, LibraryCallee


class Supported(Struct, frozen=True):
    """The versions that a project supports: of Python the newest and the older ones, and of libraries."""

    newest: Version | None
    older: tuple[Version, ...]
    libraries: Mapping[str, SpecifierSet]


class OlderVersions:
    """The verdicts of the library tables on older versions beside those on the newest."""

    def __init__(self, program: Program, types: Types, knowledge: Knowledge, supported: Supported) -> None:
        self._program = program
        self._types = types
        self._knowledge = knowledge
        self._supported = supported

    def notes(self, sites: Iterable[Site]) -> Iterator[SiteNote]:
        """Yield what differs at these steps, each difference once, at the first step that has it."""
        told: set[str] = set()
        for site in sites if self._supported.older or self._supported.libraries else ():
            for difference in self._differences(site):
                if difference not in told:
                    told.add(difference)
                    yield SiteNote(site, difference)

    def _differences(self, site: Site) -> Iterator[str]:
        key = FunctionKey(site.module, site.function)
        call = self._call_at(key, site.step)
        for callee in self._types.callees(key, call) if call is not None else ():
            if isinstance(callee, LibraryCallee):
                yield from self._differences_of(callee)

    def _call_at(self, key: FunctionKey, step: int) -> int | None:
        """Return the call that a step makes, awaits or enters the result of."""
        steps = self._program.function(key).steps
        match steps[step] if step >= 0 else None:
            case Call():
                return step
            case Await(value=Temp(step=made)) | Enter(value=Temp(step=made)) if isinstance(steps[made], Call):
                return made
            case _:
                return None

    def _differences_of(self, callee: LibraryCallee) -> Iterator[str]:
        supported = self._supported
        shape = call_shape(callee.args, callee.keywords, supported.newest)
        newest = self._knowledge.facts(callee.name, shape)
        if newest is None:
            return
        name = self._knowledge.canonical(callee.name)
        by_note: dict[str, list[Version]] = {}
        for version, entry in self._knowledge.older_verdicts(name, shape, sorted(supported.older)):
            by_note.setdefault(entry.note, []).append(version)
        library = name.partition(".")[0]
        told = [(f"on Python {_span(versions)}", note) for note, versions in by_note.items()]
        if library in supported.libraries:
            verdicts = self._knowledge.library_verdicts(name, shape, supported.libraries[library])
            told.extend((f"with {library} {specifier}", entry.note) for specifier, entry in verdicts)
        for where, note in told:
            if note and note != newest.note:
                yield f"{where} `{name}` differs: {note}"


def _span(versions: list[Version]) -> str:
    """Return versions that follow each other as people write them."""
    return str(versions[0]) if len(versions) == 1 else f"{versions[0]} to {versions[-1]}"
