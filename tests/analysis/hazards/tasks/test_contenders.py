"""Which tasks take part in a race, on which ways they are left running, and whose results are dropped."""

from collections.abc import Iterator

import pytest

from cancellint.analysis.hazards.tasks.abandonment import abandoned
from cancellint.analysis.hazards.tasks.dropped_winners import dropped_winners
from cancellint.analysis.hazards.tasks.stakes import never_returns
from tests.analysed import Analysed

HEAD = """
import asyncio

class Box:
    def __init__(self):
        self.jobs = asyncio.Queue()
        self.notes = asyncio.Queue()
        self.stop = asyncio.Event()

"""


def method(body: str) -> Analysed:
    """A program whose method `Box.run` has a body, and starts a task `job` that takes from a queue."""
    start = "    async def run(self, *given):\n        job = asyncio.create_task(self.jobs.get())\n"
    lines = (f"        {line}\n" if line else "\n" for line in body.strip("\n").split("\n"))
    return Analysed({"main": HEAD + start + "".join(lines)})


def ways(body: str) -> list[str]:
    """The ways on which `job` is left running."""
    program = method(body)
    project = program.project
    found = abandoned(project.effects, project.facts_of, project.contenders, program.key("main.Box.run"))
    first = min(project.contenders.started(program.key("main.Box.run")))
    return [left.way.name.lower() for one in found if one.started == first for left in one.ways]


def drops(body: str) -> Iterator[str]:
    """How the result of `job` may be dropped."""
    program = method(body)
    project = program.project
    found = dropped_winners(
        project.effects, project.facts_of, project.contenders, program.key("main.Box.run")
    )
    first = min(project.contenders.started(program.key("main.Box.run")))
    for one in found:
        for drop in one.ways if one.started == first else ():
            how = "cancelled" if drop.by_cancel else "forgotten"
            yield f"{how}, {drop.ending.name.lower()}{' when cancelled' if drop.cancelled else ''}"


# --------------------------------------------------------------------------- left running


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("await asyncio.wait({job})", ["cancelled"]),
        ("await asyncio.wait({job}, timeout=1)", ["left", "cancelled"]),
        ("await asyncio.wait({job}, return_when=asyncio.FIRST_COMPLETED)", ["cancelled"]),
        ("await asyncio.wait({job, *given}, return_when=asyncio.FIRST_COMPLETED)", ["left", "cancelled"]),
        ("await asyncio.wait({job, *given})", ["cancelled"]),
        ("await asyncio.gather(job, *given)", ["failed"]),
        ("await asyncio.gather(job, *given, return_exceptions=True)", []),
        ("await asyncio.gather(job)", []),
        ("await job", []),
        ("await asyncio.wait_for(job, 1)", []),
        ("await asyncio.shield(job)", []),
        ("for one in asyncio.as_completed([job, *given]):\n    await one", ["cancelled", "failed"]),
        (
            "for one in asyncio.as_completed([job, *given]):\n    return await one",
            ["left", "cancelled", "failed"],
        ),
        ("async for one in asyncio.as_completed([job, *given]):\n    print(one)", ["cancelled", "failed"]),
        (
            "async for one in asyncio.as_completed([job, *given]):\n    return await one",
            ["left", "cancelled", "cancelled", "failed", "failed"],
        ),
        ("for one in [job, *given]:\n    await one", ["cancelled", "failed"]),
        ("for one in [job, *given]:\n    one.cancel()", []),
    ],
)
def test_how_a_task_is_waited_for_tells_how_it_may_be_left(body: str, expected: list[str]) -> None:
    assert ways(body) == expected


@pytest.mark.parametrize(
    "test",
    [
        "if job in done:",
        "if job not in pending:",
        "if job.done():",
        "if not pending:",
        "if len(pending) == 0:",
        "if given[0] not in done:",
    ],
)
def test_a_test_that_says_that_the_task_has_finished_ends_its_way(test: str) -> None:
    wait = "done, pending = await asyncio.wait({job, given[0]}, return_when=asyncio.FIRST_COMPLETED)"
    cured = f"try:\n    {wait}\nexcept asyncio.CancelledError:\n    job.cancel()\n    raise"

    assert ways(f"{cured}\n{test}\n    return 1\njob.cancel()") == []
    assert ways(f"{cured}\n{test}\n    job.cancel()\nreturn 1") == ["left"]


def test_a_cleanup_under_a_flag_is_believed_on_the_ways_out() -> None:
    body = """
try:
    await asyncio.wait({job}, timeout=1)
    return 1
finally:
    if self.stop.is_set():
        job.cancel()
"""
    assert ways(body) == []


def test_a_look_whether_the_task_has_finished_is_no_cleanup() -> None:
    body = """
try:
    await asyncio.wait({job})
except asyncio.CancelledError:
    if job.done():
        print(job.result())
    raise
"""
    assert ways(body) == ["cancelled"]


def test_a_cleanup_in_a_handler_for_errors_cures_no_cancellation() -> None:
    body = """
try:
    await asyncio.wait({job})
except Exception:
    job.cancel()
    raise
"""
    assert ways(body) == ["cancelled"]


def test_a_cleanup_in_a_handler_for_cancellations_cures_no_error() -> None:
    body = """
try:
    await asyncio.gather(job, *given)
except asyncio.CancelledError:
    job.cancel()
    raise
"""
    assert ways(body) == ["failed"]


