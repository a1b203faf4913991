"""Worker processes die, and the work goes on."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from cancellint.workers import Died, NotStarted, map_in_processes


def shout(request: bytes) -> bytes:
    """A little work; some inputs end the process."""
    if request == b"kill":
        os.kill(os.getpid(), signal.SIGSEGV)
    if request == b"exit":
        os._exit(7)
    if request == b"print":
        print("not an answer")
    return request.upper()


FUNCTION = f"{__name__}:shout"


@pytest.mark.parametrize("jobs", [1, 3])
def test_answers_come_in_the_order_of_the_requests(jobs: int) -> None:
    requests = [f"request {number}".encode() for number in range(50)]

    assert list(map_in_processes(FUNCTION, requests, jobs)) == [request.upper() for request in requests]


def test_a_worker_that_dies_is_replaced_and_only_its_own_request_is_lost() -> None:
    answers = list(map_in_processes(FUNCTION, [b"a", b"kill", b"b", b"exit", b"c"], 1))

    assert answers == [b"A", Died("it was ended by SIGSEGV"), b"B", Died("it ended with exit code 7"), b"C"]


def test_what_a_worker_prints_is_not_taken_for_an_answer(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(map_in_processes(FUNCTION, [b"print"], 1)) == [b"PRINT"]


def test_large_requests_pass() -> None:
    assert list(map_in_processes(FUNCTION, [b"x" * 3_000_000, b""], 2)) == [b"X" * 3_000_000, b""]


def test_a_run_that_is_left_early_ends_its_workers() -> None:
    answers = map_in_processes(FUNCTION, [b"a"] * 1000, 2)
    assert next(answers) == b"A"

    answers.close()

    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize(
    "error", [OSError(24, "Too many open files"), MemoryError(), BlockingIOError(11, "no")]
)
@pytest.mark.parametrize("jobs", [1, 4])
def test_workers_that_cannot_be_started_are_told_of_and_nobody_waits(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, jobs: int
) -> None:
    def refusing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "Popen", refusing)

    answers = list(map_in_processes(FUNCTION, [b"a"] * 100, jobs))

    assert len(answers) == 100
    assert all(isinstance(answer, NotStarted) and answer.reason for answer in answers)


def test_the_work_goes_on_with_fewer_workers_where_some_cannot_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = subprocess.Popen
    started: list[object] = []

    def once(*arguments: Any, **options: Any) -> object:
        started.append(arguments)
        if len(started) > 1:
            raise OSError(24, "Too many open files")
        return start(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", once)

    assert list(map_in_processes(FUNCTION, [b"a"] * 100, 4)) == [b"A"] * 100


def test_a_worker_that_ends_before_it_is_ready_is_none() -> None:
    answers = list(map_in_processes("tests_of_nothing:at_all", [b"a"] * 5, 2))

    assert [type(answer) for answer in answers] == [NotStarted] * 5


def test_threads_that_cannot_be_started_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refusing)

    assert list(map_in_processes(FUNCTION, [b"a"] * 3, 2)) == [NotStarted("can't start new thread")] * 3


def test_a_module_of_the_working_folder_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cancellint", "msgspec", "queue", "signal", "struct", "test_workers"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])

    assert list(map_in_processes(FUNCTION, [b"a"], 1)) == [b"A"]
