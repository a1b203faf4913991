"""All that crosses a call: facts about a function that its callers need, without positions."""

import enum
from collections.abc import Callable
from typing import Self, TypeVar

from msgspec import Struct, structs

from cancellint.model.finding import Confidence
from cancellint.model.knowledge import LockKind


class Path(Struct, frozen=True, order=True, gc=False, cache_hash=True):
    """Which object is meant, as seen from inside one function: a root and the attributes after it.

    The root is `param:0`, `global:module.name`, `free:module#index:name` (a variable of an enclosing
    function) or, never in a summary, `local:name` or `temp:step`. A field `[]` is an element of a
    container, `[key]` the one under a literal key, `#0` the first part of a tuple.
    """

    root: str
    fields: tuple[str, ...] = ()

    def child(self, *names: str) -> "Path":
        return Path(self.root, self.fields + names)

    def is_within(self, other: "Path") -> bool:
        """Whether this is `other` itself or a part of it."""
        return self.root == other.root and self.fields[: len(other.fields)] == other.fields

    def is_sibling(self, other: "Path") -> bool:
        """Whether both are attributes of one object."""
        return (
            self.root == other.root
            and bool(self.fields)
            and bool(other.fields)
            and self.fields[:-1] == other.fields[:-1]
        )

    @property
    def is_visible_to_callers(self) -> bool:
        return not self.root.startswith(("local:", "temp:"))


RESULT = Path("result")
"""Where taken data goes when the function returns or yields it."""
KEPT = Path("kept")
"""Where taken data goes when it is stored in something that outlives the call."""


def passed(path: Path) -> tuple[str, int] | None:
    """Return what a path stands for if it stands for what awaiting a parameter takes.

    `raced:1` is the awaitable given as parameter 1, `called:1` what calling that parameter gives.
    """
    kind, _, index = path.root.partition(":")
    return (kind, int(index)) if kind in ("raced", "called") else None


K = TypeVar("K", bound="Fact")

Rename = Callable[[Path], Path | None]
"""What a caller calls an object of the function's own terms; None where it has no name for it."""


class Fact(Struct, frozen=True, gc=False):
    """What a summary says of objects. Each kind of fact knows how it reads in a caller's terms."""

    def renamed(self, name: Rename) -> Self | None:
        """Return the fact in a caller's terms, None where it says nothing of what the caller knows."""
        raise NotImplementedError

    def through_call(self) -> Self | None:
        """Return the fact as it is told one call further on, None where it is told no further."""
        return self

    def passed_on(self) -> Path | None:
        """Return what the fact speaks of if that is what awaiting a parameter does (see `passed`)."""
        return None


class OfObject(Fact, frozen=True, order=True, gc=False):
    """A fact that says one thing of one object."""

    path: Path

    def renamed(self, name: Rename) -> Self | None:
        place = name(self.path)
        return None if place is None else structs.replace(self, path=place)


class Closes(OfObject, frozen=True, order=True, gc=False):
    """An object is closed for good."""


class Replaces(OfObject, frozen=True, order=True, gc=False):
    """An attribute is assigned a new object."""


class OfLock(OfObject, frozen=True, order=True, gc=False):
    """A fact about a lock or semaphore, of threads or of an event loop."""

    kind: LockKind


class Acquires(OfLock, frozen=True, order=True, gc=False):
    """A lock is held when the function returns (a context manager's generator: at its yield)."""


class Releases(OfLock, frozen=True, order=True, gc=False):
    """A lock is released without having been acquired here."""


class Locks(OfLock, frozen=True, order=True, gc=False):
    """A lock is waited for and taken while the function runs, be it released before it returns.

    An attempt that gives up at once is none.
    """


class Take(Fact, frozen=True, order=True, gc=False):
    """Data is removed from `source` and ends up in `into`: RESULT, KEPT or a parameter's object."""

    source: Path
    into: Path
    origin: str
    """the library call at the bottom, by canonical name, or `store` for a removal from a filled container"""
    confidence: Confidence = Confidence.CERTAIN
    reopened: bool = False
    """on every path the source was closed or replaced before, inside the function"""

    def renamed(self, name: Rename) -> Self | None:
        source = name(self.source)
        return None if source is None else structs.replace(self, source=source, into=name(self.into) or KEPT)

    def passed_on(self) -> Path | None:
        return self.source if passed(self.source) is not None else None


