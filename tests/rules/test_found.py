"""The page of true findings: its scripts, its findings and its changes belong together."""

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from cancellint.rules.rule import all_rules

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "found.md").read_text("utf-8")
FENCE = re.compile(r"(?ms)^```(\w+)\n(.*?)^```$")
PLACE = re.compile(r"(?m)^ +--> (\S+):(\d+):\d+ in ")
MARKED = re.compile(r"(?m)^ +\d+ \| (.*)$")
HUNK = re.compile(r"\A--- (\S+)\n\+\+\+ \1\n@@ -(\d+),\d+ ")


class Section(NamedTuple):
    """What the page says of one package."""

    title: str
    package: str
    version: str
    text: str

    def fences(self, language: str) -> list[str]:
        return [fence[2] for fence in FENCE.finditer(self.text) if fence[1] == language]

    @property
    def finding(self) -> str:
        return self.fences("text")[0]


def sections() -> list[Section]:
    found: list[Section] = []
    for part in re.split(r"(?m)^## ", PAGE)[1:]:
        title, text = part.split("\n", 1)
        named, told, _ = title.partition(": ")
        if not told:
            continue  # how often it is right, which is no finding
        package, version = named.split()
        found.append(Section(title, package, version, text))
    return found


def anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


each_section = pytest.mark.parametrize("section", sections(), ids=lambda section: section.package)


def test_the_page_has_six_or_seven_findings() -> None:
    assert len(sections()) in (6, 7)


@each_section
def test_a_section_has_a_finding_an_installation_a_script_its_output_and_a_change(section: Section) -> None:
    languages = [fence[1] for fence in FENCE.finditer(section.text)]

    assert languages == ["text", "sh", "python", "text", "diff"]


@each_section
def test_a_finding_is_told_as_its_rule_is_called(section: Section) -> None:
    names = {f"[{rule.code}] {rule.name}:" for rule in all_rules()}

    told = re.match(r"(?:error|warning)(\[CAN\d+\] [\w-]+:) ", section.finding)

    assert told is not None
    assert told[1] in names


@each_section
def test_the_change_is_made_where_the_finding_points(section: Section) -> None:
    place, marked = PLACE.search(section.finding), MARKED.search(section.finding)
    (change,) = section.fences("diff")
    hunk = HUNK.match(change)
    assert place is not None
    assert marked is not None
    assert hunk is not None
    old = [line for line in change.splitlines()[3:] if not line.startswith("+")]
    removed = [index for index, line in enumerate(old) if line.startswith("-")]
    pointed = int(place[2]) - int(hunk[2])

    assert place[1] == hunk[1]
    assert pointed == removed[0] if removed else 0 <= pointed < len(old)
    assert marked[1].strip() == old[pointed][1:].strip()


@each_section
def test_the_version_of_the_heading_is_the_one_installed(section: Section) -> None:
    (installation,) = section.fences("sh")

    assert re.search(rf'\b{section.package}(\[\w+\])?=={re.escape(section.version)}["\s]', installation)


@each_section
def test_a_script_is_python_and_says_what_happens(section: Section) -> None:
    (script,) = section.fences("python")

    compile(script, section.package, "exec")

    assert script.startswith('"""')


@each_section
def test_the_table_leads_to_the_section_and_the_page_of_its_rule(section: Section) -> None:
    told = re.search(r"\[(CAN\d+)\] ([\w-]+):", section.finding)

    assert told is not None
    assert f"[{section.package} {section.version}](#{anchor(section.title)})" in PAGE
    assert f"[{told[1]}](../rules/{told[2]}.md) |" in PAGE


def test_every_file_that_is_linked_to_exists() -> None:
    for target in re.findall(r"\]\((\.\./[^)#]+)", PAGE):
        assert (ROOT / "docs" / target).resolve().is_file()


def test_the_table_of_first_looks_is_what_was_counted() -> None:
    looks = tomllib.loads((ROOT / "benchmarks" / "precision.toml").read_text("utf-8"))["look"]
    wanted = [
        f"| {each['batch']} | {each['code']} | {each['confidence']} | {each['true']} | {each['harmless']}"
        f" | {each['false']} | {each['interval'][0]:.2f} to {each['interval'][1]:.2f} |"
        for each in looks
    ]

    assert [line for line in PAGE.splitlines() if re.match(r"\| [0-9+]+ \| CAN", line)] == wanted
