"""Holds pages of rules to what they say: for tests of a project's own rules, and for those of this one.

A Python fence of a page is a file, or several, each begun by a line `# file: name.py`.
`# want APP001 "regex"` at the end of a line expects exactly one finding of that code there, whose message
matches; several may stand on one line. Anything else that is reported is a difference. With
`# want possible APP001 "regex"` it is one that `--pedantic` adds, and `# want f: "regex"` is matched against
what is believed of the function `f`.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from cancellint.config import Config
from cancellint.mistakes import Mistake
from cancellint.model.finding import SAME_CAUSE, Confidence, Finding
from cancellint.model.source import Place
from cancellint.own_rules import Stated, stated
from cancellint.pipeline import run, summaries

__all__ = ["PageError", "check_pages"]

_POSSIBLE = "possible "


class PageError(Mistake):
    """An example on a page, or what it expects, cannot be read."""


def check_pages(folder: Path) -> list[str]:
    """What the pages of a folder of rules say and does not hold; nothing where all is well.

    Each rule has a page, and each page an example in which its rule reports something and one in which it
    does not. On a page only the rules of the folder are asked. The rules are run.
    """
    found: list[str] = []
    rules = stated((folder,))
    for rule in rules:
        found += _of_page(rule, folder)
    pages = {rule.page for rule in rules}
    found += [
        f"{page.name}: no rule has this page" for page in sorted(folder.glob("*.md")) if page not in pages
    ]
    return found


def _of_page(rule: Stated, folder: Path) -> Iterator[str]:
    if not rule.page.is_file():
        yield f"{rule.page.name}: {rule.code} {rule.name} has no page"
        return
    if not rule.page.read_text("utf-8").startswith(f"# {rule.name} ({rule.code})\n"):
        yield f"{rule.page.name}:1: the page does not begin with `# {rule.name} ({rule.code})`"
    examples = list(fences(rule.page))
    loud = [example for example in examples if any(f"want {rule.code}" in text for _, text in example.files)]
    if not loud or len(loud) == len(examples):
        yield f"{rule.page.name}: there must be an example with `# want {rule.code}` and one without"
    config = Config(root=folder, select=(rule.code,), own_rules=(folder,), runs_own_rules=True)
    for example in examples:
        with tempfile.TemporaryDirectory() as place:
            root = Path(place)
            (root / "cancellint.toml").touch()
            yield from (
                f"{example.name}: {each}"
                for each in differences(example, root, structs.replace(config, root=root))
            )


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
    r'(?P<subject>(?:(?:possible|pedantic) )?[A-Z]{2,10}\d{1,5}\b|[\w.]+:)\s*"(?P<regex>(?:[^"\\]|\\.)*)"\s*'
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
            if want is None:
                raise PageError(f"{path}:{number}: cannot read the expectation {rest!r}")
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
    if start:
        raise PageError(f"{page.name}:{start}: the fence is not closed")


def files_in(text: str) -> Iterator[tuple[str, str]]:
    """The files of a fence, each begun by a line `# file: name.py`; without any, one file."""
    parts = re.split(r"(?m)^# file: (\S+)[ \t]*\n", text)
    if len(parts) == 1:
        yield "example.py", text
        return
    if parts[0].strip():
        raise PageError(f"text before the first file: {parts[0]!r}")
    yield from zip(parts[1::2], parts[2::2], strict=True)


# --------------------------------------------------------------------------- holding them to it


def differences(example: Example, folder: Path, config: Config) -> list[str]:
    """What is reported and not wanted, or wanted and not reported; what is believed and what was wanted."""
    for name, text in example.files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    report = run(config, [folder])
    everything = run(structs.replace(config, min_confidence=Confidence.POSSIBLE), [folder])
    wanted = [(name, *want) for name, text in example.files for want in wants_in(name, text)]
    facts = [want for want in wanted if want[2].endswith(":")]
    possible = [Want(*want) for want in wanted if want[2].startswith(_POSSIBLE)]
    findings = [want for want in wanted if " " not in want[2] and not want[2].endswith(":")]
    return [
        *(f"failed on {failure.subject}: {failure.error}" for failure in report.failures),
        *unmatched(report.findings, [Want(*want) for want in findings], folder),
        *missing_among(everything.findings, possible, folder),
        *(line for want in facts if (line := unbelieved(config, folder, *want))),
    ]


def missing_among(findings: Iterable[Finding], wants: Iterable[Want], folder: Path) -> Iterator[str]:
    """What is wanted with `--pedantic` and not reported as possible."""
    told = [
        (Path(place.path).resolve().relative_to(folder.resolve()).as_posix(), place.span.line, code, message)
        for finding in findings
        if finding.confidence is Confidence.POSSIBLE
        for code, message, place in told_by(finding)
    ]
    for want in wants:
        where = (want.path, want.line, want.code.removeprefix(_POSSIBLE))
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
