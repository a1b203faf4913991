"""The page of findings, in a real browser: filters, walks, keys, both themes, a phone."""

from pathlib import Path

import msgspec
import pytest

from cancellint.model.finding import Severity
from cancellint.model.report import Report
from cancellint.model.source import Span
from cancellint.reporters import html
from tests.reporters.test_formats import HOSTILE_REPORT
from tests.reporters.test_reporters import REPORT, finding

RULES = {"CAN101": "# unsafe-await-in-race (CAN101)\n\nwhat it finds"}
WARNING = msgspec.structs.replace(
    finding(Span(4, 5, 4, 9)),
    severity=Severity.WARNING,
    message="a warning",
    code="CAN401",
    name="dropped-task",
)


class Opened:
    """A page that is shown, with all it has complained of and asked the network for."""

    def __init__(self, browser, report: Report, folder: Path, **look) -> None:  # type: ignore[no-untyped-def]
        file = folder / "report.html"
        file.write_text(html.render(report, RULES), "utf-8")
        self.page = browser.new_page(**look)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())
        assert self.complaints == []
        assert self.requests == [file.as_uri()]

    def texts(self, selector: str) -> list[str]:
        return [text.strip() for text in self.page.locator(selector).all_inner_texts()]


@pytest.fixture
def opened(browser: object, tmp_path: Path) -> Opened:
    report = msgspec.structs.replace(REPORT, findings=(*REPORT.findings, WARNING), left_out=(("known", 2),))
    return Opened(browser, report, tmp_path)


def test_all_findings_are_listed_and_the_first_is_told(opened: Opened) -> None:
    assert opened.texts("h1") == ["cancellint 0.1.0: 2 findings (1 error) in 2 files, 1,234 functions"]
    assert opened.texts("nav h3") == ["CAN101 unsafe-await-in-race (1)", "CAN401 dropped-task (1)"]
    assert opened.texts("article h2") == ["`head` is lost if this await is cancelled"]
    assert "2 findings not shown: known." in opened.texts("header p")[0]


def test_a_story_is_walked_through_the_sources(opened: Opened) -> None:
    assert "wait_for(self.read(), 5)" in opened.texts("pre .here")[0]

    opened.page.keyboard.press("n")

    assert "readexactly(4)" in opened.texts("pre .here")[0]
    assert opened.texts(".steps [aria-current=true]")[0].startswith("1. taken on here")
    opened.page.keyboard.press("p")
    assert "wait_for" in opened.texts("pre .here")[0]
    opened.page.locator(".steps button").nth(1).click()
    assert "readexactly" in opened.texts("pre .here")[0]


def test_keys_filters_and_search_choose_findings(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("j")
    assert opened.texts("article h2") == ["a warning"]
    page.keyboard.press("k")
    page.keyboard.press("/")
    page.keyboard.type("warning")
    assert opened.texts("article h2") == ["a warning"]
    page.keyboard.press("Escape")
    page.locator("#search").fill("")
    page.locator("#error").uncheck()
    assert opened.texts("nav h3") == ["CAN401 dropped-task (1)"]
    page.locator("#error").check()
    page.locator("#group").select_option("file")
    assert opened.texts("nav h3") == ["pkg/a.py (2)"]
    page.locator("#group").select_option("harm")
    assert opened.texts("nav h3") == ["a task nobody looks after (1)", "lost, leaked or left half done (1)"]
    page.locator("#confidence").select_option("0")
    assert opened.texts("nav p") == ["Nothing matches."]


def test_nothing_of_the_repository_is_run_or_drawn(browser: object, tmp_path: Path) -> None:
    opened = Opened(browser, HOSTILE_REPORT, tmp_path)

    assert opened.page.locator("article b, nav b").count() == 0
    assert "</script>" in "".join(opened.texts("pre"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_read_in_both_themes_and_on_a_phone(
    browser: object, tmp_path: Path, scheme: str, width: int
) -> None:
    opened = Opened(browser, REPORT, tmp_path, color_scheme=scheme, viewport={"width": width, "height": 800})
    page = opened.page

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("article h2").is_visible()
    assert _contrast(page, "article h2") >= 7
    assert _contrast(page, ".where") >= 4.5
    page.screenshot(path=str(tmp_path / f"{scheme}-{width}.png"), full_page=True)


_CONTRAST = """node => {
  const lit = (text) => {
    const parts = text.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((part) => part <= .03928 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const back = (each) => getComputedStyle(each).backgroundColor;
  let behind = node;
  while (behind !== document.body && back(behind) === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
  const [a, b] = [lit(getComputedStyle(node).color), lit(back(behind))];
  return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
}"""


def _contrast(page, selector: str) -> float:  # type: ignore[no-untyped-def]
    """How far the colour of a text is from what is behind it, as WCAG counts it."""
    ratio: float = page.locator(selector).first.evaluate(_CONTRAST)
    return ratio
