"""Worker processes die, and the work goes on."""

import os
import signal

import pytest

from cancellint.workers import Died, map_in_processes


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
