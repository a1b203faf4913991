"""Runs a function of bytes on many inputs in other processes, and survives the death of any of them."""

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from pkgutil import resolve_name
from queue import SimpleQueue
from threading import Lock
from typing import IO, Final, TypeAlias

from msgspec import Struct

_LENGTH = struct.Struct("<Q")

_READY: Final = b"ready"
"""The first answer of every worker."""

CRAMPED: Final = 1_000_000_000
"""Bytes of address space with which a process does all the work itself."""

_BOOT = "import sys; count = int(sys.argv[1]); function = sys.argv[2]; sys.path[:] = sys.argv[3:3 + count]; "
_BOOT += "from cancellint.workers import serve; serve(function)"


class Died(Struct, frozen=True):
    """A worker process ended while it worked on this input."""

    reason: str


class NotStarted(Struct, frozen=True):
    """No worker process could be had for this input: there are limits on processes, files or memory."""

    reason: str


Answer: TypeAlias = bytes | Died | NotStarted


def map_in_processes(function: str, inputs: Sequence[bytes], jobs: int) -> Iterator[Answer]:
    """The function's outputs in the order of the inputs.

    `function` is the dotted path, `package.module:name`, of a function from bytes to bytes. A process that
    dies is replaced, and only the input it worked on is given up. Workers have this process's import path,
    and never the working folder on it unless this process has.
    """
    if _is_cramped():
        yield from [NotStarted("the address space of this process is limited")] * len(inputs)
        return
    crew = _Crew(function, max(1, min(jobs, len(inputs))))
    threads = ThreadPoolExecutor(crew.size)
    try:
        try:
            answers = threads.map(crew.ask, inputs)
        except RuntimeError as error:  # no thread could be started
            answers = iter([NotStarted(str(error))] * len(inputs))
        yield from answers
    finally:
        crew.dismiss()
        threads.shutdown(cancel_futures=True)


def _is_cramped() -> bool:
    """Tell whether threads may take the memory that this process needs itself: CPython then aborts.

    Each thread reserves room for its stack and its own heap, whether it needs that or not.
    """
    try:
        import resource
    except ImportError:  # there are no such limits
        return False
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return limit != resource.RLIM_INFINITY and limit < CRAMPED


def serve(function: str) -> None:
    """The life of a worker process: one request after the other until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work: Callable[[bytes], bytes] = resolve_name(function)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _send(answers, _READY)
    while (request := _receive(requests)) is not None:
        _send(answers, work(request))


class _Crew:
    """As many processes as there are threads that ask."""

    def __init__(self, function: str, size: int) -> None:
        self.size = size
        self._function = function
        self._idle: SimpleQueue[_Worker | None] = SimpleQueue()
        self._all: list[_Worker] = []
        self._dismissed = False
        self._lock = Lock()
        self._places = size
        self._out_of_reach: NotStarted | None = None
        """why workers are not tried any more"""
        for _ in range(size):
            self._idle.put(None)

    def ask(self, request: bytes) -> Answer:
        while True:
            worker = self._idle.get()
            if self._dismissed or self._out_of_reach is not None:
                self._idle.put(worker)  # whoever waits for a worker must not wait for ever
                return self._out_of_reach or Died("the run was stopped")
            started = self._start() if worker is None else worker
            if not isinstance(started, NotStarted):
                break
            self._give_up_place(started)
        answer: bytes | Died = Died("the run was stopped")
        try:
            answer = started.ask(request)
        finally:
            self._idle.put(None if isinstance(answer, Died) else started)
        return answer

    def _give_up_place(self, why: NotStarted) -> None:
        """Goes on with one worker less; with none left, nobody waits for one any more."""
        with self._lock:
            self._places -= 1
            if self._places == 0:
                self._out_of_reach = why
                self._idle.put(None)

    def _start(self) -> "_Worker | NotStarted":
        try:
            worker = _Worker(self._function)
        except (OSError, MemoryError, subprocess.SubprocessError) as error:
            return NotStarted(_reason(error))
        self._all.append(worker)
        first = worker.ready()
        return NotStarted(first.reason) if isinstance(first, Died) else worker

    def dismiss(self) -> None:
        self._dismissed = True
        for worker in self._all:
            worker.stop()


class _Worker:
    """One process and the pipes to it."""

    def __init__(self, function: str) -> None:
        folders = [*filter(None, sys.path), str(Path(__file__).resolve().parents[1])]
        arguments = [str(len(folders)), function, *folders]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _BOOT, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, request: bytes) -> bytes | Died:
        process = self._process
        if process.stdin is None:
            return Died("the process has no pipes")
        try:
            _send(process.stdin, request)
        except OSError:
            return self._ended()
        return self.ready()

    def ready(self) -> bytes | Died:
        """The next answer: the first one comes by itself."""
        try:
            answer = _receive(self._process.stdout) if self._process.stdout is not None else None
        except OSError:
            answer = None
        return self._ended() if answer is None else answer

    def _ended(self) -> Died:
        process = self._process
        self.stop()
        code = process.returncode
        return Died(_signal_name(-code) if code < 0 else f"it ended with exit code {code}")

    def stop(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                _close(pipe)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _send(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(_LENGTH.pack(len(message)))
    pipe.write(message)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = pipe.read(length)
    return body if len(body) == length else None


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except OSError:
        return


def _signal_name(number: int) -> str:
    try:
        return f"it was ended by {signal.Signals(number).name}"
    except ValueError:
        return f"it was ended by signal {number}"
