"""What a rule reports, before and after it has a place."""

import enum

from msgspec import Struct

from cancellint.model.source import Place, Site, Span


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


def weakest(first: Confidence, *others: Confidence) -> Confidence:
    """Return how firmly a claim stands that rests on all of these."""
    return max((first, *others), key=lambda each: each.rank)


def firmest(first: Confidence, *others: Confidence) -> Confidence:
    """Return how firmly a claim stands that any one of these is enough for."""
    return min((first, *others), key=lambda each: each.rank)


class Canceller(enum.StrEnum):
    """A way in which a cancellation reaches a function, the one that leaves most behind first."""

    RACE = "race"
    """a timeout or the like ends this call alone"""
    CANCEL_SITE = "cancel-site"
    """its task is cancelled, and what it worked on lives on"""
    GROUP = "group"
    """another task of its group fails, or the function that started its task ends"""
    FRAMEWORK = "framework"
    """it answers a request, and the framework that calls it cancels it when whoever asked has gone"""
    PUBLIC = "public"
    """whoever calls what the program offers may do so"""
    OWNER_ENDS = "owner-ends"
    """only what ends the owner of its task for good cancels it"""
    NONE_KNOWN = "none-known"
    """nobody in sight does, before the event loop ends"""

    @property
    def rank(self) -> int:
        """How many ways come before this one."""
        return tuple(Canceller).index(self)

    @property
    def confidence(self) -> Confidence:
        """How firmly a claim can stand that needs this canceller."""
        if self in (Canceller.RACE, Canceller.CANCEL_SITE):
            return Confidence.CERTAIN
        if self in (Canceller.GROUP, Canceller.FRAMEWORK, Canceller.PUBLIC):
            return Confidence.LIKELY
        return Confidence.POSSIBLE


class SiteNote(Struct, frozen=True):
    """One step of the reasoning, at a step of the program."""

    at: Site
    message: str


class Edit(enum.StrEnum):
    """A change of the source that a fix consists of, and the steps that it is given."""

    WIDEN_HANDLER = "widen-handler"
    """`except Exception`, alone or in a tuple, becomes `except BaseException`: the handler's Catch.
    Only a handler that raises again whatever it has caught is changed."""
    WIDEN_ANY_HANDLER = "widen-any-handler"
    """the same whatever the handler names: `except OSError` becomes `except BaseException` too"""
    RELEASE_IN_FINALLY = "release-in-finally"
    """what follows the acquire goes into a `try` whose `finally` releases: the acquire (its Await, or its
    Call), then all releases"""
    HOLD_IN_ASYNC_WITH = "hold-in-async-with"
    """`async with lock` round what follows the acquire, where that says the same, else as above: for what
    is known to be an asynchronous context manager that acquires and releases"""
    UNDO_IN_FINALLY = "undo-in-finally"
    """the statements between a change and its undo go into a `try`, the undo into its `finally`: the step
    that makes the change, then all that undo it"""
    GUARD_COMPLETION = "guard-completion"
    """`future.set_result(x)` and `set_exception` happen only `if not future.done()`: the Call"""
    SHIELD = "shield"
    """`await x` becomes `await asyncio.shield(x)`: the Await"""


class Fix(Struct, frozen=True):
    """A change that a rule asks for. What the code looks like decides whether it can be made.

    All sites lie in the file of the finding, in the order that the edit says.
    """

    edit: Edit
    sites: tuple[Site, ...]
    safe: bool = False
    """whether the program does the same as before wherever the finding does no harm"""


class TextEdit(Struct, frozen=True):
    """Text that goes into the place of what stands in a span of the finding's file."""

    span: Span
    text: str


class RawFinding(Struct, frozen=True):
    """A finding as a rule yields it."""

    at: Site
    message: str
    confidence: Confidence
    notes: tuple[SiteNote, ...] = ()
    help: str = ""
    """the cure, one sentence"""
    fix: Fix | None = None
    severity: Severity | None = None
    """another one than the rule's own, where more is shown to be lost; the configuration goes first"""
    copy_of: Site | None = None
    """where it is written, if that is in a helper that stands at `at` as well"""
    canceller: Canceller | None = None
    """who cancels, where the claim needs somebody who does"""
    cause: str | None = None
    """what one change would mend: findings of a rule with the same cause are one, with a list of places"""


SAME_CAUSE = "the same here: "
"""Begins the notes that list the other places of a cause; they are the last ones of a finding."""


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
    fix: Fix | None = None
    """what `--fix` would do"""
    canceller: Canceller | None = None
    """as in `RawFinding`"""
    edits: tuple[TextEdit, ...] = ()
    """what the fix consists of, where that was asked for"""

    @property
    def story(self) -> tuple[Note, ...]:
        """The notes that tell what happens, without those that list other places of the same cause."""
        return tuple(note for note in self.notes if not note.message.startswith(SAME_CAUSE))
