"""What a rule reports, before and after it has a place."""

import enum

from msgspec import Struct

from cancellint.model.source import Place, Site


class Severity(enum.StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Confidence(enum.StrEnum):
    """How firmly the steps of the reasoning stand, strongest first."""

    CERTAIN = "certain"
    """every step rests on resolved names, types and knowledge"""
    LIKELY = "likely"
    """one step rests on a naming convention, or on which of a few overrides a call reaches"""
    POSSIBLE = "possible"
    """anything weaker; shown with `--pedantic`"""

    @property
    def rank(self) -> int:
        """How many steps weaker than certain this is."""
        return tuple(Confidence).index(self)


class SiteNote(Struct, frozen=True):
    """One step of the reasoning, at a step of the program."""

    at: Site
    message: str


class RawFinding(Struct, frozen=True):
    """A finding as a rule yields it."""

    at: Site
    message: str
    confidence: Confidence
    notes: tuple[SiteNote, ...] = ()
    help: str = ""
    """the cure, one sentence"""


class Note(Struct, frozen=True, order=True):
    """One step of the reasoning, placed."""

    message: str
    place: Place


class Finding(Struct, frozen=True):
    """A finding as users see it. Notes are in the order of the story."""

    code: str
    name: str
    message: str
    severity: Severity
    confidence: Confidence
    place: Place
    notes: tuple[Note, ...] = ()
    help: str = ""
