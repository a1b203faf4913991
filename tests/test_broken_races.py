"""The fixtures about races are broken, and their cures are not: shown by running them."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from cancellint.testing import Cancelled, Injection, Report, cancel_at_every_suspension
from fixtures.broken import abandoned_sibling, timed_out_generator

BROKEN = Path(__file__).parent.parent / "fixtures" / "broken"


@pytest.mark.parametrize(
    ("name", "last_line"),
    [("abandoned_sibling", "received: []"), ("timed_out_generator", "heard: ['first']")],
)
def test_each_file_runs_by_itself_and_shows_its_fault(name: str, last_line: str) -> None:
    command = [sys.executable, str(BROKEN / f"{name}.py")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert (run.stdout.splitlines()[-1], run.stderr) == (last_line, "")


# --------------------------------------------------------------------------- abandoned_sibling


class ClearingSubscription(abandoned_sibling.Subscription):
    """The cure: what still runs is cancelled and waited for, whatever happens."""

    async def next_message(self) -> str:
        message = asyncio.create_task(self.messages.get())
        closed = asyncio.create_task(self.closed.wait())
        try:
            await asyncio.wait((message, closed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
            if not message.done():
                message.cancel()
            await asyncio.gather(message, closed, return_exceptions=True)
        return message.result()


async def after_a_cancellation(injection: Injection, make: type[abandoned_sibling.Subscription]) -> bool:
    """Whether what is published after a cancelled `next_message` reaches one of the next."""
    subscription = make()
    injection.then([partial(subscription.messages.put_nowait, "before")])
    outcome = await injection.attempt(subscription.next_message)
    if not isinstance(outcome, Cancelled):
        return True
    subscription.messages.put_nowait("after")
    with contextlib.suppress(TimeoutError):
        while await asyncio.wait_for(subscription.next_message(), 1) != "after":
            continue
        return True
    return False


def swept(make: type[abandoned_sibling.Subscription]) -> Report:
    return cancel_at_every_suspension(partial(after_a_cancellation, make=make), check=bool)


def delivered_and_broken(report: Report) -> list[bool]:
    return [case.problem is not None for case in report.cases if case.delivered]


def test_a_message_after_a_cancellation_is_lost_to_the_abandoned_task() -> None:
    broken = delivered_and_broken(swept(abandoned_sibling.Subscription))

    assert any(broken)


def test_no_message_is_lost_where_the_task_is_cancelled() -> None:
    broken = delivered_and_broken(swept(ClearingSubscription))

    assert broken
    assert not any(broken)


def test_the_cured_subscription_receives_all_messages() -> None:
    received = asyncio.run(abandoned_sibling.receive(ClearingSubscription(), 3, 0.05))

    assert received == ["message 0", "message 1", "message 2"]


# --------------------------------------------------------------------------- timed_out_generator


class Items:
    """The cure: an iterator that is an object. It survives a cancellation."""

    def __init__(self, feed: timed_out_generator.Feed) -> None:
        self.feed = feed

    def __aiter__(self) -> "Items":
        return self

    async def __anext__(self) -> str:
        return await self.feed.published.get()


async def two_items(injection: Injection, lasting: bool) -> list[str]:
    """What two steps of an iterator give, one of which is cancelled and tried again."""
    feed = timed_out_generator.Feed()
    injection.then(partial(feed.published.put_nowait, item) for item in ("first", "second"))
    items: AsyncIterator[str] = Items(feed) if lasting else feed.items()
    heard: list[str] = []
    with contextlib.suppress(StopAsyncIteration):
        for _ in range(2):
            heard.append(await injection.retry(lambda: anext(items)))
    return heard


@pytest.mark.parametrize("lasting", [False, True])
def test_a_generator_ends_when_a_step_is_cancelled_and_an_object_goes_on(lasting: bool) -> None:
    report = cancel_at_every_suspension(
        partial(two_items, lasting=lasting), check=lambda heard: heard == ["first", "second"]
    )
    broken = delivered_and_broken(report)

    assert broken
    assert any(broken) is not lasting
