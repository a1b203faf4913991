"""What a method name and the name of its receiver suggest where no type is known, by the tables."""

import re
from collections.abc import Iterable

from cancellint.analysis.program.expressions import last_name
from cancellint.model.ir import Expr
from cancellint.model.knowledge import Naming

LONGEST_NAME = 200
"""Characters of a name that is compared with patterns; a longer one is no name that tells anything."""

_REPEATED_GROUP = re.compile(r"\)\s*(?:[*+]|\{)|\\[1-9]|\(\?P=")
_UNBOUNDED = re.compile(r"[*+]|\{\d*,")
_MOST_UNBOUNDED = 2
_LONGEST_PATTERN = 1_000


def may_explode(pattern: str) -> bool:
    """Tell whether a regular expression may take more than quadratic time: tables may come from strangers."""
    unescaped = re.sub(r"\\[^1-9]", "x", pattern)
    if len(pattern) > _LONGEST_PATTERN or _REPEATED_GROUP.search(unescaped) is not None:
        return True
    return len(_UNBOUNDED.findall(unescaped)) > _MOST_UNBOUNDED


class Names:
    """Regular expressions for whole names, read without regard to case and to underscores around them."""

    def __init__(self, patterns: Iterable[str]) -> None:
        joined = "|".join(f"(?:{pattern})" for pattern in patterns)
        self._pattern = re.compile(joined) if joined else None
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str | None) -> bool:
        if name is None or self._pattern is None or len(name) > LONGEST_NAME:
            return False
        if name not in self._known:
            self._known[name] = self._pattern.fullmatch(name.lower().strip("_")) is not None
        return self._known[name]


class Conventions:
    """Answers by names alone; what it says is likely at most."""

    def __init__(self, naming: Naming) -> None:
        self._stands_for = tuple(
            (Names(each.receiver), Names(each.methods), each.cls) for each in naming.stands_for
        )
        self._starts = tuple((Names(each.receiver), Names(each.methods), each.cls) for each in naming.starts)
        self._routes = tuple((Names(each.receiver), Names(each.methods)) for each in naming.routes)
        self._connection = Names(naming.connection)
        self._sends = Names(naming.sends)
        self._sends_on_connection = Names(naming.sends_on_connection)
        self._receives = Names(naming.receives)
        self._receives_on_connection = Names(naming.receives_on_connection)
        self.sides = Names(naming.sides)
        """words that tell the two ends of one connection apart"""
        self.closes = Names(naming.closes)
        """methods that end their object"""
        self.gives_back = Names(naming.gives_back)
        """methods that give something back to its owner"""
        self.cleans_up = Names(naming.cleans_up)
        """first words of methods that end something or tidy up"""
        self.takes_reply = Names(naming.takes_reply)
        """methods that are named for the reply they wait for"""
        self.asks = Names(naming.asks)
        """methods that ask somebody for an answer"""
        self.fetches = Names(naming.fetches)
        """methods that fetch messages for the object they belong to"""
        self.streams = Names(naming.streams)
        """iterators over what a peer sends"""
        self.called_back = Names(naming.called_back)
        """methods that are called with whatever a peer sends"""
        self._begins_or_ends = Names(naming.begins_or_ends)

    def method(self, method: str, receiver: Expr) -> str | None:
        """Return the library method that `receiver.method` is likely to be, or None."""
        return _meant(self._stands_for, method, receiver)

    def starter(self, method: str, receiver: Expr) -> str | None:
        """Return the library method by which `receiver.method` likely starts a task or a call in a thread."""
        return _meant(self._starts, method, receiver)

    def is_connection(self, expr: Expr) -> bool:
        """Tell whether a variable or attribute is named like a connection."""
        return last_name(expr) in self._connection

    def sends(self, method: str, receiver: Expr) -> bool:
        """Tell whether a method of unknown effect is named like one that sends a request on a connection."""
        return method in self._sends or (method in self._sends_on_connection and self.is_connection(receiver))

    def receives(self, method: str, receiver: Expr) -> bool:
        """Tell whether a method of unknown effect is named like one that waits for a reply."""
        return method in self._receives or (
            method in self._receives_on_connection and self.is_connection(receiver)
        )

    def begins_or_ends(self, method: str) -> bool:
        """Tell whether a method is named for the beginning or the end of a connection."""
        return method in self._begins_or_ends or method in self.closes

    def is_route(self, method: str, receiver: Expr) -> bool:
        """Tell whether `@receiver.method` is likely to register a handler of requests."""
        name = last_name(receiver)
        return any(name in receivers and method in methods for receivers, methods in self._routes)


def _meant(guesses: Iterable[tuple[Names, Names, str]], method: str, receiver: Expr) -> str | None:
    name = last_name(receiver)
    found = (cls for names, methods, cls in guesses if name in names and method in methods)
    cls = next(found, None)
    return None if cls is None else f"{cls}.{method}"
