"""What a run can take over from earlier ones: the report, if nothing has changed, and what was read.

A report rests on the tool, the configuration, the arguments, and the files: on their names, sizes and times,
or, where only those differ, on what is in them.
"""

import os
import platform
import time
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from cancellint.bounded import MAX_TOML_BYTES, Unusable, read_bytes
from cancellint.cache import Store, digest_of_files, key_of
from cancellint.frontend.discover import Listing, Source
from cancellint.model.report import Report
from cancellint.resources import knowledge_tables

_FRONTEND: Final = ("frontend", "model")
"""The packages that decide what becomes of the bytes of one file."""

_STALE_AFTER: Final = 2_000_000_000
"""Nanoseconds. A file that was changed so shortly before may change again and have the same time."""


class Question(Struct, frozen=True):
    """What was asked for, and which files there are: everything but what is in them."""

    asked: bytes
    """of the tool, the configuration and the arguments"""
    listing: Listing

    def by_content(self, sources: Iterable[Source]) -> bytes:
        """The key of the report on files with this content."""
        parts = [part for each in sources for part in _content(each)]
        return key_of(b"content", self.asked, _shape(self.listing), *parts)

    def by_times(self) -> bytes | None:
        """The key of the report on files of these sizes and times; None where they tell too little."""
        parts: list[bytes] = []
        latest = 0
        for path in self.listing.files:
            try:
                found = os.stat(path)
            except OSError:
                return None
            latest = max(latest, found.st_mtime_ns, found.st_ctime_ns)
            parts.append(b"%d %d %d" % (found.st_size, found.st_mtime_ns, found.st_ctime_ns))
        if latest > time.time_ns() - _STALE_AFTER:
            return None
        return key_of(b"times", self.asked, _shape(self.listing), *parts)


def question(asked: tuple[object, ...], tables: Iterable[Path], listing: Listing) -> Question | None:
    """The question that a run is to answer, None where some of what it rests on cannot be read.

    `asked` are values that say in their texts all that they mean, `tables` the project's own.
    """
    try:
        own_tables = key_of(*(read_bytes(file, MAX_TOML_BYTES) for file in tables))
        tool = _tool()
    except (OSError, Unusable):
        return None
    words = repr((asked, os.getcwd(), os.name))
    return Question(key_of(tool, own_tables, words.encode("utf-8", "surrogateescape")), listing)


def recalled(store: Store, key: bytes | None) -> Report | None:
    """The report that is kept under a key."""
    kept = None if key is None else store.find([key]).get(key)
    if kept is None or key is None:
        return None
    try:
        report = msgspec.msgpack.decode(kept, type=Report)
    except msgspec.DecodeError:
        return None
    store.use([key])
    return report


def remember(store: Store, keys: Iterable[bytes | None], report: Report) -> None:
    """Keep a report under some keys, unless something went wrong on the way to it."""
    if report.failures or report.warnings:
        return
    try:
        kept = msgspec.msgpack.encode(report)
    except UnicodeEncodeError:  # a path that is no text
        return
    store.keep({key: kept for key in keys if key is not None})


def _content(source: Source) -> tuple[bytes, bytes, bytes]:
    """All that a source is read as, in bytes."""
    told = repr((source.error, source.cells)).encode("utf-8", "surrogateescape")
    return os.fsencode(source.path), source.data or b"", told


def _shape(listing: Listing) -> bytes:
    """All of a listing, in bytes."""
    named = [listing.roots, listing.folders, tuple(sorted(listing.explicit)), listing.files]
    parts = [key_of(*(os.fsencode(path) for path in paths)) for paths in named]
    told = [os.fsencode(f"{path} {error}") for path, error in listing.obstacles.items()]
    return key_of(*parts, *told)


# --------------------------------------------------------------------------- what a result rests on


@cache
def frontend_revision() -> bytes:
    """A digest of all that decides what a file is read as, but for the file itself. Raises OSError."""
    package = Path(__file__).resolve().parent
    own = [file for name in _FRONTEND for file in sorted((package / name).glob("*.py"))]
    return key_of(_python(), digest_of_files((*own, *_parser())))


@cache
def _tool() -> bytes:
    package = Path(__file__).resolve().parent
    return key_of(
        _python(), digest_of_files((*sorted(package.rglob("*.py")), *knowledge_tables(), *_parser()))
    )


def _python() -> bytes:
    return f"{platform.python_implementation()} {platform.python_version()}".encode()


def _parser() -> tuple[Path, ...]:
    """The file that says which version of the parser is installed; finding it does not import the parser."""
    found = find_spec("libcst")
    if found is None or found.origin is None:
        return ()
    version = Path(found.origin).parent / "_version.py"
    return (version,) if version.is_file() else ()


def read_keys(sources: Iterable[Source]) -> Mapping[str, bytes]:
    """The key of what each of these files is read as, by module; none where the tool cannot read itself."""
    try:
        revision = frontend_revision()
    except OSError:
        return {}
    return {each.module: key_of(b"read", revision, each.data or b"") for each in sources}
