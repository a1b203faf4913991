"""Runs three tools on the same five programs, broken and cured, in one run, and says what each finds.

    pip install cancellens==0.1.0 detangle==0.1.0
    python benchmarks/beside.py

The tools are `cancellint.testing`, cancellens and detangle, each as its own documentation uses it and with
its default limits; the programs are those of `five.py`. A case is one run of a program. Cases per second are
of the cured programs, on which every tool tries all that it would try. The exit code is 1 if a tool finds
something in a cured program. docs/injector.md has the result, and what it means.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from importlib.metadata import version

import cancellens
import detangle
from five import FIVE, Program

from cancellint.testing import Injection, cancel_at_every_suspension

Make = Callable[[], Program]

SEED = 14
"""detangle chooses its schedules at random; with a seed they are the same each time."""
MOMENT = 0.001
"""When the programs' own timers fire, in seconds."""
REPEATED = 10
"""How often all cured programs are run to measure the speed."""


@dataclass(frozen=True)
class Verdict:
    """What a tool says of a program, after how many runs and seconds."""

    found: str
    """empty if nothing was found"""
    cases: int
    seconds: float


def by_cancellint(make: Make) -> Verdict:
    """Is told what is cancelled, and what has to be true afterwards."""

    async def scenario(injection: Injection) -> bool:
        program = make()
        await injection.attempt(program.operate)
        return await program.verify()

    outcomes = cancel_at_every_suspension(scenario)
    return Verdict(str(outcomes.failures[0]) if outcomes.failures else "", len(outcomes.cases) + 1, 0)


def by_cancellens(make: Make) -> Verdict:
    """Is told the same, and how to make and how to clean up the world."""

    async def factory() -> Program:
        return make()

    async def oracle(program: Program, completion: cancellens.Completion) -> None:
        cancellens.require(await program.verify(), "usable afterwards")

    async def teardown(program: Program) -> None:
        await program.close()

    case = cancellens.Case(factory, lambda program: program.operate(), oracle, teardown)
    report = asyncio.run(cancellens.sweep(case))
    failed = next((each for each in report.attempts if each.outcome is cancellens.Outcome.FAIL), None)
    found = f"FAIL, cancelled at {failed.schedule.cancel_at}" if failed is not None else ""
    if not found and report.outcome is not cancellens.Outcome.PASS:
        print(f"  cancellens: {report.outcome.value}: {report.coverage.reasons}", file=sys.stderr)
    return Verdict(found, report.coverage.attempts_run, 0)


def by_detangle(make: Make) -> Verdict:
    """Is told what may time out, and what has to be true afterwards."""
    return explored(make, detangle.maybe_timeout)


def by_detangle_and_the_clock(make: Make) -> Verdict:
    """Is told after what time it times out instead, and explores what else happens at that moment."""
    return explored(make, lambda operation: asyncio.wait_for(operation, MOMENT))


def explored(make: Make, under: Callable[[Coroutine[None, None, None]], Awaitable[None]]) -> Verdict:
    async def test() -> None:
        program = make()
        try:
            await under(program.operate())
        except TimeoutError:
            detangle.note("timed out")
        assert await program.verify(), "not usable afterwards"
        await program.close()

    try:
        stats = detangle.explore(test, seed=SEED, database=False)
    except detangle.BugFound as bug:
        return Verdict(bug.report.failure.headline(), bug.report.runs, 0)
    return Verdict("", stats.runs, 0)


TOOLS: dict[str, Callable[[Make], Verdict]] = {
    "cancellint.testing": by_cancellint,
    f"cancellens {version('cancellens')}": by_cancellens,
    f"detangle {version('detangle')}": by_detangle,
    "detangle with a time limit": by_detangle_and_the_clock,
}


def timed(tool: Callable[[Make], Verdict], make: Make) -> Verdict:
    """What a tool says, with the seconds it took."""
    started = time.perf_counter()
    verdict = tool(make)
    return Verdict(verdict.found, verdict.cases, time.perf_counter() - started)


def main() -> int:
    """Runs, prints the two tables, and returns the exit code."""
    print(f"| program | {' | '.join(TOOLS)} |\n|---|{'---|' * len(TOOLS)}")
    for program, (broken, _) in FIVE.items():
        verdicts = {name: timed(tool, broken) for name, tool in TOOLS.items()}
        cells = (f"{'**found**' if each.found else 'no'}, {each.cases}" for each in verdicts.values())
        print(f"| {program} | {' | '.join(cells)} |", flush=True)
        for name, verdict in verdicts.items():
            print(f"{program}, {name}: {verdict.found[:160] or 'nothing'}", file=sys.stderr)
    print("\n| | cases | cases per second | false alarms |\n|---|---:|---:|---:|")
    alarms = 0
    for name, tool in TOOLS.items():
        cured = [timed(tool, mended) for _ in range(REPEATED) for _, mended in FIVE.values()]
        cases, seconds = sum(each.cases for each in cured), sum(each.seconds for each in cured)
        false = sum(bool(each.found) for each in cured)
        alarms += false
        print(f"| {name} | {cases // REPEATED} | {cases / seconds:.0f} | {false} |", flush=True)
    return int(alarms > 0)


if __name__ == "__main__":
    sys.exit(main())
