"""What is followed from a coroutine to where it is used or lost, mechanism by mechanism."""

from textwrap import indent

import pytest

from cancellint.rules.rule import Subject, all_rules, findings
from tests.analysed import Analysed

HEAD = """
import asyncio
import atexit
import contextlib
import functools
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

import anyio

SYNCHRONOUS = False

async def work(number=0):
    await asyncio.sleep(number)
    return number

def plain(number=0):
    return number

async def awaits(coroutine):
    return await coroutine

async def awaits_if(wanted, coroutine):
    if wanted:
        return await coroutine

def names(coroutine):
    return coroutine.__qualname__

def hands_on(coroutine):
    return asyncio.ensure_future(coroutine)

def helper(number):
    return work(number)

def makes():
    for number in range(3):
        yield work(number)

def in_thread(function):
    @functools.wraps(function)
    async def wrapper(*args):
        return await asyncio.to_thread(function, *args)
    return wrapper

def at_once(function):
    @functools.wraps(function)
    def wrapper(*args):
        return asyncio.run(function(*args))
    return wrapper

def counted(function):
    def wrapper(*args):
        return function(*args)
    return wrapper

def named(name):
    def decorator(function):
        async def wrapper(*args):
            return await function(*args)
        return wrapper
    return decorator

def by_helper(function):
    return in_thread(function)

@by_helper
def threaded_too(number):
    return number

@in_thread
def threaded(number):
    return number

@at_once
async def blocking(number):
    return number

@counted
async def counting(number):
    return number

@named("it")
def renamed(number):
    return number

@contextlib.asynccontextmanager
async def opened():
    yield 1

@dataclass
class Job:
    name: str
    work: Coroutine

class Service:
    def __init__(self):
        self.jobs = []
        self.job = None

    async def run(self):
        pass

    @property
    async def state(self):
        return 1

    def start(self):
        return self.run()

    def start_if(self):
        if self.jobs:
            return self.run()
        print("nothing to do")

    def made_vaguely(self):
        return Service() if self.jobs else self.jobs[0]

class Quiet:
    async def __call__(self):
        pass
"""


def confidences(body: str, head: str = "async def f(given, wanted, queue: asyncio.Queue):") -> list[str]:
    """How firmly each coroutine of a function is said to be dropped."""
    source = f"{HEAD}\n{head}\n{indent(body, '    ')}\n"
    program = Analysed({"main": source})
    (rule,) = (each for each in all_rules() if each.code == "CAN406")
    found = findings(rule, Subject(program.project, program.key("main.f")))
    return [each.confidence.value for each in found]


@pytest.mark.parametrize(
    "body",
    [
        "work()",
        "_ = work()",
        "print(work())",
        "if work(): print(1)",
        "x = work()\nreturn x is None",
        "return f'{work()}'",
        "return work() == 3",
        "while True:\n    asyncio.sleep(1)",
        "queue.put(1)",
        "service = Service()\nservice.run()",
        "service = Service()\nrun = service.run\nrun()",
        "functools.partial(work, 1)()",
        "quiet = Quiet()\nquiet()",
        "jobs = [work(1)]\nprint(len(jobs))",
        "jobs = {'a': work(1)}\nreturn list(jobs)[0] == 'b'",
        "names(work())",
        "helper(1)",
        "service = Service()\nservice.start()",
        "threaded(1)",
        "threaded_too(1)",
        "counting(1)",
        "renamed(1)",
        "atexit.register(work)",
        "asyncio.get_running_loop().call_soon(lambda: work(1))",
        "asyncio.get_running_loop().call_soon(functools.partial(work, 1))",
        "threading.Thread(target=work).start()",
        "async with anyio.create_task_group() as group:\n    group.start_soon(work(1))",
        "await asyncio.wait([work(1)])",
        "if not SYNCHRONOUS:\n    work()",
        "job = Job('a', work())\nreturn job.name",
    ],
)
def test_what_nobody_uses_is_certainly_lost(body: str) -> None:
    assert confidences(body) == ["certain"]


@pytest.mark.parametrize(
    "body",
    [
        "x = work()\nif wanted:\n    return 1\nreturn await x",
        "x = work(1)\nx = work(2) if wanted else x\nreturn await x",
        "for number in given:\n    x = work(number)\n    if number:\n        continue\n    await x",
        "x = work()\nreturn await (x if wanted else work(2))",
        "x = work()\ntry:\n    await asyncio.sleep(1)\nexcept ValueError:\n    await x",
        "x = None\nfor number in given:\n    x = work(number)\nif x is not None:\n    await x",
        "jobs = [work(number) for number in given]\nif wanted:\n    return 1\nawait asyncio.gather(*jobs)",
        "jobs = [work(number) for number in given]\nawait asyncio.gather(*jobs[:3])",
        "jobs = [work(number) for number in given]\nfor job in jobs:\n    return await job",
        "jobs = [work(number) for number in given]\nfor job in jobs:\n    if wanted:\n        await job",
        "jobs = [work(number) for number in given]\njobs.pop()\nawait asyncio.gather(*jobs)",
        "x = work()\ntry:\n    await asyncio.sleep(1)\nexcept ValueError:\n    return 1\nreturn await x",
        "x = work()\nwith contextlib.suppress(ValueError):\n    await asyncio.sleep(1)\n    await x",
        "known = {}\nx = known.get(wanted, work())\nreturn await x if inspect.isawaitable(x) else x",
        "return await awaits_if(wanted, work())",
        "for job in makes():\n    print(1)",
        "service = Service()\nstate = service.state\nreturn state is None",
        "await asyncio.to_thread(work)",
        "asyncio.get_running_loop().run_in_executor(None, work)",
    ],
)
def test_what_is_lost_on_some_path_is_likely(body: str) -> None:
    assert confidences(body)[:1] == ["likely"]


