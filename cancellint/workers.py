"""Runs a function of bytes on many inputs in other processes, and survives the death of any of them."""

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pkgutil import resolve_name
from queue import SimpleQueue
from typing import IO

from msgspec import Struct

_LENGTH = struct.Struct("<Q")

_BOOT = "import sys; count = int(sys.argv[1]); function = sys.argv[2]; sys.path[:] = sys.argv[3:3 + count]; "
_BOOT += "from cancellint.workers import serve; serve(function)"


class Died(Struct, frozen=True):
    """A worker process ended while it worked on this input."""

    reason: str


def map_in_processes(function: str, inputs: Sequence[bytes], jobs: int) -> Iterator[bytes | Died]:
    """The function's outputs in the order of the inputs.

    `function` is the dotted path, `package.module:name`, of a function from bytes to bytes. A process that
    dies is replaced, and only the input it worked on is given up.
    """
    crew = _Crew(function, max(1, min(jobs, len(inputs))))
    threads = ThreadPoolExecutor(crew.size)
    try:
        yield from threads.map(crew.ask, inputs)
    finally:
        crew.dismiss()
        threads.shutdown(cancel_futures=True)


def serve(function: str) -> None:
    """The life of a worker process: one request after the other until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work: Callable[[bytes], bytes] = resolve_name(function)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
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
        for _ in range(size):
            self._idle.put(None)

    def ask(self, request: bytes) -> bytes | Died:
        worker = self._idle.get()
        if self._dismissed:
            self._idle.put(worker)
            return Died("the run was stopped")
        if worker is None:
            worker = _Worker(self._function)
            self._all.append(worker)
        answer = worker.ask(request)
        self._idle.put(None if isinstance(answer, Died) else worker)
        return answer

    def dismiss(self) -> None:
        self._dismissed = True
        for worker in self._all:
            worker.stop()


class _Worker:
    """One process and the pipes to it."""

    def __init__(self, function: str) -> None:
        arguments = [str(len(sys.path)), function, *sys.path]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, request: bytes) -> bytes | Died:
        process = self._process
        if process.stdin is None or process.stdout is None:
            return Died("the process has no pipes")
        try:
            _send(process.stdin, request)
            answer = _receive(process.stdout)
        except OSError:
            answer = None
        if answer is not None:
            return answer
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
