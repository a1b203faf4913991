"""The pages of the rules and the fixtures say what is reported, line by line; this holds them to it.

`# want CAN101 "regex"` at the end of a line expects exactly one finding of that code there, whose message
matches; several may stand on one line. Anything else that is reported is a failure. With `# want possible
CAN101 "regex"` it is one that `--pedantic` adds. `# want pedantic CAN113 "regex"` stands in fixtures for what
pedantic rules bring about: tests/fixtures looks for it. `# want f: "regex"` is matched against the facts
that are believed of the function `f`. A fence or a folder may hold several files.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec import structs

from cancellint.cli import main
from cancellint.config import Config
from cancellint.model.finding import SAME_CAUSE, Confidence, Finding
from cancellint.model.source import Place
from cancellint.pipeline import run, summaries
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


class Want(NamedTuple):
    """An expected finding."""

    path: str
    line: int
    code: str
    message: str


class Example(NamedTuple):
    """Files that are checked together."""

    name: str
    files: tuple[tuple[str, str], ...]


# --------------------------------------------------------------------------- reading examples

WANT_COMMENT = re.compile(r"#\s*want\s+(?P<wants>.+?)\s*$")
WANT = re.compile(
    r'(?P<subject>(?:(?:possible|pedantic) )?CAN\d{3}\b|[\w.]+:)\s*"(?P<regex>(?:[^"\\]|\\.)*)"\s*'
)


def wants_in(path: str, text: str) -> Iterator[tuple[int, str, str]]:
    """Line, subject and regex of every expectation of a file. One that cannot be read is an error."""
    for number, line in enumerate(text.split("\n"), 1):
        comment = WANT_COMMENT.search(line)
        if comment is None:
            continue
        rest = comment["wants"]
        while rest:
            want = WANT.match(rest)
            assert want is not None, f"{path}:{number}: cannot read the expectation {rest!r}"
            yield number, want["subject"], want["regex"]
            rest = rest[want.end() :]


def fences(page: Path) -> Iterator[Example]:
    """Every Python fence of a page, named by its line."""
    lines: list[str] = []
    start = 0
    for number, line in enumerate(page.read_text("utf-8").split("\n"), 1):
        if not start and line.rstrip() in ("```python", "```py"):
            start, lines = number, []
        elif start and line.rstrip() == "```":
            yield Example(f"{page.name}:{start}", tuple(files_in("\n".join(lines) + "\n")))
            start = 0
        elif start:
            lines.append(line)
    assert not start, f"{page.name}:{start}: the fence is not closed"


def files_in(text: str) -> Iterator[tuple[str, str]]:
    """The files of a fence, each begun by a line `# file: name.py`; without any, one file."""
    parts = re.split(r"(?m)^# file: (\S+)[ \t]*\n", text)
    if len(parts) == 1:
        yield "example.py", text
        return
    assert not parts[0].strip(), f"text before the first file: {parts[0]!r}"
    yield from zip(parts[1::2], parts[2::2], strict=True)


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


# --------------------------------------------------------------------------- holding them to it


def differences(example: Example, folder: Path) -> list[str]:
    """What is reported and not wanted, or wanted and not reported; what is believed and what was wanted."""
    for name, text in example.files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    config = Config(root=folder, select=selected_for(example))
    report = run(config, [folder])
    everything = run(structs.replace(config, min_confidence=Confidence.POSSIBLE), [folder])
    wanted = [(name, *want) for name, text in example.files for want in wants_in(name, text)]
    findings = [want for want in wanted if want[2].startswith("CAN")]
    possible = [Want(*want) for want in wanted if want[2].startswith("possible ")]
    facts = [want for want in wanted if want[2].endswith(":")]
    return [
        *(f"failed on {failure.subject}: {failure.error}" for failure in report.failures),
        *unmatched(report.findings, [Want(*want) for want in findings], folder),
        *missing_among(everything.findings, possible, folder),
        *(line for want in facts if (line := unbelieved(config, folder, *want))),
    ]


def selected_for(example: Example) -> tuple[str, ...]:
    """All rules; a pedantic one, that not every example can obey, only on its own page."""
    return tuple(
        rule.code for rule in catalogue() if not rule.pedantic or example.name.startswith(f"{rule.name}.md:")
    )


def missing_among(findings: Iterable[Finding], wants: Iterable[Want], folder: Path) -> Iterator[str]:
    """What is wanted with `--pedantic` and not reported as possible."""
    told = [
        (Path(place.path).resolve().relative_to(folder.resolve()).as_posix(), place.span.line, code, message)
        for finding in findings
        if finding.confidence is Confidence.POSSIBLE
        for code, message, place in told_by(finding)
    ]
    for want in wants:
        where = (want.path, want.line, want.code.removeprefix("possible "))
        if not any(each[:3] == where and re.search(want.message, each[3]) for each in told):
            yield f"not reported as possible: {want.path}:{want.line}: {where[2]} {want.message!r}"


def unmatched(findings: Iterable[Finding], wants: Iterable[Want], folder: Path) -> Iterator[str]:
    left = list(wants)
    for code, message, place in (told for finding in findings for told in told_by(finding)):
        path = Path(place.path).resolve().relative_to(folder.resolve()).as_posix()
        line = place.span.line
        match = next(
            (
                want
                for want in left
                if (want.path, want.line, want.code) == (path, line, code)
                and re.search(want.message, message)
            ),
            None,
        )
        if match is None:
            yield f"not wanted: {path}:{line}: {code} {message}"
        else:
            left.remove(match)
    for want in left:
        yield f"not reported: {want.path}:{want.line}: {want.code} {want.message!r}"


def told_by(finding: Finding) -> Iterator[tuple[str, str, Place]]:
    """What a finding says of its own place, and of the other places of its cause."""
    yield finding.code, finding.message, finding.place
    for note in finding.notes:
        if note.message.startswith(SAME_CAUSE):
            yield finding.code, note.message.removeprefix(SAME_CAUSE), note.place


def unbelieved(config: Config, folder: Path, name: str, line: int, subject: str, regex: str) -> str | None:
    described, _, _ = summaries(config, [folder], subject.removesuffix(":"))
    believed = " ".join(fact.text for each in described for fact in each.facts)
    if re.search(regex, believed):
        return None
    return f"not believed: {name}:{line}: {subject} {regex!r} in {believed!r}"


EXAMPLES = [*(fence for page in rule_pages() for fence in fences(page)), *fixtures()]


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.name for example in EXAMPLES])
def test_exactly_what_is_wanted_is_reported(example: Example, tmp_path: Path) -> None:
    (tmp_path / "cancellint.toml").touch()

    assert differences(example, tmp_path) == []


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
        faults = [subject for _, subject, _ in wants_in(*example.files[0]) if subject.startswith("CAN")]
        assert len(faults) == 1, example.name


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
    loud = [example for example in examples if any(f"want {rule.code}" in text for _, text in example.files)]

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
    found = differences(Example("", (("example.py", line + "\n"),)), tmp_path)

    assert any(text.startswith(difference) for text in found), found


def test_a_right_expectation_holds(tmp_path: Path) -> None:
    text = 'def f(:  # want CAN001 "does not parse"\n'

    assert differences(Example("", (("pkg/example.py", text), ("clean.py", "x = 1\n"))), tmp_path) == []


def test_an_expectation_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(AssertionError, match="cannot read the expectation"):
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
