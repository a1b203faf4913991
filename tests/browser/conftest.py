"""A browser from the distribution. In continuous integration it is there, or the tests fail."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
IN_CI = os.environ.get("CI", "").casefold() not in ("", "0", "false")


def installed() -> str | None:
    """The browser of the system, or else the one that Playwright has installed."""
    from playwright.sync_api import sync_playwright

    found = next((path for name in NAMES if (path := shutil.which(name)) is not None), None)
    if found is None:
        with sync_playwright() as driver:
            own = driver.chromium.executable_path
            return own if Path(own).exists() else None
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """A running browser, for no longer than one module: its driver keeps an event loop running meanwhile."""
    if not IN_CI:
        pytest.importorskip("playwright.sync_api", reason="needs playwright")
    from playwright.sync_api import sync_playwright

    program = installed()
    if program is None:
        assert not IN_CI, "there is no Chromium: `.ci/run` installs it"
        pytest.skip("needs Chromium")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()
