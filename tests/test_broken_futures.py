"""The broken fixtures about futures are broken, and their cures are not: shown by running them."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.broken import lost_grant, shared_future, unguarded_set_result

CHECKOUT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("name", "last_line"),
    [
        ("unguarded_set_result", "InvalidStateError, no answer"),
        ("shared_future", "cancelled, cancelled, cancelled"),
        ("lost_grant", "the second gets: nothing"),
    ],
)
def test_each_file_about_futures_runs_by_itself_and_shows_its_fault(name: str, last_line: str) -> None:
    command = [sys.executable, str(CHECKOUT / "fixtures" / "broken" / f"{name}.py")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert (run.stdout.splitlines()[-1], run.stderr) == (last_line, "")


class LookingClient(unguarded_set_result.Client):
    """The cure: an answer that nobody waits for any more is dropped."""

    async def dispatch(self) -> None:
        while line := await self.reader.readline():
            number, _, text = line.strip().partition(b" ")
            answer = self.pending.pop(number)
            if not answer.done():
                answer.set_result(text)


def test_a_late_answer_ends_a_dispatcher_that_does_not_look() -> None:
    assert asyncio.run(unguarded_set_result.main()) == ("InvalidStateError", "no answer")


def test_a_dispatcher_that_looks_survives_a_late_answer() -> None:
    async def main() -> tuple[str, str]:
        return await unguarded_set_result.talk(LookingClient(asyncio.StreamReader()))

    assert asyncio.run(main()) == ("still running", "in time")


class ShieldingCache(shared_future.Cache):
    """The cure: a visitor who goes away leaves the page to the others."""

    async def get(self, url: str) -> str:
        if url not in self.pages:
            self.pages[url] = asyncio.create_task(self.fetch(url))
        return await asyncio.shield(self.pages[url])


def test_one_visitor_who_goes_away_takes_the_page_of_all() -> None:
    outcomes = asyncio.run(shared_future.visit(shared_future.Cache(shared_future.slowly).get))

    assert outcomes == ["cancelled"] * 3


def test_a_shield_keeps_the_page_for_the_others() -> None:
    outcomes = asyncio.run(shared_future.visit(ShieldingCache(shared_future.slowly).get))

    assert outcomes == ["cancelled", "the page of /", "the page of /"]


class ReturningPool(lost_grant.Pool):
    """The cure: a waiter that is cancelled hands back what it was given."""

    async def get(self) -> str:
        if self.free:
            return self.free.popleft()
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.put(waiter.result())
            else:
                self.waiters.remove(waiter)
            raise


def test_a_cancelled_waiter_takes_the_connection_along() -> None:
    pool = lost_grant.Pool("a connection")

    assert asyncio.run(lost_grant.queue_up(pool)) == "nothing"
    assert not pool.free


def test_a_waiter_that_hands_back_what_it_got_serves_the_next_one() -> None:
    assert asyncio.run(lost_grant.queue_up(ReturningPool("a connection"))) == "a connection"
