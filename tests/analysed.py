"""Small programs analysed in process: what is believed of their functions and what the rules report."""

from collections.abc import Iterator, Mapping
from functools import cache
from textwrap import dedent

import libcst
from msgspec import Struct

from cancellint.analysis.library import knowledge
from cancellint.analysis.library.knowledge import Knowledge
from cancellint.analysis.program.program import Program
from cancellint.analysis.project import AnalysisSettings, Project, analyse
from cancellint.frontend.lower import lower
from cancellint.frontend.positions import spans
from cancellint.model.finding import Confidence, RawFinding
from cancellint.model.source import Site
from cancellint.model.summary import Summary
from cancellint.model.types import FunctionKey
from cancellint.rules.rule import Subject, all_rules, findings, without_copies


class Told(Struct, frozen=True):
    """A finding or one of its notes, by line: `main:12 the message`."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place} {self.message}"


class Reported(Struct, frozen=True):
    """A finding with its notes, in the order of the story."""

    code: str
    told: Told
    confidence: Confidence
    notes: tuple[Told, ...]


class Analysed:
    """An analysed program, and its source to find lines in."""

    def __init__(self, files: Mapping[str, str], settings: AnalysisSettings | None = None) -> None:
        self._trees = {
            name.removesuffix(".__init__"): libcst.parse_module(dedent(source))
            for name, source in files.items()
        }
        packages = {name.removesuffix(".__init__") for name in files if name.endswith(".__init__")}
        program = Program({name: lower(tree) for name, tree in self._trees.items()}, packages)
        self.project: Project = analyse(program, _knowledge(), settings or AnalysisSettings())

    def key(self, symbol: str) -> FunctionKey:
        """The function of a name such as `main.Reader.read`; of several, the last."""
        program = self.project.program
        return [key for key in program.all_functions() if program.symbol(key) == symbol][-1]

    def summary(self, symbol: str) -> Summary:
        return self.project.result(self.key(symbol)).summary

    def beliefs(self, symbol: str) -> list[str]:
        """What is believed of a function, in words."""
        return [fact.text for fact in self.project.describe(self.key(symbol)).facts]

    def all_beliefs(self) -> dict[str, list[str]]:
        program = self.project.program
        return {
            f"{program.symbol(key)} #{key.function}": [fact.text for fact in self.project.describe(key).facts]
            for key in sorted(program.functions())
        }

    def findings(self, *, possible: bool = False) -> list[Reported]:
        """What the rules report, by place; what is merely possible only on demand."""
        every = [
            (rule.code, finding)
            for rule in all_rules()
            for key in sorted(self.project.program.functions())
            for finding in findings(rule, Subject(self.project, key))
        ]
        found = (
            self._reported(code, finding)
            for code, finding in without_copies(every, lambda pair: pair)
            if possible or finding.confidence is not Confidence.POSSIBLE
        )
        return sorted(found, key=lambda one: (one.code, one.told.place))

    def lines(self, code: str, *, possible: bool = False) -> list[str]:
        """The source lines that a rule reports, stripped."""
        return [self._line(one.told.place) for one in self.findings(possible=possible) if one.code == code]

    def _reported(self, code: str, finding: RawFinding) -> Reported:
        notes = tuple(Told(self.place(note.at), note.message) for note in finding.notes)
        told = Told(self.place(finding.at), finding.message)
        return Reported(code, told, finding.confidence, notes)

    def place(self, site: Site) -> str:
        """Where a step was written: `main:012`."""
        wanted = (site.function, site.step)
        span = spans(self._trees[site.module], [wanted])[wanted]
        return f"{site.module}:{span.line:03}"

    def _line(self, place: str) -> str:
        module, _, number = place.rpartition(":")
        return self._trees[module].code.splitlines()[int(number) - 1].strip()


@cache
def _knowledge() -> Knowledge:
    return knowledge.load()


def analysed(source: str) -> Analysed:
    """A program of one module, `main`."""
    return Analysed({"main": source})


def beliefs(source: str, name: str = "f") -> list[str]:
    """What is believed of one function of one module."""
    return analysed(source).beliefs(f"main.{name}")


def losses(source: str, name: str = "f") -> list[str]:
    """What a function loses if it is cancelled."""
    return [fact for fact in beliefs(source, name) if fact.startswith("loses ")]


def takes(source: str, name: str = "f") -> list[str]:
    """What a function takes out of its sources, and where that goes."""
    return [fact for fact in beliefs(source, name) if fact.startswith("takes ")]


def marked(source: str, mark: str) -> Iterator[str]:
    """The lines of a source that end in a comment `# mark`, stripped."""
    for line in dedent(source).splitlines():
        if line.rstrip().endswith(f"# {mark}"):
            yield line.strip()
