"""Writes a file in one step, and only over what was read from it."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from cancellint.bounded import Unusable, read_bytes
from cancellint.frontend.guards import MAX_BYTES


class CannotWrite(Exception):
    """A file could not be given its new text; it has its old one."""


def rewrite(path: Path, before: bytes, after: bytes) -> None:
    """Gives a file a new text, if it still has the old one. Raises CannotWrite.

    A symbolic link stays one, so two paths may be the same file; permissions are kept.
    """
    file = Path(os.path.realpath(path))
    try:
        found = read_bytes(file, MAX_BYTES)
        if found == after:
            return
        if found != before:
            raise CannotWrite("it has changed since it was read")
        if not os.access(file, os.W_OK):
            raise CannotWrite("it is write-protected")
        _replace(file, after)
    except Unusable as problem:
        raise CannotWrite(str(problem)) from None
    except OSError as error:
        raise CannotWrite(error.strerror or str(error)) from None


def _replace(file: Path, data: bytes) -> None:
    number, name = tempfile.mkstemp(prefix=".cancellint-", dir=file.parent)
    try:
        with os.fdopen(number, "wb") as new:
            new.write(data)
        shutil.copymode(file, name)
        os.replace(name, file)
    except BaseException:
        with suppress(OSError):  # it is gone where it has taken the file's place already
            os.unlink(name)
        raise
