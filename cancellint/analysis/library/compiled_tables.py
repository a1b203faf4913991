"""The shipped tables in one file that is read in a few milliseconds; the build writes it, nobody edits it.

It carries a digest of the tables it was made of. Where they have changed since, or the file is missing, the
tables themselves are read: a stale or broken file costs time and nothing else.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from cancellint.model.knowledge import Entry, Naming


class Compiled(Struct, frozen=True):
    """All shipped tables together."""

    digest: bytes
    """of the tables that it was made of"""
    entries: dict[str, Entry]
    naming: Naming


def digest(tables: Iterable[Path]) -> bytes:
    """A digest of the names and contents of tables."""
    found = hashlib.blake2b(digest_size=16)
    for table in tables:
        content = _content(table)
        found.update(f"{table.name} {len(content)} ".encode())
        found.update(content)
    return found.digest()


def written(of: bytes, entries: Mapping[str, Entry], naming: Naming) -> bytes:
    """The content of the file for tables with this digest."""
    return msgspec.msgpack.encode(Compiled(of, dict(entries), naming))


def read(path: Path, expected: bytes) -> Compiled | None:
    """The tables as they were compiled, None where that is not what the tables say now."""
    try:
        found = msgspec.msgpack.decode(_content(path), type=Compiled)
    except (OSError, msgspec.DecodeError):
        return None
    return found if found.digest == expected else None


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read()
