"""The documentation site, built strictly and looked at: its pages, its walks, both themes, a phone."""

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cancellint.links import rule_url
from cancellint.selection import catalogue

ROOT = Path(__file__).resolve().parents[2]
SCHEMES = {"light": "default", "dark": "slate"}
PHONE = {"width": 390, "height": 844}
PAGES = ("", "docs/why/", "docs/coming-from/", "docs/compare/", "rules/unsafe-await-in-race/")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site. Every link between its pages leads somewhere, or it is not built."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_every_rule_has_its_page_where_reports_point_to(site: Path) -> None:
    base = (rule_url("CAN101", "unsafe-await-in-race") or "").removesuffix("rules/unsafe-await-in-race/")

    assert base.startswith("https://")
    for rule in catalogue():
        url = rule_url(rule.code, rule.name) or ""
        page = site / url.removeprefix(base) / "index.html"
        text = page.read_text("utf-8")
        assert f"{rule.name} ({rule.code})" in text
        assert "# want" not in text


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_a_phone_and_complains_of_nothing(browser, address: str, page: str, scheme: str) -> None:  # type: ignore[no-untyped-def]
    context = browser.new_context(color_scheme=scheme, viewport=PHONE)
    shown = context.new_page()
    complaints: list[str] = []
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.goto(address + page)

    assert shown.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert shown.locator("body").get_attribute("data-md-color-scheme") == SCHEMES[scheme]
    assert complaints == []
    context.close()


def test_a_walk_goes_from_step_to_step(browser, address: str) -> None:  # type: ignore[no-untyped-def]
    shown = browser.new_page()
    shown.goto(address + "docs/why/")
    walks = shown.locator(".walk")
    assert walks.count() == 3
    walk = walks.first

    def told() -> tuple[str, str]:
        return walk.locator(".walk-here").inner_text().strip(), walk.locator(".walk-bar p").inner_text()

    assert told()[0] == 'reader.feed_data(b"\\x05")'
    walk.get_by_role("button", name="Next").click()
    line, text = told()
    assert line == "size = await reader.readexactly(1)"
    assert "takes the 5 out of the stream" in text
    walk.locator("ol > li").last.click()
    assert walk.get_by_role("button", name="Next").is_disabled()
    walk.get_by_role("button", name="Back").click()
    assert "step 6 of 7" in walk.locator(".walk-bar").inner_text()
    shown.close()
