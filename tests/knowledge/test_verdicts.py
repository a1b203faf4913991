"""The verdicts of the tables hold on the versions that run here."""

import sys
from dataclasses import replace

import pytest
from packaging.version import Version

from cancellint.analysis.library.knowledge import CallShape, load
from cancellint.model.knowledge import Cancel, Entry
from tests.knowledge import asyncio_trials, connecting, redis_trials, scope_trials
from tests.knowledge.trials import Trial
from tests.knowledge.worlds import World, sweep

KNOWLEDGE = load()
PYTHON = Version(".".join(map(str, sys.version_info[:3])))
TRIALS = [*asyncio_trials.TRIALS, *scope_trials.TRIALS, *connecting.TRIALS, *redis_trials.TRIALS]


def facts(trial: Trial) -> Entry:
    shape = CallShape(args=trial.args, keywords=tuple(trial.keywords.items()), python=PYTHON)
    entry = KNOWLEDGE.facts(trial.name, shape)
    assert entry is not None, trial.name
    return entry


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("trial", TRIALS, ids=str)
def test_a_cancellation_does_what_the_table_says(trial: Trial) -> None:
    report = sweep(trial.world, trial.scenario)

    assert any(case.delivered for case in report.cases)
    assert facts(trial).cancel == (Cancel.SAFE if report.is_safe else Cancel.LOSES), str(report)


NATIVE = {
    trial.name: replace(trial, world=World.ASYNCIO_SOCKETS)
    for trial in scope_trials.TRIALS
    if trial.world is World.ANYIO_ON_ASYNCIO and facts(trial).cancel is Cancel.SAFE
}


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("trial", NATIVE.values(), ids=str)
def test_what_is_safe_in_scopes_only_is_said_to_be_so(trial: Trial) -> None:
    """A cancellation by asyncio itself, of what is safe from anyio's."""
    report = sweep(trial.world, trial.scenario)

    assert facts(trial).own_scopes_only == (not report.is_safe), str(report)
