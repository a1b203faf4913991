"""How much the property tests try: little and always the same, more with CANCELLINT_FUZZ=10000."""

import os

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
