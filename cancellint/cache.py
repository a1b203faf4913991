"""What earlier runs have worked out, kept on the disk: under a key that says all that it depends on.

One SQLite file, so that runs at the same time and runs that are killed leave it whole. Whatever is wrong with
it, or with the disk, is a miss and never an error: then the work is done again.
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

FILE: Final = "cancellint-1.sqlite"
"""The number is that of the format of the store itself."""

MOST_BYTES: Final = 512 * 1024 * 1024
"""Above this, what has not been of use for the longest time goes."""

OLD_DAYS: Final = 30
"""Days without use after which `prune` drops an entry."""

_PATIENCE: Final = 0.5
"""Seconds to wait for another run that writes: longer, and doing the work again is as fast."""

_AT_ONCE: Final = 500
_DIGEST: Final = 16
_DAY: Final = 86_400

_Given = TypeVar("_Given")


class Size(Struct, frozen=True):
    """How much a store holds."""

    entries: int
    size: int
    """bytes on the disk"""


class Store:
    """The store in a folder. Once something has gone wrong it is empty, and keeps nothing any more."""

    def __init__(self, folder: Path, most: int = MOST_BYTES) -> None:
        self.file = folder / FILE
        self._most = most
        self._opened: sqlite3.Connection | None = None
        self._is_usable = True

    def find(self, keys: Iterable[bytes]) -> Mapping[bytes, bytes]:
        """The entries of these keys, as far as there are any."""
        return self._tried(lambda store: dict(_found(store, tuple(keys))), {}, writes=False)

    def keep(self, entries: Mapping[bytes, bytes]) -> None:
        """Put these entries into the store, and mark what else is there under their keys as used."""

        def put(store: sqlite3.Connection) -> None:
            today = _today()
            rows = ((key, _digest(value) + value, today) for key, value in entries.items())
            with store:
                store.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", rows)
            _shrink(store, self._most)

        if entries:
            self._tried(put, None, writes=True)

    def use(self, keys: Iterable[bytes]) -> None:
        """Note that these entries have been of use today."""

        def mark(store: sqlite3.Connection) -> None:
            today = _today()
            with store:
                store.executemany(
                    "UPDATE entries SET used = ? WHERE key = ? AND used < ?",
                    ((today, key, today) for key in keys),
                )

        self._tried(mark, None, writes=True)

    def size(self) -> Size:
        """How much there is."""
        with suppress(OSError):
            on_disk = self.file.stat().st_size
            entries = self._tried(lambda store: _count(store), 0, writes=False)
            return Size(entries, on_disk)
        return Size(0, 0)

    def prune(self, days: int = OLD_DAYS) -> int:
        """Drop what has not been used for so many days, and give back the space; how many entries went."""

        def drop(store: sqlite3.Connection) -> int:
            with store:
                gone = store.execute("DELETE FROM entries WHERE used < ?", (_today() - days,)).rowcount
            store.execute("VACUUM")
            return gone

        return self._tried(drop, 0, writes=True) if self.file.exists() else 0

    def clear(self) -> None:
        """Remove the store. Raises OSError where the file cannot be removed."""
        self.close()
        for name in (FILE, f"{FILE}-journal"):
            self.file.with_name(name).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file."""
        if self._opened is not None:
            with suppress(sqlite3.Error):
                self._opened.close()
        self._opened = None

    def _tried(
        self, act: Callable[[sqlite3.Connection], _Given], otherwise: _Given, *, writes: bool
    ) -> _Given:
        """What an act on the store gives, something else where that cannot be done."""
        if not self._is_usable or not (writes or self.file.exists()):
            return otherwise
        try:
            return act(self._connection())
        except sqlite3.OperationalError:  # it is locked, read-only, or the disk is full
            self._is_usable = False
        except sqlite3.DatabaseError:  # it is no store, or a broken one
            self._is_usable = False
            with suppress(OSError):
                self.clear()
        except OSError:
            self._is_usable = False
        return otherwise

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._opened = sqlite3.connect(self.file, timeout=_PATIENCE)
            self._opened.execute("PRAGMA synchronous = OFF")
            self._opened.execute(
                "CREATE TABLE IF NOT EXISTS entries "
                "(key BLOB PRIMARY KEY, value BLOB NOT NULL, used INTEGER NOT NULL)"
            )
        return self._opened


@contextmanager
def opened(folder: Path | None) -> Iterator[Store | None]:
    """The store in a folder, none where nothing is to be kept."""
    if folder is None:
        yield None
        return
    store = Store(folder)
    try:
        yield store
    finally:
        store.close()


def default_folder() -> Path:
    """Where this user's programs keep what they can make again."""
    from platformdirs import user_cache_path

    return user_cache_path("cancellint", appauthor=False)


def key_of(*parts: bytes) -> bytes:
    """A key that stands for all of these parts, and where each of them ends."""
    found = hashlib.blake2b(digest_size=20)
    for part in parts:
        found.update(b"%d:" % len(part))
        found.update(part)
    return found.digest()


def digest_of_files(files: Iterable[Path]) -> bytes:
    """A digest of the names and contents of files. Raises OSError."""
    parts: list[bytes] = []
    for file in files:
        parts += (os.fsencode(file.name), file.read_bytes())
    return key_of(*parts)


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=_DIGEST).digest()


def _today() -> int:
    return int(time.time() // _DAY)


def _found(store: sqlite3.Connection, keys: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The entries of these keys; one that is not what was put there is none."""
    for first in range(0, len(keys), _AT_ONCE):
        some = keys[first : first + _AT_ONCE]
        asked = ", ".join("?" * len(some))
        for key, value in store.execute(f"SELECT key, value FROM entries WHERE key IN ({asked})", some):
            if isinstance(value, bytes) and _digest(value[_DIGEST:]) == value[:_DIGEST]:
                yield key, value[_DIGEST:]


def _count(store: sqlite3.Connection) -> int:
    (count,) = store.execute("SELECT COUNT(*) FROM entries").fetchone()
    return int(count)


def _shrink(store: sqlite3.Connection, most: int) -> None:
    """Drop what has not been used for the longest time, until a quarter of the store is free again."""
    pages, free, page = (
        int(store.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    excess = (pages - free) * page - most
    if excess <= 0:
        return
    left = excess + most // 4
    gone: list[tuple[bytes]] = []
    for key, length in store.execute("SELECT key, LENGTH(value) FROM entries ORDER BY used, rowid"):
        if left <= 0:
            break
        left -= length
        gone.append((key,))
    with store:
        store.executemany("DELETE FROM entries WHERE key = ?", gone)