@pytest.mark.parametrize(
    "body",
    [
        "await work()",
        "return work()",
        "yield work()",
        "x = work()\nif wanted:\n    x.close()\n    return 1\nreturn await x",
        "x = work() if wanted else None\nif x is not None:\n    await x",
        "x = None\nif wanted:\n    x = work()\nif x:\n    await x",
        "x = work() if wanted else plain()\nif inspect.isawaitable(x):\n    await x",
        "x = work()\nif isinstance(x, Coroutine):\n    await x",
        "asyncio.run(work())",
        "asyncio.ensure_future(work()).add_done_callback(print)",
        "await awaits(work())",
        "hands_on(work())",
        "given.append(work())",
        "given(work())",
        "given.job = work()",
        "jobs = [work(number) for number in given]\nwhile jobs:\n    await jobs.pop()",
        "jobs = [work(1), work(2)]\nawait jobs[0]\nawait jobs[1]",
        "jobs = [work(1), work(2)]\nfor number in range(2):\n    await jobs[number]",
        "jobs = [work(1)]\nplace = 0\nwhile place < len(jobs):\n    await jobs[place]\n    place += 1",
        "jobs = [work(number) for number in given]\nfor start in range(0, len(jobs), 5):\n"
        "    await asyncio.gather(*jobs[start : start + 5])",
        "jobs = [('a', work(1))]\nfor name, job in jobs:\n    await job",
        "jobs = {'a': work(1)}\nfor name, job in jobs.items():\n    await job",
        "first, second = work(1), work(2)\nawait asyncio.gather(first, second)",
        "jobs = []\nif wanted:\n    jobs.append(('a', work()))\nif jobs:\n    await jobs[0][1]",
        "jobs = [work(1)]\nasync def later():\n    await jobs[0]\nawait later()",
        "job = Job('a', work())\nawait job.work",
        "job = Job('a', work())\nqueue.put_nowait(job)",
        "for job in makes():\n    await job",
        "blocking(1)",
        "opened()",
        "service = Service()\nservice.run = plain\nservice.run()",
        "service = Service()\nif not inspect.iscoroutinefunction(service.run):\n    service.run()",
        "await (await asyncio.to_thread(helper, 1))",
        "asyncio.get_running_loop().call_soon(plain)",
        "async with contextlib.AsyncExitStack() as stack:\n    stack.push_async_callback(work)",
        "x = work()\ntry:\n    await awaits(x)\nexcept ValueError:\n    return 1",
        "x = work()\ntry:\n    job = asyncio.create_task(x)\nexcept ValueError:\n    return 1\nawait job",
        "x = work()\nraise ValueError(x)",
        "x = work()\ntry:\n    return 1\nfinally:\n    x.close()",
        "with contextlib.closing(work()) as x:\n    return await x",
        "x = work()\nreturn lambda: x",
        "if SYNCHRONOUS:\n    work()",
        "if SYNCHRONOUS and wanted:\n    work()",
        "x = work()\nif hasattr(x, '__await__'):\n    await x",
        "x = work()\ntry:\n    await asyncio.sleep(1)\nexcept asyncio.CancelledError:\n    return\nawait x",
        "Service().made_vaguely().run()",
        "Service().start_if()",
        "asyncio.get_running_loop().run_in_executor(None, plain)",
    ],
)
def test_what_somebody_may_use_is_not_lost(body: str) -> None:
    assert confidences(body) == []


def test_a_parameter_that_gives_a_coroutine_is_believed() -> None:
    assert confidences("given(1)", "def f(given: Callable[[int], Coroutine[None, None, None]]):") == [
        "likely"
    ]
    assert confidences("given(1)", "def f(given: Callable[[int], Awaitable[None]]):") == []


def test_a_method_that_subclasses_make_plain_is_likely_only() -> None:
    body = "service.run()"
    head = "class Plain(Service):\n    def run(self):\n        pass\n\n\ndef f(service: Service):"

    assert confidences(body, head) == ["likely"]


def test_methods_that_the_program_wraps_by_name_are_left_alone() -> None:
    head = (
        "def wrap(cls, name):\n    function = getattr(cls, name)\n    def wrapper(self):\n"
        "        return asyncio.run(function(self))\n    setattr(cls, name, wrapper)\n\n\n"
        "def f(service: Service):"
    )

    assert confidences("service.run()", head) == []


def test_lambdas_that_return_each_other_are_followed_to_an_end() -> None:
    body = "first = lambda: second()\nsecond = lambda: first()\nfirst()"

    assert confidences(body) == []