class Cause(enum.StrEnum):
    """How data is lost when a function is cancelled."""

    HELD = "held"
    """it was taken, and only locals hold it while a later await is suspended"""
    PRIMITIVE = "primitive"
    """the library call itself loses what it has taken so far"""
    WRAPPED = "wrapped"
    """a task stands between the taking and the code that uses the value"""
    PASSED = "passed"
    """it is the caller's coroutine, or function, that is awaited: what that loses, the caller knows"""
    DROPPED = "dropped"
    """the task that takes it goes on, and nobody will look at its result"""


class Loss(Fact, frozen=True, order=True, gc=False):
    """If the function is cancelled, data taken from `source` is gone."""

    source: Path
    cause: Cause
    origin: str
    confidence: Confidence = Confidence.CERTAIN
    native: bool = False
    """only a cancellation by asyncio itself loses it, none by a scope of anyio"""

    def renamed(self, name: Rename) -> Self | None:
        source = name(self.source)
        return None if source is None else structs.replace(self, source=source)

    def passed_on(self) -> Path | None:
        return self.source if passed(self.source) is not None else None


class Leaving(enum.StrEnum):
    """How a function ends after a race in it was lost."""

    RAISES = "raises"
    RETURNS = "returns"
    RETURNS_NONE = "returns None"
    RETRIES = "retries"
    """it does not end: it runs the caller's function once more"""


class Unsettled(Fact, frozen=True, order=True, gc=False):
    """A race in here drops data of `source`, and whether anyone reads on is for the caller to say."""

    loss: Loss
    leaving: Leaving

    def renamed(self, name: Rename) -> Self | None:
        loss = self.loss.renamed(name)
        return None if loss is None else structs.replace(self, loss=loss)

    def passed_on(self) -> Path | None:
        return self.loss.passed_on()


DEEPEST_ACT = 6
"""Calls through which an act is told on: what happens further on is nobody's intention here."""


class Verb(enum.StrEnum):
    """What an act does to its subject. The first half take something on, the second half undo it."""

    ACQUIRES = "acquires"
    """a lock, a permit, something out of a pool"""
    SETS = "sets"
    """a flag"""
    RAISES = "raises"
    """a counter"""
    ADDS = "adds to"
    """an entry to a container"""
    SENDS = "sends on"
    """a request, whose reply is still to come"""
    RECEIVES = "receives from"
    """it waits for a message on an object that requests are sent on"""
    RELEASES = "releases"
    RESETS = "resets"
    """a flag, or makes an attribute None"""
    LOWERS = "lowers"
    REMOVES = "removes from"
    CLOSES = "closes"


class Act(Fact, frozen=True, gc=False):
    """Something is taken on that is to be undone, or is undone."""

    verb: Verb
    subject: Path
    """the lock, flag, counter, container, or what is closed or given back"""
    item: Path | None = None
    """the entry of a container, the pool that something goes back to; None where it is not known"""
    confidence: Confidence = Confidence.CERTAIN
    calls: int = 0
    """calls of the project between the function and what does it"""

    def renamed(self, name: Rename) -> Self | None:
        subject = name(self.subject)
        if subject is None:
            return None
        return structs.replace(self, subject=subject, item=name(self.item) if self.item is not None else None)

    def through_call(self) -> Self | None:
        return structs.replace(self, calls=self.calls + 1) if self.calls < DEEPEST_ACT else None


class Summary(Struct, frozen=True, gc=False):
    """What a caller needs to know of a function. Parameters are counted as declared, `self` included."""

    suspends: bool = False
    facts: tuple[Fact, ...] = ()
    """all that is said of objects, by kind"""
    keeps: tuple[int, ...] = ()
    """parameters whose data is stored where it outlives the call, or handed to code that may"""
    hands_back: tuple[int, ...] = ()
    """parameters whose data flows into the result"""
    stores: tuple[tuple[int, Path], ...] = ()
    """a parameter's data is put into another parameter's object"""
    stores_early: tuple[int, ...] = ()
    """those of `stores` that are stored before the function takes anything"""
    calls: tuple[int, ...] = ()
    """parameters that are called"""

    def of_kind(self, kind: type[K]) -> tuple[K, ...]:
        """Return the facts of one kind."""
        return tuple(fact for fact in self.facts if type(fact) is kind)

    @property
    def takes(self) -> tuple[Take, ...]:
        return self.of_kind(Take)

    @property
    def losses(self) -> tuple[Loss, ...]:
        return self.of_kind(Loss)

    @property
    def unsettled(self) -> tuple[Unsettled, ...]:
        return self.of_kind(Unsettled)

    @property
    def acts(self) -> tuple[Act, ...]:
        """What is taken on and left so, and what is undone, on objects the caller knows."""
        return self.of_kind(Act)


NOTHING = Summary()
"""The least summary: where a fixpoint starts."""
