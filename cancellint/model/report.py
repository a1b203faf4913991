"""The outcome of a run, as reporters get it."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from cancellint.model.finding import Finding, Note, Severity
from cancellint.model.source import Place


class Failure(Struct, frozen=True):
    """A file, or a stage, that this tool failed on by its own fault."""

    subject: str
    error: str
    trace: str = ""
    """where it happened, as Python tells it; for whoever mends it"""


class OwnRule(Struct, frozen=True):
    """A rule of a project's own, which only its own pages tell of."""

    code: str
    name: str
    severity: Severity
    pedantic: bool
    summary: str
    page: str


class Report(Struct, frozen=True):
    """Everything a run found, in the order it is shown."""

    findings: tuple[Finding, ...]
    files: int
    """how many files were reported on"""
    functions: int
    """how many functions those files hold"""
    seconds: float
    failures: tuple[Failure, ...] = ()
    sources: Mapping[str, tuple[str, ...]] = {}
    """the lines of every file that a finding or a note points into, by the path of its place"""
    warnings: tuple[str, ...] = ()
    """what was done otherwise than asked, and changes nothing about the findings"""
    without_files: tuple[str, ...] = ()
    """the arguments under which there was no file to report on"""
    stages: tuple[tuple[str, float], ...] = ()
    """the seconds that each stage took"""
    read: tuple[str, ...] = ()
    """the files of the projects"""
    reported: tuple[str, ...] = ()
    """those of them that were reported on, and what could not be read"""
    left_out: tuple[tuple[str, int], ...] = ()
    """how many findings are not shown, by the reason"""
    own_rules: tuple[OwnRule, ...] = ()
    """the projects' own rules that were run"""


class Rewritten(Struct, frozen=True):
    """A file and its text with fixes."""

    path: Path
    before: bytes
    after: bytes


class Mending(Struct, frozen=True):
    """What is found once the fixes are made, and what they make of the files. Nothing is written yet."""

    report: Report
    files: tuple[Rewritten, ...] = ()
    fixed: int = 0
    """how many findings the fixes have removed"""


class ReportedFact(Struct, frozen=True):
    """One belief about a function, and the steps it rests on."""

    text: str
    at: Place | None
    via: tuple[Note, ...] = ()


class SymbolSummary(Struct, frozen=True):
    """What the tool believes about one function."""

    symbol: str
    at: Place | None
    facts: tuple[ReportedFact, ...]
