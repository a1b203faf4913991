"""How long each stage of a run takes."""

from time import perf_counter


class Stopwatch:
    """Started when it is made; each lap has a name."""

    def __init__(self) -> None:
        self._started = self._last = perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Ends a lap of this name."""
        now = perf_counter()
        self._laps[name] = self._laps.get(name, 0.0) + now - self._last
        self._last = now

    @property
    def laps(self) -> tuple[tuple[str, float], ...]:
        """The seconds of each lap."""
        return tuple(self._laps.items())

    @property
    def total(self) -> float:
        """The seconds since it was started."""
        return perf_counter() - self._started