def test_what_is_started_anew_is_left_unless_a_container_has_it() -> None:
    program = Analysed(
        {
            "main": HEAD
            + """
    async def anew(self):
        while True:
            job = asyncio.create_task(self.jobs.get())
            await asyncio.wait({job}, timeout=1)

    async def kept(self):
        jobs = set()
        try:
            while True:
                jobs.add(asyncio.create_task(self.jobs.get()))
                await asyncio.wait(jobs, timeout=1)
        finally:
            for job in jobs:
                job.cancel()
"""
        }
    )
    project = program.project
    left = {
        name: [
            left.way.name
            for one in abandoned(
                project.effects, project.facts_of, project.contenders, program.key(f"main.Box.{name}")
            )
            for left in one.ways
        ]
        for name in ("anew", "kept")
    }

    assert left == {"anew": ["RENEWED", "CANCELLED"], "kept": []}


@pytest.mark.parametrize(
    "use",
    [
        "self.job = job",
        "self.tasks.add(job)",
        "keep(job)",
        "job.add_done_callback(print)",
        "given[0].append(job)",
        "later = lambda: job.cancel()",
    ],
)
def test_what_is_kept_or_handed_on_is_somebody_elses_business(use: str) -> None:
    assert ways(f"{use}\nawait asyncio.wait({{job}}, timeout=1)") == []


@pytest.mark.parametrize("use", ["print(job)", "len([job])", "job.set_name('job')", "jobs = [job]"])
def test_what_is_only_looked_at_is_still_left(use: str) -> None:
    assert ways(f"{use}\nawait asyncio.wait({{job}}, timeout=1)") == ["left", "cancelled"]


# --------------------------------------------------------------------------- dropped results

RACE = "done, pending = await asyncio.wait({job, given[0]}, return_when=asyncio.FIRST_COMPLETED)\n"


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("job.cancel()\nreturn await self.jobs.get()", ["cancelled, reads_on"]),
        ("job.cancel()\nreturn given", ["cancelled, returns"]),
        ("job.cancel()", ["cancelled, ends"]),
        ("if job in done:\n    return job.result()\njob.cancel()\nreturn 1", []),
        ("if given[0] in done:\n    job.cancel()\n    return 1\nreturn job.result()", ["cancelled, returns"]),
        ("for one in done:\n    one.result()\nfor one in pending:\n    one.cancel()\nreturn 1", []),
        ("for one in pending:\n    one.cancel()\nreturn done.pop().result()", ["forgotten, returns"]),
        ("for one in pending:\n    one.cancel()\nreturn next(iter(done)).result()", ["forgotten, returns"]),
        ("if job.cancel():\n    return 1\nreturn job.result()", []),
        ("job.cancel()\nreturn await job", []),
        ("return done", []),
        ("print(await self.jobs.get())\nif job in done:\n    return 1\njob.cancel()", []),
        ("for one in [job, *given]:\n    one.cancel()\nreturn 1", ["cancelled, returns"]),
        ("for one in [job, *given]:\n    if not one.done():\n        one.cancel()\nreturn 1", []),
        ("for one in [job, *given]:\n    if one in pending:\n        one.cancel()\nreturn 1", []),
    ],
)
def test_a_result_is_dropped_where_nobody_looks_whether_there_is_one(after: str, expected: list[str]) -> None:
    assert list(drops(RACE + after)) == expected


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("job.cancel()\n    raise", ["cancelled, ends when cancelled"]),
        ("job.cancel()\n    await asyncio.gather(job, return_exceptions=True)\n    raise", []),
        ("if job.done():\n        self.jobs.put_nowait(job.result())\n    job.cancel()\n    raise", []),
    ],
)
def test_a_cancelled_race_drops_what_it_cancels_without_waiting(handler: str, expected: list[str]) -> None:
    guarded = f"try:\n    {RACE}except asyncio.CancelledError:\n    {handler}\n"

    assert list(drops(f"{guarded}return job.result()")) == expected


# --------------------------------------------------------------------------- what never ends


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("while True:\n            await asyncio.sleep(1)", True),
        ("while not self.stop.is_set():\n            await asyncio.sleep(1)", False),
        ("while True:\n            if await self.jobs.get():\n                break", False),
        ("raise NotImplementedError", False),
        ("await self.forever()", True),
        ("async for one in self.items():\n            print(one)", True),
        ("async for one in self.items():\n            return", False),
        ("async for one in self.items():\n            if one:\n                break", False),
        (
            "while True:\n            try:\n                await self.jobs.get()\n"
            "            except OSError:\n                return",
            False,
        ),
        (
            "while True:\n            try:\n                await self.jobs.get()\n"
            "            except asyncio.CancelledError:\n                return",
            True,
        ),
    ],
)
def test_a_coroutine_that_only_a_cancellation_or_a_failure_ends_never_returns(
    body: str, expected: bool
) -> None:
    program = Analysed(
        {
            "main": HEAD
            + f"""
    async def run(self):
        {body}

    async def forever(self):
        while True:
            await asyncio.sleep(1)

    async def items(self):
        while True:
            yield await self.jobs.get()
"""
        }
    )

    assert never_returns(program.project.effects, program.key("main.Box.run")) is expected


@pytest.mark.parametrize("count", [3, 10, 20])
def test_one_of_many_that_are_started_anew_is_left_however_many_there_are(count: int) -> None:
    others = [f"other{index}" for index in range(count)]
    lines = [f"{other} = asyncio.create_task(self.notes.get())" for other in others]
    tasks = ", ".join(("job", *others))
    first = "return_when=asyncio.FIRST_COMPLETED"
    lines += ["while True:", f"    done, _ = await asyncio.wait({{{tasks}}}, {first})"]
    for each in ("job", *others):
        lines += [f"    if {each} in done:", f"        print({each}.result())"]
        lines += [f"        {each} = asyncio.create_task(self.notes.get())"]
    assert ways("\n".join(lines)) == ["cancelled"]
