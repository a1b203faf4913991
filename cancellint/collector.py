"""What becomes of memory that is needed no more."""

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_off() -> Iterator[None]:
    """No cyclic garbage collection: the trees hold no cycles, and looking for some doubles the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def collect() -> None:
    """Give back what an earlier run has left, where another one follows in this process."""
    gc.collect()


def leave_garbage_to_exit() -> None:
    """Collect nothing in this process any more, nor when it ends: all that is left goes with it."""
    gc.disable()
    atexit.register(gc.freeze)


def give_back_freed() -> None:
    """Give the system what native code has freed, such as all that the parser needs for one file.

    The C library of Linux keeps it otherwise, where Python's own objects never come to lie. Other platforms
    look after that themselves.
    """
    if sys.platform != "linux":
        return
    try:
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
    except (ImportError, OSError, AttributeError):  # another C library, or none that can be called
        return
