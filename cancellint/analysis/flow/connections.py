"""Which objects are one connection: what is sent on the one is answered on the other.

A connection group stands or falls together: the reader and the writer of a pair, a wrapper and what it
wraps, a queue that the object's own reader fills with what comes in.
"""

import re

from cancellint.analysis.flow.reading_on import closes
from cancellint.analysis.library.conventions import Names
from cancellint.model.finding import Confidence
from cancellint.model.ir import Function
from cancellint.model.summary import Path


class Group:
    """Two ends of a connection: where requests go, and where replies come from."""

    def __init__(self, request: Path, reply: Path) -> None:
        self.request = request
        self.reply = reply

    @property
    def shared(self) -> Path:
        """The object that both belong to, or the end itself where they are one."""
        if self.request == self.reply:
            return self.request
        fields: list[str] = []
        for one, other in zip(self.request.fields, self.reply.fields, strict=False):
            if one != other:
                break
            fields.append(one)
        return Path(self.request.root, tuple(fields))

    def is_ended_by(self, path: Path) -> bool:
        """Tell whether closing, or replacing, an object ends the connection."""
        return any(closes(path, end, connected=True) for end in (self.request, self.reply))

    def has_as_flag(self, path: Path) -> bool:
        """Tell whether an attribute lies beside an end, and may say what state the connection is in."""
        return any(path.is_sibling(end) or path.is_sibling(self.shared) for end in (self.request, self.reply))


def one_connection(sides: Names, function: Function, request: Path, reply: Path) -> Confidence | None:
    """Return how firmly a reply from `reply` answers a request sent on `request`, None where it does not."""
    if request.root != reply.root:
        bare = not request.fields and not reply.fields
        return Confidence.CERTAIN if bare and _are_sides(sides, function, request, reply) else None
    if request == reply:
        return Confidence.CERTAIN
    if request.is_sibling(reply) and _are_sides(sides, function, request, reply):
        return Confidence.CERTAIN
    shared = Group(request, reply).shared
    if shared.fields or _is_local_object(function, shared):
        return Confidence.LIKELY
    return Confidence.LIKELY if _are_all_sides(sides, (*request.fields, *reply.fields)) else None


def _are_sides(sides: Names, function: Function, request: Path, reply: Path) -> bool:
    """Tell whether two names differ in nothing but the direction: `cmd_reader` and `cmd_writer`."""
    one, other = _last_name(function, request), _last_name(function, reply)
    return _telling(sides, one) == _telling(sides, other)


def _are_all_sides(sides: Names, names: tuple[str, ...]) -> bool:
    return not any(_telling(sides, name) for name in names)


def _last_name(function: Function, path: Path) -> str:
    if path.fields:
        return path.fields[-1]
    kind, _, name = path.root.partition(":")
    return function.params[int(name)].name if kind == "param" else name.rpartition(":")[2]


def _telling(sides: Names, name: str) -> frozenset[str]:
    """Return the words of a name that tell more than the direction; the parts of a tuple have none."""
    words = re.split(r"[_\W]+", name.lower())
    return frozenset(word for word in words if word.isalpha() and word not in sides)


def _is_local_object(function: Function, path: Path) -> bool:
    """Tell whether a path without attributes is an object that was handed in or made here, not `self`."""
    method = function.cls >= 0 and path.root == "param:0"
    return not method and not path.fields
