"""When the collector of cyclic garbage is worth its time."""

import atexit
import gc
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
