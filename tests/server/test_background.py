"""The thread that analyses: what gives way to what."""

import asyncio
import threading
from collections.abc import Callable

from cancellint.server.background import Background


def test_a_refresh_that_is_overtaken_ends_at_its_next_checkpoint() -> None:
    async def steps() -> None:
        background, begun = Background(), threading.Event()

        def long() -> str:
            begun.set()
            while True:
                background.checkpoint()

        first = asyncio.create_task(background.refresh(long, delay=0))
        await asyncio.to_thread(begun.wait)
        assert await background.refresh(lambda: "second", delay=0) == "second"
        assert await first is None
        background.close()

    asyncio.run(asyncio.wait_for(steps(), 10))


def test_a_refresh_that_is_called_off_ends() -> None:
    async def steps() -> None:
        background, begun = Background(), threading.Event()

        def long() -> str:
            begun.set()
            while True:
                background.checkpoint()

        running = asyncio.create_task(background.refresh(long, delay=0))
        await asyncio.to_thread(begun.wait)
        background.call_off()
        assert await running is None
        background.close()

    asyncio.run(asyncio.wait_for(steps(), 10))


def test_of_refreshes_that_follow_closely_only_the_last_begins() -> None:
    async def steps() -> None:
        background, made = Background(), []

        def work(number: int) -> Callable[[], int]:
            return lambda: made.append(number) or number

        found = await asyncio.gather(*(background.refresh(work(number), delay=0.05) for number in range(5)))
        assert (found, made) == ([None, None, None, None, 4], [4])
        background.close()

    asyncio.run(asyncio.wait_for(steps(), 10))


def test_a_question_does_not_end_a_refresh_and_waits_for_it() -> None:
    async def steps() -> None:
        background, order = Background(), []
        begun, go_on = threading.Event(), threading.Event()

        def work() -> str:
            begun.set()
            go_on.wait()
            background.checkpoint()
            order.append("refresh")
            return "done"

        running = asyncio.create_task(background.refresh(work, delay=0))
        await asyncio.to_thread(begun.wait)
        question = asyncio.create_task(background.ask(lambda: order.append("question")))
        await asyncio.sleep(0.01)
        go_on.set()
        await question
        assert (await running, order) == ("done", ["refresh", "question"])
        background.close()

    asyncio.run(asyncio.wait_for(steps(), 10))


def test_an_error_of_a_refresh_reaches_whoever_waits_for_it() -> None:
    async def steps() -> None:
        background = Background()

        def fail() -> str:
            raise ValueError("wrong")

        (error,) = await asyncio.gather(background.refresh(fail, delay=0), return_exceptions=True)
        assert isinstance(error, ValueError)
        assert await background.refresh(lambda: "next", delay=0) == "next"
        background.close()

    asyncio.run(asyncio.wait_for(steps(), 10))
