"""How much the property tests try: little and always the same, more with CANCELLINT_FUZZ=10000.

Each test has a cache of its own, which is empty.
"""

import os
from itertools import count

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.register_profile(
    "fuzz", parent=settings.get_profile("suite"), derandomize=False,
    max_examples=int(os.environ.get("CANCELLINT_FUZZ", "100")),
)  # fmt: skip
settings.load_profile("fuzz" if "CANCELLINT_FUZZ" in os.environ else "suite")


_NUMBERS = count()


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.getbasetemp() / f"cache-{next(_NUMBERS)}"
    monkeypatch.setenv("CANCELLINT_CACHE_DIR", str(folder))
