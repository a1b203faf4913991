"""The injector cancels anyio and trio code their own way, on their own backends, and lets real sockets in."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine
from functools import partial

import anyio
import anyio.abc
import pytest
import trio

from cancellint.testing import (
    AlreadyRunningError,
    Backend,
    Cancelled,
    Injection,
    Outcomes,
    StuckError,
    cancel_at_every_suspension,
)

Scenario = Callable[[Injection], Coroutine[object, object, object]]


# --------------------------------------------------------------------------- anyio and trio


class Pairs:
    """Numbers two by two, out of a stream."""

    def __init__(self, stream: "anyio.abc.ObjectReceiveStream[int] | trio.MemoryReceiveChannel[int]") -> None:
        self.stream = stream
        self.first: int | None = None

    async def in_locals(self) -> tuple[int, int]:
        first = await self.stream.receive()
        return first, await self.stream.receive()

    async def in_self(self) -> tuple[int, int]:
        if self.first is None:
            self.first = await self.stream.receive()
        second = await self.stream.receive()
        first, self.first = self.first, None
        return first, second


Read = Callable[[Pairs], Coroutine[object, object, object]]


def of_anyio(read: Read) -> Scenario:
    async def scenario(injection: Injection) -> object:
        send, receive = anyio.create_memory_object_stream[int](8)
        injection.then(partial(send.send_nowait, number) for number in range(4))
        async with send, receive:
            pairs = Pairs(receive)
            return [await injection.retry(lambda: read(pairs)) for _ in range(2)]

    return scenario


def of_trio(read: Read) -> Scenario:
    async def scenario(injection: Injection) -> object:
        send, receive = trio.open_memory_channel[int](8)
        injection.then(partial(send.send_nowait, number) for number in range(4))
        pairs = Pairs(receive)
        return [await injection.retry(lambda: read(pairs)) for _ in range(2)]

    return scenario


KINDS = [(of_anyio, Backend.ANYIO), (of_anyio, Backend.TRIO), (of_trio, Backend.TRIO)]


@pytest.mark.parametrize(("make", "backend"), KINDS)
def test_a_reader_that_keeps_nothing_in_locals_is_safe(
    make: Callable[[Read], Scenario], backend: Backend
) -> None:
    report = cancel_at_every_suspension(make(Pairs.in_self), backend=backend)

    assert any(case.delivered for case in report.cases)
    report.require_safe()


@pytest.mark.parametrize(("make", "backend"), KINDS)
def test_a_reader_that_does_is_not_and_its_await_is_named(
    make: Callable[[Read], Scenario], backend: Backend
) -> None:
    report = cancel_at_every_suspension(make(Pairs.in_locals), backend=backend)
    places = {str(case.place) for case in report.failures}

    assert len(places) == 1
    assert places.pop().endswith("in Pairs.in_locals: await self.stream.receive()")


@pytest.mark.parametrize("backend", [Backend.ANYIO, Backend.TRIO])
def test_in_a_cancelled_scope_every_further_await_is_cancelled_too(backend: Backend) -> None:
    """So is not `Task.cancel`: that comes once, and cleanup can await."""

    async def scenario(injection: Injection) -> list[str]:
        log: list[str] = []

        async def cleans_up() -> None:
            try:
                await anyio.sleep(1)
            finally:
                log.append("begun")
                await anyio.sleep(1)
                log.append("done")

        await injection.attempt(cleans_up)
        return log

    cancelled_at_first = cancel_at_every_suspension(scenario, backend=backend).cases[1]
    natively = cancel_at_every_suspension(scenario, backend=Backend.ASYNCIO).cases[1]

    assert cancelled_at_first.problem == "returned ['begun'] instead of ['begun', 'done']"
    assert natively.problem is None


def report_of_a_timer(backend: Backend) -> Outcomes:
    async def scenario(injection: Injection) -> list[str]:
        log: list[str] = []

        async def sleep_for_hours() -> None:
            await anyio.sleep(7200)
            log.append("slept")

        await injection.attempt(sleep_for_hours)
        return log

    return cancel_at_every_suspension(scenario, backend=backend, check=lambda _: None)


@pytest.mark.parametrize("backend", Backend)
def test_hours_pass_at_once(backend: Backend) -> None:
    report = report_of_a_timer(backend)

    assert report.is_safe
    assert [case.delivered for case in report.cases[:2]] == [True, True]


@pytest.mark.parametrize("backend", Backend)
def test_whoever_waits_for_nothing_is_stuck(backend: Backend) -> None:
    async def scenario(injection: Injection) -> None:
        await injection.retry(anyio.Event().wait)

    with pytest.raises(StuckError, match="nothing is left to happen"):
        cancel_at_every_suspension(scenario, backend=backend)


@pytest.mark.parametrize("backend", Backend)
def test_whoever_never_comes_to_an_end_is_stuck(backend: Backend) -> None:
    async def scenario(injection: Injection) -> None:
        async def spin() -> None:
            while True:
                await anyio.sleep(0)

        await injection.retry(spin)

    with pytest.raises(StuckError, match="limit"):
        cancel_at_every_suspension(scenario, backend=backend, limit=500)


@pytest.mark.parametrize("backend", [Backend.ANYIO, Backend.TRIO])
def test_a_scenario_may_open_a_task_group(backend: Backend) -> None:
    async def scenario(injection: Injection) -> list[int]:
        done: list[int] = []

        async def work(number: int) -> None:
            await anyio.sleep(number)
            done.append(number)

        async def in_a_group() -> None:
            async with anyio.create_task_group() as group:
                for number in (1, 2, 3):
                    group.start_soon(work, number)

        outcome = await injection.attempt(in_a_group)
        return [] if isinstance(outcome, Cancelled) else done

    report = cancel_at_every_suspension(scenario, backend=backend, check=lambda done: done in ([], [1, 2, 3]))

    assert report.is_safe
    assert any(case.delivered for case in report.cases)


def test_the_order_in_which_trio_runs_tasks_elsewhere_is_left_alone() -> None:
    before = trio._core._run._r.getstate()

    report_of_a_timer(Backend.TRIO)

    assert trio._core._run._r.getstate() == before


@pytest.mark.parametrize("backend", Backend)
def test_the_same_scenario_gives_the_same_report_on_every_backend(backend: Backend) -> None:
    assert str(report_of_a_timer(backend)) == str(report_of_a_timer(backend))


# --------------------------------------------------------------------------- sockets


async def asked_over_a_socket(injection: Injection, *, whole: bool) -> bytes:
    """The answer to the second question, whose first was cancelled, over one real connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(b"answer to " + line)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        address = listener.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address)

        async def ask(question: bytes) -> bytes:
            writer.write(question)
            return await reader.readline()

        outcome = await injection.attempt(partial(ask, b"one\n"))
        if whole and isinstance(outcome, Cancelled):
            writer.close()
            reader, writer = await asyncio.open_connection(*address)
        answer = await ask(b"two\n")
        writer.close()
        await writer.wait_closed()
        return answer


