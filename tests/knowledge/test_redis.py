"""What the notes of redis-py's table say of a connection after a cancellation is true."""

from functools import partial

import pytest

from tests.knowledge import redis_trials
from tests.knowledge.worlds import Scenario, World, sweep


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "scenario",
    [redis_trials.asked_by_two, partial(redis_trials.subscribed, receive=redis_trials.by_listening_again)],
    ids=["no reply reaches the wrong caller", "a new iterator reads on"],
)
def test_the_connection_stays_in_step(scenario: Scenario) -> None:
    report = sweep(World.ASYNCIO_SOCKETS, scenario)

    assert any(case.delivered for case in report.cases)
    report.require_safe()
