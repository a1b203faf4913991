"""The thread that analyses: a refresh gives way to the next one, and questions wait their turn."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

DELAY: Final = 0.1
"""Seconds without a change before an analysis begins: while somebody types, no text stands for long."""

_Given = TypeVar("_Given")


class Abandoned(BaseException):
    """What is being worked out is not wanted any more. No fault: nothing that handles faults sees it."""


class Background:
    """One thread, so that the analysis need not be safe for several."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "analysis")
        self._newest = 0
        self._running = 0

    def checkpoint(self) -> None:
        """Raise Abandoned where the refresh that is running has been overtaken, or called off."""
        if self._running and self._running != self._newest:
            raise Abandoned

    def call_off(self) -> None:
        """End the refresh that is waiting or running, if there is one."""
        self._newest += 1

    async def refresh(self, work: Callable[[], _Given], delay: float = DELAY) -> _Given | None:
        """What the work gives; None where a newer refresh has taken its place."""
        self._newest += 1
        number = self._newest
        await asyncio.sleep(delay)
        if number != self._newest:
            return None
        return await self.ask(lambda: self._unless_abandoned(number, work))

    async def ask(self, question: Callable[[], _Given]) -> _Given:
        """The answer to a question, once the thread is free."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, question)

    def close(self) -> None:
        """Let the thread end."""
        self.call_off()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _unless_abandoned(self, number: int, work: Callable[[], _Given]) -> _Given | None:
        self._running = number
        try:
            self.checkpoint()
            return work()
        except Abandoned:
            return None
        finally:
            self._running = 0
