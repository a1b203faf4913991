"""The pages of the rules and the fixtures say what is reported, line by line; this holds them to it.

`# want CAN101 "regex"` at the end of a line expects exactly one finding of that code there, whose message
matches; several may stand on one line. Anything else that is reported is a failure. With `# want possible
CAN101 "regex"` it is one that `--pedantic` adds. `# want pedantic CAN113 "regex"` stands in fixtures for what
pedantic rules bring about: tests/fixtures looks for it. `# want f: "regex"` is matched against the facts
that are believed of the function `f`. A fence or a folder may hold several files.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cancellint.cli import main
from cancellint.config import Config
from cancellint.own_pages import Example, PageError, differences, fences, wants_in
from cancellint.resources import rule_pages
from cancellint.selection import Listed, catalogue

ROOT = Path(__file__).resolve().parents[2]

SECTIONS = [
    "What it finds",
    "Why it matters",
    "Bad",
    "Good",
    "How to fix",
    "False alarms it avoids",
    "Known limits",
    "Sources",
]


def fixtures() -> Iterator[Example]:
    """Packages in the fixtures folder as a whole, and every other file on its own."""
    folder = ROOT / "fixtures"
    for package in sorted(
        path.parent for path in folder.glob("*/__init__.py") if path.parent.name != "broken"
    ):
        files = tuple((str(path.relative_to(ROOT)), read(path)) for path in sorted(package.rglob("*.py")))
        yield Example(f"fixtures/{package.name}", files)
    for path in sorted((folder / "broken").rglob("*.py")):
        yield Example(str(path.relative_to(ROOT)), ((str(path.relative_to(ROOT)), read(path)),))


def read(path: Path) -> str:
    return path.read_text("utf-8")


def config_for(example: Example, folder: Path) -> Config:
    return Config(root=folder, select=selected_for(example))


def selected_for(example: Example) -> tuple[str, ...]:
    """All rules; a pedantic one, that not every example can obey, only on its own page."""
    return tuple(
        rule.code for rule in catalogue() if not rule.pedantic or example.name.startswith(f"{rule.name}.md:")
    )


EXAMPLES = [*(fence for page in rule_pages() for fence in fences(page)), *fixtures()]


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.name for example in EXAMPLES])
def test_exactly_what_is_wanted_is_reported(example: Example, tmp_path: Path) -> None:
    (tmp_path / "cancellint.toml").touch()

    assert differences(example, tmp_path, config_for(example, tmp_path)) == []


def test_the_reference_program_wants_nothing_and_suppresses_nothing() -> None:
    (reference,) = (example for example in fixtures() if example.name == "fixtures/mini_redis")

    assert len(reference.files) > 1
    assert not any("# want" in text or "cancellint:" in text for _, text in reference.files)


def test_every_broken_fixture_has_one_fault() -> None:
    broken = [
        example for example in fixtures() if "/broken/" in example.name and "__init__" not in example.name
    ]

    assert broken
    for example in broken:
        subjects = [subject for _, subject, _ in wants_in(*example.files[0])]
        shown = [subject for subject in subjects if subject.startswith("CAN")]
        assert len(shown or subjects) == 1, example.name


def test_pages_and_rules_match_one_to_one() -> None:
    assert sorted(page.stem for page in rule_pages()) == sorted(rule.name for rule in catalogue())


@pytest.mark.parametrize("rule", catalogue(), ids=lambda rule: rule.code)
def test_a_page_has_its_title_and_its_sections_in_order(rule: Listed) -> None:
    text = read(next(page for page in rule_pages() if page.stem == rule.name))
    outside = re.sub(r"(?ms)^```.*?^```", "", text)

    assert text.startswith(f"# {rule.name} ({rule.code})\n")
    assert re.findall(r"(?m)^## (.+?)\s*$", outside) == SECTIONS


@pytest.mark.parametrize("rule", catalogue(), ids=lambda rule: rule.code)
def test_a_page_shows_its_rule_at_work_and_silent(rule: Listed) -> None:
    page = next(page for page in rule_pages() if page.stem == rule.name)
    examples = list(fences(page))
    announced = re.compile(rf"want (possible )?{rule.code}")
    loud = [example for example in examples if any(announced.search(text) for _, text in example.files)]

    assert loud
    assert len(loud) < len(examples)


# --------------------------------------------------------------------------- the harness itself


@pytest.mark.parametrize(
    ("line", "difference"),
    [
        ("def f(:", "not wanted: example.py:1: CAN001"),
        ('def f(:  # want CAN001 "something else"', "not wanted: example.py:1"),
        ('def f(:  # want CAN101 "does not parse"', "not wanted: example.py:1"),
        ('def f(:  # want CAN001 "does not" CAN001 "parse"', "not reported: example.py:1: CAN001 'parse'"),
        ('async def f(): pass  # want CAN001 "parse"', "not reported: example.py:1"),
        ('async def f(): pass  # want f: "no such fact"', "not believed: example.py:1: f:"),
        ('async def f(): pass  # want g: "."', "not believed: example.py:1: g:"),
    ],
)
def test_a_wrong_expectation_fails(line: str, difference: str, tmp_path: Path) -> None:
    example = Example("", (("example.py", line + "\n"),))
    found = differences(example, tmp_path, config_for(example, tmp_path))

    assert any(text.startswith(difference) for text in found), found


def test_a_right_expectation_holds(tmp_path: Path) -> None:
    text = 'def f(:  # want CAN001 "does not parse"\n'

    example = Example("", (("pkg/example.py", text), ("clean.py", "x = 1\n")))

    assert differences(example, tmp_path, config_for(example, tmp_path)) == []


def test_an_expectation_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(PageError, match="cannot read the expectation"):
        list(wants_in("a.py", "x = 1  # want CAN101 lost"))


def test_the_picture_in_the_readme_is_real(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = re.search(r"(?ms)^```console\n\$ cancellint (.+?)\n(.*?)^```$", read(ROOT / "README.md"))
    assert picture is not None
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["cancellint", *picture[1].split()])

    with pytest.raises(SystemExit):
        main()

    seconds = re.compile(r"[\d.]+ s\.$", re.MULTILINE)
    assert seconds.sub("s.", picture[2]) == seconds.sub("s.", capsys.readouterr().out)


def test_every_rule_is_in_the_readme() -> None:
    text = read(ROOT / "README.md")

    assert [
        rule.code
        for rule in catalogue()
        if f"| {rule.code} | [{rule.name}](rules/{rule.name}.md) |" not in text
    ] == []
