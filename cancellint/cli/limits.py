"""Which limits of the analysis are reached in a run."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from cancellint.analysis.engine.limits import LOG


class _Counting(logging.Handler):
    """Counts what is logged, by its text."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.counts: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.counts[record.getMessage()] += 1


@contextmanager
def counted_limits() -> Iterator[Mapping[str, int]]:
    """How often each limit is reached meanwhile."""
    counting, before = _Counting(), LOG.level
    LOG.addHandler(counting)
    LOG.setLevel(logging.DEBUG)
    try:
        yield counting.counts
    finally:
        LOG.removeHandler(counting)
        LOG.setLevel(before)