def test_real_sockets_of_this_machine_work() -> None:
    torn = cancel_at_every_suspension(partial(asked_over_a_socket, whole=False), sockets=True)
    whole = cancel_at_every_suspension(partial(asked_over_a_socket, whole=True), sockets=True)

    assert torn.failures[0].problem == "returned b'answer to one\\n' instead of b'answer to two\\n'"
    assert any(case.delivered for case in whole.cases)
    whole.require_safe()


def test_sockets_of_trio_work() -> None:
    async def pair(injection: Injection) -> bytes:
        here, there = trio.socket.socketpair()
        async with trio.SocketStream(here) as near, trio.SocketStream(there) as far:
            await far.send_all(b"hello")
            return bytes(await injection.retry(near.receive_some))

    report = cancel_at_every_suspension(pair, backend=Backend.TRIO, sockets=True)

    assert any(case.delivered for case in report.cases)
    report.require_safe()


def test_without_them_whoever_waits_for_a_socket_is_stuck() -> None:
    with pytest.raises(StuckError):
        cancel_at_every_suspension(partial(asked_over_a_socket, whole=True))


# --------------------------------------------------------------------------- where it is called


async def sleeps(injection: Injection) -> None:
    await injection.retry(partial(asyncio.sleep, 1))


def test_in_a_running_loop_it_says_what_to_do() -> None:
    async def test() -> None:
        cancel_at_every_suspension(sleeps)

    with pytest.raises(AlreadyRunningError, match=r"a plain function.*asyncio\.to_thread"):
        asyncio.run(test())
    with pytest.raises(AlreadyRunningError, match="a plain function"):
        trio.run(test)


def test_a_trio_of_old_is_asked_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(trio.lowlevel, "in_trio_run")

    assert cancel_at_every_suspension(sleeps).is_safe


def test_what_it_says_works() -> None:
    async def test() -> Outcomes:
        return await asyncio.to_thread(cancel_at_every_suspension, sleeps)

    assert asyncio.run(test()).is_safe


def test_it_needs_neither_the_linter_nor_what_that_needs() -> None:
    code = """if True:
        import sys
        import cancellint.testing
        needed = ("cancellint.", "libcst", "rich", "msgspec", "anyio", "trio")
        found = [name for name in sys.modules if name.startswith(needed)]
        print([name for name in found if not name.startswith("cancellint.testing")])
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert run.stdout == "[]\n"
