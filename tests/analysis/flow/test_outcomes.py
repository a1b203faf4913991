"""How a call that nobody waits for may end: one coroutine per line of a table, and what is told of it."""

import pytest

from cancellint.analysis.flow.outcomes import Outcome, Outcomes
from tests.analysed import analysed

HEAD = """\
import asyncio
import logging
from contextlib import suppress

EVENT = asyncio.Event()


class Client:
    def __init__(self):
        self.ready = asyncio.Event()
        self.items = asyncio.Queue()
        self.lock = asyncio.Lock()


async def fail():
    raise OSError


async def deep():
    await fail_later()


async def fail_later():
    await asyncio.sleep(1)
    await fail()


def risky():
    raise OSError


def careful():
    try:
        risky()
    except OSError:
        pass
    except Exception:
        logging.exception("no")


"""


def outcome(body: str) -> Outcome:
    """What is told of the coroutine `f` of this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    source = f"{HEAD}async def f(self: Client, given, loop: asyncio.AbstractEventLoop):\n{lines}\n"
    program = analysed(source)
    return Outcomes(program.project.effects).of(program.key("main.f"))


FAILS = {
    "a raise": "raise OSError",
    "a function that raises": "risky()",
    "a coroutine that raises": "await fail()",
    "an unknown call": "given.run()",
    "an unknown await": "await given",
    "a handler of something else": "try:\n    await given\nexcept KeyError:\n    pass",
    "a handler that raises again": "try:\n    await given\nexcept Exception:\n    raise",
    "a gathering": "await asyncio.gather(fail(), fail())",
    "a raise before a handled wait": (
        "if given:\n    raise OSError\ntry:\n    await given\nexcept Exception:\n    pass"
    ),
    "a lost race": "await asyncio.wait_for(self.ready.wait(), 1)",
}
CANNOT_FAIL = {
    "sleep": "await asyncio.sleep(1)",
    "an event": "await self.ready.wait()",
    "a lock": "async with self.lock:\n    print(1)",
    "a queue": "await self.items.put(1)",
    "a handler": "try:\n    await given\n    given.run()\nexcept Exception:\n    logging.exception('no')",
    "a handler in a function": "careful()",
    "a handler of a cancellation": (
        "try:\n    await given\nexcept asyncio.CancelledError:\n    raise\nexcept Exception:\n    pass"
    ),
    "a handler that reports in its own way": "try:\n    await given\nexcept Exception:\n    given.report()",
    "what is tidied up after a handled wait": (
        "try:\n    await given\nexcept Exception:\n    pass\nfinally:\n    given.close()"
    ),
    "what is prepared before a handled wait": (
        "given.run()\ntry:\n    await given\nexcept Exception:\n    pass"
    ),
    "suppressed": "with suppress(Exception):\n    await fail_later()",
    "all suppressed": "with suppress(BaseException):\n    await given",
    "errors as results": "await asyncio.gather(fail(), fail_later(), return_exceptions=True)",
    "waiting without asking": "await asyncio.wait([asyncio.ensure_future(fail_later())])",
}


@pytest.mark.parametrize("body", FAILS.values(), ids=FAILS)
def test_an_error_that_no_handler_ends_may_leave(body: str):
    assert outcome(body).may_fail


@pytest.mark.parametrize("body", CANNOT_FAIL.values(), ids=CANNOT_FAIL)
def test_an_error_that_a_handler_ends_leaves_nothing(body: str):
    assert not outcome(body).may_fail


FORGOTTEN = {
    "a future of its own": "await loop.create_future()",
    "an event of its own": "event = asyncio.Event()\nawait event.wait()",
    "a stream": "reader, _ = await asyncio.open_connection('x', 1)",
    "what it is given": "await given",
}
HELD = {
    "nothing": "print(1)",
    "a timer": "await asyncio.sleep(1)",
    "a timer, further down": "await deep()",
    "an attribute": "await self.ready.wait()",
    "a global": "await EVENT.wait()",
    "a queue": "item = await self.items.get()",
    "a time limit": "await asyncio.wait_for(loop.create_future(), 1)",
    "the body of a time limit": "async with asyncio.timeout(1):\n    await given",
    "a thread": "await loop.run_in_executor(None, risky)",
    "tasks of somebody's": "for task in given:\n    await task",
    "an attribute of unknown type": "await given.closed",
}


@pytest.mark.parametrize("body", FORGOTTEN.values(), ids=FORGOTTEN)
def test_what_waits_for_its_own_may_be_forgotten(body: str):
    assert outcome(body).may_be_forgotten


@pytest.mark.parametrize("body", HELD.values(), ids=HELD)
def test_what_waits_for_something_that_lives_on_is_held(body: str):
    assert not outcome(body).may_be_forgotten


def test_an_error_is_a_coroutines_own_if_it_or_what_it_calls_raises_it():
    bodies = {
        "raise OSError": True,
        "risky()": True,
        "await fail()": True,
        "await deep()": False,
        "given.run()": False,
        "careful()": False,
        "try:\n    given.run()\nexcept Exception:\n    raise": False,
    }

    found = {body: outcome(body).raises for body in bodies}

    assert found == bodies


def test_of_a_coroutine_that_is_merely_declared_nothing_is_known():
    assert outcome("...") == Outcome(may_fail=True, raises=False, may_be_forgotten=True)
