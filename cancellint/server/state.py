"""What the server knows at a time: the last analysis, and what it has told of it."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from cancellint.pipeline import Examined
from cancellint.server.diagnostics import Told, by_file
from cancellint.server.lookup import File, file_at
from cancellint.server.texts import encoded, texts_of


class Known(Struct, frozen=True):
    """An analysis of all projects, and its findings by file."""

    examined: tuple[Examined, ...] = ()
    told: Mapping[Path, tuple[Told, ...]] = {}
    texts: Mapping[Path, bytes] = {}
    """the files, as they were analysed"""

    def file(self, path: Path) -> File | None:
        """A file that was analysed."""
        return file_at(path, self.examined)

    def is_of(self, path: Path, text: str) -> bool:
        """Whether a text is the one that was analysed."""
        return self.texts.get(path) == encoded(text)

    def of(self, path: Path) -> Sequence[Told]:
        """The findings of a file."""
        return self.told.get(path, ())

    def named(self, fingerprint: str) -> Told | None:
        """The finding that is known by a fingerprint."""
        every = (each for told in self.told.values() for each in told)
        return next((each for each in every if each.fingerprint == fingerprint), None)


NOTHING = Known()


def known(examined: tuple[Examined, ...]) -> Known:
    """What an analysis has found."""
    return Known(examined, by_file([each.report for each in examined]), dict(texts_of(examined)))


def with_files(before: Known, files: Collection[Path], examined: tuple[Examined, ...]) -> Known:
    """What is known once some files have been looked at: of all others, what was known before."""
    part = known(examined)
    others = tuple(each for each in before.examined if not _files(each) & _files(*examined))
    told = {path: each for path, each in before.told.items() if path not in files}
    told |= {path: part.told[path] for path in files if path in part.told}
    return Known((*others, *examined), told, {**before.texts, **part.texts})


def _files(*examined: Examined) -> set[Path]:
    return {source.path for each in examined for source in each.reading.sources.values()}
