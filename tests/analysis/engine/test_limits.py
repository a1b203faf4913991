"""Limits let through what is within, and tell when they leave something out."""

import logging
from collections.abc import Callable

import pytest

from cancellint.analysis.engine.limits import LOG, Limit

THREE = Limit(3, "apples in a basket")


@pytest.fixture(autouse=True)
def _listening(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOG.name)


def test_it_compares_as_its_number() -> None:
    assert THREE == 3
    assert THREE > 2
    assert str(THREE) == "3 apples in a basket"


def test_what_is_within_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    assert not THREE.is_exceeded_by(3)
    assert list(THREE.first("abc")) == ["a", "b", "c"]
    assert THREE.leaves(1)
    for number in THREE.rounds():
        if number == 2:
            break
    assert caplog.records == []


@pytest.mark.parametrize(
    "exceed",
    [
        lambda: THREE.is_exceeded_by(4),
        lambda: list(THREE.first("abcd")) == ["a", "b", "c"],
        lambda: not THREE.leaves(0),
        lambda: list(THREE.rounds()) == [0, 1, 2],
    ],
)
def test_what_is_left_out_is_told_once(exceed: Callable[[], bool], caplog: pytest.LogCaptureFixture) -> None:
    assert exceed()
    assert [record.args for record in caplog.records] == [(THREE,)]
